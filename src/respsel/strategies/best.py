"""For each example the response that a metric puts first among several strategies and draws.

Knows nothing of metrics or of how candidates were made. Invariant: a candidate that passes is taken
before one that does not, whatever their scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from respsel.records import Example, Response, Score
from respsel.strategies.passing import fault_rank


@dataclass(frozen=True)
class Candidate:
    """What one draw of a member gave.

    member: the member's place, from 1.
    responses: a response per example.
    scores: their scores by the metric that chooses.
    """

    member: int
    responses: Sequence[Response]
    scores: Sequence[Score]


def best_responses(
    examples: Sequence[Example],
    candidates: Sequence[Candidate],
    direction: Literal["lower", "higher"],
) -> Iterator[Response]:
    """Yield one response per example, each with the place of its member.

    Of equal ones the first candidate's is taken. One without a score comes after those with one.
    """
    sign = 1 if direction == "lower" else -1

    def rank(place: int, row: int) -> tuple[int, bool, float, int]:
        value = candidates[place].scores[row].value
        fault = fault_rank(candidates[place].responses[row], examples[row].input)
        return fault, value is None, 0.0 if value is None else sign * value, place

    for row in range(len(examples)):
        best = min(range(len(candidates)), key=lambda place: rank(place, row))
        yield replace(candidates[best].responses[row], member=candidates[best].member)
