"""How each kind of rows is digested, written as parquet, and read back.

Invariant: a table's digest depends on its rows' content and order only, never on the parquet
library that wrote it, so an upgrade reruns nothing.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from respsel.hashing import RunningDigest, canonical_json, digest
from respsel.records import (
    Example,
    OwnOutput,
    Represented,
    Response,
    Score,
    ScoredResponse,
    TokenScores,
)

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars

# Kinds of columns with a list in each row.
_LISTS = ("ints", "floats")
_ROWS_AT_ONCE = 1024
# Parquet is written by groups of rows, of which one at a time is in memory; polars' own are 64
# times as large.
_ROWS_IN_GROUP = 4096

Row = TypeVar("Row")
Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Packed:
    """A table as it is stored: its content's digest, its bytes, its number of rows, and which
    problems they have.
    """

    digest: str
    data: bytes
    count: int
    problems: frozenset[str]


@dataclass(frozen=True)
class Table(Generic[Row]):
    """How rows of one kind become digest parts and parquet columns, and come back."""

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

    def encode(self, rows: Iterable[Row]) -> bytes:
        """Return the rows as one parquet file."""
        return self.pack(rows).data

    def pack(self, rows: Iterable[Row]) -> Packed:
        """Return all that the store keeps of rows, in one pass over them with a few at a time in
        memory.
        """
        import polars as pl

        state = RunningDigest(f"table/{self.name}")
        frames = []
        problems = set()
        rest = iter(rows)
        while some := list(islice(rest, _ROWS_AT_ONCE)):
            for row in some:
                state.update(self.digest_row(row))
                problems.add(getattr(row, "problem", ""))
            frames.append(self._slice(some))
        frame = pl.concat(frames or [self._slice([])])
        buffer = io.BytesIO()
        frame.write_parquet(buffer, row_group_size=_ROWS_IN_GROUP)
        return Packed(state.hexdigest(), buffer.getvalue(), len(frame), frozenset(problems))

    def _slice(self, rows: Sequence[Row]) -> polars.DataFrame:
        import polars as pl

        columns = self.to_columns(rows)
        types = {name: _polars_type(kind) for name, kind in self.column_types.items()}
        return pl.DataFrame(
            [
                _lists(name, columns[name], types[name])
                if self.column_types[name] in _LISTS
                else pl.Series(name, columns[name], types[name])
                for name in types
            ]
        )

    def read(self, data: bytes, columns: Sequence[str] = ()) -> polars.DataFrame:
        """Read what `encode` wrote as a data frame: some columns, as far as it has them, or all."""
        import polars as pl

        wanted = (
            [name for name in pl.read_parquet_schema(io.BytesIO(data)) if name in columns]
            if columns
            else None
        )
        return pl.read_parquet(io.BytesIO(data), columns=wanted)

    def decode(self, data: bytes) -> Sequence[Row]:
        """Read what `encode` wrote; rows are made when they are looked at."""
        return _FrameRows(self, self.read(data))

    def rows_of(self, frame: polars.DataFrame) -> list[Row]:
        """The rows of a data frame."""
        # A table of an earlier version may lack a column.
        kinds = [(name, kind) for name, kind in self.column_types.items() if name in frame.columns]
        return self.from_columns(
            {n: _arrays(frame[n]) if kind in _LISTS else frame[n].to_list() for n, kind in kinds}
        )


class _FrameRows(Sequence[Row]):
    """The rows of a data frame, of which a few are objects at a time: as objects they take many
    times the room.
    """

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
            self._start = index - index % _ROWS_AT_ONCE
            place = index % _ROWS_AT_ONCE
            self._some = self._table.rows_of(self._frame.slice(self._start, _ROWS_AT_ONCE))
        return self._some[place]

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented


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
        """Read what `encode` wrote."""
        return [self.from_json(item) for item in json.loads(data)]


def _polars_type(kind: str) -> Any:
    import polars as pl

    simple = {"str": pl.String, "bool": pl.Boolean, "int": pl.Int64, "float": pl.Float64}
    lists = {"ints": pl.List(pl.Int32), "floats": pl.List(pl.Float32)}
    return simple.get(kind) or lists[kind]


def _lists(name: str, arrays: Sequence[npt.NDArray[Any] | None], kind: Any) -> polars.Series:
    """A column of lists from an array a row.

    Given the arrays one by one, polars takes ten times as long.
    """
    import numpy as np
    import polars as pl

    if not arrays:
        return pl.Series(name, [], kind)
    # Grouping has no empty groups: a row of no values gets one that is left out again.
    empty = [array is None or not len(array) for array in arrays]
    filled = [np.zeros(1) if none else array for array, none in zip(arrays, empty, strict=True)]
    rows = np.repeat(np.arange(len(arrays)), [len(array) for array in filled])  # type: ignore[arg-type]
    real = ~np.array(empty)[rows]
    values = pl.Series(np.concatenate(filled)).cast(kind.inner)  # type: ignore[arg-type]
    frame = pl.DataFrame({"row": rows, "real": real, name: values})
    return frame.group_by("row", maintain_order=True).agg(pl.col(name).filter(pl.col("real")))[name]


def _arrays(lists: polars.Series) -> list[npt.NDArray[Any]]:
    """The rows of a column of lists, as parts of one array."""
    lengths = lists.list.len()
    # Hazard: explode makes a null of an empty list.
    values = lists.filter(lengths > 0).explode().to_numpy()
    ends = lengths.cum_sum().to_list()
    return [values[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def plain_table(
    name: str, kind: Callable[..., Row], column_types: Mapping[str, str], newer: Sequence[str] = ()
) -> Table[Row]:
    """A table of flat rows, one column a field.

    newer: columns that earlier versions did not have. Where they are empty they are not in a row's
    digest, so what follows from an earlier table is not made again.
    """

    def digest_row(row: Row) -> bytes:
        fields = {column: getattr(row, column) for column in column_types}
        return canonical_json(
            {column: value for column, value in fields.items() if value or column not in newer}
        )

    def to_columns(rows: Sequence[Row]) -> Columns:
        return {column: [getattr(row, column) for row in rows] for column in column_types}

    def from_columns(columns: Columns) -> list[Row]:
        return [
            kind(**dict(zip(columns, values, strict=True)))
            for values in zip(*columns.values(), strict=True)
        ]

    return Table(name, digest_row, to_columns, from_columns, column_types)


def _example_digest(row: Example) -> bytes:
    fields = {"id": row.id, "input": row.input, "reference": row.reference, "label": row.label}
    # What is as it was in earlier versions is in no digest.
    copies = {} if row.copies == 1 else {"copies": row.copies}
    return canonical_json({**fields, "columns": dict(row.columns), **copies})


def _examples_to_columns(rows: Sequence[Example]) -> Columns:
    return {
        "id": [row.id for row in rows],
        "input": [row.input for row in rows],
        "reference": [row.reference for row in rows],
        "label": [row.label for row in rows],
        "columns": [canonical_json(dict(row.columns)).decode() for row in rows],
        "copies": [row.copies for row in rows],
    }


def _examples_from_columns(columns: Columns) -> list[Example]:
    names = ("id", "input", "reference", "label", "columns")
    copies = columns.get("copies") or [1] * len(columns["id"])
    values = zip(*(columns[name] for name in names), copies, strict=True)
    return [
        Example(i, text, reference, label, json.loads(more), n)
        for i, text, reference, label, more, n in values
    ]


def _scored_digest(row: ScoredResponse) -> bytes:
    head = canonical_json([row.id, row.prompt_tokens, row.response_tokens, row.problem, row.place])
    if row.scores is None:
        return head
    scores = row.scores
    arrays = (
        scores.token_ids.astype("<i4"),
        scores.nll.astype("<f4"),
        scores.rank.astype("<i4"),
        scores.entropy.astype("<f4"),
    )
    lengths = b"" if scores.lengths is None else scores.lengths.astype("<i4").tobytes()
    return head + b"\0" + b"".join(array.tobytes() for array in arrays) + lengths


_SCORED_ARRAYS = ("token_ids", "nll", "rank", "entropy", "lengths")


def _scored_to_columns(rows: Sequence[ScoredResponse]) -> Columns:
    return {
        "id": [row.id for row in rows],
        "prompt_tokens": [row.prompt_tokens for row in rows],
        "response_tokens": [row.response_tokens for row in rows],
        "problem": [row.problem for row in rows],
        "place": [row.place for row in rows],
        **{
            name: [None if row.scores is None else getattr(row.scores, name) for row in rows]
            for name in _SCORED_ARRAYS
        },
    }


def _scored_from_columns(columns: Columns) -> list[ScoredResponse]:
    def scores(ids: Any, nll: Any, rank: Any, entropy: Any, lengths: Any) -> TokenScores:
        return TokenScores(ids, nll, rank, entropy, lengths if len(lengths) == len(ids) else None)

    names = ("id", "prompt_tokens", "response_tokens", "problem")
    arrays = (columns[name] for name in _SCORED_ARRAYS)
    places = columns.get("place") or [""] * len(columns["id"])
    return [
        ScoredResponse(
            i, prompt_tokens, response_tokens, None if problem else scores(*some), problem, place
        )
        for i, prompt_tokens, response_tokens, problem, place, *some in zip(
            *(columns[name] for name in names), places, *arrays, strict=True
        )
    ]


def _represented_digest(row: Represented) -> bytes:
    vector = b"" if row.vector is None else row.vector.astype("<f4").tobytes()
    return canonical_json([row.id, row.sample, row.problem]) + b"\0" + vector


def _represented_to_columns(rows: Sequence[Represented]) -> Columns:
    return {
        name: [getattr(row, name) for row in rows] for name in ("id", "sample", "problem", "vector")
    }


def _represented_from_columns(columns: Columns) -> list[Represented]:
    values = zip(*columns.values(), strict=True)
    return [
        Represented(i, sample, None if problem else vector, problem)
        for i, sample, problem, vector in values
    ]


EXAMPLES = Table(
    "examples",
    _example_digest,
    _examples_to_columns,
    _examples_from_columns,
    {
        "id": "str",
        "input": "str",
        "reference": "str",
        "label": "str",
        "columns": "str",
        "copies": "int",
    },
)
RESPONSES = plain_table(
    "responses",
    Response,
    {
        "id": "str",
        "text": "str",
        "problem": "str",
        "correct": "bool",
        "truncated": "bool",
        "attempts": "int",
        "changed": "str",
    },
    newer=["changed"],
)
OWN_OUTPUTS = plain_table(
    "own-outputs",
    OwnOutput,
    {
        "id": "str",
        "sample": "int",
        "text": "str",
        "problem": "str",
        "correct": "bool",
        "truncated": "bool",
        "changed": "str",
    },
    newer=["changed"],
)
SCORES = plain_table(
    "scores", Score, {"id": "str", "value": "float", "problem": "str", "weight": "float"}
)
REPRESENTATIONS = Table(
    "representations",
    _represented_digest,
    _represented_to_columns,
    _represented_from_columns,
    {"id": "str", "sample": "int", "problem": "str", "vector": "floats"},
)
TOKEN_SCORES = Table(
    "token-scores",
    _scored_digest,
    _scored_to_columns,
    _scored_from_columns,
    {
        "id": "str",
        "prompt_tokens": "int",
        "response_tokens": "int",
        "problem": "str",
        "place": "str",
        "token_ids": "ints",
        "nll": "floats",
        "rank": "ints",
        "entropy": "floats",
        "lengths": "ints",
    },
)


def stack(path: Path, parts: Iterable[tuple[Mapping[str, str], polars.DataFrame]]) -> None:
    """Write frames of one kind as one parquet file, with one of them in memory at a time.

    Each part's names become its rows' first columns. Files beside `path` are made on the way and
    removed.
    """
    import polars as pl

    files: list[Path] = []
    try:
        for names, frame in parts:
            files.append(path.with_name(f"{path.name}.{len(files)}"))
            named = frame.select(
                *(pl.lit(value).alias(name) for name, value in names.items()), pl.all()
            )
            # Small groups are what is then copied at once; these files do not last, so they are
            # packed lightly. Hazard: polars takes a path for a pattern, an address or a home, so
            # that it is given open files.
            with files[-1].open("wb") as handle:
                named.write_parquet(handle, compression="lz4", row_group_size=_ROWS_AT_ONCE)
            del frame, named
        with path.open("wb") as handle:
            if files:
                pl.scan_parquet([_source(file) for file in files], glob=False).sink_parquet(
                    handle, row_group_size=_ROWS_IN_GROUP
                )
            else:
                pl.DataFrame().write_parquet(handle)
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _source(file: Path) -> Any:
    """What polars reads a file from: its absolute path, or its bytes where the path is not text,
    which polars needs.
    """
    try:
        str(file).encode("utf-8")
    except UnicodeEncodeError:
        return io.BytesIO(file.read_bytes())
    return file.absolute()
