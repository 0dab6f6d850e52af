"""Conversations as trainers' files have them: turns as dicts, what of them is trained, how many.

Knows no format by name; see formats and limits. Invariant: a turn is written as the target's chat
template was given it, so {"role", "content"} and the turn's own fields, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from respsel.records import ASSISTANT, TOOLS, Message, trained_places
from respsel.text.transcript import REASONING_KEYS, fields_of

# The key of axolotl's rows that says whether a turn is trained.
TRAIN = "train"
# What a 64-bit integer holds; readers of JSON differ on others.
_LEAST = -(2**63)
_MOST = 2**63 - 1


def tools_of(turns: Sequence[Message]) -> str | None:
    """The tools of a conversation, as JSON text; None where it has none."""
    return turns[0].content if turns and turns[0].role == TOOLS else None


def said(turns: Sequence[Message]) -> Sequence[Message]:
    """The turns of a conversation, without its tools."""
    return turns[1:] if tools_of(turns) is not None else turns


def as_dict(turn: Message) -> dict[str, Any]:
    """A turn as the chat template gets it."""
    return {"role": turn.role, "content": turn.content, **fields_of(turn)}


def split_at_trained(turns: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """The turns before the first trained one, and the others."""
    first = min(trained_places(turns), default=len(turns))
    return list(turns[:first]), list(turns[first:])


def may_change(value: object) -> bool:
    """Whether a JSON value has a number that `datasets` may change as it reads it.

    It reads and writes objects with ujson, which keeps ten digits behind the point and is often off
    by the last bit: 0.3 becomes 0.30000000000000004.
    """
    if isinstance(value, Mapping):
        return any(map(may_change, value.values()))
    if isinstance(value, list):
        return any(map(may_change, value))
    if isinstance(value, float):
        return not (value.is_integer() and _LEAST <= value <= _MOST)
    return isinstance(value, int) and not _LEAST <= value <= _MOST


@dataclass
class Conversations:
    """What the conversations of a set have, counted while they pass.

    rows: how many there are.
    turns, trained: of all of them, and how many of these are trained.
    with_tools, with_calls, with_thinking: in how many there are tools, a call, a field of thinking.
    with_numbers: in how many a turn has a number that `datasets` may change.
    beside: in how many there are turns that are not trained among those behind the prompt.
    every, last: in how many all of the assistant's turns are trained, or its last one alone.
    fields: the names of the turns' fields.
    """

    rows: int = 0
    turns: int = 0
    trained: int = 0
    with_tools: int = 0
    with_calls: int = 0
    with_thinking: int = 0
    with_numbers: int = 0
    beside: int = 0
    every: int = 0
    last: int = 0
    fields: set[str] = field(default_factory=set)

    def add(self, turns: Sequence[Message], tools: bool, behind: Iterable[Message]) -> None:
        """Count a conversation, in a pair that of the better response.

        tools: whether it has tools, which are not among the turns.
        behind: the turns that a format with prompts has behind the prompt.
        """
        fields = [fields_of(turn) for turn in turns]
        places = trained_places(turns)
        answers = [place for place, turn in enumerate(turns) if turn.role == ASSISTANT]
        self.rows += 1
        self.turns += len(turns)
        self.trained += len(places)
        self.with_tools += tools
        self.with_calls += any("tool_calls" in some for some in fields)
        self.with_thinking += any(some.get(name) for some in fields for name in REASONING_KEYS)
        self.with_numbers += any(map(may_change, fields))
        self.beside += any(not turn.trained for turn in behind)
        self.every += places == answers
        self.last += places == answers[-1:]
        self.fields.update(*fields)

    @property
    def manifest(self) -> dict[str, int]:
        """What a manifest says of them."""
        names = ("rows", "turns", "trained", "with_tools", "with_calls", "with_thinking")
        return {name: getattr(self, name) for name in names}


def told(turns: Iterable[Message]) -> list[dict[str, Any]]:
    """Turns as the chat template gets them."""
    return [as_dict(turn) for turn in turns]
