"""Responses to token scores under a view, or to hidden states: the requests that it takes, and the
table it gives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, pairwise

from respsel.calls.lazy import Lazy
from respsel.calls.requests import Part, RepresentRequest, Scored, ScoreRequest, Vector
from respsel.data.prompts import plain_messages, self_aligned_messages
from respsel.metrics.contract import View
from respsel.metrics.reasoning_steps import split_steps, word_places
from respsel.records import (
    Example,
    Message,
    OwnOutput,
    Represented,
    Response,
    ScoredResponse,
    TokenScores,
)
from respsel.strategies.base import Operation
from respsel.tables.problems import NOT_REACHED

# Each step is a call in the local view. A looping text has millions, which no model is to be asked
# about.
MOST_STEPS = 10_000
TOO_MANY_STEPS = f"more than {MOST_STEPS:,} steps"
# Raised when the same responses under the same view would give another table.
VERSION = 3


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

    reached: only those to so many of the first examples, after a race. Returns an iterator of one
    ScoredResponse per response, in order, without scores where the response has a problem; a table
    of them is never in memory. In the local view a response takes a request for each step, of which
    it may have MOST_STEPS.
    """
    if reached is not None:
        responses = [
            r if i < reached or r.problem else replace(r, problem=NOT_REACHED)
            for i, r in enumerate(responses)
        ]
    # Hazard: a text is split once for all its steps, or the time grows with the square of its
    # length.
    parts_of = lru_cache(maxsize=1)(
        lambda place: _parts(view, _scored_text(view, responses[place]))
    )
    sizes = {
        place: len(parts_of(place))
        for place, response in enumerate(responses)
        if not response.problem
    }
    counts = {place: count for place, count in sizes.items() if count <= MOST_STEPS}
    owner = [place for place, count in counts.items() for _ in range(count)]
    starts = dict(zip(counts, accumulate([0, *counts.values()]), strict=False))

    def request(index: int) -> ScoreRequest:
        place = owner[index]
        example = examples[place]
        text = _scored_text(view, responses[place])
        part = parts_of(place)[index - starts[place]]
        return ScoreRequest(
            target,
            view_messages(view, example, shown_with),
            text,
            about,
            example.id,
            if_too_long,
            part,
        )

    answers = yield Lazy(len(owner), request)

    def rows() -> Iterator[ScoredResponse]:
        left = iter(answers)
        for place, response in enumerate(responses):
            if place in counts:
                yield _joined(response.id, [next(left) for _ in range(counts[place])])
            else:
                yield ScoredResponse(response.id, 0, 0, None, response.problem or TOO_MANY_STEPS)

    return rows()


def represent_texts(
    target: str,
    examples: Sequence[Example],
    texts: Sequence[Response] | Sequence[OwnOutput],
    about: str,
) -> Operation:
    """Hidden states of every usable response or own output in the plain view, as Represented rows
    in order.
    """
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


def view_messages(
    view: View, example: Example, shown_with: Mapping[str, list[str]]
) -> tuple[Message, ...]:
    """The prompt under which an example's responses are scored."""
    if view.kind == "self-aligned":
        return self_aligned_messages(example.input, shown_with[example.id], view.template)
    bare = view.kind == "unconditional" or (view.kind == "local" and not view.with_input)
    return () if bare else plain_messages(example.input)


def _scored_text(view: View, response: Response) -> str:
    # The published code puts a blank behind its wrapping: to byte-level vocabularies (Llama 3,
    # Qwen) it is the beginning of the first word's token; SentencePiece (Mistral) sees to it
    # itself.
    return f" {response.text}" if view.template == "paper-system" else response.text


def _parts(view: View, text: str) -> list[Part | None]:
    """What of a response is scored by a call each: its steps behind the last few in the local view,
    else all of it.
    """
    if view.kind != "local":
        return [None]
    places = word_places(split_steps(text))
    places[0] = 0
    return [
        Part(places[max(0, i - view.window)], start, end)
        for i, (start, end) in enumerate(pairwise(places))
    ]


def _joined(name: str, answers: Sequence[object]) -> ScoredResponse:
    """One response's row from the answers of its parts; a part's problem is the response's."""
    import numpy as np

    parts = [answer for answer in answers if isinstance(answer, Scored)]
    assert len(parts) == len(answers)
    prompt, response = (
        sum(getattr(part, n) for part in parts) for n in ("prompt_tokens", "response_tokens")
    )
    problem = next((part.problem for part in parts if part.problem), "")
    place = next((part.told for part in parts if part.told), "")
    found = [part.scores for part in parts if part.scores is not None]
    if problem:
        return ScoredResponse(name, prompt, response, None, problem, place)
    if len(found) == 1:
        return ScoredResponse(name, prompt, response, found[0], "", place)
    lengths = [scores.lengths for scores in found if scores.lengths is not None]
    ids, nll, rank, entropy = (
        np.concatenate([getattr(scores, n) for scores in found])
        for n in ("token_ids", "nll", "rank", "entropy")
    )
    whole = np.concatenate(lengths) if len(lengths) == len(found) else None
    return ScoredResponse(
        name, prompt, response, TokenScores(ids, nll, rank, entropy, whole), "", place
    )
