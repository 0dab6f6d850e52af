"""Users' files opened: what they are by their content, unpacked and decoded, and then read as rows.

The only module that opens data files. A path is a path: never a pattern, never an address. Invariants: a file's ending
decides only where its content does not; what a packed file may unpack to is limited; every fault is an InputError.
"""

from __future__ import annotations

import io
import re
import stat
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from respsel.data.csv_rows import csv_rows, splits_header
from respsel.data.foreign import foreign_kind
from respsel.data.json_rows import json_rows, looks_like_json
from respsel.data.parquet_rows import parquet_rows
from respsel.data.rows import FileRow
from respsel.errors import InputError, Problem

# Raised when the same file would give other rows.
VERSION = 3
READ = "JSON lines, JSON, CSV (also with semicolons or tabs) or parquet; .gz, .bz2 and .xz are unpacked"
# By the file's ending: its format, which decides only where the content does not.
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
# A file of texts is rarely packed to less than a fiftieth. Beyond these it is damaged, or made to fill the memory.
_MOST_UNPACKED_BYTES = 1 << 31
_FREE_UNPACKED_BYTES = 1 << 26
_MOST_TIMES_PACKED = 100


def path_fault(given: str, path: Path, shown: str) -> tuple[str, str] | None:
    """What is wrong with a path of a recipe, and what to do; None if it is that of a file."""
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if _ADDRESS.match(given):
            return f"'{given}' is an address, and only local files are read", "Download it, and give the file's path"
        home = "; ~ does not stand for your home" if given.startswith("~") else ""
        return f"there is no file {shown}", f"Paths are relative to the recipe{home}"
    except (OSError, ValueError) as error:
        return f"{shown} cannot be read: {_why(error)}", "Check the path"
    if stat.S_ISDIR(kind):
        return f"{shown} is a folder, not a file", "Name one file in it"
    if not stat.S_ISREG(kind):
        return f"{shown} is a pipe, socket or device, not a file", "Write its content to a file first"
    return None


def ending_of(path: Path) -> str:
    """The format that a file's ending stands for, or nothing; the only part of its path that matters to its rows."""
    name = path.name.lower()
    for packed in _PACKED_ENDINGS:
        name = name.removesuffix(packed)
    return _ENDINGS.get(Path(name).suffix, "")


def read_rows(path: Path, shown: str, columns: Collection[str] | None = None) -> Iterator[FileRow]:
    """Yield a data file's rows. Raises InputError naming file and place.

    columns: the only ones that are looked at, so that others need not be read where the format allows it.
    """
    if fault := path_fault(str(path), path, "it"):
        raise InputError(Problem(shown, "", *fault))
    ending = ending_of(path)
    with _content(path, shown) as handle:
        head = handle.read(_HEAD_BYTES)
        if not head:
            raise InputError(Problem(shown, "", "is empty", "Give at least one row"))
        handle.seek(0)
        if head.startswith(b"PAR1"):
            yield from parquet_rows(handle, shown, columns)
            return
        if kind := foreign_kind(head, handle):
            raise InputError(Problem(shown, "", *kind))
        if ending == "parquet" and head.lstrip()[:1] not in (b"{", b"["):
            raise InputError(Problem(shown, "", "is not parquet: it does not begin with PAR1", "Write it again"))
        try:
            data = handle.read()
        except OSError as error:
            raise _unreadable(shown, error) from error
    yield from text_rows(decode(data, shown), shown, ending)


def text_rows(text: str, shown: str, ending: str) -> Iterator[FileRow]:
    """Yield the rows of a text; ending as `ending_of` has it. Raises InputError."""
    first = re.search(r"\S", text)
    if first is None:
        raise InputError(Problem(shown, "", "holds no rows", "Give at least one row"))
    structured = first[0] in ("{", "[")
    if ending in ("lines", "json") or (structured and (not ending or ending == "parquet" or looks_like_json(text))):
        yield from json_rows(text, shown, ending == "lines")
    elif ending or splits_header(text):
        yield from csv_rows(text, shown, ending or ",")
    else:
        raise InputError(Problem(shown, "", "is of no format that is read here", f"Use {READ}"))


def decode(data: bytes, shown: str) -> str:
    """Return a file's text. Raises InputError naming the line that is not UTF-8; other encodings are never guessed."""
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        if utf16:
            raise InputError(Problem(shown, "", f"is not UTF-16: {error.reason}", "Save it as UTF-8")) from error
        raise InputError(_not_utf8(data, error, shown)) from error
    if (place := text.find("\0")) >= 0:
        where = f"line {_line_at(text, place)}"
        raise InputError(Problem(shown, where, "holds a NUL character", "Save the file as UTF-8 text"))
    return text


def _line_at(text: str, place: int) -> int:
    before = text[:place]
    return max(before.count("\n"), before.count("\r")) + 1


def _not_utf8(data: bytes, error: UnicodeDecodeError, shown: str) -> Problem:
    before = data[: error.start].decode("utf-8", "replace")
    left = re.split(r"[\s\W]", before[-20:])[-1]
    right = re.split(r"[\s,;\"]", data[error.start : error.start + 20].decode("cp1252", "replace"))[0]
    what = f"is not UTF-8: byte 0x{data[error.start]:02X}, which in Windows-1252 would read '{left}{right}'"
    remedy = "Save the file as UTF-8, or convert it: iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
    return Problem(shown, f"line {_line_at(before, len(before))}", what, remedy)


@contextmanager
def _content(path: Path, shown: str) -> Iterator[BinaryIO]:
    """The content of a file, unpacked."""
    try:
        with path.open("rb") as handle:
            unpack = _unpacker(handle.read(10))
            handle.seek(0)
            if unpack is None:
                yield handle
                return
            size = path.stat().st_size
            content = _unpacked(unpack(handle), size, shown)
    except OSError as error:
        raise _unreadable(shown, error) from error
    if _unpacker(content.read(10)):
        raise InputError(Problem(shown, "", "is packed twice", "Unpack it once"))
    content.seek(0)
    yield content


def _unpacker(head: bytes) -> Callable[[BinaryIO], IO[bytes]] | None:
    # Imported where they are needed: some Pythons are built without one of them.
    if head.startswith(b"\x1f\x8b"):
        import gzip

        return lambda handle: cast(IO[bytes], gzip.GzipFile(fileobj=handle))
    if re.match(rb"BZh[1-9]1AY&SY", head):
        import bz2

        return lambda handle: bz2.BZ2File(handle)
    if head.startswith(b"\xfd7zXZ\0"):
        import lzma

        return lambda handle: lzma.LZMAFile(handle)
    return None


def _unpacked(packed: IO[bytes], size: int, shown: str) -> BinaryIO:
    limit = min(_MOST_UNPACKED_BYTES, max(_FREE_UNPACKED_BYTES, _MOST_TIMES_PACKED * size))
    content = io.BytesIO()
    try:
        while chunk := packed.read(1 << 20):
            content.write(chunk)
            if content.tell() > limit:
                what = f"unpacks to more than {limit >> 20} MiB"
                raise InputError(Problem(shown, "", what, "If that is right, unpack it yourself, and give the unpacked file"))
    except (EOFError, zlib.error, ValueError, OSError) as error:
        raise InputError(Problem(shown, "", f"cannot be unpacked: {_why(error)}", "Copy or download it again")) from error
    except Exception as error:
        # lzma.LZMAError is a plain Exception.
        if type(error).__name__ != "LZMAError":
            raise
        raise InputError(Problem(shown, "", f"cannot be unpacked: {error}", "Copy or download it again")) from error
    content.seek(0)
    return content


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _unreadable(shown: str, error: OSError) -> InputError:
    return InputError(Problem(shown, "", f"cannot be read: {_why(error)}", "Check the path"))
