"""What a written report says in short: its first screen, its races and its mixtures.

It is kept in the report's manifest, so that a cached run shows it without reading a table. Knows
nothing of verdicts, which the run has. Invariant: it says what the report's pages say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from respsel.text.numbers import short

# What is said of numbers that no model has made.
FAKE_TARGET = "The fake backend stands in for a model: these numbers mean nothing."


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
    checked: whether anything but likelihood has judged the answers.
    compared: whether more than one strategy could be recommended.
    """

    which: str
    how_sure: str
    cautions: tuple[str, ...]
    next_step: str
    command: str
    decided: bool
    ready: bool
    checked: bool
    compared: bool

    @property
    def badge(self) -> str:
        """How sure it is, in a few words."""
        decided = "decided" if self.decided else "undecided"
        if not self.compared:
            decided = "nothing to compare"
        return decided if self.checked else f"{decided} · answers not checked"

    @property
    def is_good(self) -> bool:
        """Whether a user can follow it with an easy mind."""
        return self.ready and self.checked and self.compared


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
class StrategyFacts:
    """What a ranking does not say of a strategy.

    right, judged: how many answers are right, of those that were checked.
    reward: the mean reward; None without any.
    length: the mean length of a response; None where that is not known.
    unit: that of lengths.
    cut_short: how many of the `responses` were.
    tokens: what 1,000 responses take of models, prompts and outputs; 0 where the texts were given.
    money: their cost at the recipe's prices; None without a price.
    author: who wrote them, for people.
    by_target: whether the target did.
    """

    strategy: str
    right: int
    judged: int
    reward: float | None
    length: float | None
    unit: str
    cut_short: int
    responses: int
    tokens: int
    money: float | None
    currency: str
    author: str
    by_target: bool

    @property
    def answers(self) -> str:
        """How many answers are right."""
        return f"{self.right} of {self.judged}" if self.judged else "–"

    @property
    def cost(self) -> str:
        """The cost of 1,000 responses: money, or else tokens."""
        if self.money is not None:
            return f"{self.money:,.2f} {self.currency}"
        return f"{short(self.tokens)} tokens" if self.tokens else "–"


@dataclass(frozen=True)
class Summary:
    """A report in short. strategies, races, mixtures: by dataset, where there are any."""

    headline: Headline
    strategies: Mapping[str, tuple[StrategyFacts, ...]]
    races: Mapping[str, RaceOutcome]
    mixtures: Mapping[str, MixtureOutcome]


def summary_from_json(data: Any) -> Summary:
    """The inverse of asdict, after JSON. Raises KeyError or TypeError if it is not a summary."""
    headline = data["headline"]
    return Summary(
        Headline(**{**headline, "cautions": tuple(headline["cautions"])}),
        {
            name: tuple(StrategyFacts(**item) for item in items)
            for name, items in data["strategies"].items()
        },
        {name: _race_from_json(item) for name, item in data["races"].items()},
        {name: MixtureOutcome(**item) for name, item in data["mixtures"].items()},
    )


def _race_from_json(data: Any) -> RaceOutcome:
    dropouts = [
        Dropout(item["examples"], item["leader"], tuple(item["strategies"]))
        for item in data["dropouts"]
    ]
    return RaceOutcome(tuple(dropouts), data["scored"], data["possible"])
