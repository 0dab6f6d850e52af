"""The kinds of tables: texts, scores, token scores, preferences, representations.

Knows nothing of how tables are stored. Invariant: columns that a later version adds are in no
digest where they are empty, so nothing that follows from an earlier table is made again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from respsel.hashing import canonical_json
from respsel.records import (
    DatasetSize,
    Example,
    Message,
    OwnOutput,
    Preference,
    Represented,
    Response,
    Score,
    ScoredResponse,
    TokenScores,
)
from respsel.tables.parquet import Columns
from respsel.tables.table import Document, Table, TextForm, plain_table


def _turns_text(turns: Sequence[Message]) -> str:
    """A conversation as JSON text; empty for none."""
    rows = [[turn.role, turn.content, turn.fields, turn.trained] for turn in turns]
    return canonical_json(rows).decode() if rows else ""


def _turns_of(text: str) -> tuple[Message, ...]:
    """The conversation that `_turns_text` wrote."""
    return tuple(Message(*turn) for turn in json.loads(text)) if text else ()


def _example_digest(row: Example) -> bytes:
    fields = {"id": row.id, "input": row.input, "reference": row.reference, "label": row.label}
    # What is as it was in earlier versions is in no digest.
    newer: dict[str, Any] = {} if row.copies == 1 else {"copies": row.copies}
    if row.turns:
        # Hazard: canonical JSON sorts keys, but a template writes a call's arguments in their own
        # order. So two orders are two conversations, in any column that a strategy may take.
        newer |= {"turns": _turns_text(row.turns), "columns in order": _columns_text(row)}
    return canonical_json({**fields, "columns": dict(row.columns), **newer})


def _columns_text(row: Example) -> str:
    """The columns of an example as JSON, those of a conversation with keys in the file's order."""
    columns = dict(row.columns)
    if not row.turns:
        return canonical_json(columns).decode()
    return json.dumps(columns, separators=(",", ":"), allow_nan=False)


def _examples_to_columns(rows: Sequence[Example]) -> Columns:
    return {
        "id": [row.id for row in rows],
        "input": [row.input for row in rows],
        "reference": [row.reference for row in rows],
        "label": [row.label for row in rows],
        "columns": list(map(_columns_text, rows)),
        "copies": [row.copies for row in rows],
        "turns": [_turns_text(row.turns) for row in rows],
    }


def _examples_from_columns(columns: Columns) -> list[Example]:
    names = ("id", "input", "reference", "label", "columns")
    copies = columns.get("copies") or [1] * len(columns["id"])
    turns = columns.get("turns") or [""] * len(columns["id"])
    values = zip(*(columns[name] for name in names), copies, turns, strict=True)
    return [
        Example(i, text, reference, label, json.loads(more), n, _turns_of(chat))
        for i, text, reference, label, more, n, chat in values
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
    squares = b"" if scores.squares is None else scores.squares.astype("<f4").tobytes()
    # Hazard: without a mark, sums of squares could be taken for lengths.
    newer = b"\0squares\0" + squares if squares else b""
    if scores.kinds is not None and scores.turns is not None:
        newer += b"\0turns\0" + scores.kinds.astype("<i4").tobytes()
        newer += scores.turns.astype("<i4").tobytes() + row.text.encode("utf-8")
    return head + b"\0" + b"".join(array.tobytes() for array in arrays) + lengths + newer


_SCORED_ARRAYS = ("token_ids", "nll", "rank", "entropy", "lengths", "squares", "kinds", "turns")


def _scored_to_columns(rows: Sequence[ScoredResponse]) -> Columns:
    return {
        "id": [row.id for row in rows],
        "prompt_tokens": [row.prompt_tokens for row in rows],
        "response_tokens": [row.response_tokens for row in rows],
        "problem": [row.problem for row in rows],
        "place": [row.place for row in rows],
        "text": [row.text for row in rows],
        **{
            name: [None if row.scores is None else getattr(row.scores, name) for row in rows]
            for name in _SCORED_ARRAYS
        },
    }


def _scored_from_columns(columns: Columns) -> list[ScoredResponse]:
    def scores(ids: Any, nll: Any, rank: Any, entropy: Any, *later: Any) -> TokenScores:
        # An array that an engine does not give is stored as an empty one.
        return TokenScores(
            ids, nll, rank, entropy, *(some if len(some) == len(ids) else None for some in later)
        )

    names = ("id", "prompt_tokens", "response_tokens", "problem")
    # An earlier table may lack its last columns.
    none = [()] * len(columns["id"])
    arrays = (columns.get(name, none) for name in _SCORED_ARRAYS)
    blank = [""] * len(columns["id"])
    places = columns.get("place") or blank
    texts = columns.get("text") or blank
    return [
        ScoredResponse(
            id=i,
            prompt_tokens=prompt_tokens,
            response_tokens=response_tokens,
            scores=None if problem else scores(*some),
            problem=problem,
            place=place,
            text=text,
        )
        for i, prompt_tokens, response_tokens, problem, place, text, *some in zip(
            *(columns[name] for name in names), places, texts, *arrays, strict=True
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
        "turns": "str",
    },
)
DATASET_SIZES = Document("dataset-sizes", lambda data: DatasetSize(**data))
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
        "member": "int",
        "turns": "str",
    },
    newer=["changed", "member", "turns"],
    forms={"turns": TextForm(_turns_text, _turns_of)},
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
PREFERENCES = plain_table(
    "preferences",
    Preference,
    {"id": "str", "shown_first": "str", "shown_second": "str", "problem": "str"},
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
        "text": "str",
        "token_ids": "ints",
        "nll": "floats",
        "rank": "ints",
        "entropy": "floats",
        "lengths": "ints",
        "squares": "floats",
        "kinds": "ints",
        "turns": "ints",
    },
)
