"""JSON texts parsed, with the place and the remedy of every fault.

Knows nothing of rows. Invariants: a name that an object has twice is a fault. One item of a list is
in the memory at a time, and its faults are those that the whole text would have.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from respsel.data.lines import LONGEST, Text
from respsel.errors import InputError, Problem

# Far below Python's own limit, so that every row that is read can be written again.
DEEPEST = 100
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_COLON = re.compile(r"\s*:")
_BLANKS = re.compile(r"[ \t\n\r]*")
_ONE_COMMA_MORE = re.compile(r",\s*\Z")
_FIX = "Fix it"
_CONSTANT = "not a JSON value"
_JOINED = "A byte order mark inside the file: was it joined from two files?"
# More than the longest word of JSON, and than two halves of a character in escapes.
_LONGEST_TOKEN = 16
# How far back the fault is that an error's remedy depends on.
_CONTEXT = 100


class _Twice(ValueError):
    """A name that an object has twice."""


@dataclass(frozen=True)
class _Origin:
    """Where a piece of a text begins.

    line: its line.
    column: how many characters of that line come before it.
    """

    line: int = 1
    column: int = 0

    def of(self, piece: str, offset: int) -> tuple[int, int]:
        """The line and column of a place in the piece."""
        breaks = piece.count("\n", 0, offset)
        column = offset - piece.rfind("\n", 0, offset) if breaks else self.column + offset + 1
        return self.line + breaks, column

    def place(self, piece: str, offset: int) -> str:
        """The same in words."""
        line, column = self.of(piece, offset)
        return f"line {line}, column {column}"


def parse(text: str, shown: str, where: str) -> Any:
    """The value of a JSON text. Raises InputError.

    where: the line that the text is, if it is one line.
    """
    try:
        if text.startswith("\ufeff"):
            raise json.JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", text, 0)
        value = _DECODER.decode(text)
        _check_characters(text, value)
        return value
    except (RecursionError, ValueError) as error:
        raise InputError(_problem(error, text, 0, shown, where, _Origin())) from error


def too_deep(shown: str, where: str) -> Problem:
    """The problem of what nests too deeply."""
    return Problem(shown, where, f"nests more than {DEEPEST} levels deep", "Take that part out")


class ListReader:
    """The items of a list, read through a window that moves along the text."""

    def __init__(self, text: Text, window: int) -> None:
        self._shown = text.shown
        self._window = window
        self._chunks = text.chunks(window)
        self._held = ""
        self._at = 0
        self._origin = _Origin()

    def items(self) -> Iterator[tuple[str, Any]]:
        """Yield each item with its place. Raises InputError."""
        number = 0
        self._skip("[", "Expecting value")
        while not (number == 0 and self._take("]")):
            number += 1
            yield f"row {number}", self._value(f"row {number}")
            if self._take("]"):
                break
            self._skip(",", "Expecting ',' delimiter")
        self._pass_blanks()
        if self._at < len(self._held):
            raise self._fault(json.JSONDecodeError("Extra data", self._held, self._at), "")

    def _value(self, where: str) -> Any:
        self._pass_blanks()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._held, self._at)
                # A number may go on.
                if end > len(self._held) - _LONGEST_TOKEN and self._read_on(where):
                    continue
                _check_characters(self._held[self._at : end], value)
                self._at = end
                return value
            except json.JSONDecodeError as error:
                # Reading on may complete what is cut off. No other fault depends on what follows.
                is_cut = (
                    error.msg.startswith("Unterminated string")
                    or error.pos > len(self._held) - _LONGEST_TOKEN
                )
                if not (is_cut and self._read_on(where)):
                    raise self._fault(error, where) from error
            except (RecursionError, ValueError) as error:
                raise self._fault(error, where) from error

    def _take(self, mark: str) -> bool:
        self._pass_blanks()
        found = self._held.startswith(mark, self._at)
        self._at += len(mark) if found else 0
        return found

    def _skip(self, mark: str, otherwise: str) -> None:
        if not self._take(mark):
            raise self._fault(json.JSONDecodeError(otherwise, self._held, self._at), "")

    def _pass_blanks(self) -> None:
        while True:
            found = _BLANKS.match(self._held, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._held) or not self._read_on(""):
                return

    def _read_on(self, where: str) -> bool:
        """Move the window to what is not yet parsed, and widen it. False if there is no more."""
        waiting = len(self._held) - self._at
        if waiting > LONGEST:
            what = f"is longer than {LONGEST:,} characters"
            raise InputError(Problem(self._shown, where, what, "Take it out"))
        more = []
        length = 0
        # As much again as waits, so that a long item is not parsed again for each piece of it.
        while length < max(waiting, self._window) and (chunk := next(self._chunks, "")):
            more.append(chunk)
            length += len(chunk)
        if not more:
            # The window stays where it is.
            return False
        start = max(0, self._at - _CONTEXT)
        line, column = self._origin.of(self._held, start)
        self._origin = _Origin(line, column - 1)
        self._held = "".join([self._held[start:], *more])
        self._at -= start
        return True

    def _fault(self, error: Exception, where: str) -> InputError:
        return InputError(_problem(error, self._held, self._at, self._shown, where, self._origin))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _Twice
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is {_CONSTANT}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_once
)


def _check_characters(text: str, value: Any) -> None:
    if "\\ud" in text.lower():
        # Half a surrogate pair is legal in JSON and in Python, but in no UTF-8 text.
        json.dumps(value, ensure_ascii=False).encode("utf-8")


def _problem(
    error: Exception, text: str, at: int, shown: str, where: str, origin: _Origin
) -> Problem:
    """The problem of a text that cannot be parsed from some place on.

    where: its line, or its row in a list.
    """
    line = where if where.startswith("line ") else ""
    if isinstance(error, RecursionError):
        depth = 0 if line or not where else 1
        return too_deep(shown, line or origin.place(text, _deep_at(text, at, depth)))
    if isinstance(error, _Twice):
        offset, name = _twice_at(text, at)
        place = f"{line}, column {offset + 1}" if line else origin.place(text, offset)
        what = f"has the name '{name}' twice in one object"
        return Problem(shown, place, what, "Keep one of them, or rename one")
    if isinstance(error, UnicodeEncodeError):
        return Problem(shown, where, "holds half a surrogate pair", "Fix the text's encoding")
    if isinstance(error, json.JSONDecodeError):
        place = f"{line}, column {error.colno}" if line else origin.place(text, error.pos)
        why = error.msg.removesuffix(" starting at")
        return Problem(shown, place, f"is not JSON: {why}", _advice(text, error))
    remedy = "Write null in its place" if _CONSTANT in str(error) else _FIX
    return Problem(shown, where, f"is not JSON: {str(error).split(';')[0]}", remedy)


def _advice(text: str, error: json.JSONDecodeError) -> str:
    if "\ufeff" in text:
        return _JOINED
    if error.msg.startswith("Extra data"):
        return "Write one value on each line, or one list of objects"
    if (
        error.pos < len(text)
        and text[error.pos] in "]}"
        and _ONE_COMMA_MORE.search(text[max(0, error.pos - 99) : error.pos])
    ):
        return "There is a comma too many before it"
    if error.pos == 0 and text[:1] not in ("{", "["):
        return f"{_FIX}; if it is CSV, name the file .csv"
    return _FIX


def _twice_at(text: str, start: int) -> tuple[int, str]:
    """Where a name comes again in its object, and the name.

    The JSON text has no other fault.
    """
    seen: list[set[str] | None] = []
    for token in _TOKEN.finditer(text, start):
        mark = token[0]
        if mark in ("{", "["):
            seen.append(set() if mark == "{" else None)
        elif mark in ("}", "]"):
            seen.pop()
        elif (names := seen[-1] if seen else None) is not None and _COLON.match(text, token.end()):
            name = str(json.loads(mark))
            if name in names:
                return token.start(), name
            names.add(name)
    return 0, "?"


def _deep_at(text: str, start: int, depth: int) -> int:
    """Where a JSON text nests too deeply.

    depth: how deep the place is where the text begins.
    """
    for token in _TOKEN.finditer(text, start):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth > DEEPEST:
            return token.start()
    return 0
