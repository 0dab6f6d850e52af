"""The README is true: its commands are those that CI runs, and its recipe is well formed."""

from __future__ import annotations

import re
from pathlib import Path

import tomli

from respsel.metrics.registry import choose
from respsel.recipe.places import plain_place
from respsel.recipe.schema import Recipe
from respsel.recipe.validation import check_shape

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_there_are_exactly_two_commands_and_ci_runs_the_second() -> None:
    """One command for the quickstart, one for the tests; .ci/run has the latter as it
    stands here.
    """
    quickstart, tests = (block.strip() for block in blocks("sh"))
    assert quickstart.endswith("respsel run recipes/quickstart.toml")
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == tests


def test_the_recipe_by_example_is_well_formed() -> None:
    """The README's recipe passes all checks that need no files."""
    (text,) = blocks("toml")
    recipe, problems = check_shape(Recipe, tomli.loads(text), "README.md")
    assert problems == []
    for entry in recipe.metrics:
        assert choose(entry, plain_place("README.md", "metrics"))[1] == []


def test_every_command_is_in_the_readme() -> None:
    """No command is undocumented."""
    from respsel.cli import app
    from respsel.cli.cache import cache

    for command in app.registered_commands:
        assert command.callback is not None
        assert f"`respsel {command.name or command.callback.__name__}" in README
    for command in cache.registered_commands:
        assert command.callback is not None
        assert (
            f"`{command.callback.__name__}`" in README
            or f"`respsel cache {command.callback.__name__}" in README
        )
