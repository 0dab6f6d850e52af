"""Users' files opened: what they are by their content, and then read as rows.

The only module that opens data files. Knows nothing of what columns mean. Invariants: a path is
never a pattern or an address. A file's ending decides only where its content does not. What is in
the memory at once is limited. Every fault is an InputError.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from respsel.data.rows import FileRow
from respsel.errors import InputError, Problem
from respsel.system.disk import fault_of_kind, remedy_of, why_of

if TYPE_CHECKING:
    from respsel.data.lines import Text

# Raised when the same file would give other rows.
VERSION = 3
READ = (
    "JSON lines, JSON, CSV (also with semicolons or tabs) or parquet; .gz, .bz2 and .xz are "
    "unpacked"
)
# By the file's ending: its format.
_ENDINGS = {
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".json": "json",
    ".csv": ",",
    ".tsv": "\t",
    ".tab": "\t",
    ".psv": "|",
    ".parquet": "parquet",
}
_PACKED_ENDINGS = (".gz", ".bz2", ".xz")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_HEAD_BYTES = 1 << 16


def path_fault(given: str, path: Path, shown: str) -> tuple[str, str] | None:
    """What is wrong with a path in a recipe, and what to do; None if it is a file's."""
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if _ADDRESS.match(given):
            what = f"'{given}' is an address, and only local files are read"
            return what, "Download it, and give the file's path"
        home = "; ~ does not stand for your home" if given.startswith("~") else ""
        return f"there is no file {shown}", f"Paths are relative to the recipe{home}"
    except (OSError, ValueError) as error:
        return f"{shown} cannot be read: {why_of(error)}", remedy_of(error, "Check the path")
    fault = fault_of_kind(kind)
    return fault and (f"{shown} {fault[0]}", fault[1])


def ending_of(path: Path) -> str:
    """The format that a file's ending stands for, or nothing.

    No other part of its path matters to its rows.
    """
    name = path.name.lower()
    for packed in _PACKED_ENDINGS:
        name = name.removesuffix(packed)
    return _ENDINGS.get(Path(name).suffix, "")


def read_rows(
    path: Path,
    shown: str,
    columns: Collection[str] | None = None,
    more: Collection[str] = (),
    places: Collection[str] | None = None,
) -> Iterator[FileRow]:
    """Yield a data file's rows. Raises InputError naming file and place.

    columns: the only columns that the caller needs; the format may allow to skip the others.
    more: further columns that the caller needs if the file has them.
    places: the places of the only rows that the caller needs; others may come too.
    """
    # Readers are imported when a file is read: a cached run reads none.
    from respsel.data.lines import Text
    from respsel.data.packed import open_content, unreadable

    if fault := path_fault(str(path), path, "it"):
        raise InputError(Problem(shown, "", *fault))
    ending = ending_of(path)
    # Hazard: files that the kernel makes (/proc) have no size, and may have no end.
    head, is_packed = _head(path, shown) if path.stat().st_size else (b"", False)
    if not head:
        raise InputError(Problem(shown, "", "is empty", "Give at least one row"))
    if head.startswith(b"PAR1"):
        from respsel.data.parquet_rows import parquet_rows

        with _seekable(path, shown, is_packed) as handle:
            yield from parquet_rows(handle, shown, columns, more, places)
        return
    _refuse_foreign(path, shown, head, ending)
    try:
        yield from _text_rows(Text(lambda: open_content(path, shown)[0], shown), ending)
    except OSError as error:
        raise unreadable(shown, error) from error


def _refuse_foreign(path: Path, shown: str, head: bytes, ending: str) -> None:
    """Raise InputError for a format that is not read here, which is neither parquet nor text."""
    from respsel.data.foreign import foreign_kind
    from respsel.data.packed import open_content

    with open_content(path, shown)[0] as handle:
        if kind := foreign_kind(head, handle):
            raise InputError(Problem(shown, "", *kind))
    if ending == "parquet" and head.lstrip()[:1] not in (b"{", b"["):
        what = "is not parquet: it does not begin with PAR1"
        raise InputError(Problem(shown, "", what, "Write it again"))


def _text_rows(text: Text, ending: str) -> Iterator[FileRow]:
    from respsel.data.csv_rows import csv_rows, splits_header
    from respsel.data.json_rows import json_rows, looks_like_json

    first = next((found[:1] for chunk in text.chunks() if (found := chunk.lstrip())), "")
    if not first:
        raise InputError(Problem(text.shown, "", "holds no rows", "Give at least one row"))
    structured = first in ("{", "[")
    if ending in ("lines", "json") or (
        structured and (not ending or ending == "parquet" or looks_like_json(text))
    ):
        yield from json_rows(text, ending == "lines")
    elif ending or splits_header(text):
        yield from csv_rows(text, ending or ",")
    else:
        raise InputError(
            Problem(text.shown, "", "has a format that is not read here", f"Use {READ}")
        )


def _head(path: Path, shown: str) -> tuple[bytes, bool]:
    """How a file's content begins, and whether it is packed."""
    from respsel.data.packed import open_content, unreadable

    handle, is_packed = open_content(path, shown)
    with handle:
        try:
            return handle.read(_HEAD_BYTES), is_packed
        except OSError as error:
            raise unreadable(shown, error) from error


@contextmanager
def _seekable(path: Path, shown: str, is_packed: bool) -> Iterator[BinaryIO]:
    """A file's content as a file of its own."""
    from respsel.data.packed import open_content

    handle, _ = open_content(path, shown)
    with handle:
        if not is_packed:
            yield handle
            return
        with TemporaryFile() as unpacked:
            shutil.copyfileobj(handle, unpacked)
            unpacked.seek(0)
            yield cast(BinaryIO, unpacked)
