"""What a written report says in short: its first screen, its races and its mixtures.

It is kept in the report's manifest, so that a cached run shows it without reading a table. Knows
nothing of verdicts, which the run has. Invariant: it says what the report's pages say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Headline:
    """The answers of the first screen, and what a user should mind about them.

    which: the strategy to fine-tune on.
    how_sure: over how many examples, and how sure that is.
    cautions: what to mind, in sentences.
    next_step: what to do next.
    command: what to type for it, a line each; may be empty.
    decided: whether the verdict is decided.
    ready: whether the verdict can be applied as it is; that needs more than a decision.
    """

    which: str
    how_sure: str
    cautions: tuple[str, ...]
    next_step: str
    command: str
    decided: bool
    ready: bool


@dataclass(frozen=True)
class Dropout:
    """Strategies that a race dropped after so many examples, and who led then."""

    examples: int
    leader: str | None
    strategies: tuple[str, ...]


@dataclass(frozen=True)
class RaceOutcome:
    """How a race went.

    scored: how many of the `possible` scores of all strategies were computed.
    """

    dropouts: tuple[Dropout, ...]
    scored: int
    possible: int


@dataclass(frozen=True)
class MixtureOutcome:
    """The best response for each example.

    examples: how many there are.
    counts: by strategy, for how many examples its response is the best.
    score: the mean of the best scores.
    without: how many examples have no score.
    """

    examples: int
    counts: Mapping[str, int]
    score: float | None
    without: int


@dataclass(frozen=True)
class Summary:
    """A report in short. races, mixtures: by dataset, where there are any."""

    headline: Headline
    races: Mapping[str, RaceOutcome]
    mixtures: Mapping[str, MixtureOutcome]


def summary_from_json(data: Any) -> Summary:
    """The inverse of asdict, after JSON. Raises KeyError or TypeError if it is not a summary."""
    headline = data["headline"]
    return Summary(
        Headline(**{**headline, "cautions": tuple(headline["cautions"])}),
        {name: _race_from_json(item) for name, item in data["races"].items()},
        {name: MixtureOutcome(**item) for name, item in data["mixtures"].items()},
    )


def _race_from_json(data: Any) -> RaceOutcome:
    dropouts = [
        Dropout(item["examples"], item["leader"], tuple(item["strategies"]))
        for item in data["dropouts"]
    ]
    return RaceOutcome(tuple(dropouts), data["scored"], data["possible"])
