"""Responses that a model writes from a prompt, tried again while the answer check fails.

Knows nothing of stores. Invariant: each attempt is another draw, so a repeated run asks the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from respsel.backends.contract import Generation
from respsel.calls.lazy import Lazy
from respsel.calls.requests import GenerateRequest
from respsel.data.prompts import render
from respsel.recipe.schema import AnswerEntry, ModelStrategy
from respsel.records import Example, Message, Response, Sampling
from respsel.strategies.base import Place, Responses, checked, settled
from respsel.tables.problems import EMPTY
from respsel.text.whitespace import WhiteSpace


def model_responses(
    entry: ModelStrategy,
    sampling: Sampling,
    seed: int,
    examples: Sequence[Example],
    check: AnswerEntry | None,
    place: Place,
    white_space: WhiteSpace = "normalise",
    draw: int = 0,
) -> Responses:
    """Sample one response per example, up to `attempts` times while it is wrong or empty.

    The last one stands; draw: the first one's number. Raises RunError if the entry says "fail".
    """

    def request(attempt: int, places: Sequence[int], index: int) -> GenerateRequest:
        example = examples[places[index]]
        return GenerateRequest(
            model=entry.model,
            messages=_messages(entry, example, place),
            sampling=sampling,
            stream="response",
            seed=seed,
            sample=attempt,
            about=place.where,
            example=example.id,
        )

    best: dict[int, Response] = {}
    left: Sequence[int] = range(len(examples))
    for attempt in range(draw, draw + entry.attempts):
        answers = yield Lazy(len(left), partial(request, attempt, left))
        for index, answer in zip(left, answers, strict=True):
            assert isinstance(answer, Generation)
            response = _response(examples[index].id, answer, attempt + 1 - draw)
            best[index] = checked(response, examples[index], check, white_space)
        if not (left := [index for index in left if _is_open(best[index])]):
            break
    tried = [_named(best[index]) for index in range(len(examples))]
    return settled(tried, entry, place, "Raise 'attempts', or set if_wrong to 'keep' or 'drop'")


def _response(example: str, answer: Generation, attempts: int) -> Response:
    return Response(
        id=example,
        text=answer.text,
        problem=answer.problem,
        truncated=answer.truncated,
        attempts=attempts,
    )


def _is_open(response: Response) -> bool:
    return not response.text or response.correct is False


def _named(response: Response) -> Response:
    return response if response.text else replace(response, problem=response.problem or EMPTY)


def _messages(entry: ModelStrategy, example: Example, place: Place) -> tuple[Message, ...]:
    turns = [Message("user", render(entry.prompt, example, place.file, f"{place.where}.prompt"))]
    if entry.system is not None:
        turns.insert(
            0, Message("system", render(entry.system, example, place.file, f"{place.where}.system"))
        )
    return tuple(turns)
