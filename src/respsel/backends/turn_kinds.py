"""What of a trained turn's text is thinking, what is the answer, and what ends the turn.

Knows strings only, no template and no tokenizer. Invariant: the kinds lie in one order: thinking,
answer, end, what is behind it. All of a turn's text has a kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from respsel.records import TokenKind
from respsel.text.tags import REASONING_PAIRS, TURN_ENDS
from respsel.text.thinking import answer_start
from respsel.text.transcript import REASONING_KEYS

# Further texts by which turns end, whether or not a tokenizer has them as one token.
_ENDS = frozenset(
    (
        *TURN_ENDS,
        *("<|eom_id|>", "<EOT>", "<|END_OF_TURN_TOKEN|>", "<|end_of_text|>", "<turn|>"),
        *("<end_of_utterance>", "<｜end▁of▁sentence｜>", "<|call|>", "<|tool_response>", "[EOS]"),
        *("<eos>", "<|endofturn|>", "<|eot|>"),
    )
)


@dataclass(frozen=True)
class Said:
    """What a turn says, apart from its template.

    thinking: its reasoning, without tags; empty if it has none.
    answer: its text without the reasoning.
    calls: its tool calls.
    """

    thinking: str
    answer: str
    calls: tuple[Any, ...] = ()

    @classmethod
    def of(cls, turn: Mapping[str, Any]) -> Said:
        """What a turn of a chat says, as a template gets it."""
        found = turn.get("content")
        content = found if isinstance(found, str) else ""
        calls = turn.get("tool_calls")
        own = tuple(calls) if isinstance(calls, list) else ()
        fields = (turn.get(name) for name in REASONING_KEYS)
        given = next((value for value in fields if value is not None), "")
        if isinstance(given, str) and given.strip():
            return cls(given, content, own)
        return cls(*_split(content), own)


def _split(content: str) -> tuple[str, str]:
    """Thinking and answer of a text that may begin with reasoning in tags."""
    start = answer_start(content)
    thinking = content[:start].strip()
    for opening, closing in REASONING_PAIRS:
        thinking = thinking.removeprefix(opening).removesuffix(closing)
    return (thinking, content[start:]) if thinking.strip() else ("", content[start:])


@dataclass(frozen=True)
class TurnParts:
    """Where the parts of a turn are, in characters of what a template writes for it.

    thinking: where its reasoning ends; None if it is not written.
    answer: where its answer begins; None if it is not written.
    said: where the last of its own words end.
    """

    thinking: int | None
    answer: int | None
    said: int


@dataclass(frozen=True)
class Borders:
    """Where the kinds of a turn's text begin, in characters.

    answer: behind the thinking.
    end: behind the answer.
    behind: behind the end of the turn.
    thinks: whether what is before the answer has any thinking.
    """

    answer: int
    end: int
    behind: int
    thinks: bool

    def kind(self, at: int) -> int:
        """The kind of the character at a place."""
        if at >= self.end:
            return TokenKind.END if at < self.behind else TokenKind.BEHIND
        if at >= self.answer:
            return TokenKind.ANSWER
        return TokenKind.THINKING if self.thinks else TokenKind.EMPTY_THINKING


class Ends:
    """The texts by which turns can end."""

    def __init__(self, controls: Iterable[str], eos: str) -> None:
        """controls: the control tokens' texts. eos: the one that ends a text."""
        self._ends = _ENDS | {eos}
        self._known = tuple({*controls, *self._ends} - {""})
        self._closings = tuple({*self._known, *(closing for _, closing in REASONING_PAIRS)})

    def end_turns(self, text: str) -> bool:
        """Whether a control token's text is one that ends turns."""
        return text in self._ends

    def before(self, text: str, at: int, floor: int) -> int:
        """Where the control token begins that ends at a place; the place itself if none does."""
        if not text.endswith(self._known, floor, at):
            return at
        return at - max(len(token) for token in self._known if text.endswith(token, floor, at))

    def behind_closing(self, text: str, at: int) -> int:
        """Where the tag or the control token ends that begins at a place."""
        if not text.startswith(self._closings, at):
            return at
        return at + max(len(tag) for tag in self._closings if text.startswith(tag, at))


def find_borders(
    text: str, said: Said, floor: int, ends: Ends, parts: TurnParts | None = None
) -> Borders:
    """Find the kinds of what a template writes for a turn.

    floor: behind this place nobody but the template spells control tokens.
    parts: None where they are not known, so that they are looked for by their words.
    """
    answer = _answer(text, said, ends, parts)
    own = parts.said if parts else _own_end(text, said, answer, ends)
    end, behind = _ending(text, said, max(floor, own), ends)
    thinks = thinking_end(text, said, parts) is not None
    return Borders(min(answer, end), end, behind, thinks)


def thinking_end(text: str, said: Said, parts: TurnParts | None) -> int | None:
    """Where the reasoning ends in a turn's text; None if it is not written."""
    thinking = said.thinking.strip()
    if parts or not thinking:
        return parts.thinking if parts else None
    answer = said.answer.strip()
    before = text.rfind(answer) if answer else len(text)
    found = text.find(thinking, 0, max(before, 0))
    return found + len(thinking) if found >= 0 else None


def _own_end(text: str, said: Said, begin: int, ends: Ends) -> int:
    """Where an answer ends that itself ends with what may be an end of the turn."""
    own = said.answer.strip()
    if ends.before(own, len(own), 0) == len(own):
        return 0
    return max(text.find(own, begin), 0) + len(own)


def _ending(text: str, said: Said, floor: int, ends: Ends) -> tuple[int, int]:
    tail = list(_tail(text, floor, ends))[::-1]
    if not tail:
        own = said.answer if said.answer and said.answer in text else said.answer.rstrip()
        end = text.rfind(own) + len(own) if own else 0
        end = end if not text[end:].strip() else len(text.rstrip())
        return end, end
    known = (i for i, (begin, end) in enumerate(tail) if ends.end_turns(text[begin:end]))
    first = next(known, len(tail) - 1)
    if "tool" in text[slice(*tail[first])] and not ends.end_turns(text[slice(*tail[first])]):
        # It closes a tool call, behind which this template writes no end.
        return tail[first][1], tail[first][1]
    last = first
    while last + 1 < len(tail) and tail[last + 1][0] == tail[last][1]:
        last += 1
    return tail[first][0], tail[last][1]


def _tail(text: str, floor: int, ends: Ends) -> Iterator[tuple[int, int]]:
    """The control tokens at the end of a text, the last one first; white space may be between."""
    at = len(text)
    while True:
        while at > floor and text[at - 1].isspace():
            at -= 1
        begin = ends.before(text, at, floor)
        if begin == at:
            return
        yield begin, at
        at = begin


def _answer(text: str, said: Said, ends: Ends, parts: TurnParts | None) -> int:
    """Where the answer begins: behind the reasoning, its closing tag and white space."""
    thought = thinking_end(text, said, parts)
    if thought is None:
        at = _behind_empty(text)
    else:
        closing = _behind_blanks(text, thought)
        at = _behind_blanks(text, ends.behind_closing(text, closing))
    if parts is not None and parts.answer is not None:
        at = min(at, parts.answer)
        return parts.answer if at and not said.calls else at
    answer = text.find(said.answer.strip(), at) if said.answer.strip() else -1
    return answer if at and answer > at and not said.calls else at


def _behind_empty(text: str) -> int:
    """The place behind an empty think block that the template writes itself; 0 without one."""
    begin = _behind_blanks(text, 0)
    for opening, closing in REASONING_PAIRS:
        opened = begin + len(opening) if text.startswith(opening, begin) else begin
        at = _behind_blanks(text, opened)
        if text.startswith(closing, at):
            return _behind_blanks(text, at + len(closing))
    return 0


def _behind_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def is_written(part: str, text: str) -> bool:
    """Whether a text has a part, up to white space."""
    return part.strip() in text or "".join(part.split()) in "".join(text.split())
