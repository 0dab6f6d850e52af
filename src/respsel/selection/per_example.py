"""The best response for each example, and the mixture of strategies that this gives.

It judges nothing: picking the best of several noisy scores flatters the mixture, so its mean is not
to be compared with a strategy's. Knows nothing of files or models. Invariant: an example has one
choice, or none where no strategy has a score for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from respsel.selection.rule import Rule
from respsel.tables.table import plain_table

# Raised when the same scores would give other choices.
VERSION = 1


@dataclass(frozen=True)
class Choice:
    """The strategy whose response has an example's best score."""

    id: str
    strategy: str
    score: float


@dataclass(frozen=True)
class Mixture:
    """What taking each example's best response gives.

    counts: by strategy, for how many examples its response is the best.
    score: the mean of the best scores, geometric on a log scale.
    without: how many examples have no score at all.
    """

    counts: Mapping[str, int]
    score: float | None
    without: int


CHOICES = plain_table("choices", Choice, {"id": "str", "strategy": "str", "score": "float"})


def choose_responses(scores: Mapping[str, Mapping[str, float | None]], rule: Rule) -> list[Choice]:
    """For each example the best response; of equal ones, the first strategy's."""
    best: dict[str, Choice] = {}
    for strategy, values in scores.items():
        for name, value in values.items():
            if value is not None and (
                name not in best or rule.sign * value < rule.sign * best[name].score
            ):
                best[name] = Choice(name, strategy, value)
    order = dict.fromkeys(name for values in scores.values() for name in values)
    return [best[name] for name in order if name in best]


def mix(choices: Sequence[Choice], strategies: Sequence[str], examples: int, scale: str) -> Mixture:
    """The mixture that choices give, the commonest strategy first."""
    counts = {name: sum(choice.strategy == name for choice in choices) for name in strategies}
    ordered = dict(sorted(counts.items(), key=lambda item: -item[1]))
    values = [math.log(choice.score) if scale == "log" else choice.score for choice in choices]
    mean = sum(values) / len(values) if values else None
    return Mixture(
        ordered,
        math.exp(mean) if mean is not None and scale == "log" else mean,
        examples - len(choices),
    )
