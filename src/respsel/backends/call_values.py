"""The values in a turn's tool calls, and turns in which some of them are others.

Arguments are an object, or a text of JSON. Both are changed as text, so all else stays as it was
spelled.

Knows no template. Invariant: a changed value has the type that it had, unless it is null or empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from respsel.records import Message
from respsel.text.transcript import tool_calls_of

ARGUMENTS = "arguments"
_PARTS = ("name", ARGUMENTS)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[\s*\]|\{\s*\}|[][{},:]|[^][{},:"\s]+')
_SIGNS = frozenset("[]{},:")
# Numbers that are longer with more digits behind them, and else the same.
_WHOLE = re.compile(r"-?[1-9]\d{0,999}")
_BROKEN = re.compile(r"-?\d+\.\d+")
_ZERO = re.compile(r"-?0(\.0*)?([eE][+-]?\d+)?")
# As many digits of a broken number are kept.
_DIGITS = 15


@dataclass(frozen=True)
class Edit:
    """A stretch of a call's name or arguments, as JSON text, and what is to stand there."""

    call: int
    part: str
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class CallValue:
    """A value in a tool call that has no values within it.

    call: the call's place in its turn.
    part: whether it is in the call's name or in its arguments.
    token: the value as JSON.
    start: where it is in its part.
    key: where its key begins and ends; None without one.
    whole: where it is with its key and a comma.
    """

    call: int
    part: str
    token: str
    start: int
    key: tuple[int, int] | None
    whole: tuple[int, int]

    @property
    def is_empty(self) -> bool:
        """Whether a template may take it for nothing."""
        return self.token != "true" and self._other is not None

    @property
    def _other(self) -> str | None:
        """What a value becomes that is a boolean or empty."""
        if self.token in ("true", "false"):
            return "false" if self.token == "true" else "true"
        if self.token.startswith('"'):
            return None if _text(self.token).strip() else '"1"'
        if _ZERO.fullmatch(self.token):
            return "1"
        return {"n": '"1"', "[": "[1]", "{": '{"1":1}'}.get(self.token[0])

    def grown(self, digits: str) -> Edit | None:
        """The value with digits behind it; None where it is not known how it would be written."""
        if self._other is not None:
            return None
        if self.token.startswith('"'):
            text = _text(self.token)
            grown = text.rstrip() + digits + text[len(text.rstrip()) :]
            return self._edit(json.dumps(grown, ensure_ascii=self.token.isascii()))
        is_short = len(self.token) + len(digits) <= _DIGITS
        if _WHOLE.fullmatch(self.token) or (_BROKEN.fullmatch(self.token) and is_short):
            return self._edit(self.token + digits)
        return None

    def changed(self) -> Edit:
        """Another value."""
        another = "1.5" if self.token != "1.5" else "2.5"
        return self.grown("1") or self._edit(self._other or another)

    def removed(self) -> Edit:
        """No value and no key."""
        return Edit(self.call, self.part, *self.whole, "")

    def with_key(self, digits: str) -> Edit | None:
        """The value with digits behind its key."""
        if self.key is None:
            return None
        return Edit(self.call, self.part, self.key[1] - 1, self.key[1] - 1, digits)

    def _edit(self, text: str) -> Edit:
        return Edit(self.call, self.part, self.start, self.start + len(self.token), text)


def call_values(turn: Message) -> list[CallValue]:
    """The name of each call of a turn, and all values of its arguments."""
    found: list[CallValue] = []
    for place, call in enumerate(tool_calls_of(turn)):
        function = _function(call)
        for part in _PARTS:
            if part in function:
                found += _values(place, part, _document(function[part], part)[0])
    return found


def with_edits(turn: Message, edits: Iterable[Edit]) -> Message:
    """A turn with other calls."""
    fields = json.loads(turn.fields)
    by_part: dict[tuple[int, str], list[Edit]] = {}
    for edit in edits:
        by_part.setdefault((edit.call, edit.part), []).append(edit)
    for (call, part), own in by_part.items():
        function = _function(fields["tool_calls"][call])
        document, is_text = _document(function[part], part)
        for edit in sorted(own, key=lambda edit: edit.start, reverse=True):
            document = document[: edit.start] + edit.text + document[edit.end :]
        function[part] = document if is_text else json.loads(document)
    return replace(turn, fields=json.dumps(fields))


def _function(call: Mapping[str, Any]) -> dict[str, Any]:
    own = call.get("function", call) if isinstance(call, dict) else {}
    return own if isinstance(own, dict) else {}


def _document(value: object, part: str) -> tuple[str, bool]:
    """A part of a call as JSON text, and whether the call has it as such text."""
    if part == ARGUMENTS and isinstance(value, str):
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            return json.dumps(value), False
        return value, True
    return json.dumps(value, ensure_ascii=False), False


def _values(call: int, part: str, document: str) -> Iterator[CallValue]:
    tokens = list(_TOKEN.finditer(document))
    for i, token in enumerate(tokens):
        text = token.group()
        behind = tokens[i + 1] if i + 1 < len(tokens) else None
        if text in _SIGNS or (behind and behind.group() == ":"):
            continue
        has_key = i >= 2 and tokens[i - 1].group() == ":"
        key = tokens[i - 2].span() if has_key else None
        start = key[0] if key else token.start()
        end = token.end()
        first = i - 2 if key else i
        if behind and behind.group() == ",":
            end = behind.end()
        elif first and tokens[first - 1].group() == ",":
            start = tokens[first - 1].start()
        value = CallValue(call, part, text, token.start(), key, (start, end))
        if len(tokens) > 1 or not value.is_empty:
            # Else the call has no arguments.
            yield value


def _text(token: str) -> str:
    text: str = json.loads(token, strict=False)
    return text
