"""Where a template writes the parts of each trained turn, and which parts it leaves out.

    put digits that the text lacks into every part: behind the thinking, around the answer, behind
        each value of a call
    render again; without the digits this must be the text as it was
    change what is not found so alone: what is trained of its turn must change too

Knows strings only. Invariant: no part is looked for by its words, so one that another repeats is
not taken for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from respsel.backends.call_values import ARGUMENTS, Edit, call_values, with_edits
from respsel.backends.common_prefix import common_prefix
from respsel.backends.turn_fields import as_turn
from respsel.backends.turn_kinds import Said, TurnParts
from respsel.backends.turn_places import Span, Writer
from respsel.errors import PreflightError
from respsel.records import Message
from respsel.text.transcript import REASONING_KEYS, fields_of

# How many renderings a conversation may cost where one does not tell its parts.
_MOST_ALONE = 64
# A sign begins with a digit that is nowhere else in it, and ends with no zero.
_FIRST = "7"
_LAST = "8"
_BASE = 7
_THINKING, _ANSWER, _END = range(3)
_N_TEXTS = 3


class PartFinder:
    """Finds the parts of one conversation's trained turns."""

    def __init__(
        self,
        writer: Writer,
        messages: Sequence[Message],
        text: str,
        spans: Sequence[Span],
        spelled: Callable[[str], str],
    ) -> None:
        """text: what the writer makes of the messages. spans: what of it is trained.

        spelled: what a stretch of the text reads in the end.
        """
        self._spelled = spelled
        self._writer = writer
        self._messages = messages
        self._text = text
        self._places = sorted({span.place for span in spans})
        self._spans = {
            place: [span for span in spans if span.place == place] for place in self._places
        }
        # All values of calls, each with its turn.
        self._values = [
            (place, value) for place in self._places for value in call_values(messages[place])
        ]
        self._unseen = set(range(len(self._values)))
        self._signs = _Signs.beside(text, len(self._values) + _N_TEXTS * len(self._places))
        # Where the texts of a turn are, for turns of which it is known.
        self._texts: dict[int, dict[int, int]] = {}
        self._call_ends: dict[int, int] = {}
        self._look()

    def parts(self, place: int) -> TurnParts | None:
        """The parts of a turn; None if they are not known."""
        found = self._texts.get(place)
        if found is None:
            return None
        places = {which: self._within(place, at) for which, at in found.items()}
        call = self._within(place, self._call_ends[place]) if place in self._call_ends else 0
        said = max(call, *places.values(), 0)
        return TurnParts(places.get(_THINKING), places.get(_ANSWER), said)

    def loses_call(self, place: int) -> bool:
        """Whether a value of the turn's tool calls is not in what is trained."""
        if not self._unseen:
            return False
        size = -(-len(self._unseen) // _MOST_ALONE)
        own = [self._values[i][1] for i in sorted(self._unseen) if self._values[i][0] == place]
        for first in range(0, len(own), size):
            values = own[first : first + size]
            if not self._shows(place, [value.changed() for value in values]):
                return True
            empty = [value.removed() for value in values if value.is_empty]
            if empty and not self._shows(place, empty[:1]):
                return True
        return False

    def _look(self) -> None:
        if self._look_at(self._places, range(len(self._values))):
            self._look_at_pairs()
            return
        if not self._look_at(self._places, ()):
            for place in self._places[:_MOST_ALONE] if len(self._places) > 1 else ():
                self._look_at([place], ())
        # Templates may look for the name of a call among the tools.
        arguments = [i for i, (_, value) in enumerate(self._values) if value.part == ARGUMENTS]
        if self._look_at((), range(len(self._values))) or self._look_at((), arguments):
            self._look_at_pairs()

    def _look_at(self, places: Iterable[int], values: Sequence[int]) -> bool:
        """Look for the texts of turns and for values of calls, and say whether that tells."""
        places = list(places)
        edits = [(i, self._values[i][1].grown(self._sign_of(i))) for i in values]
        marked = self._edited({i: [edit] for i, edit in edits if edit})
        for place in places:
            number = _N_TEXTS * self._places.index(place)
            signs = [self._signs.sign(number + which) for which in range(_N_TEXTS)]
            marked[place] = _with_signs(marked[place], signs)
        text = self._render(marked)
        plain, found = self._signs.read(text or "")
        if text is None or plain != self._text:
            return False
        self._texts |= {place: {} for place in places}
        for number, at, _ in found:
            self._keep(number, at)
        return True

    def _keep(self, number: int, at: int) -> None:
        """Keep what is at a place, if that is within its turn."""
        turn, which = divmod(number, _N_TEXTS)
        value = number - _N_TEXTS * len(self._places)
        if value < 0:
            place = self._places[turn]
            # An answer begins within its turn; all else ends there.
            if place in self._texts and self._is_own(place, at, which == _ANSWER):
                self._texts[place][which] = at
        elif value < len(self._values):
            place = self._values[value][0]
            if self._is_own(place, at):
                self._unseen.discard(value)
                self._call_ends[place] = max(at, self._call_ends.get(place, 0))

    def _look_at_pairs(self) -> None:
        """Look for values that nothing can be put behind: exchange them behind marked keys."""
        keys: dict[int, list[Edit]] = {}
        for i in sorted(self._unseen):
            value = self._values[i][1]
            if key := value.with_key(self._sign_of(i)):
                keys[i] = [key]
        if not keys:
            return
        one = self._render(self._edited(keys))
        both = {i: [*edits, self._values[i][1].changed()] for i, edits in keys.items()}
        other = self._render(self._edited(both))
        if one is None or other is None:
            return
        plain, found = self._signs.read(one)
        changed = {number: behind for number, _, behind in self._signs.read(other)[1]}
        for number, at, behind in found:
            if plain == self._text and changed.get(number, behind) != behind:
                self._keep(number, at)

    def _shows(self, place: int, edits: Sequence[Edit]) -> bool:
        """Whether what is trained of a turn is another with other calls."""
        messages = list(self._messages)
        messages[place] = with_edits(messages[place], edits)
        text = self._render(messages)
        if text is None:
            # The template looks at the call.
            return True
        if text == self._text:
            return False
        first = common_prefix(text, self._text)
        last = len(self._text) - common_prefix(text[::-1], self._text[::-1])
        return any(first <= span.end and span.start <= last for span in self._spans[place])

    def _edited(self, edits: Mapping[int, Sequence[Edit]]) -> list[Message]:
        """The messages with other values.

        edits: by the value's number.
        """
        messages = list(self._messages)
        by_turn: dict[int, list[Edit]] = {}
        for i, own in edits.items():
            by_turn.setdefault(self._values[i][0], []).extend(own)
        for place, turns_own in by_turn.items():
            messages[place] = with_edits(messages[place], turns_own)
        return messages

    def _within(self, place: int, at: int) -> int:
        """Where a place of the text is in what is trained of a turn."""
        own = [span for span in self._spans[place] if span.start <= at]
        return sum(len(self._spelled(self._text[span.start : min(span.end, at)])) for span in own)

    def _sign_of(self, value: int) -> str:
        return self._signs.sign(_N_TEXTS * len(self._places) + value)

    def _is_own(self, place: int, at: int, begins: bool = False) -> bool:
        last = at if begins else at - 1
        return any(span.start <= last < span.end for span in self._spans[place])

    def _render(self, messages: Sequence[Message]) -> str | None:
        try:
            return self._writer.render(messages, False)
        except PreflightError:
            return None


class _Signs:
    """Numbered signs that a text does not hold. They are digits, so no filter changes them."""

    def __init__(self, first: str, width: int) -> None:
        self._first = first
        self._width = width

    @classmethod
    def beside(cls, text: str, count: int) -> _Signs:
        """As many signs as are asked for."""
        width = 1
        while _BASE**width < count:
            width += 1
        salt = 0
        while (first := _FIRST + _digits(salt, 2)) in text:
            salt += 1
        return cls(first, width)

    def sign(self, number: int) -> str:
        """One sign."""
        return self._first + _digits(number, self._width) + _LAST

    def read(self, text: str) -> tuple[str, list[tuple[int, int, str]]]:
        """A text without its signs, and for each its number, its place and what is behind it."""
        sign_of = f"{self._first}([0-{_BASE - 1}]{{{self._width}}}){_LAST}"
        signs = list(re.finditer(sign_of, text))
        ends = [sign.start() for sign in signs[1:]] + [len(text)]
        parts = [text[: signs[0].start()] if signs else text]
        found = []
        at = len(parts[0])
        for sign, end in zip(signs, ends, strict=False):
            parts.append(text[sign.end() : end])
            found.append((int(sign.group(1), _BASE), at, parts[-1]))
            at += len(parts[-1])
        return "".join(parts), found


def _digits(number: int, width: int) -> str:
    digits = ""
    while number or len(digits) < width:
        number, digit = divmod(number, _BASE)
        digits = f"{digit}{digits}"
    return digits


def _with_signs(turn: Message, signs: Sequence[str]) -> Message:
    """A turn with signs behind its thinking and around its answer."""
    said = Said.of(as_turn(turn))
    start = len(turn.content) - len(said.answer)
    head = turn.content[:start]
    body = turn.content[start:]
    changed = turn
    if thinking := said.thinking.strip():
        if said.answer == turn.content:
            changed = _with_thinking(turn, signs[_THINKING])
        else:
            end = head.rfind(thinking) + len(thinking)
            head = head[:end] + signs[_THINKING] + head[end:]
    if core := body.strip():
        begin = body.index(core)
        end = begin + len(core)
        marked = signs[_ANSWER] + core + signs[_END]
        body = body[:begin] + marked + body[end:]
    return replace(changed, content=head + body)


def _with_thinking(turn: Message, sign: str) -> Message:
    fields = dict(fields_of(turn))
    for name in REASONING_KEYS:
        if isinstance(own := fields.get(name), str) and own.strip():
            end = len(own.rstrip())
            fields[name] = own[:end] + sign + own[end:]
    return replace(turn, fields=json.dumps(fields))
