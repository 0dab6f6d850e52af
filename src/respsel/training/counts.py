"""Counts of a training set: what is kept, what is left out and why, and what to mind about it.

Invariant: every example is counted once, as kept or under one reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from respsel.data.prompts import shows_label
from respsel.report.response_counts import MANY_CUT_SHORT, label_caution
from respsel.training.apply import Applied
from respsel.training.examples import (
    CUT_SHORT,
    Dropped,
    Pair,
    TrainingExample,
    barred_strategies,
    datasets_of,
)
from respsel.workspace.loaded_recipe import LoadedRecipe

Row = TypeVar("Row", TrainingExample, Pair)


@dataclass(frozen=True)
class Counts:
    """Counts of one dataset's examples.

    dataset: its name.
    examples: all of them.
    kept: those in the set.
    by_strategy: those in the set, by the strategy that their response is of.
    by_member: those in the set that a strategy took from another one, by that one.
    dropped: those left out, by reason.
    judged: those in the set that the answer check has judged.
    wrong: those of the judged that have a wrong answer.
    """

    dataset: str
    examples: int
    kept: int
    by_strategy: Mapping[str, int]
    dropped: Mapping[str, int]
    judged: int = 0
    wrong: int = 0
    by_member: Mapping[str, int] = field(default_factory=dict)


class Tally:
    """Counts what is kept and what is left out while rows pass."""

    def __init__(self, applied: Applied) -> None:
        self._kept: dict[str, Counter[str]] = {name: Counter() for name in datasets_of(applied)}
        self._dropped: dict[str, Counter[str]] = {name: Counter() for name in self._kept}
        self._members: dict[str, Counter[str]] = {name: Counter() for name in self._kept}
        self._correct: dict[str, Counter[bool]] = {name: Counter() for name in self._kept}

    def kept(self, rows: Iterable[Row | Dropped]) -> Iterator[Row]:
        """Pass on what is kept."""
        for row in rows:
            if isinstance(row, Dropped):
                self._dropped[row.dataset][row.reason] += 1
            else:
                self._kept[row.dataset][row.strategy] += 1
                if member := getattr(row, "member", ""):
                    self._members[row.dataset][member] += 1
                if row.correct is not None:
                    self._correct[row.dataset][row.correct] += 1
                yield row

    @property
    def counts(self) -> tuple[Counts, ...]:
        """What has gone by, by dataset, the commonest strategy and reason first."""
        return tuple(
            Counts(
                dataset=name,
                examples=kept.total() + self._dropped[name].total(),
                kept=kept.total(),
                by_strategy=dict(kept.most_common()),
                dropped=dict(self._dropped[name].most_common()),
                judged=self._correct[name].total(),
                wrong=self._correct[name][False],
                by_member=dict(self._members[name].most_common()),
            )
            for name, kept in self._kept.items()
        )


def cautions_of(applied: Applied, counts: Sequence[Counts], pairs: bool) -> list[str]:
    """What a user should mind before training on a set."""
    loaded = applied.graph.loaded
    cautions = _about_gates(applied)
    if pairs and loaded.selected_metric.favours_own_text and not any(c.judged for c in counts):
        cautions.append(
            "The better response of a pair is only the one that the target finds likelier: no "
            "answer was checked. Read some pairs before you train on them."
        )
    wrong = sum(count.wrong for count in counts)
    judged = sum(count.judged for count in counts)
    if wrong:
        cautions.append(
            f"{wrong} of {judged} checked responses in the set have a wrong answer. if_wrong = "
            '"drop" leaves them out.'
        )
    cut = sum(count.dropped.get(CUT_SHORT, 0) for count in counts)
    examples = sum(count.examples for count in counts)
    if cut > MANY_CUT_SHORT * examples:
        cautions.append(
            f"{cut} of {examples} examples were left out since their responses were cut short: "
            "raise max_tokens."
        )
    if shown := _shown_the_label(loaded, counts):
        cautions.append(label_caution(shown, "some of the responses"))
    return cautions


def _about_gates(applied: Applied) -> list[str]:
    """Strategies that may not be recommended: left out, or taken since the user named them."""
    if applied.selected.mode == "per-example":
        return [
            f"{name} is left out: {why}."
            for dataset in datasets_of(applied)
            for name, why in barred_strategies(applied, dataset).items()
        ]
    barred = {verdict.dataset: verdict.barred for verdict in applied.selected.verdicts}
    return [
        f"{name} was chosen by name and may not be recommended: {barred[dataset][name]}."
        for dataset, name in applied.selected.strategies.items()
        if name in barred.get(dataset, {})
    ]


def _shown_the_label(loaded: LoadedRecipe, counts: Sequence[Counts]) -> list[str]:
    """The strategies in a set whose prompts show the label of a dataset that they are in it for."""
    datasets = {entry.name: entry for entry in loaded.recipe.datasets}
    used = [
        (loaded.strategy(name), datasets[count.dataset])
        for count in counts
        if count.judged
        for name in count.by_strategy
    ]
    return sorted(
        {
            origin.name
            for entry, dataset in used
            for origin in loaded.recipe.origins(entry)
            if shows_label(origin, dataset)
        }
    )
