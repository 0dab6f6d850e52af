"""Runs that have not finished: noted in the store, so that gc leaves what they need.

A run that goes on holds a lock of its own, which the system gives back when its process dies; so it
is known which ones live. What a live run will find in its later stages is known to nobody yet: gc
frees nothing beside it. One that was stopped keeps what was stored since it began and what it had
found.

Invariant: a run is either known to gc, or begins with what gc has left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from respsel.store.locks import Holder, Wait
from respsel.store.notes import (
    BegunNote,
    RecipePlace,
    begun_key,
    begun_keys,
    load_begun,
    save_begun,
)
from respsel.store.store import Store

# gc and the beginnings of runs exclude each other.
GC_LOCK = "gc"


@dataclass(frozen=True)
class Unfinished:
    """A run that has begun at a time (seconds since 1970) and not finished.

    holder: who it is, if it lives.
    """

    recipe: str
    began: float
    holder: Holder | None


class RunNote:
    """The note of one run of a recipe; several runs of one recipe at once have a note each."""

    def __init__(self, store: Store, key: str, place: RecipePlace, wait: Wait) -> None:
        """key: the recipe's.
        place: where the recipe is.
        wait: told who frees space in the store, where this run must wait for that.
        """
        self._store = store
        self._key = key
        self._place = place
        self._wait = wait
        self._lock = ExitStack()
        self._begun = False

    def __enter__(self) -> RunNote:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()

    def begin(self) -> None:
        """Note that the run begins, if it has not; a gc that is going on is waited for."""
        if self._begun:
            return
        self._begun = True
        with self._store.lock(GC_LOCK, self._wait):
            key = self._take_slot()
            # The note of one that was stopped stays, with its earlier time.
            if not self._store.has(key):
                save_begun(self._store, key, BegunNote(self._place, time.time()))

    def _take_slot(self) -> str:
        """Take the lock of the first note that no live run has; returns the note's key."""
        slot = 0
        while True:
            key = begun_key(self._key, slot)
            lock = self._store.try_lock(key)
            if not isinstance(lock, Holder):
                self._lock.enter_context(lock)
                return key
            slot += 1

    def finish(self) -> None:
        """The run has finished: take away its note, and those of the recipe's runs that were
        stopped.
        """
        self._lock.close()
        for key in begun_keys(self._store, self._key):
            lock = self._store.try_lock(key)
            if not isinstance(lock, Holder):
                with lock:
                    self._store.forget(key)


def find_unfinished(store: Store, root: Path) -> Sequence[Unfinished]:
    """The runs that have not finished. One that was stopped and whose recipe is gone does not
    count.

    root: the folder of the workspace that asks.
    """
    return list(_unfinished(store, root))


def _unfinished(store: Store, root: Path) -> Iterator[Unfinished]:
    for key in begun_keys(store):
        note = load_begun(store, key)
        if note is None:
            continue
        path, shown = note.place.find(store.folder, root)
        lock = store.try_lock(key)
        if isinstance(lock, Holder):
            yield Unfinished(shown, note.began, lock)
            continue
        with lock:
            if path.is_file():
                yield Unfinished(shown, note.began, None)
