"""The line of each key of a TOML file, for messages; read only when there is one to write.

Knows TOML's grammar as far as keys, strings and brackets go, and nothing of what values mean.
Invariant: the text was read by tomli before, so it is TOML. What this cannot follow has no line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import tomli

from respsel.recipe.key_paths import KeyPath

_TOKEN = re.compile(
    r"""
      (?P<skip>[ \t]+|\#[^\n]*)
    | (?P<end>\n)
    | (?P<text>\"\"\"(?:\\.|[^\\])*?\"\"\"\"{0,2}|'''.*?''''{0,2}|"(?:\\.|[^"\\\n])*"|'[^'\n]*')
    | (?P<mark>[\[\]{}=,.])
    | (?P<bare>[^\s\[\]{}=,.\#"']+)
    """,
    re.VERBOSE | re.DOTALL,
)


class _LostError(Exception):
    """The text is not what the grammar says."""


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """By path, the line of its key, or of the header of its table; 1 is the first line.

    text: a TOML file's text with LF as line ends. An item of a list has the line it begins in.
    """
    try:
        return _Reader(text).lines()
    except (_LostError, tomli.TOMLDecodeError):
        return {}


def nearest_line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of a path, or of the nearest table around it; None for what is in no table."""
    around = (path[:end] for end in range(len(path), 0, -1))
    return next((lines[part] for part in around if part in lines), None)


class _Reader:
    """Walks through the tokens of a file once."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._kind = ""
        self._word = ""
        self._line = 0
        self._found: dict[KeyPath, int] = {}
        # By path of an array of tables, how many there are so far.
        self._counts: dict[KeyPath, int] = {}
        self._next()

    def lines(self) -> Mapping[KeyPath, int]:
        table: KeyPath = ()
        while self._kind:
            if self._kind == "end":
                self._next()
            elif self._word == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._found

    def _header(self) -> KeyPath:
        """Read [a.b] or [[a.b]]; return the path of the table that it opens."""
        line = self._line
        self._next()
        is_array = self._word == "[" and self._kind == "mark"
        if is_array:
            self._next()
        path: KeyPath = ()
        keys = self._keys()
        for i, key in enumerate(keys):
            path = (*path, key)
            self._found.setdefault(path, line)
            if is_array and i == len(keys) - 1:
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
                self._found.setdefault(path, line)
        for _ in range(1 + is_array):
            self._take("]")
        return path

    def _pair(self, table: KeyPath) -> None:
        """Read `a.b = value`."""
        line = self._line
        path = table
        for key in self._keys():
            path = (*path, key)
            self._found.setdefault(path, line)
        self._take("=")
        self._value(path)

    def _keys(self) -> list[str]:
        """Read a dotted key."""
        keys = []
        while True:
            if self._kind == "text":
                keys.append(str(tomli.loads(f"key = {self._word}")["key"]))
            elif self._kind == "bare":
                keys.append(self._word)
            else:
                raise _LostError
            self._next()
            if self._word != ".":
                return keys
            self._next()

    def _value(self, path: KeyPath) -> None:
        if self._kind == "mark" and self._word == "[":
            self._next()
            for i in self._items("]"):
                self._found[(*path, i)] = self._line
                self._value((*path, i))
        elif self._kind == "mark" and self._word == "{":
            self._next()
            for _ in self._items("}"):
                self._pair(path)
        elif self._kind == "text":
            self._next()
        else:
            # A number, a date with a blank in it, or a word.
            while self._kind == "bare" or self._word == ".":
                self._next()

    def _items(self, close: str) -> Iterator[int]:
        """Count the items up to a closing bracket; the caller reads each one."""
        number = 0
        while True:
            while self._kind == "end" or (self._kind == "mark" and self._word == ","):
                self._next()
            if self._kind == "mark" and self._word == close:
                self._next()
                return
            if not self._kind:
                raise _LostError
            yield number
            number += 1

    def _take(self, mark: str) -> None:
        if self._kind != "mark" or self._word != mark:
            raise _LostError
        self._next()

    def _next(self) -> None:
        self._kind, self._word, self._line = next(self._tokens, ("", "", self._line))


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Kind, characters and line of each token, without white space and comments."""
    at = 0
    line = 1
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _LostError
        kind = str(found.lastgroup)
        if kind != "skip":
            yield kind, found[0], line
        line += found[0].count("\n")
        at = found.end()
