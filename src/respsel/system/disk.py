"""Files as the operating system has them: why it refuses one, and small ones read whole.

Knows nothing of what files are for. Invariants: only regular files are read, so nothing waits for a
pipe or reads a device for ever. A file is read only up to a limit.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

# The largest file that is written by hand.
MOST_BYTES = 1 << 24
_SPACE = "Free some space there, then run again"
_REMEDIES = {
    errno.ENAMETOOLONG: "Give it a shorter name or path",
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "The file system or a limit (ulimit -f) takes no file that large: use another "
    "place",
    errno.EROFS: "The file system is read-only: use another place",
    errno.EACCES: "Check the permissions of it and of the folders above",
    errno.EPERM: "Check the permissions of it and of the folders above",
    errno.EISDIR: "It is a folder: give a file, or move the folder away",
    errno.ENOTDIR: "A part of its path is a file, not a folder: give another path, or move that "
    "file away",
    errno.EEXIST: "Something else has its name: move that away, or give another path",
    errno.ELOOP: "A link in its path leads back to itself: remove the link, or make it again",
    errno.EIO: "The disk or the network drive fails: check it",
    errno.EMFILE: "Allow more open files: ulimit -n 4096",
    errno.ENFILE: "Too many files are open on this machine: close programs",
}


class UnreadableError(Exception):
    """A file that cannot be read. Its text says why, and `remedy` what to do."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


def why_of(error: Exception) -> str:
    """What the system says of a file, without its path and number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def remedy_of(error: Exception, otherwise: str) -> str:
    """What to do about an error; `otherwise` where its cause has no remedy of its own."""
    return _REMEDIES.get(getattr(error, "errno", None) or 0, otherwise)


def fault_of_kind(mode: int) -> tuple[str, str] | None:
    """What is wrong with a file of this mode, and what to do; None for a regular file."""
    if stat.S_ISDIR(mode):
        return "is a folder, not a file", "Name one file in it"
    if not stat.S_ISREG(mode):
        return "is a pipe, socket or device, not a file", "Write its content to a file first"
    return None


def read_small(path: Path, otherwise: str, most_bytes: int = MOST_BYTES) -> bytes:
    """The content of a file that people write. Raises UnreadableError."""
    try:
        # Hazard: without O_NONBLOCK this would wait for a pipe that nobody writes to.
        handle = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
        with open(handle, "rb") as file:
            info = os.fstat(handle)
            if fault := fault_of_kind(info.st_mode):
                raise UnreadableError(*fault)
            if info.st_size > most_bytes:
                raise UnreadableError(
                    f"is larger than {most_bytes >> 20} MiB", "Give the right file"
                )
            # Hazard: files that the kernel makes (/proc) have no size and may have no end.
            return file.read(info.st_size)
    except UnreadableError:
        raise
    except IsADirectoryError as error:
        raise UnreadableError("is a folder, not a file", "Name one file in it") from error
    except (OSError, ValueError) as error:
        raise UnreadableError(
            f"cannot be read: {why_of(error)}", remedy_of(error, otherwise)
        ) from error
