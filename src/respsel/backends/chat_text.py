"""Chats and responses to token ids, with a tokenizer and a chat template. What engines share.

Knows no engine: a subclass says how its tokenizer splits one stretch. Invariant: text that a user
or a model wrote never becomes a control token, and a placed response has the tokens of the trained
text and no others.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from itertools import accumulate

from respsel.backends.chat_template import ChatTemplate
from respsel.backends.contract import TEXT, Placed, PlacedTurns
from respsel.backends.placed_chat import Stretch
from respsel.backends.placement import NO_PLACE, TextPlace
from respsel.backends.turn_tokens import SpelledTokens
from respsel.records import Message


class ChatText(ABC):
    """A tokenizer with its chat template; see ModelText."""

    def __init__(self, template: ChatTemplate, start: int) -> None:
        """start: the token that begins a text."""
        self._template = template
        self._start = start

    @abstractmethod
    def encode(self, text: str, control: bool) -> list[int]:
        """Token ids of a stretch.

        control: whether it may hold control tokens.
        """

    @abstractmethod
    def measure(self, text: str, control: bool) -> tuple[list[int], list[int]] | None:
        """The same ids, and how many UTF-8 bytes of the stretch each spells.

        None where that is not known. Of tokens that share a character the first has all its bytes.
        """

    @abstractmethod
    def spell(self, tokens: Sequence[int]) -> str:
        """The text that tokens spell, control tokens included."""

    @abstractmethod
    def control_texts(self) -> Iterable[str]:
        """The spelling of every token that must not come from a user's text."""

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """See ModelText.prompt_ids. The template writes BOS itself where the model wants one."""
        if not messages or messages[0].role == TEXT:
            texts = [(message.content, False) for message in messages]
            return (self._start, *self._encode_all(texts))
        return tuple(self._encode_all(self._template.split_text(messages, self.control_texts())))

    def response_ids(self, text: str) -> tuple[int, ...]:
        """See ModelText.response_ids."""
        return tuple(self.encode(text, control=False))

    def lengths(self, text: str) -> tuple[int, ...] | None:
        """How many UTF-8 bytes of the text each of its `response_ids` spells; None if not known."""
        measured = self.measure(text, control=False)
        return None if measured is None else tuple(measured[1])

    def placed(self, messages: Sequence[Message], response: str) -> Placed:
        """See ModelText.placed."""
        if not messages or messages[0].role == TEXT or not response:
            # No template writes these, so the prompt and the response are split apart.
            return Placed(
                self.prompt_ids(messages), self.response_ids(response), self.lengths(response)
            )
        place = self._template.place(messages, response, self.control_texts())
        if place.problem:
            return Placed(
                self.prompt_ids(messages), self.response_ids(response), None, problem=place.problem
            )
        before = list(place.before)
        own = list(place.response)
        stretches = _merged([*before, *own, *place.after])
        measured = [self.measure(text, control) for text, control in stretches]
        known = [item for item in measured if item is not None]
        if len(known) < len(measured):
            return self._by_prefix(before, own, place.told)
        ids = [token for tokens, _ in known for token in tokens]
        lengths = [length for _, spelled in known for length in spelled]
        begin = _n_bytes(before)
        first, last, own_lengths = _overlap(lengths, begin, begin + _n_bytes(own))
        given = tuple(own_lengths) if place.verbatim else None
        return Placed(tuple(ids[:first]), tuple(ids[first:last]), given, place.told)

    def placed_turns(self, messages: Sequence[Message]) -> PlacedTurns:
        """See ModelText.placed_turns.

        A token over a border of a turn is in it, as transformers has it. One that spells two kinds
        of text is of the later kind.
        """
        controls = list(self.control_texts())
        chat = self._template.place_turns(messages, controls, self._token_ends)
        stretches = _merged(chat.stretches)
        measured = [self._measured(text, control) for text, control in stretches]
        known = [item for item in measured if item is not None]
        problem = chat.problem
        if len(known) < len(measured):
            ids = self._encode_all(stretches)
            problem = problem or f"{NO_PLACE}its tokenizer does not show what its tokens spell"
            return PlacedTurns(tuple(ids), (), problem if chat.turns or chat.problem else "")
        tokens = SpelledTokens(
            stretches, known, lambda text: self.encode(text, control=True), controls
        )
        turns = tuple(tokens.turns(chat.turns))
        if {turn.place for turn in turns} != {turn.span.place for turn in chat.turns}:
            turns = ()
            problem = f"{NO_PLACE}all of its tokens spell a part of another turn"
        return PlacedTurns(tuple(tokens.ids), turns, problem, chat.told)

    def _measured(self, text: str, control: bool) -> tuple[list[int], list[int]] | None:
        """What `measure` gives; where it gives nothing, what each token spells alone."""
        if (found := self.measure(text, control)) is not None:
            return found
        ids = self.encode(text, control)
        spelled = [self.spell([token]) for token in ids]
        if "".join(spelled) != text:
            return None
        return ids, [len(part.encode("utf-8")) for part in spelled]

    def _token_ends(self, text: str) -> list[int] | None:
        """Where the tokens of a prompt's last words end, in characters."""
        measured = self._measured(text, control=True)
        if measured is None:
            return None
        data = text.encode("utf-8")
        return [len(data[:end].decode("utf-8", "ignore")) for end in accumulate(measured[1])]

    def training_text(self, messages: Sequence[Message], response: str) -> TextPlace:
        """See ModelText.training_text."""
        place = self._template.place(messages, response, self.control_texts())
        before, own, after = (
            "".join(text for text, _ in stretches)
            for stretches in (place.before, place.response, place.after)
        )
        return TextPlace(before, own, after, place.told, place.verbatim, place.problem)

    def _by_prefix(self, before: Sequence[Stretch], own: Sequence[Stretch], told: str) -> Placed:
        """A response's place as what it adds to the tokens of the text before it.

        For a tokenizer that does not show its tokens' places.
        """
        prompt = self._encode_all(_merged(before))
        both = self._encode_all(_merged([*before, *own]))
        if both[: len(prompt)] != prompt:
            problem = f"{NO_PLACE}its first token begins in the template's text"
            return Placed(tuple(prompt), tuple(both[len(prompt) :]), None, problem=problem)
        return Placed(tuple(prompt), tuple(both[len(prompt) :]), None, told)

    def _encode_all(self, stretches: Iterable[Stretch]) -> list[int]:
        return [token for text, control in stretches for token in self.encode(text, control)]


def _n_bytes(stretches: Iterable[Stretch]) -> int:
    return sum(len(text.encode("utf-8")) for text, _ in stretches)


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Join neighbours that may hold control tokens, since tokens do not end where pieces do."""
    merged: list[Stretch] = []
    for text, control in stretches:
        if control and merged and merged[-1][1]:
            merged[-1] = (merged[-1][0] + text, True)
        else:
            merged.append((text, control))
    return merged


def _overlap(lengths: Sequence[int], begin: int, end: int) -> tuple[int, int, list[int]]:
    """The tokens that spell the bytes from begin to end.

    Returns the first of them, the one after the last, and how many of these bytes each spells.
    """
    ends = list(accumulate(lengths))
    first = next((i for i, at in enumerate(ends) if at > begin), len(ends))
    last = next((i for i in range(first, len(ends)) if ends[i] >= end), len(ends) - 1) + 1
    while last < len(ends) and not lengths[last]:
        # Tokens without bytes of their own belong to the character before them.
        last += 1
    starts = [at - length for at, length in zip(ends, lengths, strict=True)]
    return (
        first,
        last,
        [min(ends[i], end) - min(max(starts[i], begin), end) for i in range(first, last)],
    )
