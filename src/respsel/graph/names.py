"""Names of steps: `operation:dataset/strategy/detail`, as plans, records and messages show them.

The only place that spells or parses them. Knows nothing of what a step does. Invariant: `parse`
gives back what `str` was made from; no part holds `:` or `/`, which recipes do not allow in names.
Nor do they allow `@`, so a draw of a strategy has the name of no other.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StepName:
    """A step's name in parts. What a step is not about is empty.

    op: the operation.
    dataset: the dataset's name; a verdict's may be that of the verdict over all.
    strategy: the strategy's name.
    detail: the view that was scored in, the metric's label, or the other strategy of two.
    """

    op: str
    dataset: str
    strategy: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.op}:{'/'.join(part for part in self.parts if part)}"

    @property
    def parts(self) -> tuple[str, str, str]:
        """Dataset, strategy, detail."""
        return self.dataset, self.strategy, self.detail

    @classmethod
    def parse(cls, name: str) -> StepName:
        """The parts of a name."""
        op, _, rest = name.partition(":")
        return cls(op, *rest.split("/", 2))


def examples(dataset: str) -> str:
    """The step that reads a dataset."""
    return str(StepName("examples", dataset))


def dataset_size(dataset: str) -> str:
    """The step that says how many examples a dataset has, sampled or not."""
    return str(StepName("dataset-size", dataset))


def responses(dataset: str, strategy: str) -> str:
    """The step of a strategy's responses."""
    return str(StepName("responses", dataset, strategy))


def draw(strategy: str, number: int) -> str:
    """What a draw of a strategy is called in the place of a strategy; number: from 1."""
    return f"{strategy}@{number}"


def drawn_from(strategy: str) -> str:
    """The strategy that a draw is of; a strategy's own name is given back."""
    return strategy.partition("@")[0]


def unraced(detail: str) -> str:
    """The view or metric of a step over all responses, beside one that a race has cut."""
    return f"{detail}@all"


def own_outputs(dataset: str) -> str:
    """The step of the target's own outputs."""
    return str(StepName("own-outputs", dataset))


def gates(dataset: str) -> str:
    """The step of how a dataset's strategies stand before the ranking."""
    return str(StepName("gates", dataset))


def validation(dataset: str) -> str:
    """The step that reads a dataset's held-out examples."""
    return str(StepName("validation", dataset))


def race(dataset: str) -> str:
    """The step of a dataset's race."""
    return str(StepName("race", dataset))


def token_scores(dataset: str, strategy: str, view: str) -> str:
    """The step of a strategy's token scores in a view."""
    return str(StepName("token-scores", dataset, strategy, view))


def representations(dataset: str, strategy: str = "") -> str:
    """The step of hidden states of a strategy's responses; without a strategy, of own outputs."""
    return str(StepName("representations", dataset, strategy))


def rewards(dataset: str, strategy: str, metric: str) -> str:
    """The step of a judge's rewards for a metric, or of those of the recipe's judge."""
    return str(StepName("rewards", dataset, strategy, metric))


def preferences(dataset: str, strategy: str, other: str) -> str:
    """The step in which a judge compares a strategy's responses with those of another one."""
    return str(StepName("preferences", dataset, strategy, other))


def scores(dataset: str, strategy: str, metric: str) -> str:
    """The step of a metric's scores."""
    return str(StepName("scores", dataset, strategy, metric))


def choices(dataset: str) -> str:
    """The step of the best response for each example."""
    return str(StepName("choices", dataset))


def verdict(over: str) -> str:
    """The step of a verdict over a dataset, or over all."""
    return str(StepName("verdict", over))
