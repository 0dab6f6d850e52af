"""A race as an operation: token scores are asked for batch by batch, for the strategies still in.

Knows neither the rule (`racing`) nor what the metric is: it is given a function from responses and their
token scores to scores. Invariant: it asks for exactly what `token_scores` asks for under the same view, so
what follows finds every answer in the store, and a larger sample asks for no call twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from respsel.metrics.base import View
from respsel.racing import Batch, Lap, race
from respsel.records import Example, Response, Score, ScoredResponse
from respsel.requests import FAILED, NOT_FINITE
from respsel.selection import Rule
from respsel.strategies.base import Operation
from respsel.token_scores import score_responses

Measure = Callable[[Sequence[Response], Sequence[ScoredResponse]], Sequence[Score]]


def run_race(
    target: str,
    view: View,
    examples: Sequence[Example],
    responses: Mapping[str, Sequence[Response]],
    shown_with: Mapping[str, list[str]],
    if_too_long: str,
    rule: Rule,
    measure: Measure,
) -> Operation:
    """Race the strategies over the examples in their order; return the laps."""
    running = race(tuple(responses), len(examples), rule)
    batch, problems = next(running), []
    while True:
        parts = _parts(target, view, examples, responses, shown_with, if_too_long, batch)
        asked = {name: next(part) for name, part in parts.items()}
        answers = yield [request for requests in asked.values() for request in requests]
        found = {}
        for name, part in parts.items():
            mine, answers = answers[: len(asked[name])], answers[len(asked[name]) :]
            try:
                part.send(mine)
            except StopIteration as done:
                scored: list[ScoredResponse] = done.value
            scores = measure(responses[name][batch.start : batch.stop], scored)
            found[name] = {score.id: score.value for score in scores}
            problems += [(batch.stop, row.problem) for row in scored if row.problem.startswith((FAILED, NOT_FINITE))]
        try:
            batch = running.send(found)
        except StopIteration as done:
            first = dict(reversed(problems))
            laps: list[Lap] = [replace(lap, problem=first.get(lap.examples, "")) for lap in done.value]
            return laps


def _parts(
    target: str,
    view: View,
    examples: Sequence[Example],
    responses: Mapping[str, Sequence[Response]],
    shown_with: Mapping[str, list[str]],
    if_too_long: str,
    batch: Batch,
) -> Mapping[str, Operation]:
    these = examples[batch.start : batch.stop]
    return {
        name: score_responses(
            target, view, these, responses[name][batch.start : batch.stop], shown_with, f"{name}, {view.name}", if_too_long
        )
        for name in batch.strategies
    }
