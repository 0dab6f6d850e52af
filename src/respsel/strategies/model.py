"""Responses that a model writes from a prompt, tried again while the answer check fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from respsel.backends.base import Generation
from respsel.prompts import render
from respsel.recipe import AnswerEntry, ModelStrategy
from respsel.records import Example, Message, Response, Sampling
from respsel.requests import GenerateRequest
from respsel.strategies.base import Place, Responses, checked, settled
from respsel.whitespace import WhiteSpace

EMPTY = "the model wrote nothing"


def model_responses(
    entry: ModelStrategy,
    sampling: Sampling,
    seed: int,
    examples: Sequence[Example],
    check: AnswerEntry | None,
    place: Place,
    white_space: WhiteSpace = "normalise",
) -> Responses:
    """Sample one response per example, up to `attempts` times while it is wrong or empty.

    The last attempt's text stands. Raises RunError naming the wrong ones if the entry says "fail".
    """
    messages = {example.id: _messages(entry, example, place) for example in examples}
    best: dict[str, Response] = {}
    open_examples = list(examples)
    for attempt in range(entry.attempts):
        requests = [
            GenerateRequest(entry.model, messages[example.id], sampling, "response", seed, attempt, place.where, example.id)
            for example in open_examples
        ]
        answers = yield requests
        for example, answer in zip(open_examples, answers, strict=True):
            assert isinstance(answer, Generation)
            response = Response(example.id, answer.text, answer.problem, truncated=answer.truncated, attempts=attempt + 1)
            best[example.id] = checked(response, example, check, white_space)
        open_examples = [example for example in open_examples if _is_open(best[example.id])]
        if not open_examples:
            break
    tried = [_named(best[example.id]) for example in examples]
    return settled(tried, entry, place, "Raise 'attempts', or set if_wrong to 'keep' or 'drop'")


def _is_open(response: Response) -> bool:
    return not response.text or response.correct is False


def _named(response: Response) -> Response:
    return response if response.text else replace(response, problem=response.problem or EMPTY)


def _messages(entry: ModelStrategy, example: Example, place: Place) -> tuple[Message, ...]:
    turns = [Message("user", render(entry.prompt, example, place.file, f"{place.where}.prompt"))]
    if entry.system is not None:
        turns.insert(0, Message("system", render(entry.system, example, place.file, f"{place.where}.system")))
    return tuple(turns)
