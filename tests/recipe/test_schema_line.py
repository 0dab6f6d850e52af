"""The schemas as files for editors, and the line that names them."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import tomli
from pydantic import BaseModel

from respsel.recipe.schema import Recipe
from respsel.recipe.schema_line import (
    RECIPE_SCHEMA,
    VERSION,
    WORKSPACE_SCHEMA,
    json_schema,
    schema_line,
    schema_text,
)
from respsel.workspace.workspace import WorkspaceEntry
from tests.conftest import Bench

ROOT = Path(__file__).parents[2]
KINDS = [(Recipe, RECIPE_SCHEMA), (WorkspaceEntry, WORKSPACE_SCHEMA)]


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


@pytest.mark.parametrize(("kind", "schema"), KINDS)
def test_the_committed_schemas_are_those_that_are_printed(
    bench: Bench, kind: type[BaseModel], schema: str
) -> None:
    """`respsel schema`, of a workspace for respsel.toml, gives the file in docs."""
    more = ["workspace"] if schema == WORKSPACE_SCHEMA else []
    text = (ROOT / "docs" / schema).read_text()
    assert bench.respsel("schema", *more).out == text == schema_text(kind, schema)


@pytest.mark.parametrize(("kind", "schema"), KINDS)
def test_each_key_is_described_for_editors(kind: type[BaseModel], schema: str) -> None:
    """And there is nothing in it that only Python knows: no title of a class, no null."""
    made = json_schema(kind, schema)
    assert made["$id"] == f"urn:respsel:{schema.removesuffix('.schema.json')}:1"
    assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for name, table in {"": made, **made["$defs"]}.items():
        for key, value in table["properties"].items():
            inner = made["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
            assert value.get("description") or inner.get("description"), f"{name}.{key}"
        assert "title" not in table
    assert '"null"' not in json.dumps(made)


def test_the_version_is_that_of_recipes() -> None:
    """A recipe of another format has another schema."""
    assert Recipe.model_fields["format"].default == VERSION


@pytest.mark.parametrize(
    "path",
    [*sorted(ROOT.glob("recipes/*.toml")), ROOT / "respsel.toml"],
    ids=lambda path: path.name,
)
def test_each_shipped_file_names_its_schema_and_fits_it(path: Path) -> None:
    """The first line is the directive, and what it names is there."""
    import jsonschema

    text = path.read_text()
    schema = WORKSPACE_SCHEMA if path.name == "respsel.toml" else RECIPE_SCHEMA
    folder = "docs" if path.parent == ROOT else "../docs"
    assert text.split("\n")[0] == schema_line(schema, folder)
    named = path.parent / text.split("\n")[0].removeprefix("#:schema ")
    jsonschema.validate(tomli.loads(text), json.loads(named.read_text()))


def test_a_strategy_says_where_its_responses_come_from() -> None:
    """Without `from` it fits no kind, rather than several."""
    kinds = json_schema(Recipe, RECIPE_SCHEMA)["$defs"]
    assert all("from" in kinds[f"{kind}Strategy"]["required"] for kind in ("Column", "Model"))


EXTENDING = """
extends = "base.toml"
datasets = [{ name = "math", sample = 5 }]
strategies = [{ name = "terse", sampling = { temperature = 0.2 } }]
"""


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (EXTENDING, []),
        (EXTENDING.replace('extends = "base.toml"', ""), ["is a required property"]),
        (EXTENDING.replace("sampling", "smpling"), ["is not valid under any"]),
        (EXTENDING.replace("sample", "smple"), ["Additional properties"]),
    ],
)
def test_a_recipe_that_extends_another_need_not_say_all(text: str, faults: list[str]) -> None:
    """Editors take what the base says for granted, and still know the keys."""
    schema = json_schema(Recipe, RECIPE_SCHEMA)
    found = list(jsonschema.Draft202012Validator(schema).iter_errors(tomli.loads(text)))
    told = " ".join(error.message for error in found)
    assert bool(found) == bool(faults)
    assert all(fault in told for fault in faults)
