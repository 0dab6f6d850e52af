"""Why a step is cached or would run: what changed against the nearest stored step, old and new.

Invariant: like planning, it opens no model and stores nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from respsel.errors import InputError, Problem, close_match
from respsel.graph import Graph, Rows, Step
from respsel.graph.names import StepName
from respsel.plan.changes import TOKENIZER_READING, Change, changes_between, reading_of_tokenizer
from respsel.plan.nearest import earlier_inputs, input_slot
from respsel.plan.plan import PlannedStep, Walked, described, walk
from respsel.recipe.judge import JUDGE
from respsel.store.store import StepRecord, Store
from respsel.tables.table import Table


@dataclass(frozen=True)
class InputChange:
    """An input whose content changed, counted in rows by id.

    The counts are None where the old rows are no longer stored, or the input has no rows.

    name: the step that gives the input.
    added: how many rows are new.
    gone: how many are gone.
    changed: how many have other content.
    same: how many are the same.
    words: what changed of an input that has no rows.
    """

    name: str
    added: int | None
    gone: int | None
    changed: int | None
    same: int | None
    words: str = ""


@dataclass(frozen=True)
class Explanation:
    """A step, what a run would do with it, and the reasons.

    against: what it was compared with, where that is not the recipe's own last run of the step.
    stored_at: since when a cached step's result is stored (seconds since 1970).
    """

    step: PlannedStep
    changes: tuple[Change, ...]
    inputs: tuple[InputChange, ...]
    against: str | None = None
    stored_at: float | None = None


def explain(graph: Graph, store: Store, name: str | None) -> list[Explanation]:
    """Explain all steps, or some of them. Raises InputError if there is no such step.

    name: a step's name, how names begin, or a part of them (a strategy, a dataset).
    """
    explanations = [_explain(graph, walked, store) for walked in walk(graph, store)]
    if name is None:
        return explanations
    chosen = [item for item in explanations if item.step.name == name] or [
        item for item in explanations if item.step.name.startswith(name)
    ]
    chosen = chosen or [item for item in explanations if name in _parts(item.step.name)]
    if not chosen:
        names = [item.step.name for item in explanations]
        known = {part for step in names for part in (step, *_parts(step))}
        hint = close_match(name, known) or "respsel plan lists them"
        raise InputError(Problem(graph.loaded.shown, name, "is not a step of this recipe", hint))
    return chosen


def _parts(step: str) -> list[str]:
    name = StepName.parse(step)
    return [name.op, *filter(None, name.parts)]


def _explain(graph: Graph, walked: Walked, store: Store) -> Explanation:
    step = walked.step
    planned = walked.planned
    nearest = walked.nearest
    if planned.state == "cached":
        return Explanation(
            planned, (), (), stored_at=store.stored_at(f"step/{walked.ledger.key(step)}")
        )
    if nearest is None:
        return Explanation(planned, (), ())
    record = nearest.record
    differences = changes_between(record.fields, step.fields)
    reading = reading_of_tokenizer(differences)
    changes = [reading] if reading else []
    changes += [
        Change(_place(step, c.where), c.old, c.new)
        for c in differences
        if c.where != TOKENIZER_READING
    ]
    if record.version != step.version:
        changes.append(
            Change(
                f"respsel's operation '{step.op}'",
                f"version {record.version}",
                ": ".join([f"version {step.version}", *_news(step, record.version)]),
            )
        )
    inputs = _input_changes(graph, walked, record, store) if planned.state == "run" else ()
    return Explanation(
        planned, tuple(changes), tuple(inputs), None if nearest.own else described(nearest)
    )


def _news(step: Step, version: int) -> list[str]:
    """In words, why an operation's version was raised since an earlier one, at most one text."""
    since = dict.fromkeys(words for at, words in sorted(step.news.items()) if at > version)
    return ["; ".join(since)] if since else []


def _input_changes(
    graph: Graph, walked: Walked, record: StepRecord, store: Store
) -> Iterator[InputChange]:
    step = walked.step
    ledger = walked.ledger
    inputs = ledger.inputs(step)
    earlier = earlier_inputs(step, inputs, record)
    for name, output in inputs.items():
        before = earlier.get(input_slot(name, step.op))
        if before == output:
            continue
        table = graph.steps[name].table
        if not isinstance(table, Table):
            # The laps of a race: the one document that steps take.
            words = "there was no race" if before is None else "the race went differently"
            yield InputChange(name, None, None, None, None, words)
            continue
        if before is None:
            yield InputChange(name, None, None, None, None, "it was no input before")
            continue
        yield compare_rows(
            name,
            table,
            store.load_rows(table, before),
            ledger.rows(name),
        )


def compare_rows(name: str, table: Table[Any], old: Rows | None, new: Rows | None) -> InputChange:
    """Count by id how many rows are new, gone, changed and the same."""
    if old is None or new is None:
        return InputChange(name, None, None, None, None)
    before, after = (
        {(row.id, getattr(row, "sample", 0)): table.digest_row(row) for row in rows}
        for rows in (old, new)
    )
    both = [key for key in after if key in before]
    changed = sum(before[key] != after[key] for key in both)
    return InputChange(
        name, len(after) - len(both), len(before) - len(both), changed, len(both) - changed
    )


def _place(step: Step, field: str) -> str:
    """The place in the recipe of a key's field."""
    name = StepName.parse(step.name)
    head, _, tail = field.partition(".")
    if head == "answer":
        return f"datasets.{name.dataset}.{field}"
    if step.op == "validation" and head == "dataset":
        return f"datasets.{name.dataset}.{_shown(tail)}"
    owners = {
        "examples": f"datasets.{name.dataset}",
        "dataset-size": f"datasets.{name.dataset}",
        "validation": "validation",
        "responses": f"strategies.{name.strategy}",
        "composites": f"strategies.{name.strategy}",
        "own-outputs": "own_outputs",
    }
    if step.op in owners:
        return f"{owners[step.op]}.{_shown(field)}"
    if step.op in ("token-scores", "representations", "race"):
        return f"target.{field}" if head == "model" else field
    if "rubric" in step.fields:
        return f"{JUDGE}.{field}"
    if step.op in ("scores", "mixes", "rewards"):
        return f"metrics.{name.detail}.{tail if head == 'parameters' else field}"
    if field == "strategies":
        return "strategies (their names)"
    return f"selection.{tail if head == 'rule' else field}"


def _shown(field: str) -> str:
    return "path (its content)" if field == "file" else field
