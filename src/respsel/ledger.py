"""What is known of a graph's steps while it is planned or run: keys, records, output rows.

Invariant: a step's key is known only when the content of all its inputs is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from respsel.graph import Graph, Rows, Step
from respsel.store import StepRecord, Store


class Ledger:
    """The outputs known so far, by step name."""

    def __init__(self, graph: Graph, store: Store) -> None:
        self._graph, self._store = graph, store
        self._outputs: dict[str, str] = {}
        self._rows: dict[str, Rows] = {}
        self.counts: dict[str, int] = {}

    def key(self, step: Step) -> str | None:
        """The step's key, or None while an input is unknown."""
        digests = [self._outputs.get(name) for name in step.inputs]
        known = [value for value in digests if value is not None]
        return step.key(known) if len(known) == len(digests) else None

    def knows(self, names: Sequence[str]) -> bool:
        """Whether the outputs of all these steps are known."""
        return all(name in self._outputs for name in names)

    def recall(self, step: Step) -> bool:
        """Look a step up in the store; True if it has been run with just these inputs."""
        key = self.key(step)
        record = self._store.load_step(key) if key else None
        if record is None:
            return False
        self._outputs[step.name], self.counts[step.name] = record.output, record.rows
        return True

    def learn(self, step: Step, rows: Rows, output: str) -> None:
        """Note a step's output that was just made."""
        self._outputs[step.name], self.counts[step.name] = output, len(rows)
        self._rows[step.name] = rows

    def rows(self, name: str) -> Rows | None:
        """A known step's output rows; None if the store's copy is damaged or gone."""
        if name not in self._rows:
            found = self._store.load_rows(self._graph.steps[name].table, self._outputs[name])
            if found is None:
                return None
            self._rows[name] = found
        return self._rows[name]

    def output(self, name: str) -> str:
        """The digest of a known step's output."""
        return self._outputs[name]

    def record(self, step: Step, count: int) -> StepRecord:
        """The record to store for a step whose inputs and output are known."""
        table, output = step.table.name, self._outputs[step.name]
        return StepRecord(step.op, step.version, step.fields, self.inputs(step), table, output, count, step.asks)

    def why_run(self, step: Step, last: StepRecord | None) -> str:
        """In words, why a step with a known key is not in the store, given its last record here."""
        if last is None:
            return "not run before"
        changed = _changed_fields(last.fields, step.fields)
        if last.version != step.version:
            changed.append("operation")
        changed += [name.split(":")[0] for name, value in self.inputs(step).items() if last.inputs.get(name) != value]
        if changed:
            return ", ".join(dict.fromkeys(changed)) + " changed"
        return "its stored result is damaged or gone"

    def inputs(self, step: Step) -> Mapping[str, str]:
        """The digests of a step's inputs, by the inputs' names."""
        return {name: self._outputs[name] for name in step.inputs}


def _changed_fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    return ["the file" if name == "file" else name for name in changed]
