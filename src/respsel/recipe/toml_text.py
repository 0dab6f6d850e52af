"""Values to TOML text that reads back as the same values.

Knows nothing of recipes. Invariant: `tomli.loads(toml_text(data)) == data`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# A tab may stand as it is.
_SPECIAL = re.compile(r'[\\"\x00-\x08\x0a-\x1f\x7f]')
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"}


def toml_text(data: Mapping[str, Any]) -> str:
    """A document. Raises TypeError for a value that TOML has no word for."""
    return "\n".join(_table(data, ())).strip() + "\n"


def value_text(value: Any) -> str:
    """A value on one line. Raises TypeError for a value that TOML has no word for."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case int():
            return str(value)
        case float():
            return repr(value) if math.isfinite(value) else str(value)
        case datetime() | date() | time():
            return value.isoformat()
        case Mapping():
            items = ", ".join(f"{_key(k)} = {value_text(v)}" for k, v in value.items())
            return f"{{ {items} }}" if items else "{}"
        case list() | tuple():
            return f"[{', '.join(value_text(item) for item in value)}]"
    raise TypeError(f"{type(value).__name__} is no TOML value")


def _table(data: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    tables = {key: value for key, value in data.items() if isinstance(value, Mapping) and value}
    lists = {key: value for key, value in data.items() if _is_list_of_tables(value)}
    for key, value in data.items():
        if key not in tables and key not in lists:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        inner = (*path, key)
        # A table of tables needs no line of its own.
        if not all(isinstance(item, Mapping) and item for item in value.values()):
            yield f"\n[{'.'.join(map(_key, inner))}]"
        yield from _table(value, inner)
    for key, entries in lists.items():
        inner = (*path, key)
        for entry in entries:
            yield f"\n[[{'.'.join(map(_key, inner))}]]"
            yield from _table(entry, inner)


def _is_list_of_tables(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(item, Mapping) for item in value)
    )


def _value(value: Any) -> str:
    """A value in a line of its own; a text of several lines is shown as such."""
    if isinstance(value, str) and "\n" in value:
        lines = "\n".join(_escaped(line) for line in value.split("\n"))
        return f'"""\n{lines}"""'
    return value_text(value)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: _escape(found[0]), text)


def _escape(character: str) -> str:
    return _ESCAPES.get(character, f"\\u{ord(character):04x}")
