"""Users' files opened: what they are by their content, and then read as rows.

The only module that opens data files. Knows nothing of what columns mean. Invariants: no library is
given a path, which it could take for a pattern or an address. A file's ending decides only where
its content does not. What is in the memory at once is limited. Every fault is an InputError.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from respsel.data.file_sets import (
    DataFile,
    FileSet,
    pattern_fault,
    place_in,
    set_of,
)
from respsel.data.rows import FileRow
from respsel.errors import InputError, Problem, name_list
from respsel.system.disk import fault_of_kind, remedy_of, why_of
from respsel.system.patterns import is_pattern

if TYPE_CHECKING:
    from respsel.data.lines import Text

# Raised when the same file would give other rows.
VERSION = 3
READ = (
    "JSON lines, JSON, CSV (also with semicolons or tabs) or parquet; .gz, .bz2 and .xz are "
    "unpacked"
)
_HEAD_BYTES = 1 << 16
# Its rows may lack columns, so each is looked at.
_JSON = "JSON"


def path_fault(given: str, path: Path, shown: str) -> tuple[str, str] | None:
    """What is wrong with a local path in a recipe, and what to do; None if it is a file's.

    The path may be a pattern.
    """
    try:
        if fault := pattern_fault(path, shown):
            return fault
        if is_pattern(str(path)) and not os.path.lexists(path):
            return None
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        home = "; ~ does not stand for your home" if given.startswith("~") else ""
        return f"there is no file {shown}", f"Paths are relative to the recipe{home}"
    except (OSError, ValueError) as error:
        return f"{shown} cannot be read: {why_of(error)}", remedy_of(error, "Check the path")
    if stat.S_ISDIR(kind):
        what = f"{shown} is a folder, not a file"
        return what, f"Name one file in it, or several: {shown.rstrip('/')}/*.jsonl"
    fault = fault_of_kind(kind)
    return fault and (f"{shown} {fault[0]}", fault[1])


def read_rows(
    path: Path | FileSet,
    shown: str,
    columns: Collection[str] | None = None,
    more: Collection[str] = (),
    places: Collection[str] | None = None,
) -> Iterator[FileRow]:
    """Yield the rows of a data file, or of several as one. Raises InputError naming file and place.

    columns: the only columns that the caller needs; the format may allow to skip the others.
    more: further columns that the caller needs if the file has them.
    places: the places of the only rows that the caller needs; others may come too.
    """
    files = set_of(path, shown).files if isinstance(path, Path) else path.files
    if len(files) == 1:
        yield from _Reader(files[0], shown).rows(columns, more, places)
        return
    first: _Reader | None = None
    for file in files:
        start = place_in(file, "")
        own = None
        if places is not None:
            own = [place[len(start) :] for place in places if place.startswith(start)]
            if not own:
                continue
        reader = _Reader(file, file.shown)
        for number, row in enumerate(reader.rows(columns, more, own)):
            first = first or reader
            if not number:
                reader.refuse_unlike(first)
            yield replace(row, where=place_in(file, row.where))


class _Reader:
    """Reads one file, and knows afterwards of which kind it is."""

    def __init__(self, file: DataFile, shown: str) -> None:
        self._file = file
        self._shown = shown
        # Its format, and its columns where every row of the format has the same.
        self._kind = ""
        self._columns: frozenset[str] | None = None

    def refuse_unlike(self, other: _Reader) -> None:
        """Raise InputError unless another file that is read with this one is of the same kind."""
        if self._kind != other._kind:
            what = f"is {self._kind}, and {other._shown} is {other._kind}"
            remedy = "Name only files of one format in the pattern"
            raise InputError(Problem(self._shown, "", what, remedy))
        if self._columns == other._columns:
            return
        mine = self._columns or frozenset()
        theirs = other._columns or frozenset()
        lacks = f"lacks {_quoted(theirs - mine)}" if theirs - mine else ""
        has = f"has {_quoted(mine - theirs)} besides" if mine - theirs else ""
        what = (
            f"has other columns than {other._shown}: it {' and '.join(filter(None, (lacks, has)))}"
        )
        remedy = "Give all files the same columns, or name only those that have them"
        raise InputError(Problem(self._shown, "", what, remedy))

    def rows(
        self, columns: Collection[str] | None, more: Collection[str], places: Collection[str] | None
    ) -> Iterator[FileRow]:
        """See read_rows."""
        for row in self._read(columns, more, places):
            if self._columns is None and self._kind != _JSON:
                # Of the others a reader may leave out some.
                used = frozenset(row.fields if columns is None else (*columns, *more))
                self._columns = used & frozenset(row.fields)
            yield row

    def _read(
        self, columns: Collection[str] | None, more: Collection[str], places: Collection[str] | None
    ) -> Iterator[FileRow]:
        # Readers are imported when a file is read: a cached run reads none.
        from respsel.data.lines import Text
        from respsel.data.packed import open_content, unreadable

        path = self._file.path
        shown = self._shown
        if fault := _missing(path):
            raise InputError(Problem(shown, "", *fault))
        ending = self._file.ending
        # Hazard: files that the kernel makes (/proc) have no size, and may have no end.
        head, is_packed = _head(path, shown) if path.stat().st_size else (b"", False)
        if not head:
            raise InputError(Problem(shown, "", "is empty", "Give at least one row"))
        if head.startswith(b"PAR1"):
            from respsel.data.parquet_rows import parquet_rows

            self._kind = "parquet"
            with _seekable(path, shown, is_packed) as handle:
                yield from parquet_rows(handle, shown, columns, more, places)
            return
        _refuse_foreign(path, shown, head, ending)
        try:
            text = Text(lambda: open_content(path, shown)[0], shown)
            self._kind, rows = _text_rows(text, ending)
            yield from rows
        except OSError as error:
            raise unreadable(shown, error) from error


def _quoted(names: Collection[str]) -> str:
    return name_list([f"'{name}'" for name in sorted(names)], 5)


def _missing(path: Path) -> tuple[str, str] | None:
    """What is wrong with a file that is to be read, and what to do."""
    try:
        fault = fault_of_kind(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return "there is no such file", "Paths are relative to the recipe"
    except (OSError, ValueError) as error:
        return f"cannot be read: {why_of(error)}", remedy_of(error, "Check the path")
    return fault


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


def _text_rows(text: Text, ending: str) -> tuple[str, Iterator[FileRow]]:
    """The format of a text, and its rows."""
    from respsel.data.csv_rows import csv_rows, splits_header
    from respsel.data.json_rows import json_rows, looks_like_json

    first = next((found[:1] for chunk in text.chunks() if (found := chunk.lstrip())), "")
    if not first:
        raise InputError(Problem(text.shown, "", "holds no rows", "Give at least one row"))
    structured = first in ("{", "[")
    if ending in ("lines", "json") or (
        structured and (not ending or ending == "parquet" or looks_like_json(text))
    ):
        return _JSON, json_rows(text, ending == "lines")
    if ending or splits_header(text):
        return "CSV", csv_rows(text, ending or ",")
    what = "has a format that is not read here"
    raise InputError(Problem(text.shown, "", what, f"Use {READ}"))


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
