"""What programs read says its version, and is as its JSON Schema has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from respsel.cli.render.document_schemas import document_schema
from respsel.text.documents import VERSIONS
from tests.conftest import Bench

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def documents(bench: Bench) -> dict[str, Any]:
    """One document of each kind, of a recipe with most of what reports have."""
    bench.edit("[selection]\n", '[selection]\nmode = "per-example"\n')
    plan = bench.respsel("plan", "a.toml", "--json").json
    run = bench.run()
    report = json.loads((bench.folder / "runs" / "a" / "report.json").read_text())
    sweep = "strategies.teacher.prompt=Say {{ input }},Tell {{ input }}"
    compare = bench.respsel("compare", "a.toml", "--sweep", sweep, "--limit", "3", "--json").json
    checked = bench.respsel("validate", "a.toml", "--json").json
    status = bench.respsel("status", "a.toml", "--json").json
    made = {"plan": plan, "run": run, "report": report, "compare": compare}
    return {**made, "validate": checked, "status": status}


def closed(schema: Any) -> Any:
    """The same schema with no other keys than it names."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return {**inner, "additionalProperties": False} if "required" in schema else inner


def test_documents_are_as_their_schemas_have_them(documents: dict[str, Any]) -> None:
    """No key is without its schema, and none that the schema has is missing."""
    assert set(documents) == set(VERSIONS)
    for kind, document in documents.items():
        jsonschema.validate(document, closed(document_schema(kind)))
        assert (document["kind"], document["format"]) == (kind, VERSIONS[kind])


def test_a_recipe_that_cannot_be_read_has_the_same_keys(bench: Bench) -> None:
    """A program finds the problems where it finds them of others."""
    bench.edit('backend = "fake"', 'backend = "unknown"')
    told = bench.respsel("validate", "a.toml", "--json").json
    jsonschema.validate(told, closed(document_schema("validate")))
    assert told["problems"]


@pytest.mark.parametrize("kind", VERSIONS)
def test_the_committed_schemas_are_those_of_the_code(kind: str) -> None:
    """Run `respsel schema KIND > docs/KIND.schema.json` when this fails."""
    schema = document_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads((DOCS / f"{kind}.schema.json").read_text()) == schema


def test_what_a_verdict_says_is_explained() -> None:
    """Each key of a verdict has its words, those of the dataclass."""
    keys = document_schema("run")["$defs"]["Verdict"]["properties"]
    assert all(key.get("description") for key in keys.values())
    assert keys["tied"]["description"] == "the strategies that the leader does not beat."
