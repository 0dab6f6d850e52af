"""Parquet files to rows of plain values.

Reads from an open file and never by a path, which polars takes for a pattern or an address. Invariant: every row is
JSON: bytes, dates and the like become text, and NaN becomes null.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

from respsel.data.rows import FileRow
from respsel.errors import InputError, Problem


def parquet_rows(handle: BinaryIO, shown: str, columns: Collection[str] | None) -> Iterator[FileRow]:
    """Yield the rows of an open parquet file, with the columns that some names or paths stand for, or with all.

    Raises InputError.
    """
    import polars as pl

    try:
        names = list(pl.read_parquet_schema(handle))
        handle.seek(0)
        wanted = None if columns is None else _wanted(names, columns)
        frame = pl.read_parquet(handle, columns=wanted)
        for number, row in enumerate(frame.iter_rows(named=True), 1):
            yield FileRow(f"row {number}", {name: _plain(value) for name, value in row.items()})
    # Hazard: a damaged file makes polars panic, which is no Exception.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, OverflowError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise InputError(Problem(shown, "", f"is not parquet: {said}", "Write it again")) from error


def _wanted(names: Collection[str], columns: Collection[str]) -> list[str] | None:
    """The columns that are needed for some names or paths; None for all of them, if one is not there."""
    found = {
        column: [name for name in names if column == name or column.startswith((f"{name}.", f"{name}["))] for column in columns
    }
    if not all(found.values()):
        return None
    return list(dict.fromkeys(name for roots in found.values() for name in roots))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return _decoded(value) if isinstance(value, bytes) else str(value)


def _decoded(value: bytes) -> Any:
    """The text that some programs write as plain bytes; of an image and the like how long it is, which no text column takes."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"bytes": len(value)}
