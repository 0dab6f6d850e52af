"""A race as an operation: token scores are asked for batch by batch, for the strategies still in.

Knows neither the rule (`selection.race_rule`) nor what is asked and measured: it is given functions
for both. Invariant: it asks for a response what `score` asks for it. So a step after the race that
uses the same `score` finds every answer in the store, and a larger sample asks for no call twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from respsel.calls.requests import Answer
from respsel.records import Example, Response, Score, ScoredResponse
from respsel.selection.race_rule import BatchScores, Lap, race
from respsel.selection.rule import Rule
from respsel.strategies.base import Operation
from respsel.tables.problems import SCORING_FAILURES

# From a strategy's name, examples and responses to the operation that scores these.
ScoreBatch = Callable[[str, Sequence[Example], Sequence[Response]], Operation]
Measure = Callable[[Sequence[Response], Sequence[ScoredResponse]], Sequence[Score]]


def run_race(
    examples: Sequence[Example],
    responses: Mapping[str, Sequence[Response]],
    rule: Rule,
    score: ScoreBatch,
    measure: Measure,
    barred: Collection[str] = (),
) -> Operation:
    """Race the strategies over the examples in their order; return the laps."""
    running = race(tuple(responses), len(examples), rule, barred)
    batch = next(running)
    problems: dict[int, str] = {}
    while True:
        these = slice(batch.start, batch.stop)
        parts = {
            name: score(name, examples[these], responses[name][these]) for name in batch.strategies
        }
        asked = {name: next(part) for name, part in parts.items()}
        answers = yield [request for requests in asked.values() for request in requests]
        scores: dict[str, Sequence[Score]] = {}
        for name, part in parts.items():
            mine = answers[: len(asked[name])]
            answers = answers[len(asked[name]) :]
            scored = _finished(part, mine)
            scores[name] = measure(responses[name][these], scored)
            for row in scored:
                if SCORING_FAILURES.include(row.problem):
                    problems.setdefault(batch.stop, row.problem)
        try:
            batch = running.send(_batch_scores(scores))
        except StopIteration as done:
            laps: list[Lap] = done.value
            return [replace(lap, problem=problems.get(lap.examples, "")) for lap in laps]


def _batch_scores(scores: Mapping[str, Sequence[Score]]) -> BatchScores:
    values = {name: {score.id: score.value for score in mine} for name, mine in scores.items()}
    weights = {name: {score.id: score.weight for score in mine} for name, mine in scores.items()}
    return BatchScores(values, weights)


def _finished(part: Operation, answers: Sequence[Answer]) -> list[ScoredResponse]:
    """Send an operation that asks once its answers."""
    try:
        part.send(answers)
    except StopIteration as done:
        return list(done.value)
    raise AssertionError("a batch is asked for at once")
