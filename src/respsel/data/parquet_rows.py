"""Parquet files to rows of plain values.

Reads from an open file and never by a path, which polars takes for a pattern or an address. Knows
nothing of what columns mean. Invariants: a file is read only after another process could read it. A
window of rows at a time is in the memory. Every row is JSON: bytes, dates and the like become text,
and NaN becomes null.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO

from respsel.data import parquet_probe
from respsel.data.packed import most_unpacked, too_large
from respsel.data.rows import FileRow
from respsel.errors import InputError, Problem, first_line
from respsel.system.child_process import python_command

# What polars needs besides the file, which is mapped. Windows of rows take far less.
_MEMORY_BYTES = 4 << 30
_SECONDS = 600
# Longer arguments do not fit a command.
_MOST_CHARACTERS = 50_000


def parquet_rows(
    handle: BinaryIO,
    shown: str,
    columns: Collection[str] | None,
    more: Collection[str],
    places: Collection[str] | None,
) -> Iterator[FileRow]:
    """Yield the rows of an open parquet file; see read_rows. Raises InputError.

    They have the columns that `columns` names, and those in `more`. Where one of the first is
    missing, they have all columns.
    """
    import polars as pl

    rows = None if places is None else sorted(int(place.removeprefix("row ")) for place in places)
    names, is_whole = _try_reading(
        handle, shown, [None if columns is None else list(columns), list(more), rows]
    )
    wanted = set(rows or ())
    try:
        for before, window in parquet_probe.windows(handle, names, rows):
            for number, row in enumerate(window.iter_rows(named=True), before + 1):
                if rows is None or number in wanted:
                    yield FileRow(
                        f"row {number}",
                        {name: _plain(value) for name, value in row.items()},
                        is_whole,
                        is_filled=True,
                    )
    except (pl.exceptions.PolarsError, OSError, ValueError, OverflowError) as error:
        raise _bad(shown, first_line(error)[:200]) from error


def _try_reading(handle: BinaryIO, shown: str, wish: list[Any]) -> tuple[list[str], bool]:
    """Have another process read it. Raises InputError.

    Returns the columns that are needed, and whether these are all.
    """
    size = handle.seek(0, os.SEEK_END)
    handle.seek(0)
    words = json.dumps([most_unpacked(size), _MEMORY_BYTES + size, *wish])
    if len(words) > _MOST_CHARACTERS:
        words = json.dumps([most_unpacked(size), _MEMORY_BYTES + size, None, [], None])
    program = (
        f"import json; from respsel.data.parquet_probe import main; main(*json.loads({words!r}))"
    )
    command = python_command("-c", program)
    # One thread takes little memory.
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "RUST_BACKTRACE": "0"}
    try:
        done = subprocess.run(
            command, stdin=handle, capture_output=True, env=environment, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise _bad(shown, f"to read it takes more than {_SECONDS} seconds") from error
    if done.returncode:
        # If no signal ended it, Python's last line says why.
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = "".join(lines[-1:]) if done.returncode > 0 else ""
        raise _bad(shown, why or "to read it takes too much memory, or it is damaged")
    answer = json.loads(done.stdout)
    if fault := answer.get("fault"):
        raise _bad(shown, fault)
    if answer["too_large"]:
        raise too_large(shown, most_unpacked(size), "If that is right, write it as JSON lines")
    return answer["columns"], answer["is_whole"]


def _bad(shown: str, why: str) -> InputError:
    what = f"is not parquet that can be read: {why}"
    return InputError(Problem(shown, "", what, "Write it again"))


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
    """The text that some programs write as plain bytes.

    Of an image and the like only its length, which no column of text accepts.
    """
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"bytes": len(value)}
