"""A whole conversation as a template writes it: its stretches, its trained turns and their kinds.

Knows strings only. Invariant: places are in characters of what the stretches spell, and ascend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from respsel.backends.placement import NO_PLACE
from respsel.backends.turn_fields import as_turn
from respsel.backends.turn_kinds import (
    Borders,
    Ends,
    Said,
    TurnParts,
    find_borders,
    is_written,
    thinking_end,
)
from respsel.backends.turn_parts import PartFinder
from respsel.backends.turn_places import LEFT_OUT_THINKING, Span
from respsel.records import Message

_NO_TEXT = f"{NO_PLACE}the chat template leaves out or changes its text"
_NO_CALL = f"{NO_PLACE}the chat template leaves out its tool calls, or a part of them"

# (text, whether it may hold control tokens)
Stretch = tuple[str, bool]


@dataclass(frozen=True)
class TurnText:
    """A trained stretch of a conversation.

    span: where it is.
    begun: how many characters of the turn are in earlier stretches of it.
    borders: the kinds of all of the turn's characters.
    asked: whether it begins where a prompt ends that asks for it.
    """

    span: Span
    begun: int
    borders: Borders
    asked: bool

    def kind(self, at: int) -> int:
        """The kind of the character at a place of the conversation."""
        return self.borders.kind(self.begun + max(at - self.span.start, 0))


@dataclass(frozen=True)
class PlacedChat:
    """A conversation's text with its trained turns.

    told, problem: see contract.PlacedTurns.
    """

    stretches: Sequence[Stretch]
    turns: Sequence[TurnText] = ()
    told: str = ""
    problem: str = ""


def cut_stretches(
    text: str, spans: Sequence[Span], stretches_of: Callable[[str], list[Stretch]]
) -> tuple[list[Stretch], list[Span]]:
    """A text with stand-ins as stretches, and its spans as places of what these spell."""
    stretches: list[Stretch] = []
    places = [0]
    cuts = sorted({0, len(text), *(cut for span in spans for cut in (span.start, span.end))})
    for begin, end in pairwise(cuts):
        own = stretches_of(text[begin:end])
        places.append(places[-1] + sum(len(part) for part, _ in own))
        stretches += own
    at = dict(zip(cuts, places, strict=True))
    return stretches, [Span(span.place, at[span.start], at[span.end]) for span in spans]


def place_kinds(
    finder: PartFinder,
    messages: Sequence[Message],
    stretches: Sequence[Stretch],
    spans: Sequence[Span],
    ends: Ends,
    has_blocks: bool,
) -> PlacedChat:
    """The trained turns with their kinds, or why one has no place."""
    text = "".join(part for part, _ in stretches)
    plain = _plain(stretches)
    turns: list[TurnText] = []
    told = ""
    for place in sorted({span.place for span in spans}):
        own = [span for span in spans if span.place == place]
        written = "".join(text[span.start : span.end] for span in own)
        parts = finder.parts(place)
        said = Said.of(as_turn(messages[place]))
        if not _has_answer(said, written, parts):
            return PlacedChat(stretches, problem=_NO_TEXT)
        if finder.loses_call(place):
            return PlacedChat(stretches, problem=_NO_CALL)
        if said.thinking.strip() and thinking_end(written, said, parts) is None:
            told = LEFT_OUT_THINKING
        borders = find_borders(written, said, _floor(own, plain), ends, parts)
        begun = 0
        for span in own:
            turns.append(TurnText(span, begun, borders, not (begun or has_blocks)))
            begun += span.end - span.start
    return PlacedChat(stretches, sorted(turns, key=lambda turn: turn.span.start), told)


def _has_answer(said: Said, written: str, parts: TurnParts | None) -> bool:
    is_found = parts is None or parts.answer is not None or not said.answer.strip()
    return is_found and is_written(said.answer, written)


def _plain(stretches: Sequence[Stretch]) -> list[tuple[int, int]]:
    """Where text is that spells control tokens and is none."""
    found: list[tuple[int, int]] = []
    at = 0
    for part, control in stretches:
        if not control:
            found.append((at, at + len(part)))
        at += len(part)
    return found


def _floor(spans: Sequence[Span], plain: Sequence[tuple[int, int]]) -> int:
    """How much of a turn is up to the last such text in it."""
    floor = 0
    begun = 0
    for span in spans:
        for begin, end in plain:
            if span.start <= begin and end <= span.end:
                floor = begun + end - span.start
        begun += span.end - span.start
    return floor
