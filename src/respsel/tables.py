"""How each kind of rows is digested, written as parquet, and read back.

Invariant: a table's digest depends on its rows' content and order only, never on the parquet library that
wrote it, so an upgrade reruns nothing.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from respsel.hashing import RunningDigest, canonical_json, digest
from respsel.records import Example, OwnOutput, Response, Score, ScoredResponse, TokenScores

if TYPE_CHECKING:
    import polars

Row = TypeVar("Row")
Columns = dict[str, list[Any]]


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

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Return the rows as one parquet file."""
        buffer = io.BytesIO()
        self.frame(rows).write_parquet(buffer)
        return buffer.getvalue()

    def frame(self, rows: Sequence[Row]) -> polars.DataFrame:
        """Return the rows as a data frame."""
        import polars as pl

        types = {name: _polars_type(kind) for name, kind in self.column_types.items()}
        return pl.DataFrame(self.to_columns(rows), schema=types)

    def decode(self, data: bytes) -> list[Row]:
        """Read what `encode` wrote."""
        import polars as pl

        frame = pl.read_parquet(io.BytesIO(data))
        return self.from_columns({name: frame[name].to_list() for name in self.column_types})


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

    def decode(self, data: bytes) -> list[Row]:
        """Read what `encode` wrote."""
        return [self.from_json(item) for item in json.loads(data)]


def _polars_type(kind: str) -> Any:
    import polars as pl

    simple = {"str": pl.String, "bool": pl.Boolean, "int": pl.Int64, "float": pl.Float64}
    lists = {"ints": pl.List(pl.Int32), "floats": pl.List(pl.Float32)}
    return simple.get(kind) or lists[kind]


def plain_table(name: str, kind: Callable[..., Row], column_types: Mapping[str, str]) -> Table[Row]:
    """A table of flat rows, one column a field."""

    def digest_row(row: Row) -> bytes:
        return canonical_json(asdict(row))  # type: ignore[call-overload]

    def to_columns(rows: Sequence[Row]) -> Columns:
        return {column: [getattr(row, column) for row in rows] for column in column_types}

    def from_columns(columns: Columns) -> list[Row]:
        return [kind(*values) for values in zip(*columns.values(), strict=True)]

    return Table(name, digest_row, to_columns, from_columns, column_types)


def _examples_to_columns(rows: Sequence[Example]) -> Columns:
    return {
        "id": [row.id for row in rows],
        "input": [row.input for row in rows],
        "reference": [row.reference for row in rows],
        "label": [row.label for row in rows],
        "columns": [canonical_json(dict(row.columns)).decode() for row in rows],
    }


def _examples_from_columns(columns: Columns) -> list[Example]:
    values = zip(*columns.values(), strict=True)
    return [Example(i, text, reference, label, json.loads(more)) for i, text, reference, label, more in values]


def _scored_digest(row: ScoredResponse) -> bytes:
    head = canonical_json([row.id, row.prompt_tokens, row.response_tokens, row.problem])
    if row.scores is None:
        return head
    scores = row.scores
    arrays = (
        scores.token_ids.astype("<i4"),
        scores.nll.astype("<f4"),
        scores.rank.astype("<i4"),
        scores.entropy.astype("<f4"),
    )
    return head + b"\0" + b"".join(array.tobytes() for array in arrays)


def _scored_to_columns(rows: Sequence[ScoredResponse]) -> Columns:
    def column(name: str) -> list[Any]:
        arrays = [None if row.scores is None else getattr(row.scores, name) for row in rows]
        # Hazard: polars takes a list of arrays fast, but not with None or (1.0) only empty ones among them.
        if all(array is not None and len(array) for array in arrays):
            return arrays
        return [[] if array is None else array.tolist() for array in arrays]

    return {
        "id": [row.id for row in rows],
        "prompt_tokens": [row.prompt_tokens for row in rows],
        "response_tokens": [row.response_tokens for row in rows],
        "problem": [row.problem for row in rows],
        **{name: column(name) for name in ("token_ids", "nll", "rank", "entropy")},
    }


def _scored_from_columns(columns: Columns) -> list[ScoredResponse]:
    import numpy as np

    rows = []
    for i, prompt_tokens, response_tokens, problem, ids, nll, rank, entropy in zip(*columns.values(), strict=True):
        arrays = (np.array(ids, np.int32), np.array(nll, np.float32), np.array(rank, np.int32), np.array(entropy, np.float32))
        rows.append(ScoredResponse(i, prompt_tokens, response_tokens, None if problem else TokenScores(*arrays), problem))
    return rows


EXAMPLES = Table(
    "examples",
    lambda row: canonical_json(asdict(row)),
    _examples_to_columns,
    _examples_from_columns,
    {"id": "str", "input": "str", "reference": "str", "label": "str", "columns": "str"},
)
RESPONSES = plain_table(
    "responses",
    Response,
    {"id": "str", "text": "str", "problem": "str", "correct": "bool", "truncated": "bool", "attempts": "int"},
)
OWN_OUTPUTS = plain_table(
    "own-outputs",
    OwnOutput,
    {"id": "str", "sample": "int", "text": "str", "problem": "str", "correct": "bool", "truncated": "bool"},
)
SCORES = plain_table("scores", Score, {"id": "str", "value": "float", "problem": "str"})
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
        "token_ids": "ints",
        "nll": "floats",
        "rank": "ints",
        "entropy": "floats",
    },
)


def stack(
    table: Table[Any],
    parts: Sequence[tuple[Mapping[str, str], Sequence[Any]]],
    input_of: Callable[[Mapping[str, str], Any], str] | None = None,
) -> bytes:
    """Return one parquet file of all parts; each part's names become its rows' first columns.

    input_of: gives the text of a column `input`, after the id.
    """
    import polars as pl

    frames = []
    for names, rows in parts:
        frame = table.frame(rows).select(*(pl.lit(value).alias(name) for name, value in names.items()), pl.all())
        if input_of is not None:
            texts = pl.Series("input", [input_of(names, row) for row in rows], pl.String)
            frame = frame.insert_column(len(names) + 1, texts)
        frames.append(frame)
    buffer = io.BytesIO()
    (pl.concat(frames) if frames else pl.DataFrame()).write_parquet(buffer)
    return buffer.getvalue()
