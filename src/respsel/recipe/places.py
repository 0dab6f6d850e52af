"""A place in a recipe or respsel.toml, as a user knows it: the line, a name, the key.

Knows nothing of what keys mean. Invariant: a line is shown only where it is known. Nothing is read
or looked for until a problem is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from respsel.errors import Problem
from respsel.recipe.key_paths import KeyPath
from respsel.text.characters import one_line

# The file that a value came from, or the option, and its line there; None where that is not known.
# An option says itself which key it is of, so it has the line AN_OPTION.
Origin = tuple[str, int | None]
AN_OPTION = 0

# What one entry of a list is called, and the keys that name it; the first that it has counts.
_ENTRIES = {
    "strategies": ("strategy", ("name",)),
    "datasets": ("dataset", ("name",)),
    "metrics": ("metric", ("label", "name")),
}
_LONGEST_NAME = 80
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Source:
    """A TOML file, or several that were put together.

    shown: the file as the user gave it.
    data: its values; they have the names of entries.
    origin: where the value at a path came from. For a missing key, that is its table's origin.
    """

    shown: str
    data: Mapping[str, Any]
    origin: Callable[[KeyPath], Origin]


@dataclass(frozen=True)
class Place:
    """A place in a file: the whole file, or what is at a path of keys."""

    source: Source
    path: KeyPath = ()

    def at(self, *more: str | int) -> Place:
        """A place within this one."""
        return Place(self.source, (*self.path, *more))

    def problem(self, what: str, remedy: str = "", near: str = "") -> Problem:
        """What is wrong here, and what to do about it. near: the key in here with the line."""
        file, line = self.source.origin((*self.path, near) if near else self.path)
        if line == AN_OPTION:
            return Problem("", file, what, remedy)
        where = [] if line is None else [f"line {line}"]
        return Problem(file, ", ".join([*where, *_parts(self)]), what, remedy)

    @property
    def name(self) -> str:
        """The place without file and line: strategy 'terse', prompt."""
        return ", ".join(_parts(self))

    @property
    def keys(self) -> str:
        """The place as keys with dots between, as TOML has them: models.teacher."""
        return ".".join(_key(part) for part in self.path if isinstance(part, str))

    def __str__(self) -> str:
        return self.name


def file_source(shown: str, data: Mapping[str, Any], content: bytes) -> Source:
    """One file, with the lines of its content."""

    @cache
    def lines() -> Mapping[KeyPath, int]:
        from respsel.recipe.toml_lines import key_lines

        return key_lines(content.decode("utf-8-sig").replace("\r\n", "\n"))

    def origin(path: KeyPath) -> Origin:
        from respsel.recipe.toml_lines import nearest_line

        return shown, nearest_line(lines(), path)

    return Source(shown, data, origin)


def plain_place(shown: str, *path: str | int) -> Place:
    """A place in what is no file, or of which nothing more is known."""
    return Place(Source(shown, {}, lambda _: (shown, None)), path)


def _parts(place: Place) -> Iterator[str]:
    """What is shown of a path: the entry by its name, keys with dots between, items by number."""
    path = place.path
    if len(path) > 1 and path[0] in _ENTRIES and isinstance(path[1], int):
        yield _entry(str(path[0]), path[1], place.source.data)
        path = path[2:]
    elif len(path) > 1 and path[0] == "models":
        yield f"model '{one_line(path[1])}'"
        path = path[2:]
    keys: list[str] = []
    for part in path:
        if isinstance(part, str):
            keys.append(_key(part))
            continue
        if keys:
            yield ".".join(keys)
        keys = []
        yield f"item {part + 1}"
    if keys:
        yield ".".join(keys)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else one_line(json.dumps(key, ensure_ascii=False))


def _entry(table: str, number: int, data: Mapping[str, Any]) -> str:
    kind, keys = _ENTRIES[table]
    entries = data.get(table)
    entry = entries[number] if isinstance(entries, (list, tuple)) and number < len(entries) else {}
    for key in keys if isinstance(entry, Mapping) else ():
        name = entry.get(key)
        if isinstance(name, str) and name.strip() and len(name) <= _LONGEST_NAME:
            return f"{kind} '{one_line(name)}'"
    return f"{kind} {number + 1}"
