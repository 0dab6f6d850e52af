"""Trained turns as tokens: which of a conversation's tokens spell them, and of which kind each is.

Knows no template and no engine. Invariant: a token is in one turn at most, and the lengths of a
turn's tokens are those of its text.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from respsel.backends.contract import TrainedTurn
from respsel.backends.placed_chat import TurnText


class SpelledTokens:
    """The tokens of a text.

    ids: the tokens.
    """

    def __init__(self, text: str, ids: Sequence[int], lengths: Sequence[int]) -> None:
        """lengths: how many UTF-8 bytes of the text each token spells."""
        self.ids = ids
        self._data = text.encode("utf-8")
        self._text = text
        self._ends = list(accumulate(lengths))

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
            begin = max(begin, self._ends[latest - 1] if latest else 0)
            yield self._turn(turn, first, last, begin, end)
            latest = last

    def _turn(self, turn: TurnText, first: int, last: int, begin: int, end: int) -> TrainedTurn:
        ends = [min(at, end) for at in self._ends[first:last]]
        lengths = [at - before for before, at in zip([begin, *ends], ends, strict=False)]
        kinds = [turn.kind(self._character(max(at - 1, begin))) for at in ends]
        text = self._data[begin:end].decode("utf-8", "replace")
        return TrainedTurn(turn.span.place, first, last, text, tuple(lengths), tuple(kinds))

    def _byte(self, character: int) -> int:
        if len(self._data) == len(self._text):
            return character
        return len(self._text[:character].encode("utf-8"))

    def _character(self, byte: int) -> int:
        if len(self._data) == len(self._text):
            return byte
        return len(self._data[: byte + 1].decode("utf-8", "ignore")) - 1
