"""Requests to calls, with a loaded model: from text to token ids.

Knows nothing of the store. Invariant: a part of a response has the tokens that it has in the whole
response, where the tokenizer shows their places.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, groupby, pairwise

from respsel.backends.contract import GenerateCall, ModelText, Placed, PlacedTurns, ScoreCall
from respsel.calls.keys import draw_seed
from respsel.calls.requests import (
    GenerateRequest,
    Part,
    RepresentCall,
    RepresentRequest,
    Request,
    Resolved,
    ScoreRequest,
    TurnCall,
)
from respsel.records import Message, TokenKind

# So many responses are kept with their places: a text of thousands of steps is asked about for each
# of them.
_PLACED_AT_HAND = 4


@dataclass(frozen=True)
class _PlacedText:
    """A response at its place.

    ends: where each of its tokens ends, in bytes of the response; none where that is not known.
    """

    placed: Placed
    ends: Sequence[int]

    def tokens_to(self, place: int) -> int:
        """How many of its tokens end at a place or before it."""
        return bisect_right(self.ends, place) if place else 0


class Resolver:
    """Makes calls of requests, as one model reads them."""

    def __init__(self, text: ModelText) -> None:
        self._text = text
        self._placed = lru_cache(maxsize=_PLACED_AT_HAND)(self._place)
        self._placed_turns = lru_cache(maxsize=_PLACED_AT_HAND)(
            lambda messages: text.placed_turns(messages)
        )

    def resolve(self, request: Request) -> Resolved:
        """What a request becomes."""
        if isinstance(request, GenerateRequest):
            prompt = self._text.prompt_ids(request.messages)
            seed = draw_seed(prompt, request)
            return Resolved(GenerateCall(prompt, request.sampling, seed, request.messages))
        if isinstance(request, ScoreRequest) and request.turn is not None:
            found = _turn(self._placed_turns(request.messages), request.turn)
            return self._alone(found) if request.alone else found
        known = self._placed(request.messages, request.response)
        placed = known.placed
        if isinstance(request, RepresentRequest):
            call: ScoreCall = RepresentCall(placed.prompt_ids, placed.response_ids)
        elif request.part is None or placed.problem:
            call = ScoreCall(placed.prompt_ids, placed.response_ids)
        else:
            return self._part(known, request.response, request.part)
        return Resolved(call, placed.lengths, placed.told, placed.problem)

    def _alone(self, turn: Resolved) -> Resolved:
        """The same tokens behind nothing but the token that begins a text."""
        assert isinstance(turn.call, TurnCall)
        call = TurnCall(self._text.prompt_ids(()), turn.call.response_ids, ())
        return replace(turn, call=call)

    def _part(self, known: _PlacedText, text: str, part: Part) -> Resolved:
        """The tokens of a part, behind those before it, as they are in the whole text.

        If the tokenizer does not show its tokens' places, both are tokenised alone.
        """
        placed = known.placed
        if placed.lengths is None:
            data = text.encode("utf-8")
            before = self._text.response_ids(data[part.context : part.start].decode("utf-8"))
            ids = self._text.response_ids(data[part.start : part.end].decode("utf-8"))
            return Resolved(ScoreCall(placed.prompt_ids + before, ids), None, placed.told)
        context = known.tokens_to(part.context)
        start = known.tokens_to(part.start)
        end = known.tokens_to(part.end)
        call = ScoreCall(
            placed.prompt_ids + placed.response_ids[context:start], placed.response_ids[start:end]
        )
        return Resolved(call, placed.lengths[start:end], placed.told)

    def _place(self, messages: tuple[Message, ...], text: str) -> _PlacedText:
        placed = self._text.placed(messages, text)
        return _PlacedText(placed, list(accumulate(placed.lengths or ())))


def _turn(placed: PlacedTurns, place: int) -> Resolved:
    """The trained tokens of the turn at a place, behind all that is before it.

    What is untrained between its stretches is asked for too, since a call is one stretch.
    """
    found = [turn for turn in placed.turns if turn.place == place]
    if not found:
        assert placed.problem, "a trained turn without a place has a problem"
        return Resolved(TurnCall(placed.ids, ()), problem=placed.problem)
    lengths = list(found[0].lengths)
    kinds = list(found[0].kinds)
    for before, turn in pairwise(found):
        between = turn.start - before.end
        lengths += [*([0] * between), *turn.lengths]
        kinds += [*([TokenKind.UNTRAINED] * between), *turn.kinds]
    start = found[0].start
    call = TurnCall(placed.ids[:start], placed.ids[start : found[-1].end], _cuts(placed, place))
    text = "".join(turn.text for turn in found)
    return Resolved(call, tuple(lengths), placed.told, text=text, kinds=tuple(kinds))


def _cuts(placed: PlacedTurns, place: int) -> tuple[int, ...]:
    """Where each earlier trained turn begins, and one token before it ends."""
    cuts = []
    for _, stretches in groupby(placed.turns, lambda turn: turn.place):
        whole = list(stretches)
        if whole[0].place < place:
            cuts += [whole[0].start, whole[-1].end - 1]
    return tuple(cuts)
