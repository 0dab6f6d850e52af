"""Parts: files and folders that are being made, next to the places that they take when whole.

Each part has a name of its own, and the process that makes it has it locked. The system frees the
lock when the process dies. So others recognise what a killed process left, and remove it. Where the
system has no such locks, nothing is removed.

Knows nothing of what the files are. Invariants: nothing is written through a link, and no part of a
live process is removed.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# In the names of files and folders that are not finished.
PART = ".part"
_LOCKED = re.compile(r"\..+\.[0-9]+-[0-9a-f]{8}\.part")


@contextmanager
def part_for(path: Path, folder: bool = False) -> Iterator[Path]:
    """Make an empty file, or a folder, next to a place. What is left of it at the end is removed.

    Raises OSError if it cannot be made.
    """
    part, lock = _make(path, folder)
    try:
        yield part
    finally:
        remove(part)
        if lock is not None:
            os.close(lock)


def write_beside(path: Path, data: bytes) -> None:
    """Write a file whole, also in a folder that somebody else filled.

    What lies at its place is replaced. If that is a link, nothing is written where it leads.
    """
    with part_for(path) as part:
        part.write_bytes(data)
        os.replace(part, path)


def write_new(path: Path, data: bytes) -> None:
    """Write a file whole where nothing is. Raises FileExistsError if something is, also a link."""
    with part_for(path) as part:
        part.write_bytes(data)
        try:
            # Hazard: os.replace would take the place of a file that came meanwhile.
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links.
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
            os.rename(part, path)


def is_part(name: str) -> bool:
    """Whether a name is one that `part_for` gives."""
    return _LOCKED.fullmatch(name) is not None


def remove_dead_parts(folder: Path, of: str = "") -> None:
    """Remove the parts that killed processes left in a folder.

    of: the name of the only file whose parts are removed; all if it is empty.
    """
    if folder.is_symlink() or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        parts = [
            entry.name
            for entry in entries
            if is_part(entry.name) and entry.name.startswith(f".{of}")
        ]
    for name in parts:
        if is_dead(folder / name):
            remove(folder / name)


def is_dead(part: Path) -> bool:
    """Whether no process has a part locked. That is so for a link, since no process makes one."""
    if part.is_symlink():
        return True
    if fcntl is None:
        return False
    with suppress(OSError):
        lock = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            return _is_free(lock) is True
        finally:
            os.close(lock)
    return False


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there, but nothing behind a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _make(path: Path, folder: bool) -> tuple[Path, int | None]:
    while True:
        part = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}{PART}")
        if folder:
            part.mkdir()
        else:
            # Hazard: without O_EXCL this would follow a link that has the part's name.
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        if fcntl is None:
            return part, None
        # Hazard: a process that removes dead parts may come before the lock is taken.
        with suppress(FileNotFoundError):
            lock = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
            if _is_free(lock) is not False and os.path.lexists(part):
                return part, lock
            os.close(lock)


def _is_free(lock: int) -> bool | None:
    """Lock an open file or folder if it is free; None where the file system has no locks."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES) else None
    return True
