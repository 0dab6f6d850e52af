"""Locks: one process at a time does what a name stands for, and others learn who it is.

Knows nothing of what the names stand for. Invariant: the lock is the operating system's, so a
killed process holds nothing.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from respsel.hashing import canonical_json, digest
from respsel.store.folder import make_own, read_own, refuse_link
from respsel.system.parts import remove_dead_parts, write_beside

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from filelock import FileLock

_MOST_NOTE_BYTES = 4096


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    pid: its number, or None where that is not known.
    since: when it took the lock (seconds since 1970), or None where that is not known.
    host: the machine that it runs on; empty where that is not known.
    about: the recipe that it works for; empty where it works for none.
    folder: where its locks are, and where it says how far it is; None where it says nothing.
    """

    pid: int | None
    since: float | None
    host: str = ""
    about: str = ""
    folder: Path | None = field(default=None, compare=False, repr=False)


# How often who waits is told for whom.
_TELL_EVERY_S = 1.0

# Called with the process that this one waits for, and then again every second while it waits.
Wait = Callable[[Holder], None]


def host_name() -> str:
    """The name of this machine."""
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def take_lock(folder: Path, name: str, wait: Wait, about: str = "") -> AbstractContextManager[None]:
    """Take the only lock for what `name` stands for; the end of the returned context frees it.

    Calls `wait` with a live holder, and waits for it. about: see Holder. Raises OSError if the
    folder cannot be used.
    """
    lock, note = _lock_of(folder, name)
    seconds = 0.0
    while (holder := _try(lock, note, seconds)) is not None:
        wait(holder)
        seconds = _TELL_EVERY_S
    return _held(lock, note, about)


def try_lock(folder: Path, name: str, about: str = "") -> AbstractContextManager[None] | Holder:
    """Take the lock if it is free, and return its context; else return who holds it."""
    lock, note = _lock_of(folder, name)
    return _try(lock, note) or _held(lock, note, about)


def holder_of(folder: Path, name: str) -> Holder | None:
    """Who holds a lock now, or None. Nothing is written, so this works in a read-only store too.

    Where the system has no locks that can be shared, nobody can be told to hold it.
    """
    return holder_at(_path_of(folder, name))


def holder_at(path: Path) -> Holder | None:
    """The same by the path of the lock's file."""
    if fcntl is None or path.is_symlink():
        return None
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        is_held = error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)
        return _read_holder(path.with_suffix(".json")) if is_held else None
    else:
        return None
    finally:
        os.close(file)


def _path_of(folder: Path, name: str) -> Path:
    return folder / f"{digest('turn', name)[:32]}.lock"


def _lock_of(folder: Path, name: str) -> tuple[FileLock, Path]:
    from filelock import FileLock

    path = _path_of(folder, name)
    make_own(folder)
    # Hazard: taking a lock empties its file, wherever a link leads.
    refuse_link(path)
    return FileLock(path, is_singleton=False), path.with_suffix(".json")


def _try(lock: FileLock, note: Path, seconds: float = 0.0) -> Holder | None:
    from filelock import Timeout

    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return _read_holder(note)
    return None


@contextmanager
def _held(lock: FileLock, note: Path, about: str) -> Iterator[None]:
    try:
        remove_dead_parts(note.parent, note.name)
        signed = {"pid": os.getpid(), "since": time.time(), "host": host_name(), "about": about}
        write_beside(note, canonical_json(signed))
        yield
    finally:
        lock.release()


def _read_holder(note: Path) -> Holder:
    try:
        signed = json.loads(read_own(note, _MOST_NOTE_BYTES))
        # Earlier versions signed with neither machine nor recipe.
        more = {name: str(signed.get(name, "")) for name in ("host", "about")}
        return Holder(int(signed["pid"]), float(signed["since"]), **more, folder=note.parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # The holder has just taken its lock, and not signed the note yet.
        return Holder(None, None)
