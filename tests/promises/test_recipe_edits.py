"""Promise: a recipe's file may be edited or moved while it is run; what is recorded is what was
run.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import Bench

# Does something to the recipe in the model's first call.
MEANWHILE = """
import sys
from pathlib import Path
from respsel.backends import fake
generate = fake.FakeModel.generate
def hooked(self, calls):
    recipe = Path("a.toml")
    if recipe.exists():
        {action}
    yield from generate(self, calls)
fake.FakeModel.generate = hooked
from respsel.cli import app
sys.argv = ["respsel", {args}]
app()
"""
MOVED = 'recipe.rename("b.toml")'
EDITED = 'recipe.write_text(recipe.read_text().replace("Solve:", "Explain:"))'


def respsel(bench: Bench, action: str, *args: str) -> None:
    code = MEANWHILE.format(action=action, args=", ".join(map(repr, args)))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=bench.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("action", [MOVED, EDITED])
def test_a_run_is_recorded_as_it_was_run(bench: Bench, action: str) -> None:
    """The run finishes, and its record holds the recipe's text from when it began."""
    before = bench.recipe.read_text()
    respsel(bench, action, "run", "a.toml")
    assert not bench.recipe.exists() or bench.recipe.read_text() != before
    (record,) = bench.folder.glob("runs/a/*/run.json")
    assert json.loads(record.read_bytes())["text"] == before


def test_diff_tells_no_edit_that_was_not_run(bench: Bench) -> None:
    """Of two runs only what was edited between them differs."""
    bench.run()
    bench.edit("samples = 2", "samples = 3")
    respsel(bench, EDITED, "run", "a.toml")
    found = bench.respsel("diff", "a.toml", "--json").json
    assert [change["where"] for change in found["recipe"]] == ["own_outputs.samples"]


@pytest.mark.parametrize("action", [MOVED, EDITED])
def test_a_set_holds_the_recipe_that_it_was_made_by(bench: Bench, action: str) -> None:
    """Beside an applied set lies the recipe as it was when apply began."""
    before = bench.recipe.read_bytes()
    respsel(bench, action, "apply", "a.toml", "--strategy", "teacher")
    assert (bench.folder / "runs/a/training/parquet/recipe.toml").read_bytes() == before
