"""The JSON Schemas of the documents that programs read.

A document is a dataclass, and its schema is made of it: types from the fields, words from the
docstrings. Invariant: every key of a document is in its schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from inspect import cleandoc
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter

from respsel.cli.render.checked import CheckDocument
from respsel.cli.render.plan_document import PlanDocument
from respsel.cli.render.run_document import RunDocument
from respsel.compare.document import Comparison
from respsel.report.content import Report
from respsel.text.documents import VERSIONS
from respsel.watch.status import Status

_DOCUMENTS: Mapping[str, type] = {
    "report": Report,
    "plan": PlanDocument,
    "run": RunDocument,
    "compare": Comparison,
    "status": Status,
    "validate": CheckDocument,
}
_FIELD = re.compile(r"(\w+(?:, \w+)*): ")


def document_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a kind of document; one of VERSIONS."""
    document = _DOCUMENTS[kind]
    schema = TypeAdapter(document).json_schema(mode="serialization")
    words = dict(_documented(document))
    _describe(schema, document.__name__, words)
    for name, inner in schema.get("$defs", {}).items():
        _describe(inner, name, words)
    stamp = {"kind": {"const": kind}, "format": {"const": VERSIONS[kind]}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"respsel {kind}, format {VERSIONS[kind]}",
        **schema,
        "properties": {**stamp, **schema["properties"]},
        "required": [*stamp, *schema["required"]],
    }


def _describe(schema: dict[str, Any], name: str, words: Mapping[str, type]) -> None:
    """Give a dataclass's schema the words of its docstring; every key is always there."""
    told = _told(words[name])
    schema["description"] = told.pop("", "")
    for key, value in schema["properties"].items():
        value.pop("title", None)
        value.pop("default", None)
        if key in told:
            value["description"] = told[key]
    schema["required"] = list(schema["properties"])
    schema.pop("title", None)


def _told(kind: type) -> dict[str, str]:
    """What a docstring says, by field; under "" what it says of the whole."""
    told: dict[str, list[str]] = {"": []}
    names = [""]
    for line in cleandoc(kind.__doc__ or "").splitlines():
        if (found := _FIELD.match(line)) and set(found[1].split(", ")) <= _names_of(kind):
            names = found[1].split(", ")
            told.update({name: [line[found.end() :]] for name in names})
        elif line.strip():
            for name in names:
                told[name].append(line.strip())
    return {name: " ".join(lines).replace("None", "null") for name, lines in told.items()}


def _names_of(kind: type) -> set[str]:
    return {field.name for field in fields(kind)}


def _documented(kind: Any) -> Iterator[tuple[str, type]]:
    """All dataclasses that a type holds, by name."""
    if is_dataclass(kind):
        assert isinstance(kind, type)
        yield kind.__name__, kind
        for hint in get_type_hints(kind).values():
            yield from _documented(hint)
    for inner in get_args(kind):
        yield from _documented(inner)
