"""How a recipe is told from others in the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from respsel.hashing import digest
from respsel.workspace.loading import load_recipe
from tests.conftest import RECIPE, Bench, jsonl, rows
from tests.store.test_gc import two_workspaces


def test_recipes_at_one_place_in_two_workspaces_are_two(tmp_path: Path) -> None:
    """Neither takes the other's last run for its own."""
    one, _ = two_workspaces(tmp_path)
    one.edit("Solve:", "Please solve:")
    assert "prompt changed" in one.respsel("plan", "a.toml").out
    explained = one.respsel("explain", "a.toml", "responses:sums/teacher", "--json").json
    assert "'Solve: {{ input }}'" in str(explained)


@pytest.mark.parametrize(
    ("store", "marked", "owns"),
    [
        ("cache", "", True),
        ("data/cache", "", True),
        ("data/cache", "data", False),
        ("../cache", "", False),
    ],
)
def test_a_recipe_of_the_stores_own_workspace_is_known_by_its_place(
    tmp_path: Path, store: str, marked: str, owns: bool
) -> None:
    """Its key tells its place alone, so that it is as it was; of another workspace's recipe it
    tells the workspace, too.
    """
    bench = Bench(tmp_path / "one")
    bench.write("a.toml", RECIPE)
    bench.write("sums.jsonl", jsonl(rows(12)))
    bench.write("respsel.toml", f'store = "{store}"\n')
    if marked:
        bench.write(f"{marked}/respsel.toml", "")
    loaded = load_recipe(bench.recipe)
    applied = replace(loaded, purpose="apply strategy")
    assert (loaded.key == digest("recipe", "a.toml")) is owns
    assert (applied.key == digest("recipe", "a.toml", "apply strategy")) is owns
    assert loaded.key != applied.key
