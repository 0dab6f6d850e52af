"""Keys that lead into a recipe by names: `strategies.terse.sampling.temperature`.

Knows nothing of files and of what the values mean. Invariant: the text of a key leads to the same
place again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from respsel.errors import suggest

Parts = tuple[str, ...]

# The lists of a recipe whose entries have names.
NAMED_LISTS = ("datasets", "strategies", "metrics")
_SINGULAR = {
    "datasets": "dataset",
    "strategies": "strategy",
    "metrics": "metric",
    "models": "model",
}
_PART = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^.="'\s]+))\s*""")
_BARE = re.compile(r"[^.=\"'\s\\]+")
_KINDS = {dict: "a table", list: "a list", str: "a text", bool: "true or false"}


class NotThereError(Exception):
    """A key that leads nowhere: what is wrong, and what to do."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def split_key(text: str, what: str = "a key") -> tuple[Parts, str]:
    """The parts of the key that a text begins with, and the text behind it.

    Raises NotThereError if it begins with no key.
    """
    parts: list[str] = []
    at = 0
    while found := _PART.match(text, at):
        double, single, bare = found.groups()
        quoted = single if double is None else re.sub(r"\\(.)", r"\1", double)
        parts.append(bare if bare is not None else quoted)
        at = found.end()
        if not text.startswith(".", at):
            return tuple(parts), text[at:]
        at += 1
    example = "strategies.terse.sampling.temperature"
    raise NotThereError(f"does not begin with {what}", f"Write names with dots, as {example}")


def join_key(parts: Sequence[str]) -> str:
    """The text of a key; parts with dots and the like are quoted."""
    return ".".join(part if _BARE.fullmatch(part) else _quoted(part) for part in parts)


def called(kind: str, entry: Any) -> str | None:
    """The name of an entry of a named list, or None if it has none."""
    if not isinstance(entry, Mapping):
        return None
    name = entry.get("name")
    if kind == "metrics":
        name = entry.get("label", name)
    return name if isinstance(name, str) else None


def resolve(data: Mapping[str, Any], parts: Sequence[str]) -> Parts:
    """A key as it leads into a recipe's data.

    Names with dots are put together again. Raises NotThereError naming the first part that is not
    there, if that is an entry of a list, of a model or of what has no parts. The last parts may be
    new.
    """
    if len(parts) < 2 or parts[0] not in (*NAMED_LISTS, "models"):
        _refuse_parts(data, parts)
        return tuple(parts)
    kind = parts[0]
    names = entry_names(data, kind)
    # The longest name that fits: 'v1.5' comes before 'v1'.
    for end in range(len(parts), 1, -1):
        if (name := ".".join(parts[1:end])) in names:
            found = (kind, name, *parts[end:])
            _refuse_parts(data, found)
            return found
    if kind == "models" and (len(parts) == 2 or parts[2] == "backend"):
        return tuple(parts)
    raise NotThereError(f"no {_SINGULAR[kind]} '{parts[1]}'", suggest(parts[1], names))


def entry_names(data: Mapping[str, Any], kind: str) -> list[str]:
    """The names of a recipe's entries of a kind: datasets, strategies, metrics or models."""
    entries = data.get(kind)
    if isinstance(entries, Mapping):
        return list(entries)
    names = [called(kind, entry) for entry in entries] if isinstance(entries, list) else []
    return [name for name in names if name is not None]


def find(data: Mapping[str, Any], parts: Sequence[str]) -> Any:
    """What is at a place. Raises LookupError if nothing is."""
    value: Any = data
    for i, part in enumerate(parts):
        if isinstance(value, Mapping):
            value = value[part]
        elif i == 1 and isinstance(value, list):
            value = value[_index(parts[0], value, part)]
        else:
            raise LookupError(part)
    return value


def holds(data: Mapping[str, Any], parts: Sequence[str]) -> bool:
    """Whether anything is at a place."""
    try:
        find(data, parts)
    except LookupError:
        return False
    return True


def put(data: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    """Set a value at a resolved place; tables on the way are made."""
    *before, last = parts
    table: Any = data
    for i, part in enumerate(before):
        if isinstance(table, list):
            table = table[_index(parts[0], table, part)]
        else:
            table = table.setdefault(part, {})
        if i == 0 and len(before) == 1 and isinstance(table, list):
            at = _index(parts[0], table, last)
            names = {key: table[at][key] for key in ("name", "label") if key in table[at]}
            table[at] = {**names, **value} if isinstance(value, Mapping) else value
            return
    table[last] = value


def take_out(data: dict[str, Any], parts: Sequence[str]) -> None:
    """Remove what is at a place. Raises LookupError if nothing is."""
    *before, last = parts
    holder = find(data, before)
    if isinstance(holder, list) and len(before) == 1:
        del holder[_index(parts[0], holder, last)]
    elif isinstance(holder, dict):
        del holder[last]
    else:
        raise LookupError(last)


def _index(kind: str, entries: Sequence[Any], name: str) -> int:
    for i, entry in enumerate(entries):
        if called(kind, entry) == name:
            return i
    raise LookupError(name)


def _refuse_parts(data: Mapping[str, Any], parts: Sequence[str]) -> None:
    """Raise NotThereError if a key goes on behind what has no parts."""
    for end in range(1, len(parts)):
        try:
            value = find(data, parts[:end])
        except LookupError:
            return
        if isinstance(value, Mapping) or (end == 1 and parts[0] in NAMED_LISTS):
            continue
        kind = _KINDS.get(type(value), "a number")
        what = f"'{join_key(parts[:end])}' is {kind}, which has no '{parts[end]}'"
        raise NotThereError(what, f"Set '{join_key(parts[:end])}' as a whole")


def _quoted(part: str) -> str:
    return '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
