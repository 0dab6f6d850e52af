"""Responses to token scores under a view, or to hidden states: the requests that it takes, and the table it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from respsel.metrics.base import View
from respsel.prompts import local_messages, plain_messages, self_aligned_messages
from respsel.records import Example, Message, OwnOutput, Represented, Response, ScoredResponse, TokenScores
from respsel.requests import Lazy, RepresentRequest, Scored, ScoreRequest, Vector
from respsel.steps import split_steps
from respsel.strategies.base import Operation

# The problem of a response that a race did not come to: its strategy was dropped, or the race over.
NOT_REACHED = "not scored: the race was over for it"
# Raised when the same responses under the same view would give another table.
VERSION = 2


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

    reached: only those to so many of the first examples, after a race. Returns an iterator of one ScoredResponse
    per response, in order, without scores where the response has a problem; a table of them is never in memory.
    In the local view a response takes a request for each step.
    """
    if reached is not None:
        responses = [r if i < reached or r.problem else replace(r, problem=NOT_REACHED) for i, r in enumerate(responses)]
    usable = [place for place, response in enumerate(responses) if not response.problem]
    parts = [_count_parts(view, responses[place]) for place in usable]
    owner = [place for place, count in zip(usable, parts, strict=True) for _ in range(count)]
    starts = dict(zip(usable, accumulate([0, *parts]), strict=False))

    def request(index: int) -> ScoreRequest:
        place = owner[index]
        example, response = examples[place], responses[place]
        if view.kind == "local":
            steps, at = split_steps(response.text), index - starts[place]
            messages, text = local_messages(example.input, steps[:at], view.window), steps[at]
        else:
            messages, text = view_messages(view, example, shown_with), response.text
        return ScoreRequest(target, messages, text, about, example.id, if_too_long)

    answers = yield Lazy(len(owner), request)

    def rows() -> Iterator[ScoredResponse]:
        left = iter(answers)
        counts = iter(parts)
        for response in responses:
            if response.problem:
                yield ScoredResponse(response.id, 0, 0, None, response.problem)
                continue
            yield _joined(response.id, [next(left) for _ in range(next(counts))])

    return rows()


def represent_texts(
    target: str, examples: Sequence[Example], texts: Sequence[Response] | Sequence[OwnOutput], about: str
) -> Operation:
    """Hidden states of every usable response or own output in the plain view, as Represented rows in order."""
    inputs = {example.id: example.input for example in examples}
    usable = [text for text in texts if not text.problem]

    def request(index: int) -> RepresentRequest:
        text = usable[index]
        return RepresentRequest(target, plain_messages(inputs[text.id]), text.text, about, text.id)

    answers = yield Lazy(len(usable), request)

    def rows() -> Iterator[Represented]:
        left = iter(answers)
        for text in texts:
            sample = getattr(text, "sample", 0)
            if text.problem:
                yield Represented(text.id, sample, None, text.problem)
                continue
            answer = next(left)
            assert isinstance(answer, Vector)
            yield Represented(text.id, sample, answer.values, answer.problem)

    return rows()


def view_messages(view: View, example: Example, shown_with: Mapping[str, list[str]]) -> tuple[Message, ...]:
    """The prompt under which an example's responses are scored."""
    if view.kind == "self-aligned":
        return self_aligned_messages(example.input, shown_with[example.id], view.template)
    return () if view.kind == "unconditional" else plain_messages(example.input)


def _count_parts(view: View, response: Response) -> int:
    return len(split_steps(response.text)) if view.kind == "local" else 1


def _joined(name: str, answers: Sequence[object]) -> ScoredResponse:
    """One response's row from the answers of its parts; a part's problem is the response's."""
    import numpy as np

    parts = [answer for answer in answers if isinstance(answer, Scored)]
    assert len(parts) == len(answers)
    prompt, response = (sum(getattr(part, n) for part in parts) for n in ("prompt_tokens", "response_tokens"))
    problem = next((part.problem for part in parts if part.problem), "")
    found = [part.scores for part in parts if part.scores is not None]
    if problem:
        return ScoredResponse(name, prompt, response, None, problem)
    if len(found) == 1:
        return ScoredResponse(name, prompt, response, found[0])
    lengths = [scores.lengths for scores in found if scores.lengths is not None]
    ids, nll, rank, entropy = (
        np.concatenate([getattr(scores, n) for scores in found]) for n in ("token_ids", "nll", "rank", "entropy")
    )
    whole = np.concatenate(lengths) if len(lengths) == len(found) else None
    return ScoredResponse(name, prompt, response, TokenScores(ids, nll, rank, entropy, whole))
