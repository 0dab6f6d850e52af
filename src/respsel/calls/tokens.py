"""Requests to calls, with a loaded model: from text to token ids.

Knows nothing of the store or of keys. Invariant: a part of a response has the tokens that it has in
the whole response, where the tokenizer tells their places.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

from respsel.backends.contract import GenerateCall, Model, Placed, ScoreCall
from respsel.calls.keys import draw_seed
from respsel.calls.requests import (
    GenerateRequest,
    Part,
    RepresentCall,
    RepresentRequest,
    Request,
    Resolved,
)
from respsel.records import Message


def resolve(model: Model, request: Request) -> Resolved:
    """What a request becomes with a loaded model."""
    if isinstance(request, GenerateRequest):
        prompt = model.prompt_ids(request.messages)
        return Resolved(
            GenerateCall(prompt, request.sampling, draw_seed(prompt, request), request.messages)
        )
    placed, ends = _placed(model, request.messages, request.response)  # type: ignore[arg-type]  # hashed by its identity
    if isinstance(request, RepresentRequest):
        return Resolved(
            RepresentCall(placed.prompt_ids, placed.response_ids),
            placed.lengths,
            placed.told,
            placed.problem,
        )
    if request.part is None or placed.problem:
        return Resolved(
            ScoreCall(placed.prompt_ids, placed.response_ids),
            placed.lengths,
            placed.told,
            placed.problem,
        )
    before, ids, lengths = _part_tokens(model, placed, ends, request.response, request.part)
    return Resolved(ScoreCall(placed.prompt_ids + before, ids), lengths, placed.told)


def _part_tokens(
    model: Model, placed: Placed, ends: Sequence[int], text: str, part: Part
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None]:
    """The tokens before a part and of it, as they are in the whole text, and how many bytes each of
    the latter spells.

    Where the tokeniser does not tell its tokens' places, both stretches are tokenised alone and the
    last is None.
    """
    if placed.lengths is None:
        data = text.encode("utf-8")
        before = data[part.context : part.start]
        within = data[part.start : part.end]
        return (
            model.response_ids(before.decode("utf-8")),
            model.response_ids(within.decode("utf-8")),
            None,
        )
    context, start, end = (
        bisect_right(ends, place) if place else 0 for place in (part.context, part.start, part.end)
    )
    return (
        placed.response_ids[context:start],
        placed.response_ids[start:end],
        placed.lengths[start:end],
    )


@lru_cache(maxsize=4)
def _placed(model: Model, messages: tuple[Message, ...], text: str) -> tuple[Placed, Sequence[int]]:
    """A text's place, and where its tokens end.

    A text of thousands of steps is asked about for each of them.
    """
    placed = model.placed(messages, text)
    return placed, list(accumulate(placed.lengths or ()))
