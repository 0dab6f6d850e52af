"""The schemas as files for editors, and the line that names them."""

from __future__ import annotations

import pytest

from respsel.recipe.schema_line import WORKSPACE_SCHEMA, schema_line


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        (".", "#:schema ./recipe.schema.json"),
        ("..", "#:schema ../recipe.schema.json"),
        ("../docs", "#:schema ../docs/recipe.schema.json"),
        ("docs", "#:schema ./docs/recipe.schema.json"),
        ("/opt/a", "#:schema /opt/a/recipe.schema.json"),
    ],
)
def test_a_line_names_the_schema_from_the_recipe(folder: str, line: str) -> None:
    """The path is relative to the TOML file."""
    assert schema_line(folder=folder) == line


def test_the_workspace_has_its_own_schema() -> None:
    """respsel.toml is not a recipe."""
    assert schema_line(WORKSPACE_SCHEMA) == "#:schema ./workspace.schema.json"
