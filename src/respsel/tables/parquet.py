"""Columns of values to parquet and back, by way of polars.

Knows nothing of rows or digests. Invariants: polars and numpy are loaded only when a table is
written or read, and a file is written and stacked with a part of it in memory at a time.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt
    import polars

Columns = dict[str, list[Any]]

ROWS_AT_ONCE = 1024
# Kinds of columns with a list in each row.
_LISTS = ("ints", "floats")
# Parquet is written by groups of rows, of which one at a time is in memory. Polars' own groups are
# 64 times as large.
_ROWS_IN_GROUP = 4096


def to_frame(columns: Columns, column_types: Mapping[str, str]) -> polars.DataFrame:
    """A data frame of some columns, each of the kind that `column_types` names."""
    import polars as pl

    types = {name: _polars_type(kind) for name, kind in column_types.items()}
    return pl.DataFrame(
        [
            _lists(name, columns[name], types[name])
            if column_types[name] in _LISTS
            else pl.Series(name, columns[name], types[name])
            for name in types
        ]
    )


def to_columns(frame: polars.DataFrame, column_types: Mapping[str, str]) -> Columns:
    """The values of a data frame's columns; a table of an earlier version may lack some."""
    kinds = {name: kind for name, kind in column_types.items() if name in frame.columns}
    return {
        name: _arrays(frame[name]) if kind in _LISTS else frame[name].to_list()
        for name, kind in kinds.items()
    }


def to_bytes(frames: Sequence[polars.DataFrame]) -> tuple[bytes, int]:
    """Frames of one kind as one parquet file, and how many rows it has."""
    import polars as pl

    frame = pl.concat(frames)
    buffer = io.BytesIO()
    frame.write_parquet(buffer, row_group_size=_ROWS_IN_GROUP)
    return buffer.getvalue(), len(frame)


def from_bytes(data: bytes, columns: Sequence[str] = ()) -> polars.DataFrame:
    """Read a parquet file as a data frame.

    columns: the names of those to read, as far as the file has them; all if there are no names.
    """
    import polars as pl

    if not columns:
        return pl.read_parquet(io.BytesIO(data))
    wanted = [name for name in pl.read_parquet_schema(io.BytesIO(data)) if name in columns]
    return pl.read_parquet(io.BytesIO(data), columns=wanted)


def stack(path: Path, parts: Iterable[tuple[Mapping[str, str], polars.DataFrame]]) -> None:
    """Write frames of one kind as one parquet file, with one of them in memory at a time.

    The names of each part become its rows' first columns. Files next to `path` are made on the way,
    and removed.
    """
    import polars as pl

    files: list[Path] = []
    try:
        for names, frame in parts:
            files.append(path.with_name(f"{path.name}.{len(files)}"))
            named = frame.select(
                *(pl.lit(value).alias(name) for name, value in names.items()), pl.all()
            )
            # Copying takes a group of rows at once, so groups are small. These files do not last,
            # so they are packed lightly. Hazard: polars takes a path for a pattern, an address or
            # a home, so it gets open files.
            with files[-1].open("wb") as handle:
                named.write_parquet(handle, compression="lz4", row_group_size=ROWS_AT_ONCE)
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
    # Grouping has no empty groups: a row without values gets one value that is left out again.
    empty = [array is None or not len(array) for array in arrays]
    filled = [np.zeros(1) if none else array for array, none in zip(arrays, empty, strict=True)]
    lengths = [len(array) for array in filled]  # type: ignore[arg-type]
    rows = np.repeat(np.arange(len(arrays)), lengths)
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


def _source(file: Path) -> Any:
    """What polars reads a file from: its absolute path, or its bytes if the path is not text."""
    try:
        str(file).encode("utf-8")
    except UnicodeEncodeError:
        return io.BytesIO(file.read_bytes())
    return file.absolute()
