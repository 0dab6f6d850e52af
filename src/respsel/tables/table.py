"""The contract of a table: how rows of one kind are digested, packed, and read back.

Knows nothing of particular kinds of rows. Invariant: a table's digest depends on its rows' content
and order only. It never depends on the parquet library, so an upgrade reruns nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from respsel.hashing import RunningDigest, canonical_json, digest
from respsel.tables.parquet import (
    ROWS_AT_ONCE,
    Columns,
    from_bytes,
    to_bytes,
    to_columns,
    to_frame,
)

if TYPE_CHECKING:
    import polars

Row = TypeVar("Row")


@dataclass(frozen=True)
class Packed:
    """A table as it is stored.

    digest: the digest of its content.
    data: its bytes.
    count: how many rows it has.
    problems: the different problems that its rows have; "" stands for none.
    """

    digest: str
    data: bytes
    count: int
    problems: frozenset[str]


@dataclass(frozen=True)
class Table(Generic[Row]):
    """How rows of one kind become a digest and parquet columns, and come back.

    name: the kind; it is in the digest and in the store's keys.
    digest_row: a row's part of the digest.
    to_columns: rows to the values of each column.
    from_columns: the values of each column to rows.
    column_types: by column, "str", "bool", "int", "float", "ints" or "floats".
    """

    name: str
    digest_row: Callable[[Row], bytes]
    to_columns: Callable[[Sequence[Row]], Columns]
    from_columns: Callable[[Columns], list[Row]]
    column_types: Mapping[str, str]

    def digest(self, rows: Sequence[Row]) -> str:
        """Return the digest of the rows' content, in order."""
        state = RunningDigest(f"table/{self.name}")
        for row in rows:
            state.update(self.digest_row(row))
        return state.hexdigest()

    def pack(self, rows: Iterable[Row]) -> Packed:
        """Return what the store keeps of rows.

        The rows are passed over once, with a few at a time in memory.
        """
        state = RunningDigest(f"table/{self.name}")
        frames = []
        problems = set()
        rest = iter(rows)
        while some := list(islice(rest, ROWS_AT_ONCE)):
            for row in some:
                state.update(self.digest_row(row))
                problems.add(getattr(row, "problem", ""))
            frames.append(self._frame(some))
        data, count = to_bytes(frames or [self._frame([])])
        return Packed(state.hexdigest(), data, count, frozenset(problems))

    def read(self, data: bytes, columns: Sequence[str] = ()) -> polars.DataFrame:
        """Read what `pack` made as a data frame: some columns, as far as it has them, or all."""
        return from_bytes(data, columns)

    def decode(self, data: bytes) -> Sequence[Row]:
        """Read what `pack` made; rows are made when they are looked at."""
        return _FrameRows(self, self.read(data))

    def rows_of(self, frame: polars.DataFrame) -> list[Row]:
        """The rows of a data frame."""
        return self.from_columns(to_columns(frame, self.column_types))

    def _frame(self, rows: Sequence[Row]) -> polars.DataFrame:
        return to_frame(self.to_columns(rows), self.column_types)


@dataclass(frozen=True)
class Document(Generic[Row]):
    """Rows that are few and nested, kept as JSON; used like a Table."""

    name: str
    from_json: Callable[[Any], Row]

    def digest(self, rows: Sequence[Row]) -> str:
        """Return the digest of the rows' content, in order."""
        return digest(f"table/{self.name}", self.encode(rows))

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return the rows as canonical JSON."""
        return canonical_json([asdict(row) for row in rows])  # type: ignore[call-overload]

    def pack(self, rows: Iterable[Row]) -> Packed:
        """Return all that the store keeps of rows."""
        some = list(rows)
        return Packed(self.digest(some), self.encode(some), len(some), frozenset())

    def decode(self, data: bytes) -> Sequence[Row]:
        """Read what `pack` made."""
        return [self.from_json(item) for item in json.loads(data)]


@dataclass(frozen=True)
class TextForm:
    """How a value that is nested is kept in a column of texts."""

    write: Callable[[Any], str]
    read: Callable[[str], Any]


def plain_table(
    name: str,
    kind: Callable[..., Row],
    column_types: Mapping[str, str],
    newer: Sequence[str] = (),
    forms: Mapping[str, TextForm] = MappingProxyType({}),
) -> Table[Row]:
    """A table of flat rows, one column a field.

    newer: columns that earlier versions did not have. Where they are empty they are not in a row's
    digest, so what follows from an earlier table is not made again.
    forms: of the columns whose values are kept as text.
    """

    def written(row: Row, column: str) -> Any:
        value = getattr(row, column)
        return forms[column].write(value) if column in forms else value

    def digest_row(row: Row) -> bytes:
        fields = {column: written(row, column) for column in column_types}
        return canonical_json(
            {column: value for column, value in fields.items() if value or column not in newer}
        )

    def to_columns(rows: Sequence[Row]) -> Columns:
        return {column: [written(row, column) for row in rows] for column in column_types}

    def from_columns(columns: Columns) -> list[Row]:
        for column in forms.keys() & columns.keys():
            columns[column] = list(map(forms[column].read, columns[column]))
        return [
            kind(**dict(zip(columns, values, strict=True)))
            for values in zip(*columns.values(), strict=True)
        ]

    return Table(name, digest_row, to_columns, from_columns, column_types)


class _FrameRows(Sequence[Row]):
    """The rows of a data frame. A few are objects at a time, since objects take far more memory."""

    def __init__(self, table: Table[Row], frame: polars.DataFrame) -> None:
        self._table = table
        self._frame = frame
        self._start = 0
        self._some = list[Row]()

    def __len__(self) -> int:
        return len(self._frame)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = index - self._start
        if not 0 <= place < len(self._some):
            if not 0 <= index < len(self):
                raise IndexError(index)
            self._start = index - index % ROWS_AT_ONCE
            place = index % ROWS_AT_ONCE
            self._some = self._table.rows_of(self._frame.slice(self._start, ROWS_AT_ONCE))
        return self._some[place]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented
