"""Trained turns as tokens: which of a conversation's tokens spell them, and of which kind each is.

A turn that a prompt asks for begins with the first token that the prompt alone does not have, as
TRL's completions do. Any other begins with the first token that spells a part of it.

Knows no template and no engine. Invariant: a token is in one turn at most, and the lengths of a
turn's tokens are those of its text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import accumulate

from respsel.backends.contract import TrainedTurn
from respsel.backends.placed_chat import Stretch, TurnText


class SpelledTokens:
    """The tokens of a conversation.

    ids: the tokens.
    """

    def __init__(
        self,
        stretches: Sequence[Stretch],
        measured: Sequence[tuple[Sequence[int], Sequence[int]]],
        encode: Callable[[str], Sequence[int]],
        controls: Collection[str],
    ) -> None:
        """measured: the tokens of each stretch, and how many UTF-8 bytes each of them spells.

        encode: the tokens of a text that may hold control tokens. controls: the texts of these.
        """
        self.ids = [token for tokens, _ in measured for token in tokens]
        self._text = "".join(text for text, _ in stretches)
        self._data = self._text.encode("utf-8")
        self._ends = list(accumulate(length for _, lengths in measured for length in lengths))
        self._encode = encode
        self._controls = {control.encode("utf-8") for control in controls}
        # Stretches are split into tokens apart, so each is a beginning.
        self._begins = [0, *accumulate(len(tokens) for tokens, _ in measured)]

    def turns(self, turns: Sequence[TurnText]) -> Iterator[TrainedTurn]:
        """The turns that have tokens, in order."""
        latest = 0
        for turn in turns:
            begin = self._byte(turn.span.start)
            end = self._byte(turn.span.end)
            first = max(bisect_right(self._ends, begin), latest)
            last = min(bisect_left(self._ends, end) + 1, len(self._ends))
            # Tokens without bytes of their own belong to the character before them.
            last = max(last, bisect_right(self._ends, end))
            if first >= last or begin >= end:
                continue
            if turn.asked:
                first = max(self._behind_prompt(first, begin), latest)
                begin = min(begin, self._start(first))
            begin = max(begin, self._start(latest))
            yield self._turn(turn, first, last, begin, end)
            latest = last

    def _turn(self, turn: TurnText, first: int, last: int, begin: int, end: int) -> TrainedTurn:
        ends = [min(at, end) for at in self._ends[first:last]]
        lengths = [at - before for before, at in zip([begin, *ends], ends, strict=False)]
        kinds = [turn.kind(self._character(max(at - 1, begin))) for at in ends]
        text = self._data[begin:end].decode("utf-8", "replace")
        return TrainedTurn(turn.span.place, first, last, text, tuple(lengths), tuple(kinds))

    def _behind_prompt(self, first: int, end: int) -> int:
        """The first token that a prompt which ends at a byte does not have.

        first: the one that spells what is behind it. Only the last words are split again: a
        control token is a border for every tokenizer.
        """
        at = first
        floor = self._begins[bisect_right(self._begins, first) - 1]
        while at > floor and self._data[self._start(at) : self._ends[at]] not in self._controls:
            at -= 1
        prompt = self._encode(self._data[self._start(at) : end].decode("utf-8", "replace"))
        same = 0
        while same < min(len(prompt), first - at) and prompt[same] == self.ids[at + same]:
            same += 1
        return at + same

    def _start(self, token: int) -> int:
        """The byte at which a token begins."""
        return self._ends[token - 1] if token else 0

    def _byte(self, character: int) -> int:
        if len(self._data) == len(self._text):
            return character
        return len(self._text[:character].encode("utf-8"))

    def _character(self, byte: int) -> int:
        if len(self._data) == len(self._text):
            return byte
        return len(self._data[: byte + 1].decode("utf-8", "ignore")) - 1
