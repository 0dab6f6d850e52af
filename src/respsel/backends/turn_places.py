"""Which part of a conversation's text a trainer trains on, for each trained turn.

The rules are TRL's. A template with `{% generation %}` blocks says it itself (assistant_only_loss).
For others a turn is trained from where the prompt that asks for it would end, to the end of what
the template writes for it (completion-only).

Knows strings only, no tokens. Invariant: a span is a part of what the template writes for its turn,
and nothing of another turn is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from respsel.backends.common_prefix import common_prefix
from respsel.backends.placement import NO_PLACE
from respsel.backends.turn_marks import Piece
from respsel.errors import PreflightError
from respsel.records import Message, trained_places

# What is said where the template writes a turn without its reasoning.
LEFT_OUT_THINKING = "the template leaves out its thinking"
# The ends of a text's tokens, in characters; None where they are not known.
TokenEnds = Callable[[str], Sequence[int] | None]


class Writer(Protocol):
    """A chat template that writes conversations."""

    @property
    def has_blocks(self) -> bool:
        """Whether it marks what is generated."""

    def render(self, messages: Sequence[Message], ask: bool) -> str:
        """The text of a chat. Raises PreflightError where the template refuses it."""

    def pieces(self, messages: Sequence[Message], ask: bool, text: str) -> list[Piece] | None:
        """What of that text is of which message; None where that is not known."""


@dataclass(frozen=True)
class Span:
    """A trained stretch of a conversation's text. A turn may have several.

    place: the turn's place among the messages.
    start, end: in characters.
    """

    place: int
    start: int
    end: int


class Unplaced(Exception):
    """A trained turn has no place; the text says why."""


class TurnFinder:
    """Finds the trained spans of one conversation."""

    def __init__(self, writer: Writer, messages: Sequence[Message], token_ends: TokenEnds) -> None:
        self._writer = writer
        self._messages = messages
        self._token_ends = token_ends
        self._prompts: dict[str, str] = {}
        self.text = writer.render(messages, False)
        self._pieces = writer.pieces(messages, False, self.text)

    def spans(self) -> list[Span]:
        """The spans of all trained turns, in the order of the text. Raises Unplaced."""
        trained = trained_places(self._messages)
        if not trained:
            return []
        by_rule = self._generated if self._writer.has_blocks else self._completed
        found = [span for place in trained for span in by_rule(place)]
        return sorted(found, key=lambda span: span.start)

    def _generated(self, place: int) -> list[Span]:
        """What is in generation blocks. One behind the loop belongs to the message before it."""
        if self._pieces is None:
            raise Unplaced(f"{NO_PLACE}the chat template does not show its generation blocks")
        found: list[Span] = []
        latest: int | None = None
        for piece in self._pieces:
            latest = latest if piece.place is None else piece.place
            if piece.generated and latest == place:
                found.append(Span(place, piece.start, piece.end))
        if not found:
            raise Unplaced(
                f"{NO_PLACE}none of the chat template's generation blocks has a part of it"
            )
        return _joined(found)

    def _completed(self, place: int) -> list[Span]:
        """What is written for a turn, behind the words that ask for it."""
        own = [piece for piece in self._pieces or () if piece.place == place]
        is_last = place == len(self._messages) - 1
        if not own:
            if not is_last:
                raise Unplaced(
                    f"{NO_PLACE}what the chat template writes for it cannot be told from the rest"
                )
            return self._behind_prompt(place)
        spans = _joined([Span(place, piece.start, piece.end) for piece in own])
        if is_last and not any(
            piece.start > spans[-1].start and piece.place not in (None, place)
            for piece in self._pieces or ()
        ):
            # What the template writes behind all turns is a part of the completion.
            spans[-1] = replace(spans[-1], end=len(self.text))
        first = self._start(place, spans[0])
        spans[0] = replace(spans[0], start=first)
        spans = [span for span in spans if span.end > span.start]
        if not spans:
            raise Unplaced(f"{NO_PLACE}the chat template writes nothing for it")
        return spans

    def _start(self, place: int, span: Span) -> int:
        """Where a turn's own text begins, behind what a prompt that asks for it ends with."""
        text = self.text[span.start : span.end]
        role = self._messages[place - 1].role if place else ""
        prompt = self._prompts.get(role, "")
        if not prompt or not text.startswith(prompt):
            prompt = self._asked(place, span)
            self._prompts[role] = prompt
        return span.start + self._same(prompt, text)

    def _asked(self, place: int, span: Span) -> str:
        """What a prompt adds to the messages before a turn, to ask for it."""
        for messages in (self._messages[:place], self._messages):
            try:
                text = self._writer.render(messages, True)
                pieces = self._writer.pieces(messages, True, text)
            except PreflightError:
                continue
            ends = [piece.end for piece in pieces or () if piece.place is not None]
            if ends:
                return text[max(ends) :]
            if text.startswith(self.text[: span.start]):
                return text[span.start :]
        return ""

    def _behind_prompt(self, place: int) -> list[Span]:
        """The last turn, where only the prompt before it is known."""
        prompt = self._writer.render(self._messages[:place], True)
        start = self._same(prompt, self.text)
        if start == len(self.text):
            raise Unplaced(f"{NO_PLACE}the chat template writes nothing for it")
        return [Span(place, start, len(self.text))]

    def _same(self, prompt: str, text: str) -> int:
        """How many characters both begin with, as far as they are whole tokens of the prompt.

        A prompt that opens `<think>` and a turn that begins with `<b>` share a sign, and no token.
        """
        same = common_prefix(prompt, text)
        if same in (0, len(prompt)):
            return same
        ends = self._token_ends(prompt)
        return same if ends is None else max((end for end in ends if end <= same), default=0)


def _joined(spans: Sequence[Span]) -> list[Span]:
    """Spans of one turn, with those that follow each other as one."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].end == span.start:
            joined[-1] = replace(joined[-1], end=span.end)
        else:
            joined.append(span)
    return joined
