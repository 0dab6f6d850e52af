"""Why a step is cached or would run: what changed against its last run in this recipe, old and new.

Invariant: like planning, it opens no model and stores nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respsel.errors import InputError, Problem, suggest
from respsel.graph import Graph, Rows, Step
from respsel.ledger import Ledger
from respsel.planner import PlannedStep, walk
from respsel.store import StepRecord, Store
from respsel.tables import Table

_MOST_SHOWN = 70


@dataclass(frozen=True)
class Change:
    """A field that changed: its place in the recipe, its old and its new value as text."""

    where: str
    old: str
    new: str


@dataclass(frozen=True)
class InputChange:
    """An input whose content changed; rows by id. None where the old rows are no longer stored."""

    name: str
    added: int | None
    gone: int | None
    changed: int | None
    same: int | None


@dataclass(frozen=True)
class Explanation:
    """A step, what a run would do with it, and the reasons."""

    step: PlannedStep
    changes: tuple[Change, ...]
    inputs: tuple[InputChange, ...]


def explain(graph: Graph, store: Store, name: str | None) -> list[Explanation]:
    """Explain all steps, or those whose name is or begins with `name`. Raises InputError if there is none."""
    found = [_explain(graph, step, planned, ledger, store) for step, planned, ledger in walk(graph, store)]
    if name is None:
        return found
    chosen = [item for item in found if item.step.name == name] or [item for item in found if item.step.name.startswith(name)]
    if not chosen:
        known = [item.step.name for item in found]
        raise InputError(Problem(graph.loaded.shown, name, "is no step of this recipe", suggest(name, known)))
    return chosen


def flatten(value: Any, path: str = "") -> dict[str, str]:
    """A nested value as {dotted path: text}; named items of lists go by their names."""
    if isinstance(value, Mapping):
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)) and value and all(isinstance(item, Mapping) for item in value):
        # A metric that is used twice goes by its label; a dataset's "label" is one of its columns.
        names = ("label", "name") if path.endswith("metrics") else ("name",)
        items = [(next((str(item[n]) for n in names if n in item), str(i)), item) for i, item in enumerate(value)]
    else:
        return {path: value if isinstance(value, str) else "none" if value is None else str(value)}
    flat: dict[str, str] = {}
    for key, item in items:
        flat |= flatten(item, f"{path}.{key}" if path else key)
    return flat


def changes_between(old: Any, new: Any) -> list[Change]:
    """The places where two nested values differ, with both values cut to what differs."""
    before, after = flatten(old), flatten(new)
    places = [place for place in {**before, **after} if before.get(place) != after.get(place)]
    return [Change(place, *_shortened(before.get(place, "nothing"), after.get(place, "nothing"))) for place in places]


def _explain(graph: Graph, step: Step, planned: PlannedStep, ledger: Ledger, store: Store) -> Explanation:
    last = store.load_last(graph.loaded.key, step.name)
    if planned.state == "cached" or last is None:
        return Explanation(planned, (), ())
    changes = [Change(_place(step, change.where), change.old, change.new) for change in changes_between(last.fields, step.fields)]
    if last.version != step.version:
        changes.append(Change(f"respsel's operation '{step.op}'", f"version {last.version}", f"version {step.version}"))
    inputs = _input_changes(graph, step, last, ledger, store) if planned.state == "run" else ()
    return Explanation(planned, tuple(changes), tuple(inputs))


def _input_changes(graph: Graph, step: Step, last: StepRecord, ledger: Ledger, store: Store) -> Iterator[InputChange]:
    for name, output in ledger.inputs(step).items():
        before = last.inputs.get(name)
        if before == output:
            continue
        table = graph.steps[name].table
        assert isinstance(table, Table), "only the verdict is a document, and no step takes it"
        yield compare_rows(name, table, None if before is None else store.load_rows(table, before), ledger.rows(name))


def compare_rows(name: str, table: Table[Any], old: Rows | None, new: Rows | None) -> InputChange:
    """Count by id how many rows are new, gone, changed and the same."""
    if old is None or new is None:
        return InputChange(name, None, None, None, None)
    before, after = ({(row.id, getattr(row, "sample", 0)): table.digest_row(row) for row in rows} for rows in (old, new))
    both = [key for key in after if key in before]
    changed = sum(before[key] != after[key] for key in both)
    return InputChange(name, len(after) - len(both), len(before) - len(both), changed, len(both) - changed)


def _place(step: Step, field: str) -> str:
    """Where a key's field stands in the recipe."""
    dataset, *rest = step.name.partition(":")[2].split("/")
    head, _, tail = field.partition(".")
    if head == "answer":
        return f"datasets.{dataset}.{field}"
    if step.op == "examples":
        return f"datasets.{dataset}.{'path (its content)' if field == 'file' else field}"
    if step.op == "responses":
        return f"strategies.{rest[0]}.{'path (its content)' if field == 'file' else field}"
    if step.op == "own-outputs":
        return f"own_outputs.{field}"
    if step.op in ("token-scores", "race"):
        return f"target.{field}" if head == "model" else field
    if step.op == "scores":
        return f"metrics.{rest[1]}.{tail if head == 'parameters' else field}"
    return f"selection.{tail if head == 'rule' else field}"


def _shortened(old: str, new: str) -> Sequence[str]:
    """Cut two texts to the stretch around their first difference."""
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start = max(0, start - 20) if max(len(old), len(new)) > _MOST_SHOWN else 0
    return [_window(text, start) for text in (old, new)]


def _window(text: str, start: int) -> str:
    end = start + _MOST_SHOWN
    cut = text[start:end].replace("\n", "\\n")
    return f"{'…' if start else ''}{cut}{'…' if end < len(text) else ''}"
