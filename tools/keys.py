"""Every key of a recipe and of respsel.toml, from their JSON Schemas.

Knows how JSON Schema says types. Invariant: each key of the schemas is in a table, under the TOML
table that it is written in.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from respsel.recipe.schema import Recipe
from respsel.workspace.workspace import WorkspaceEntry
from tools.markdown import code, plain, prose, table

Schema = Mapping[str, Any]


def keys() -> str:
    """The page's part: a section for each table of a recipe, and one for respsel.toml."""
    recipe = Recipe.model_json_schema()
    parts = []
    for place, schema in tables(recipe):
        parts += _section(place, schema, recipe)
    workspace = WorkspaceEntry.model_json_schema()
    parts += _section("respsel.toml", workspace, workspace)
    return "\n\n".join(parts)


def tables(root: Schema) -> Iterator[tuple[str, Schema]]:
    """Each TOML table of a recipe with its schema, the recipe's own first."""
    yield "The recipe", root
    done = set()
    waiting = [("", root)]
    while waiting:
        above, schema = waiting.pop(0)
        for key, value in schema["properties"].items():
            for name in _references(value):
                if name in done:
                    continue
                done.add(name)
                inner = root["$defs"][name]
                place = _place(above, key, value, inner)
                yield place, inner
                waiting.append((place, inner))


def _place(above: str, key: str, value: Schema, inner: Schema) -> str:
    """How a table is written."""
    if above:
        return f"{key} = {{ ... }}"
    origin = inner["properties"].get("from", {}).get("const")
    if origin:
        return f'[[{key}]] from = "{origin}"'
    if value.get("type") == "array":
        return f"[[{key}]]"
    return f"[{key}.NAME]" if "patternProperties" in value else f"[{key}]"


def _references(value: Any) -> Iterator[str]:
    """The tables that a value may be, in the order of the schema."""
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _section(place: str, schema: Schema, root: Schema) -> list[str]:
    parts = [f"## {plain(place)}"]
    if described := schema.get("description"):
        parts.append(prose(" ".join(described.split())))
    needed = schema.get("required", ())
    rows = [
        (code(key), _kind(value, root), _default(key, value, needed), _described(value, root))
        for key, value in schema["properties"].items()
    ]
    parts.append(table(("key", "value", "default", "what it does"), rows))
    return parts


def _described(value: Schema, root: Schema) -> str:
    """A key's own words, or else those of its table."""
    text = value.get("description", "")
    named = list(_references(value))
    if not text and len(named) == 1:
        text = root["$defs"][named[0]].get("description", "")
    if not text and len(named) > 1:
        text = "There is a table below for each kind."
    return prose(" ".join(text.split()))


def _default(key: str, value: Schema, needed: Any) -> str:
    if key in needed:
        return "needed"
    if "const" in value and value.get("default") == value["const"]:
        return ""
    default = value.get("default")
    return "" if default in (None, {}, []) else code(json.dumps(default, ensure_ascii=False))


def _kind(value: Any, root: Schema) -> str:
    """What a key takes."""
    if "$ref" in value:
        return _kind_of_table(root["$defs"][value["$ref"].rpartition("/")[2]])
    if "const" in value:
        return code(json.dumps(value["const"]))
    if "enum" in value:
        return ", ".join(code(json.dumps(word)) for word in value["enum"])
    for union in ("anyOf", "oneOf"):
        if union in value:
            kinds = [_kind(one, root) for one in value[union] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    kind = value.get("type")
    if kind == "array":
        return _kind_of_list(value, root)
    if kind == "object":
        more = value.get("additionalProperties")
        inner = f" of {_kind(more, root)}" if isinstance(more, Mapping) and more else ""
        return f"table{inner}"
    names = {
        "string": "text",
        "integer": "whole number",
        "number": "number",
        "boolean": "yes or no",
    }
    return names.get(kind or "", "any value") + _limits(value)


def _kind_of_list(value: Schema, root: Schema) -> str:
    if "prefixItems" in value:
        return "list of " + " and ".join(_kind(one, root) for one in value["prefixItems"])
    items = value.get("items")
    if not items:
        return "list"
    kind = _kind(items, root)
    return "list of tables" if kind == "table" else f"list of {kind}"


def _kind_of_table(schema: Schema) -> str:
    if "properties" in schema:
        return "table"
    return _kind(schema, {"$defs": {}})


def _limits(value: Schema) -> str:
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    found = [f"{word} {value[key]:,}" for key, word in words.items() if key in value]
    return f", {' and '.join(found)}" if found else ""
