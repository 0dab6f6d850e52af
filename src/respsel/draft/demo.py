"""The demo that `respsel init` writes without data: the quickstart's recipe and its problems.

Invariant: there is one copy of it in the repository. A wheel has it beside this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from respsel.draft.draft import Place, refuse_existing, support_files
from respsel.draft.recipe_text import SCHEMAS, model_text
from respsel.draft.target import Target
from respsel.recipe.schema_line import schema_line

NAME = "quickstart"
DATA = "quickstart/problems.jsonl"
_IN_REPOSITORY = Path(__file__).parents[3] / "recipes"


def demo_file(name: str) -> str:
    """The text of one of the demo's files."""
    packed: Traversable = files("respsel.draft").joinpath("demo")
    base = packed if packed.is_dir() else _IN_REPOSITORY
    return base.joinpath(name).read_text(encoding="utf-8")


def demo_files(place: Place, target: Target) -> Mapping[Path, str]:
    """The demo's files, the recipe last. Raises InputError where one of them is there already.

    target: the bundled model.
    """
    data = place.folder / DATA
    refuse_existing(data, "Give another DIR, or move that away")
    lines = demo_file(f"{NAME}.toml").splitlines(keepends=True)
    if lines[0].startswith("#:schema"):
        del lines[0]
    declared = f"\n{model_text(target)}" if target.entry and not place.is_new else ""
    text = f"{schema_line(folder=SCHEMAS)}\n{''.join(lines)}{declared}"
    return {**support_files(place, target), data: demo_file(DATA), place.recipe: text}
