"""What changed between two runs: recipe, causes outside it, responses, scores and verdicts.

Reads the runs' records and, from the store, the tables they name. Knows nothing of how it is shown.
Invariant: what the store no longer has is named, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tomli

from respsel.errors import InputError, Problem
from respsel.graph import Rows
from respsel.graph.names import StepName
from respsel.history.causes import Names, causes_outside
from respsel.history.recorded_runs import RunRecord
from respsel.history.renames import Rename, find_renames, label_of
from respsel.history.selected_by import SelectedBy, selected_by
from respsel.metrics.registry import find_metric
from respsel.plan.changes import Change, changes_between
from respsel.plan.explain import InputChange, compare_rows
from respsel.selection.comparison import Comparison, compare
from respsel.selection.decide import is_weighed
from respsel.selection.rule import Rule
from respsel.store.store import StepRecord, Store
from respsel.tables.kinds import RESPONSES, SCORES
from respsel.tables.table import Table

_MOST_TEXTS = 3


@dataclass(frozen=True)
class ResponseChange:
    """A strategy's responses in both runs.

    texts: (id, old, new) of the first that changed.
    """

    name: str
    counts: InputChange
    texts: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class ScoreChange:
    """A metric of a strategy in both runs, paired over the examples that both have.

    was: the step's name in the first run, where that is another.
    """

    name: str
    was: str | None
    scale: str
    comparison: Comparison


@dataclass(frozen=True)
class VerdictChange:
    """A dataset's verdict before and after; None where a run has none."""

    dataset: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class RunDiff:
    """Everything that differs. All but `renames` has the second run's names.

    selected_by: the metrics that decided, where they are not the same.
    renames: what has another name in the second run.
    outside: causes that are not in the recipe's text.
    not_stored: steps whose tables or records are no longer in the store.
    not_installed: scores whose metric is not installed.
    """

    before: str
    after: str
    selected_by: SelectedBy | None
    renames: tuple[Rename, ...]
    recipe: tuple[Change, ...]
    outside: tuple[Change, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    responses: tuple[ResponseChange, ...]
    scores: tuple[ScoreChange, ...]
    verdicts: tuple[VerdictChange, ...]
    not_stored: tuple[str, ...]
    not_installed: tuple[str, ...]


def diff_runs(store: Store, old: RunRecord, new: RunRecord, confidence: float = 0.95) -> RunDiff:
    """Compare two recorded runs; what is the same in both is left out."""
    before = _recipe(old)
    after = _recipe(new)
    renames = find_renames(old, new, before, after)
    chosen = selected_by(old, new, before, after)
    was = {renames.step(name): name for name in old.steps}
    old = renames.run(old)
    recipe = _recipe_changes(renames.recipe(before), after)
    missing: list[str] = []
    unknown: list[str] = []
    changed = [
        name
        for name in new.steps
        if name in old.steps and old.steps[name].output != new.steps[name].output
    ]
    responses = [
        _responses(store, old, new, name, missing) for name in changed if _op(name) == "responses"
    ]
    scores = [
        _scores(store, old, new, name, confidence, missing, unknown)
        for name in changed
        if _op(name) == "scores"
    ]
    return RunDiff(
        before=old.folder.name,
        after=new.folder.name,
        selected_by=chosen,
        renames=tuple(renames),
        recipe=tuple(recipe),
        outside=causes_outside(_records(store, old, new, missing), Names.of(after), recipe),
        only_before=_only_in(old, new),
        only_after=_only_in(new, old),
        responses=tuple(item for item in responses if item is not None),
        scores=_called(scores, was),
        verdicts=_verdicts(old, new),
        not_stored=tuple(dict.fromkeys(missing)),
        not_installed=tuple(unknown),
    )


def _called(
    scores: Sequence[ScoreChange | None], was: Mapping[str, str]
) -> tuple[ScoreChange, ...]:
    """Those that could be compared; was: by name, the step's name in the first run."""
    return tuple(
        replace(item, was=None if was[item.name] == item.name else was[item.name])
        for item in scores
        if item is not None
    )


def _only_in(run: RunRecord, other: RunRecord) -> tuple[str, ...]:
    """The responses and scores that the other run does not have."""
    return tuple(
        name
        for name in run.steps
        if name not in other.steps and _op(name) in ("responses", "scores")
    )


def _recipe_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The places that differ, and lists whose common entries are in another order."""
    changes = changes_between(before, after)
    kinds = {"datasets": _name, "strategies": _name, "metrics": label_of}
    for kind, called in kinds.items():
        was = [called(entry) for entry in before.get(kind, ())]
        now = [called(entry) for entry in after.get(kind, ())]
        place = f"{kind} (their order)"
        changes += changes_between(
            {place: ", ".join(name for name in was if name in now)},
            {place: ", ".join(name for name in now if name in was)},
        )
    return changes


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry["name"])


def _op(name: str) -> str:
    return StepName.parse(name).op


def _recipe(run: RunRecord) -> Any:
    try:
        return tomli.loads(run.text.replace("\r\n", "\n"))
    except tomli.TOMLDecodeError as error:
        raise InputError(
            Problem(str(run.folder), "", f"its recipe is not TOML: {error}", "Run the recipe again")
        ) from error


def _records(
    store: Store, old: RunRecord, new: RunRecord, missing: list[str]
) -> Mapping[str, tuple[StepRecord, StepRecord]]:
    """The records, before and after, of steps that both runs have under other keys."""
    records = {}
    for name in new.steps:
        if name not in old.steps or old.steps[name].key == new.steps[name].key:
            continue
        before, after = (store.load_step(run.steps[name].key) for run in (old, new))
        if before is None or after is None:
            missing.append(name)
        else:
            records[name] = before, after
    return records


def _rows(
    store: Store, table: Table[Any], old: RunRecord, new: RunRecord, name: str, missing: list[str]
) -> Sequence[Rows]:
    rows = [store.load_rows(table, run.steps[name].output) for run in (old, new)]
    if None in rows:
        missing.append(name)
        return ()
    return [found for found in rows if found is not None]


def _responses(
    store: Store, old: RunRecord, new: RunRecord, name: str, missing: list[str]
) -> ResponseChange | None:
    rows = _rows(store, RESPONSES, old, new, name, missing)
    if not rows:
        return None
    before = {row.id: row.text for row in rows[0]}
    texts = [
        (row.id, before[row.id], row.text)
        for row in rows[1]
        if row.id in before and before[row.id] != row.text
    ]
    # Attempts and checks may differ too; people ask about the texts.
    counts = compare_rows(
        name, RESPONSES, *([replace(row, attempts=0, changed="") for row in side] for side in rows)
    )
    return ResponseChange(name, counts, tuple(texts[:_MOST_TEXTS]))


def _scores(
    store: Store,
    old: RunRecord,
    new: RunRecord,
    name: str,
    confidence: float,
    missing: list[str],
    unknown: list[str],
) -> ScoreChange | None:
    rows = _rows(store, SCORES, old, new, name, missing)
    record = store.load_step(new.steps[name].key)
    if not rows or record is None:
        return None
    metric = find_metric(record.fields["metric"])
    if metric is None:
        # Of a plug-in that was taken out since.
        unknown.append(name)
        return None
    rule = Rule(name, metric.direction, metric.scale, confidence, 10_000, 0)
    before, after = ({row.id: row.value for row in side} for side in rows)
    old_weights, new_weights = ({row.id: row.weight for row in side} for side in rows)
    weighed = is_weighed([{name: new_weights}])
    comparison = compare(before, after, rule, (old_weights, new_weights) if weighed else None)
    return None if comparison is None else ScoreChange(name, None, metric.scale, comparison)


def _verdicts(old: RunRecord, new: RunRecord) -> tuple[VerdictChange, ...]:
    def said(run: RunRecord) -> dict[str, str]:
        return {
            v.dataset: f"{v.winner or 'none'} ({'decided' if v.decided else 'undecided'})"
            for v in run.verdicts
        }

    before = said(old)
    after = said(new)
    names = dict.fromkeys([*before, *after])
    return tuple(VerdictChange(name, before.get(name), after.get(name)) for name in names)
