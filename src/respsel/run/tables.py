"""The output tables of a graph's steps, as rows or as data frames.

Knows nothing of how a step is made. Invariant: a table whose stored copy is damaged or gone is made
again before it is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from respsel.graph import Graph, Rows, Step
from respsel.graph.ledger import Ledger
from respsel.records import TokenUsage
from respsel.store.store import Store
from respsel.tables.table import Table

if TYPE_CHECKING:
    import polars


class Tables:
    """The outputs of steps that the ledger knows."""

    def __init__(
        self, graph: Graph, store: Store, ledger: Ledger, make_again: Callable[[Step], None]
    ) -> None:
        """make_again: makes a step whose stored table is damaged.

        It raises RunError if the content differs from before.
        """
        self.store = store
        self._graph = graph
        self._ledger = ledger
        self._make_again = make_again

    def rows(self, name: str) -> Rows:
        """A step's output, kept in memory until the ledger drops it."""
        rows = self._ledger.rows(name)
        if rows is None:
            self._make_again(self._graph.steps[name])
            rows = self._ledger.rows(name)
            assert rows is not None
        return rows

    def take_rows(self, name: str) -> Rows:
        """A step's output, not kept in memory."""
        rows = self.rows(name)
        self._ledger.drop(name)
        return rows

    def frame(self, name: str, columns: Sequence[str] = ()) -> polars.DataFrame:
        """A step's output, or some columns of it, as a data frame."""
        step = self._graph.steps[name]
        assert isinstance(step.table, Table)
        frame = self.store.load_frame(step.table, self._ledger.output(name), columns)
        if frame is None:
            self._make_again(step)
            frame = self.store.load_frame(step.table, self._ledger.output(name), columns)
            assert frame is not None
        return frame

    def count(self, name: str) -> int:
        """The number of a step's output rows."""
        return self._ledger.counts[name]

    def output(self, name: str) -> str:
        """The digest of a step's output."""
        return self._ledger.output(name)

    def took(self, name: str) -> Mapping[str, TokenUsage]:
        """By model, the tokens of a step's calls, whenever they were made."""
        return self._ledger.took.get(name, {})

    def key(self, name: str) -> str:
        """The key of a step whose inputs are known."""
        key = self._ledger.key(self._graph.steps[name])
        assert key is not None, "a step that runs has all its inputs"
        return key
