"""Why two runs' steps differ where the recipe's text does not say it.

The causes are in the steps' records: a model in respsel.toml, weights, a data file's content, a
chat template, a version of respsel's own operations. Knows nothing of tables. Invariant: a cause is
named once, and not at all if a changed place of the recipe accounts for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from respsel.graph.names import StepName
from respsel.plan.changes import (
    NOTHING,
    TOKENIZER_READING,
    Change,
    changes_between,
    reading_of_tokenizer,
)
from respsel.recipe.judge import JUDGE
from respsel.store.store import StepRecord

# By a model's field in step records: what in its entry changes it.
_ENTRY_KEYS = {"weights": ("path", "package", "file")}
_OURS = {
    "prompts": "prompts",
    "rendering": "rendering of prompts",
    "answer.version": "answer check",
    "asking": "prompt of the judge",
    "reading": "reading of the judge's answers",
}


@dataclass(frozen=True)
class Names:
    """The models that a run's recipe names.

    target: the target's.
    strategies: by strategy, where it has one.
    metrics: by metric, where it has one.
    judge: the judge's; empty without one.
    """

    target: str
    strategies: Mapping[str, str]
    metrics: Mapping[str, str]
    judge: str = ""

    @classmethod
    def of(cls, recipe: Mapping[str, Any]) -> Names:
        """From a recipe's TOML."""
        target = recipe.get("target", {}).get("model", "")
        strategies = {s["name"]: s["model"] for s in recipe.get("strategies", ()) if "model" in s}
        judges = {
            m.get("label", m["name"]): m["model"] for m in recipe.get("metrics", ()) if "model" in m
        }
        return cls(target, strategies, judges, recipe.get(JUDGE, {}).get("model", ""))


@dataclass(frozen=True)
class _Cause:
    """A change outside the recipe.

    accounted_for_by: the beginnings of places in the recipe whose change would explain it.
    """

    change: Change
    accounted_for_by: tuple[str, ...]


def causes_outside(
    pairs: Mapping[str, tuple[StepRecord, StepRecord]],
    names: Names,
    recipe_changes: Collection[Change],
) -> tuple[Change, ...]:
    """The causes of changed steps that no recipe change accounts for.

    pairs: by step, its records before and after.
    """
    places = [change.where for change in recipe_changes]
    causes: dict[str, Change] = {}
    for step, (old, new) in pairs.items():
        for cause in _causes(step, old, new, names):
            if not any(
                _within(place, known) for place in places for known in cause.accounted_for_by
            ):
                causes.setdefault(cause.change.where, cause.change)
    return tuple(causes.values())


def _causes(name: str, old: StepRecord, new: StepRecord, names: Names) -> Iterator[_Cause]:
    if old.version != new.version:
        yield _Cause(
            Change(
                f"respsel's operation '{new.op}'",
                f"version {old.version}",
                f"version {new.version}",
            ),
            (),
        )
    step = _Step.of(name, new, names)
    changes = changes_between(old.fields, new.fields)
    if reading := reading_of_tokenizer(changes):
        yield _Cause(reading, ())
    for change in changes:
        # A field that comes or goes does so with another kind of strategy, which the recipe says.
        if NOTHING not in (change.old, change.new) and (cause := _cause(change, step)):
            yield cause


@dataclass(frozen=True)
class _Step:
    """Where a step's fields come from.

    owner: the place in the recipe that owns it.
    model: the model that it asks.
    chosen: the place in the recipe that chooses the model.
    """

    op: str
    owner: str
    dataset: str
    model: str
    chosen: str
    metric: str

    @classmethod
    def of(cls, name: str, record: StepRecord, names: Names) -> _Step:
        step = StepName.parse(name)
        dataset = step.dataset
        strategy = f"strategies.{step.strategy}"
        owners = {
            "examples": f"datasets.{dataset}",
            "dataset-size": f"datasets.{dataset}",
            "validation": "validation",
            "responses": strategy,
            "composites": strategy,
        }
        owner = owners.get(record.op, "own_outputs")
        metric = step.detail if record.op == "scores" else ""
        if record.op == "responses":
            return cls(
                record.op,
                owner,
                dataset,
                names.strategies.get(step.strategy, ""),
                f"{strategy}.model",
                metric,
            )
        if "rubric" in record.fields:
            return cls(record.op, JUDGE, dataset, names.judge, f"{JUDGE}.model", metric)
        if record.op == "rewards":
            judged = f"metrics.{step.detail}"
            return cls(
                record.op,
                judged,
                dataset,
                names.metrics.get(step.detail, ""),
                f"{judged}.model",
                metric,
            )
        return cls(record.op, owner, dataset, names.target, "target.model", metric)


def _cause(change: Change, step: _Step) -> _Cause | None:
    head, _, tail = change.where.partition(".")
    model = f"models.{step.model}"
    if step.op == "validation" and change.where == "dataset.file":
        place = f"datasets.{step.dataset}"
        return _named(change, f"{place}.path (its content)", f"{place}.path")
    if head == "file":
        return _named(change, f"{step.owner}.path (its content)", f"{step.owner}.path")
    if change.where == TOKENIZER_READING:
        return None
    if head == "model" and tail == "version":
        return _named(change, f"{model}: respsel's fake backend", step.chosen, f"{model}.backend")
    if head == "model":
        entries = [f"{model}.{key}" for key in (*_ENTRY_KEYS.get(tail, (tail,)), "backend")]
        return _named(change, f"{model}.{tail}", step.chosen, *entries)
    if head in ("sampling", "seed") and step.op not in ("examples", "validation"):
        return _named(
            change,
            f"{model}.sampling.{tail or head}",
            step.chosen,
            f"{step.owner}.sampling",
            f"{model}.sampling",
        )
    if head == "metric_version":
        return _named(change, f"respsel's metric '{step.metric}', version")
    if ours := _OURS.get(change.where):
        return _named(change, f"respsel's {ours}, version")
    return None


def _named(change: Change, where: str, *accounted_for_by: str) -> _Cause:
    return _Cause(Change(where, change.old, change.new), accounted_for_by)


def _within(place: str, known: str) -> bool:
    return place == known or place.startswith(f"{known}.")
