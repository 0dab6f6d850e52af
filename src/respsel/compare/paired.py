"""Columns against each other: one strategy's scores in several columns, paired over examples.

That is possible where target, examples, metric and confidence are the same, as when a prompt or a
temperature varies. Knows nothing of how columns were made. Invariant: scores of different targets,
examples or metrics are never compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from respsel.compare.columns import PLUS
from respsel.compare.outcome import Outcome, Scores
from respsel.recipe.schema import OVERALL
from respsel.selection.decide import decide, is_weighed
from respsel.selection.statistics import Values
from respsel.selection.verdict import Verdict


@dataclass(frozen=True)
class Paired:
    """A strategy in the columns of one target.

    strategy: which one.
    target: the target's name.
    verdict: over the columns, as a verdict is over strategies.
    same: the columns whose scores equal those of another one that stands for them, by that one.
    """

    strategy: str
    target: str
    verdict: Verdict
    same: Mapping[str, tuple[str, ...]]


def paired(outcomes: Sequence[Outcome]) -> list[Paired]:
    """Every strategy that scores differently in columns that can be compared."""
    return [found for group in _groups(outcomes) for found in _of_group(group)]


def _groups(outcomes: Sequence[Outcome]) -> list[list[Outcome]]:
    """Columns with the same datasets, targets, examples and metrics, and of one confidence."""
    groups: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in outcomes:
        alike = (outcome.rule.confidence, *sorted(outcome.basis.items()))
        groups.setdefault(alike, []).append(outcome)
    return [group for group in groups.values() if len(group) > 1]


def _of_group(group: Sequence[Outcome]) -> Iterator[Paired]:
    names = dict.fromkeys(strategy for one in group for _, strategy in one.scores)
    for name in names:
        datasets = [
            dataset
            for dataset in group[0].datasets
            if sum((dataset, name) in one.scores for one in group) > 1
        ]
        found = [item for dataset in datasets for item in _compared(group, name, [dataset])]
        whole = list(_compared(group, name, datasets)) if len(datasets) > 1 else []
        yield from [*whole, *found]


def _compared(group: Sequence[Outcome], strategy: str, datasets: Sequence[str]) -> Iterator[Paired]:
    """A strategy over some datasets, if there are two columns in which its scores differ."""
    having = [
        one for one in group if all((dataset, strategy) in one.scores for dataset in datasets)
    ]
    alike: dict[tuple[str, ...], list[Outcome]] = {}
    for one in having:
        outputs = tuple(one.scores[dataset, strategy].output for dataset in datasets)
        alike.setdefault(outputs, []).append(one)
    if len(alike) < 2:
        return
    firsts = [same[0] for same in alike.values()]
    called = _without_shared([one.label for one in group])
    tables = [
        {called[one.label]: one.scores[dataset, strategy] for one in firsts} for dataset in datasets
    ]
    about = OVERALL if len(datasets) > 1 else datasets[0]
    verdict = decide(
        about,
        [{label: scores.values for label, scores in table.items()} for table in tables],
        firsts[0].rule,
        _weights(tables),
        barred={
            called[one.label]: why
            for one in firsts
            if (why := one.verdicts[about].barred.get(strategy)) is not None
        },
    )
    same = {
        called[first.label]: tuple(called[one.label] for one in others)
        for first, *others in alike.values()
    }
    yield Paired(strategy, firsts[0].target, verdict, same)


def _without_shared(labels: Sequence[str]) -> Mapping[str, str]:
    """By label, without the parts that all labels have in that place, such as their one target."""
    parts = [label.split(PLUS) for label in labels]
    varying = [len(set(place)) > 1 for place in zip(*parts, strict=True)]
    short = [PLUS.join(compress(one, varying)) for one in parts]
    return dict(zip(labels, short if all(short) else labels, strict=True))


def _weights(tables: Sequence[Mapping[str, Scores]]) -> list[Mapping[str, Values]] | None:
    weights: list[Mapping[str, Values]] = [
        {label: scores.weights for label, scores in table.items()} for table in tables
    ]
    return weights if is_weighed(weights) else None
