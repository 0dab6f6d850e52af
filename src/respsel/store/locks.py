"""Locks: one process at a time does what a name stands for, and others learn who it is.

Knows nothing of what the names stand for. Invariant: the lock is the operating system's, so a
killed process holds nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from respsel.hashing import canonical_json, digest
from respsel.store.folder import make_own, read_own, refuse_link
from respsel.system.parts import remove_dead_parts, write_beside

if TYPE_CHECKING:
    from filelock import FileLock

_MOST_NOTE_BYTES = 4096


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    pid: its number, or None where that is not known.
    since: when it took the lock (seconds since 1970), or None where that is not known.
    """

    pid: int | None
    since: float | None


# Called with the process that this one waits for.
Wait = Callable[[Holder], None]


def wait_line(holder: Holder, doing: str) -> str:
    """A line that says which process this one waits for.

    doing: what that process does, as "writing the report".
    """
    who = "another process" if holder.pid is None else f"process {holder.pid}"
    since = (
        ""
        if holder.since is None
        else f" since {time.strftime('%H:%M:%S', time.localtime(holder.since))}"
    )
    return f"waiting for {who}, which has been {doing}{since}"


def take_lock(folder: Path, name: str, wait: Wait) -> AbstractContextManager[None]:
    """Take the only lock for what `name` stands for; the end of the returned context frees it.

    Calls `wait` with a live holder, and then waits for it. Raises OSError if the folder cannot be
    used.
    """
    lock, note = _lock_of(folder, name)
    if (holder := _try(lock, note)) is not None:
        wait(holder)
        lock.acquire()
    return _held(lock, note)


def try_lock(folder: Path, name: str) -> AbstractContextManager[None] | Holder:
    """Take the lock if it is free, and return its context; else return who holds it."""
    lock, note = _lock_of(folder, name)
    return _try(lock, note) or _held(lock, note)


def _lock_of(folder: Path, name: str) -> tuple[FileLock, Path]:
    from filelock import FileLock

    path = folder / f"{digest('turn', name)[:32]}.lock"
    make_own(folder)
    # Hazard: taking a lock empties its file, wherever a link leads.
    refuse_link(path)
    return FileLock(path, is_singleton=False), path.with_suffix(".json")


def _try(lock: FileLock, note: Path) -> Holder | None:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _read_holder(note)
    return None


@contextmanager
def _held(lock: FileLock, note: Path) -> Iterator[None]:
    try:
        remove_dead_parts(note.parent, note.name)
        write_beside(note, canonical_json({"pid": os.getpid(), "since": time.time()}))
        yield
    finally:
        lock.release()


def _read_holder(note: Path) -> Holder:
    try:
        signed = json.loads(read_own(note, _MOST_NOTE_BYTES))
        return Holder(int(signed["pid"]), float(signed["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        # The holder has just taken its lock, and not signed the note yet.
        return Holder(None, None)
