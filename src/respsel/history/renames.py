"""Strategies, datasets and metrics that have another name in the second of two runs.

Knows nothing of tables. Invariant: a rename is told only where one entry fits: its content is the
same, and so is what the run made of it. All else stays an edit, or something that came or went.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from respsel.graph import names as step_names
from respsel.graph.names import StepName
from respsel.history.recorded_runs import RunRecord

Kind = Literal["dataset", "strategy", "metric"]


@dataclass(frozen=True)
class Rename:
    """An entry of the recipe with another name."""

    kind: Kind
    old: str
    new: str


@dataclass(frozen=True)
class Renames:
    """All that have another name: by their names in the first run, those in the second."""

    datasets: Mapping[str, str]
    strategies: Mapping[str, str]
    metrics: Mapping[str, str]

    def __iter__(self) -> Iterator[Rename]:
        kinds: Mapping[Kind, Mapping[str, str]] = {
            "dataset": self.datasets,
            "strategy": self.strategies,
            "metric": self.metrics,
        }
        for kind, names in kinds.items():
            yield from (Rename(kind, old, new) for old, new in names.items())

    def step(self, name: str) -> str:
        """What the second run calls a step of the first."""
        step = StepName.parse(name)
        detail = step.detail
        if step.op in ("scores", "rewards"):
            # A metric that weighs two others has their scores under "label.name".
            label, dot, part = detail.rpartition(".")
            if detail not in self.metrics and label in self.metrics:
                detail = f"{self.metrics[label]}{dot}{part}"
            detail = self.metrics.get(detail, detail)
        return str(
            StepName(
                step.op,
                self.datasets.get(step.dataset, step.dataset),
                self.strategies.get(step.strategy, step.strategy),
                detail,
            )
        )

    def run(self, run: RunRecord) -> RunRecord:
        """The first run with the second one's names; its text stays."""
        verdicts = [
            replace(
                verdict,
                dataset=self.datasets.get(verdict.dataset, verdict.dataset),
                winner=self.strategies.get(verdict.winner or "", verdict.winner),
            )
            for verdict in run.verdicts
        ]
        steps = {self.step(name): output for name, output in run.steps.items()}
        return replace(run, steps=steps, verdicts=tuple(verdicts))

    def recipe(self, recipe: Mapping[str, Any]) -> Mapping[str, Any]:
        """The first run's recipe with the second one's names."""
        told = dict(recipe)
        told["datasets"] = [
            {**entry, "name": self.datasets.get(entry["name"], entry["name"])}
            for entry in recipe.get("datasets", ())
        ]
        told["strategies"] = [
            {
                **_over(entry, self.datasets),
                "name": self.strategies.get(entry["name"], entry["name"]),
            }
            for entry in recipe.get("strategies", ())
        ]
        told["metrics"] = [self._metric(entry) for entry in recipe.get("metrics", ())]
        selection = recipe.get("selection", {})
        if "metric" in selection:
            metric = selection["metric"]
            told["selection"] = {**selection, "metric": self.metrics.get(metric, metric)}
        return told

    def _metric(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        label = self.metrics.get(label_of(entry))
        if label is None:
            return entry
        bare = _without(entry, "label")
        return bare if label == entry["name"] else {**bare, "label": label}


def label_of(metric: Mapping[str, Any]) -> str:
    """What a recipe calls a metric, by its entry."""
    return str(metric.get("label", metric["name"]))


def find_renames(
    old: RunRecord, new: RunRecord, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Renames:
    """What has another name in the second run; before, after: the runs' recipes."""
    datasets = _datasets(old, new, before, after)
    return Renames(
        datasets, _strategies(old, new, before, after, datasets), _metrics(before, after)
    )


def _datasets(
    old: RunRecord, new: RunRecord, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Mapping[str, str]:
    was = {entry["name"]: _without(entry, "name") for entry in before.get("datasets", ())}
    now = {entry["name"]: _without(entry, "name") for entry in after.get("datasets", ())}

    def same(one: str, other: str) -> bool:
        first = _output(old, step_names.examples(one))
        second = _output(new, step_names.examples(other))
        return was[one] == now[other] and first is not None and first == second

    return _matched(was, now, same)


def _strategies(
    old: RunRecord,
    new: RunRecord,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    datasets: Mapping[str, str],
) -> Mapping[str, str]:
    was = {
        entry["name"]: _without(_over(entry, datasets), "name")
        for entry in before.get("strategies", ())
    }
    now = {entry["name"]: _without(entry, "name") for entry in after.get("strategies", ())}
    over = [entry["name"] for entry in before.get("datasets", ())]

    def same(one: str, other: str) -> bool:
        if was[one] != now[other]:
            return False
        written = [
            (
                _output(old, step_names.responses(name, one)),
                _output(new, step_names.responses(datasets.get(name, name), other)),
            )
            for name in over
        ]
        both = [pair for pair in written if None not in pair]
        return bool(both) and all(first == second for first, second in both)

    return _matched(was, now, same)


def _metrics(before: Mapping[str, Any], after: Mapping[str, Any]) -> Mapping[str, str]:
    was = {label_of(entry): _without(entry, "label") for entry in before.get("metrics", ())}
    now = {label_of(entry): _without(entry, "label") for entry in after.get("metrics", ())}
    return _matched(was, now, lambda one, other: was[one] == now[other])


def _matched(
    old: Collection[str], new: Collection[str], same: Callable[[str, str], bool]
) -> Mapping[str, str]:
    """By old name, the new one, where exactly one fits."""
    gone = [name for name in old if not (name in new and same(name, name))]
    come = [name for name in new if not (name in old and same(name, name))]
    found: dict[str, str] = {}
    for name in gone:
        fits = [other for other in come if same(name, other)]
        if len(fits) == 1 and sum(same(other, fits[0]) for other in gone) == 1:
            found[name] = fits[0]
    # Two entries would be told under one name if a name went on to, or came from, an edited one.
    while clashing := [
        one
        for one, other in found.items()
        if (other in old and other not in found) or (one in new and one not in found.values())
    ]:
        for name in clashing:
            del found[name]
    return found


def _output(run: RunRecord, step: str) -> str | None:
    return run.steps[step].output if step in run.steps else None


def _without(entry: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


def _over(strategy: Mapping[str, Any], datasets: Mapping[str, str]) -> Mapping[str, Any]:
    """A strategy's entry; its datasets have their new names."""
    if not strategy.get("datasets"):
        return strategy
    return {**strategy, "datasets": [datasets.get(name, name) for name in strategy["datasets"]]}
