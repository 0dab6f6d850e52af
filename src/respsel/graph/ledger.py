"""What is known of a graph's steps while it is planned or run: keys, records, output rows.

Invariant: a step's key is known only when the content of all its inputs is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from types import MappingProxyType

from respsel.graph import Graph, Rows, Step
from respsel.records import TokenUsage
from respsel.store.notes import Unrecorded, load_latest
from respsel.store.store import StepRecord, Store


def load_unrecorded(store: Store, recipe: str) -> Mapping[str, Unrecorded]:
    """By name, the steps of a recipe's latest finished run that have no record; recipe: its key."""
    latest = load_latest(store, recipe)
    return latest.unrecorded if latest else {}


class Ledger:
    """The outputs known so far, by step name."""

    def __init__(
        self,
        graph: Graph,
        store: Store,
        unrecorded: Mapping[str, Unrecorded] = MappingProxyType({}),
    ) -> None:
        """unrecorded: tables to take as they are, so that nothing is asked again for them."""
        self._graph = graph
        self._store = store
        self._unrecorded = unrecorded
        self._outputs: dict[str, str] = {}
        self._rows: dict[str, Rows] = {}
        self.counts: dict[str, int] = {}
        # By step and model, the tokens of its calls, whenever they were made.
        self.took: dict[str, dict[str, TokenUsage]] = {}

    def clear(self) -> None:
        """Know nothing any more."""
        self._outputs.clear()
        self._rows.clear()
        self.counts.clear()
        self.took.clear()

    def key(self, step: Step) -> str | None:
        """The step's key, or None while an input is unknown."""
        if not step.awaits.is_known:
            return None
        digests = [self._outputs.get(name) for name in step.inputs.values()]
        known = [value for value in digests if value is not None]
        return step.key(known) if len(known) == len(digests) else None

    def knows(self, names: Iterable[str]) -> bool:
        """Whether the outputs of all these steps are known."""
        return all(name in self._outputs for name in names)

    def recall(self, step: Step) -> bool:
        """Look a step up in the store; True if it has been run with just these inputs."""
        key = self.key(step)
        record = self._store.load_step(key) if key else None
        if record is None:
            noted = self._unrecorded.get(step.name)
            if noted is None or noted.key != key:
                return False
            record = StepRecord(
                op=step.op,
                version=step.version,
                fields={},
                inputs={},
                table=noted.table,
                output=noted.output,
                rows=noted.rows,
                asks=step.asks,
                took=noted.took,
            )
        self._outputs[step.name] = record.output
        self.counts[step.name] = record.rows
        self.took[step.name] = {model: TokenUsage(*counts) for model, counts in record.took.items()}
        return True

    def learn(self, step: Step, output: str, count: int) -> None:
        """Note a step's output that was just made."""
        self._outputs[step.name] = output
        self.counts[step.name] = count

    def keep(self, name: str, rows: Rows) -> None:
        """Have a step's output rows at hand until they are dropped."""
        self._rows[name] = rows

    def drop(self, name: str) -> None:
        """Let go of a step's output rows."""
        self._rows.pop(name, None)

    def rows(self, name: str) -> Rows | None:
        """A known step's output rows, kept until they are dropped.

        None if the store's copy is damaged or gone.
        """
        if name not in self._rows:
            rows = self._store.load_rows(self._graph.steps[name].table, self._outputs[name])
            if rows is None:
                return None
            self._rows[name] = rows
        return self._rows[name]

    def output(self, name: str) -> str:
        """The digest of a known step's output."""
        return self._outputs[name]

    def forget_damaged(self) -> None:
        """Have the next run make every known step again whose table is damaged or gone.

        One run then repairs them all.
        """
        for name, output in self._outputs.items():
            step = self._graph.steps[name]
            if (key := self.key(step)) and not self._store.holds_rows(step.table, output):
                self._store.forget_step(key)

    def record(self, step: Step, count: int) -> StepRecord:
        """The record to store for a step whose inputs and output are known."""
        usage_by_model = self.took.get(step.name, {})
        return StepRecord(
            op=step.op,
            version=step.version,
            fields=step.fields,
            inputs=self.inputs(step),
            table=step.table.name,
            output=self._outputs[step.name],
            rows=count,
            asks=step.asks,
            took={model: list(astuple(usage)) for model, usage in usage_by_model.items()},
        )

    def inputs(self, step: Step) -> Mapping[str, str]:
        """The digests of a step's inputs, by the inputs' names."""
        return {name: self._outputs[name] for name in step.inputs.values()}

    def known_inputs(self, step: Step) -> Mapping[str, str | None]:
        """The same, with None for those that are not known yet."""
        return {name: self._outputs.get(name) for name in step.inputs.values()}
