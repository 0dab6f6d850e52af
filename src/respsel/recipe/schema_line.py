"""The JSON Schemas as files for editors, and the comment by which a TOML file names its own.

Taplo and Tombi read `#:schema PATH`, relative to the TOML file. Knows nothing of what the schemas
say. Invariant: a line names a file on this machine, since respsel publishes none.
"""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel

# The files' names in docs/ of this repository, and beside a recipe that `respsel init` writes.
RECIPE_SCHEMA = "recipe.schema.json"
WORKSPACE_SCHEMA = "workspace.schema.json"
# The version of what the files may say; that of a recipe's `format`.
VERSION = 1
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_line(schema: str = RECIPE_SCHEMA, folder: str | PurePath = ".") -> str:
    """The first line of a recipe or of respsel.toml, without its end.

    folder: where the schema lies, seen from the TOML file.
    """
    path = (PurePath(folder) / schema).as_posix()
    # Hazard: without a dot, editors may take a relative path for a part of an address.
    return f"#:schema {path if path.startswith(('/', '../')) else f'./{path}'}"


def schema_text(kind: type[BaseModel], schema: str) -> str:
    """The content of a schema's file, with its last line end.

    kind: Recipe or WorkspaceEntry. schema: its RECIPE_SCHEMA or WORKSPACE_SCHEMA.
    """
    return json.dumps(json_schema(kind, schema), indent=2, ensure_ascii=False) + "\n"


def json_schema(kind: type[BaseModel], schema: str) -> dict[str, Any]:
    """The JSON Schema of what a TOML file may say; see `schema_text`."""
    made = _for_editors(kind.model_json_schema(by_alias=True))
    if schema == RECIPE_SCHEMA:
        made = _with_extending(made)
    name = schema.removesuffix(".schema.json")
    return {"$schema": _DIALECT, "$id": f"urn:respsel:{name}:{VERSION}", **made}


def _with_extending(made: dict[str, Any]) -> dict[str, Any]:
    """The schema of recipes, in which one that extends another need not say all again.

    Hazard: Tombi takes a key for unknown that a part of `if` does not name, unless that part allows
    other keys.
    """
    tables = made["$defs"]
    strategies = made["properties"]["strategies"]["items"]
    kinds = [tables[arm["$ref"].rpartition("/")[2]] for arm in strategies["oneOf"]]
    keys = {key: value for kind in reversed(kinds) for key, value in kind["properties"].items()}
    changed = {
        "additionalProperties": False,
        "description": "What a recipe that extends another one changes of a strategy.",
        "properties": {key: value for key, value in keys.items() if key != "from"},
        "required": ["name"],
        "type": "object",
    }
    open_ended = {"additionalProperties": True}
    dataset = tables["DatasetEntry"]
    items = {
        "datasets": {"items": {**open_ended, "required": dataset["required"]}},
        "strategies": {"items": {**open_ended, "required": ["name", "from"]}},
    }
    whole = {**open_ended, "required": made["required"], "properties": items}
    arms = [*strategies["oneOf"], {"$ref": "#/$defs/ChangedStrategy"}]
    tables = {**tables, "ChangedStrategy": changed}
    tables["DatasetEntry"] = {**dataset, "required": ["name"]}
    properties = made["properties"] | {
        "strategies": made["properties"]["strategies"] | {"items": {"oneOf": arms}}
    }
    return {
        **{key: value for key, value in made.items() if key != "required"},
        "$defs": tables,
        "properties": properties,
        "if": {**open_ended, "required": ["extends"]},
        "then": open_ended,
        "else": whole,
    }


def _for_editors(value: Any) -> Any:
    """A schema without what only puts noise into an editor's messages.

    These are titles made of our names, and nulls, which TOML does not have. A table that says by a
    constant what kind it is must say so.
    """
    if isinstance(value, list):
        return [_for_editors(item) for item in value if item != {"type": "null"}]
    if not isinstance(value, dict):
        return value
    made = {
        key: _for_editors(item)
        for key, item in value.items()
        if not ((key == "title" and isinstance(item, str)) or (key == "default" and item is None))
    }
    if len(arms := made.get("anyOf", ())) == 1:
        made = {**arms[0], **{key: item for key, item in made.items() if key != "anyOf"}}
    properties = made.get("properties", {})
    if "const" in properties.get("from", ()) and "from" not in made.get("required", ()):
        made["required"] = [*made.get("required", ()), "from"]
    return made
