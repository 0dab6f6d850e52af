"""The recipes that come with respsel, each with fake models in place of its own."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import Bench

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_runs_to_its_verdict(name: str, tmp_path: Path) -> None:
    """With fake models in place of real ones it runs as it is, and ranks every strategy that it declares."""
    bench = Bench(tmp_path)
    shutil.copytree(ROOT / "recipes", bench.folder, dirs_exist_ok=True)
    text = (bench.folder / f"{name}.toml").read_text()
    # Every model entry becomes a fake one of the same name.
    text = re.sub(r"(?ms)^\[models\.([\w-]+)\].*?(?=^\[|\Z)", r'[models.\1]\nbackend = "fake"\nvariant = "\1"\n\n', text)
    bench.write("respsel.toml", '[models.smollm2]\nbackend = "fake"\n')
    bench.write("a.toml", text)
    done = bench.run()
    declared = re.findall(r'(?m)^\[\[strategies\]\][^\n]*\nname = "([\w-]+)"', text)
    assert len(declared) >= 4
    for verdict in done["verdicts"]:
        assert {ranked["strategy"] for ranked in verdict["ranking"]} == set(declared)
