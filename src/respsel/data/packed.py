"""The content of a file, unpacked while it is read.

Knows nothing of texts and rows. Invariants: what a packed file may unpack to is limited. No more of
it is in the memory than a reader asked for. Every fault is an InputError.
"""

from __future__ import annotations

import errno
import io
import re
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from respsel.errors import InputError, Problem
from respsel.system.disk import remedy_of, why_of

# A file of texts is rarely packed to less than a fiftieth. A file beyond these limits is damaged,
# or made to fill the memory.
MOST_TIMES_PACKED = 100
FREE_UNPACKED_BYTES = 1 << 26
_BUFFER_BYTES = 1 << 20


def open_content(path: Path, shown: str) -> tuple[BinaryIO, bool]:
    """A file's content from its beginning, and whether it is packed. Raises InputError.

    Packed content can only be read forwards.
    """
    try:
        with ExitStack() as opened:
            handle = opened.enter_context(path.open("rb"))
            unpack = _unpacker(handle.read(10))
            handle.seek(0)
            if unpack is None:
                opened.pop_all()
                return handle, False
            limit = most_unpacked(path.stat().st_size)
            raw = opened.enter_context(_Unpacked(handle, unpack(handle), limit, shown))
            content = opened.enter_context(io.BufferedReader(raw, _BUFFER_BYTES))
            if _unpacker(content.peek(10)[:10]):
                raise InputError(Problem(shown, "", "is packed twice", "Unpack it once"))
            opened.pop_all()
            return cast(BinaryIO, content), True
    except OSError as error:
        raise unreadable(shown, error) from error


def most_unpacked(size: int) -> int:
    """How many bytes a packed file of some size may unpack to."""
    return max(FREE_UNPACKED_BYTES, MOST_TIMES_PACKED * size)


def too_large(shown: str, limit: int, remedy: str) -> InputError:
    """The error of a file that unpacks to more than a limit."""
    return InputError(Problem(shown, "", f"unpacks to more than {limit >> 20} MiB", remedy))


def unreadable(shown: str, error: OSError) -> InputError:
    """The error of a file that the system does not let us read."""
    return InputError(
        Problem(shown, "", f"cannot be read: {why_of(error)}", remedy_of(error, "Check the path"))
    )


def _unpacker(head: bytes) -> Callable[[BinaryIO], IO[bytes]] | None:
    # Imported late: some Pythons are built without one of them.
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


class _Unpacked(io.RawIOBase):
    def __init__(self, file: BinaryIO, content: IO[bytes], limit: int, shown: str) -> None:
        self._file = file
        self._content = content
        self._left = self._limit = limit
        self._shown = shown

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            chunk = self._content.read(len(buffer))
        except (EOFError, zlib.error, ValueError, OSError) as error:
            raise self._damaged(error) from error
        except Exception as error:
            # lzma.LZMAError is a plain Exception.
            if type(error).__name__ != "LZMAError":
                raise
            raise self._damaged(error) from error
        self._left -= len(chunk)
        if self._left < 0:
            remedy = "If that is right, unpack it yourself, and give the unpacked file"
            raise too_large(self._shown, self._limit, remedy)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._content.close()
            self._file.close()
        super().close()

    def _damaged(self, error: Exception) -> InputError:
        if isinstance(error, OSError) and error.errno == errno.EIO:
            return unreadable(self._shown, error)
        why = (str(error) or type(error).__name__).rstrip(".")
        what = f"cannot be unpacked: {why}"
        return InputError(Problem(self._shown, "", what, "Copy or download it again"))
