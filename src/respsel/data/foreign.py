"""Files that are not read here, recognised by how they begin, and what to do with each.

Knows nothing of rows. Invariant: no text that could begin a row is taken for one of them.
"""

from __future__ import annotations

import zipfile
from typing import BinaryIO

_EXPORT = "Export it as CSV (UTF-8) or JSON lines"
_ARROW = "Write it as parquet: polars.read_ipc(PATH).write_parquet(NEW)"
_POINTER = "Fetch the data with: git lfs pull"
# (how the file begins, what it is, what to do).
_KINDS = (
    (b"version https://git-lfs.github.com/spec/", "is a Git LFS pointer, not the data", _POINTER),
    (
        b"/annex/objects/",
        "is a git-annex pointer, not the data",
        "Fetch the data with: git annex get",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "is compressed with zstd, which is not read here",
        "Unpack it: zstd -d FILE",
    ),
    (
        b"\x04\x22\x4d\x18",
        "is compressed with lz4, which is not read here",
        "Unpack it: lz4 -d FILE",
    ),
    (
        b"\x1f\x9d",
        "is compressed with compress (.Z), which is not read here",
        "Unpack it: uncompress FILE",
    ),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive", "Unpack it, and give the file inside"),
    (b"Rar!", "is a RAR archive", "Unpack it, and give the file inside"),
    (b"ARROW1", "is an Arrow (Feather) file, which is not read here", _ARROW),
    (b"FEA1", "is an old Feather file, which is not read here", _ARROW),
    (
        b"\xff\xff\xff\xff",
        "is an Arrow stream, which is not read here",
        "Write it as parquet: Dataset.to_parquet(NEW)",
    ),
    (b"PARE", "is an encrypted parquet file", "Write it again without encryption"),
    (b"ORC", "is an ORC file, which is not read here", "Write it as parquet"),
    (b"Obj\x01", "is an Avro file, which is not read here", "Write it as parquet"),
    (b"\x89HDF\r\n", "is an HDF5 file, which is not read here", "Write it as parquet"),
    (b"SQLite format 3\0", "is an SQLite database, which is not read here", _EXPORT),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook (.xls)", _EXPORT),
    (b"%PDF", "is a PDF", _EXPORT),
    (b"\x93NUMPY", "is a NumPy file, which is not read here", "Write it as parquet"),
    (b"\xff\xfe\0\0", "is UTF-32", "Save it as UTF-8"),
    (b"\0\0\xfe\xff", "is UTF-32", "Save it as UTF-8"),
)
_PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
_MOST_ZIP_BYTES = 1 << 26
_PAGES = (b"<!doctype html", b"<html", b"<?xml")


def foreign_kind(head: bytes, handle: BinaryIO) -> tuple[str, str] | None:
    """What a file is that is not read here, and what to do; None if it may be text."""
    for begins, what, remedy in _KINDS:
        # In CSV a header may begin with these letters.
        if head.startswith(begins) and not (
            begins in (b"ORC", b"Rar!") and head[:200].isascii() and b"\0" not in head
        ):
            return what, remedy
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(handle)
    if head.startswith(_PICKLES):
        return (
            "is a pickle, which is not read here because it can run code",
            "Write it as parquet or JSON lines",
        )
    if head[257:262] == b"ustar":
        return "is a tar archive", "Unpack it, and give the file inside"
    if head.lstrip().lower().startswith(_PAGES):
        return "is a web page or XML, not data", "Download the file itself (on a hub: the raw file)"
    if not head.startswith((b"\xff\xfe", b"\xfe\xff")) and _has_nul_pairs(head):
        return "is UTF-16 without a byte order mark", "Save it as UTF-8"
    return None


def _has_nul_pairs(head: bytes) -> bool:
    return head[0:40:2].count(0) > 15 or head[1:40:2].count(0) > 15


def _zip_kind(handle: BinaryIO) -> tuple[str, str]:
    names: list[str] = []
    try:
        # Hazard: the list of contents of a larger archive may fill the memory.
        if handle.seek(0, 2) <= _MOST_ZIP_BYTES:
            with zipfile.ZipFile(handle) as archive:
                names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        pass
    if any(name.startswith("xl/") for name in names):
        return "is an Excel workbook (.xlsx)", _EXPORT
    if "content.xml" in names:
        return "is an OpenDocument file", _EXPORT
    shown = ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")
    inside = f" (it holds {shown})" if names else ""
    return f"is a zip archive{inside}", "Unpack it, and give the file inside"
