"""Responses to token scores under a view: the requests that it takes, and the table it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from respsel.metrics.base import View
from respsel.prompts import plain_messages, self_aligned_messages
from respsel.records import Example, Message, Response, ScoredResponse
from respsel.requests import Lazy, Scored, ScoreRequest
from respsel.strategies.base import Operation

# Raised when the same responses under the same view would give another table.
VERSION = 1


def score_responses(
    target: str,
    view: View,
    examples: Sequence[Example],
    responses: Sequence[Response],
    shown_with: Mapping[str, list[str]],
    about: str,
    if_too_long: str,
) -> Operation:
    """Score every usable response; `shown_with` holds each example's own outputs to other inputs.

    Returns an iterator of one ScoredResponse per response, in order, without scores where the response has
    a problem; a table of them is never in memory.
    """
    usable = [place for place, response in enumerate(responses) if not response.problem]

    def request(index: int) -> ScoreRequest:
        example, response = examples[usable[index]], responses[usable[index]]
        return ScoreRequest(target, view_messages(view, example, shown_with), response.text, about, example.id, if_too_long)

    answers = yield Lazy(len(usable), request)

    def rows() -> Iterator[ScoredResponse]:
        left = iter(answers)
        for response in responses:
            if response.problem:
                yield ScoredResponse(response.id, 0, 0, None, response.problem)
                continue
            answer = next(left)
            assert isinstance(answer, Scored)
            yield ScoredResponse(response.id, answer.prompt_tokens, answer.response_tokens, answer.scores, answer.problem)

    return rows()


def view_messages(view: View, example: Example, shown_with: Mapping[str, list[str]]) -> tuple[Message, ...]:
    """The prompt under which an example's responses are scored."""
    if view.kind == "self-aligned":
        return self_aligned_messages(example.input, shown_with[example.id])
    return plain_messages(example.input)
