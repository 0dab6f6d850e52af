"""The metric that decided in each of two runs, where that is not the same.

Knows nothing of tables. Invariant: runs whose verdicts are about different things are never shown
as if only their numbers differed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from respsel.history.recorded_runs import RunRecord
from respsel.history.renames import label_of
from respsel.metrics.registry import choose
from respsel.plan.changes import changes_between
from respsel.recipe.places import plain_place
from respsel.recipe.schema import MetricEntry


@dataclass(frozen=True)
class SelectedBy:
    """Another metric decides.

    old, new: the metrics, with what differs in them.
    comparable: it is the same metric, and only its label is another.
    """

    old: str
    new: str
    comparable: bool


def selected_by(
    old: RunRecord, new: RunRecord, before: Mapping[str, Any], after: Mapping[str, Any]
) -> SelectedBy | None:
    """The metrics that decided; None if it is one and the same. before, after: the recipes."""
    first = _decider(before)
    second = _decider(after)
    if first is None or second is None:
        return None
    changes = changes_between(_parameters(first), _parameters(second))
    turned = _direction(old) != _direction(new)
    comparable = first["name"] == second["name"] and not changes and not turned
    if comparable and label_of(first) == label_of(second):
        return None
    details: list[tuple[str, str]] = []
    if first["name"] != second["name"]:
        details.append((_named(first), _named(second)))
    else:
        details += [(f"{c.where} = {c.old}", f"{c.where} = {c.new}") for c in changes]
    if turned:
        details.append((f"{_direction(old)} is better", f"{_direction(new)} is better"))
    return SelectedBy(
        _told(first, [one for one, _ in details]),
        _told(second, [other for _, other in details]),
        comparable,
    )


def _decider(recipe: Mapping[str, Any]) -> Mapping[str, Any] | None:
    metrics: list[Mapping[str, Any]] = list(recipe.get("metrics", ()))
    chosen = recipe.get("selection", {}).get("metric")
    if chosen is None:
        return metrics[0] if metrics else None
    return next((entry for entry in metrics if label_of(entry) == chosen), None)


def _parameters(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    """All parameters, those at their defaults too; of a metric that is not installed, the given."""
    entry = MetricEntry.model_validate(metric)
    chosen, _ = choose(entry, plain_place(""))
    if chosen is None:
        return entry.parameters
    # The direction is told in words.
    values: Mapping[str, Any] = chosen.fields["parameters"]
    return values


def _direction(run: RunRecord) -> str:
    return next((verdict.direction for verdict in run.verdicts), "")


def _named(metric: Mapping[str, Any]) -> str:
    """The metric's own name, where its label is another."""
    return "" if label_of(metric) == metric["name"] else str(metric["name"])


def _told(metric: Mapping[str, Any], details: list[str]) -> str:
    told = ", ".join(filter(None, details))
    return f"{label_of(metric)} ({told})" if told else label_of(metric)
