"""Responses that a model writes from a prompt, tried again while the answer check fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from respsel.backends.base import Generation
from respsel.errors import Problem, RunError
from respsel.prompts import render
from respsel.recipe import AnswerEntry, ModelStrategy
from respsel.records import Example, Message, Response, Sampling
from respsel.requests import GenerateRequest
from respsel.strategies.base import Place, Responses, checked

EMPTY = "the model wrote nothing"
WRONG = "wrong answer"


def model_responses(
    entry: ModelStrategy, sampling: Sampling, seed: int, examples: Sequence[Example], check: AnswerEntry | None, place: Place
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
            best[example.id] = checked(response, example, check)
        open_examples = [example for example in open_examples if _is_open(best[example.id])]
        if not open_examples:
            break
    if entry.if_wrong == "fail":
        _raise_wrong(best, place)
    return [_settled(best[example.id], entry) for example in examples]


def _is_open(response: Response) -> bool:
    return not response.text or response.correct is False


def _settled(response: Response, entry: ModelStrategy) -> Response:
    if not response.text:
        return replace(response, problem=response.problem or EMPTY)
    if response.correct is False and entry.if_wrong == "drop":
        return replace(response, problem=WRONG)
    return response


def _raise_wrong(best: dict[str, Response], place: Place) -> None:
    wrong = [name for name, response in best.items() if _is_open(response)]
    if wrong:
        names = ", ".join(f"'{name}'" for name in wrong[:10]) + (f" and {len(wrong) - 10} more" if len(wrong) > 10 else "")
        what = f"no right answer for {len(wrong)} of {len(best)} examples: {names}"
        raise RunError(Problem(place.file, place.where, what, "Raise 'attempts', or set if_wrong to 'keep' or 'drop'"))


def _messages(entry: ModelStrategy, example: Example, place: Place) -> tuple[Message, ...]:
    turns = [Message("user", render(entry.prompt, example, place.file, f"{place.where}.prompt"))]
    if entry.system is not None:
        turns.insert(0, Message("system", render(entry.system, example, place.file, f"{place.where}.system")))
    return tuple(turns)
