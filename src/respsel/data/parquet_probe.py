"""The program that tries to read a parquet file, which is its standard input.

Hazard: a damaged file makes polars panic, end the process or ask for all memory. So this process
reads it first.

Knows nothing of rows. Invariant: its standard output is JSON: the columns that are needed, or what
is wrong.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from respsel.errors import first_line
from respsel.system.child_process import limit_memory

if TYPE_CHECKING:
    import polars

# Hazard: polars may unpack the whole dictionary of a group of rows for each window, so small
# windows take long.
_WINDOW_BYTES = 1 << 26
_FIRST_ROWS = 1
_MOST_ROWS = 1 << 16
# The memory of a text that was read, besides its letters.
_CELL_BYTES = 16


def windows(
    handle: BinaryIO, columns: Sequence[str], rows: Sequence[int] | None
) -> Iterator[tuple[int, polars.DataFrame]]:
    """Yield a file's rows in windows that fit the memory, each with the number of rows before it.

    rows: the numbers of the only rows that are wanted, in order. Windows without any are left out.
    """
    import polars as pl

    handle.seek(0)
    # By name: as text, "*" and what begins with "^" would be patterns.
    whole = pl.scan_parquet(handle).select(pl.selectors.by_name(*columns))
    at = 0
    count = _FIRST_ROWS
    while rows is None or (rows and at < rows[-1]):
        if rows is not None:
            at = max(at, rows[bisect_right(rows, at)] - 1)
        # Hazard: polars knows no size of categories, and each row's category may be a text of a
        # hundred megabytes.
        window = _spelled(whole.slice(at, count).collect())
        if not window.height:
            return
        yield at, window
        at += window.height
        fitting = count * _WINDOW_BYTES // max(1, int(window.estimated_size()))
        count = max(1, min(_MOST_ROWS, fitting, count * 4))


def main(
    most_bytes: int,
    memory_bytes: int,
    columns: Collection[str] | None,
    more: Collection[str],
    rows: Sequence[int] | None,
) -> None:
    """Read all, or the windows with some rows, and print the outcome."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What a library prints must not be taken for the answer.
    os.dup2(2, 1)
    limit_memory(memory_bytes)
    with os.fdopen(0, "rb") as handle:
        answers.write(json.dumps(_try_reading(handle, most_bytes, columns, more, rows)))
    answers.flush()


def _try_reading(
    handle: BinaryIO,
    most_bytes: int,
    columns: Collection[str] | None,
    more: Collection[str],
    rows: Sequence[int] | None,
) -> dict[str, Any]:
    import polars as pl

    try:
        schema = list(pl.read_parquet_schema(handle))
        names = _wanted(schema, columns, more)
        handle.seek(0)
        total = 0
        if not rows:
            height = int(pl.scan_parquet(handle).select(pl.len()).collect().item())
            total = height * len(names) * _CELL_BYTES
        if total <= most_bytes:
            total = 0
            for _, window in windows(handle, names, rows):
                total += int(window.estimated_size())
                if total > most_bytes:
                    break
        return {
            "columns": names,
            "is_whole": len(names) == len(schema),
            "too_large": total > most_bytes,
        }
    except MemoryError:
        return {"fault": "to read it takes too much memory"}
    # A panic is not an Exception.
    except (Exception, pl.exceptions.PanicException) as error:
        return {"fault": first_line(error)[:200]}


def _spelled(window: polars.DataFrame) -> polars.DataFrame:
    spelled = {name: _spelled_type(kind) for name, kind in window.schema.items()}
    return window.cast(
        {name: kind for name, kind in spelled.items() if kind != window.schema[name]}
    )


def _spelled_type(kind: Any) -> Any:
    """A type with texts in place of categories."""
    import polars as pl

    if isinstance(kind, (pl.Categorical, pl.Enum)):
        return pl.String()
    if isinstance(kind, pl.List):
        return pl.List(_spelled_type(kind.inner))
    if isinstance(kind, pl.Struct):
        return pl.Struct(
            [pl.Field(field.name, _spelled_type(field.dtype)) for field in kind.fields]
        )
    return kind


def _wanted(
    names: Sequence[str], columns: Collection[str] | None, more: Collection[str]
) -> list[str]:
    """The columns that some names or paths need; all of them, if one is not there."""
    if columns is None:
        return list(names)
    found = {
        column: [
            name for name in names if column == name or column.startswith((f"{name}.", f"{name}["))
        ]
        for column in columns
    }
    if not all(found.values()):
        return list(names)
    kept = {name for roots in found.values() for name in roots} | set(more)
    return [name for name in names if name in kept]
