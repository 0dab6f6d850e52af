"""The stored step that is most like one which would run: "changed" is meant against this one.

Nearest is the record of the same operation with the fewest differing fields, inputs and version; of
several, the recipe's own last run of the step, then the newest. Inputs are matched by what they
are, not by their names, so a copied recipe or a renamed strategy finds what it was. Reads step
records only when it is first asked. Invariant: this is for people; nothing is reused on its word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from respsel.graph import Step
from respsel.graph.names import StepName
from respsel.plan.changes import flatten
from respsel.store.notes import latest_runs
from respsel.store.store import StepRecord, Store
from respsel.workspace.loaded_recipe import LoadedRecipe


@dataclass(frozen=True)
class StoredStep:
    """A finished step in the store.

    key: its key.
    record: its record.
    stored_at: when it was stored, in seconds since 1970.
    called: what the latest run that has it calls it; None if no latest run has it.
    flat: its fields, flattened.
    """

    key: str
    record: StepRecord
    stored_at: float
    called: str | None
    flat: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Nearest:
    """The stored step to compare with, and whether it is the recipe's own last run of this step."""

    stored: StoredStep
    own: bool

    @property
    def record(self) -> StepRecord:
        """Its record."""
        return self.stored.record


def input_slot(step_name: str, op: str) -> str:
    """What an input is to a step, to match it with a record's input.

    It is the kind, since a step has one of each; but some have several of one kind.
    """
    several = ("verdict", "preferences", "composites")
    return step_name if op in several else StepName.parse(step_name).op


def earlier_inputs(
    step: Step, inputs: Mapping[str, str | None], record: StepRecord
) -> dict[str, str]:
    """By slot, the digests of a record's inputs, as a step would name them.

    A verdict's input that has another name but the same content is the same input.
    """
    before = {input_slot(name, step.op): value for name, value in record.inputs.items()}
    slots = {input_slot(name, step.op): value for name, value in inputs.items()}
    if step.op != "verdict":
        return before
    gone = [slot for slot in before if slot not in slots]
    for slot, value in slots.items():
        if slot in before or value is None:
            continue
        was = next(
            (
                name
                for name in gone
                if before[name] == value and StepName.parse(name).op == StepName.parse(slot).op
            ),
            None,
        )
        if was is not None:
            gone.remove(was)
            before[slot] = before.pop(was)
    return before


class StoredSteps:
    """The steps that are in a store, for finding the nearest ones."""

    def __init__(self, store: Store, loaded: LoadedRecipe) -> None:
        self._store = store
        self._recipe = loaded.key
        self._root = loaded.workspace.root

    def nearest(self, step: Step, inputs: Mapping[str, str | None]) -> Nearest | None:
        """The record to compare a step with; inputs: the known digests of its inputs."""
        alike = self._by_op.get(step.op)
        if not alike:
            return None
        own = self._store.last_key(self._recipe, step.name)
        flat = flatten(step.fields)

        def rank(stored: StoredStep) -> tuple[int, bool, float]:
            return _differences(step, flat, inputs, stored), stored.key != own, -stored.stored_at

        closest = min(alike, key=rank)
        return Nearest(closest, closest.key == own)

    @cached_property
    def _by_op(self) -> Mapping[str, list[StoredStep]]:
        called = dict(self._names())
        by_op: dict[str, list[StoredStep]] = {}
        for name, stored_at in self._store.keys("step"):
            key = name.partition("/")[2]
            if record := self._store.load_step(key):
                stored = StoredStep(key, record, stored_at, called.get(key), flatten(record.fields))
                by_op.setdefault(record.op, []).append(stored)
        return by_op

    def _names(self) -> Iterator[tuple[str, str]]:
        # What a recipe shares with its variants is called the recipe's, which comes last.
        for run in sorted(latest_runs(self._store), key=lambda run: not run.variant):
            _, path = run.place.find(self._store.folder, self._root)
            shown = f"{path} ({run.purpose})" if run.variant else path
            yield from ((key, f"{step} of {shown}") for step, key in run.steps.items())


def _differences(
    step: Step, flat: Mapping[str, str], inputs: Mapping[str, str | None], stored: StoredStep
) -> int:
    record = stored.record
    fields = sum(flat.get(place) != stored.flat.get(place) for place in {*flat, *stored.flat})
    before = earlier_inputs(step, inputs, record)
    slots = {input_slot(name, step.op): value for name, value in inputs.items()}
    changed = sum(
        slots.get(slot) != before.get(slot)
        for slot in {*slots, *before}
        if slots.get(slot, "") is not None
    )
    return fields + changed + (record.version != step.version)
