"""Responses to token scores under a view: the requests that it takes, and the table it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from respsel.metrics.base import View
from respsel.prompts import plain_messages, self_aligned_messages
from respsel.records import Example, Message, Response, ScoredResponse
from respsel.requests import Scored, ScoreRequest
from respsel.strategies.base import Operation

# The problem of a response that a race did not come to: its strategy was dropped, or the race over.
NOT_REACHED = "not scored: the race was over for it"
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
    reached: int | None = None,
) -> Operation:
    """Score every usable response; `shown_with` holds each example's own outputs to other inputs.

    reached: only those to so many of the first examples, after a race. Returns one ScoredResponse per
    response, in order, without scores where the response has a problem.
    """
    if reached is not None:
        responses = [r if i < reached or r.problem else replace(r, problem=NOT_REACHED) for i, r in enumerate(responses)]
    usable = [(example, response) for example, response in zip(examples, responses, strict=True) if not response.problem]
    answers = yield [
        ScoreRequest(target, view_messages(view, example, shown_with), response.text, about, example.id, if_too_long)
        for example, response in usable
    ]
    found = {}
    for (example, _), answer in zip(usable, answers, strict=True):
        assert isinstance(answer, Scored)
        found[example.id] = ScoredResponse(
            example.id, answer.prompt_tokens, answer.response_tokens, answer.scores, answer.problem
        )
    return [found.get(response.id) or ScoredResponse(response.id, 0, 0, None, response.problem) for response in responses]


def view_messages(view: View, example: Example, shown_with: Mapping[str, list[str]]) -> tuple[Message, ...]:
    """The prompt under which an example's responses are scored."""
    if view.kind == "self-aligned":
        return self_aligned_messages(example.input, shown_with[example.id])
    return plain_messages(example.input)
