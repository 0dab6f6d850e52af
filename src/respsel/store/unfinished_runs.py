"""Runs that have not finished: noted in the store, so that gc leaves what they need.

A run holds a lock of its own while it goes on. The system frees the lock when the process dies, so
gc knows which runs live. Nobody knows yet what a live run will find in its later stages, so gc
frees nothing during one. For a run that was stopped, gc keeps what was stored since it began and
what it had found.

Knows nothing of steps. Invariant: a run is either known to gc, or begins with what gc has left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from respsel.store.live import LiveFile
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

# gc and the beginning of a run never happen at once.
GC_LOCK = "gc"


@dataclass(frozen=True)
class Unfinished:
    """A run that has begun and not finished.

    recipe: its recipe's path from the workspace that asks.
    began: when it began (seconds since 1970).
    holder: its process, if that lives.
    """

    recipe: str
    began: float
    holder: Holder | None


class RunNote:
    """The note of one run of a recipe. Runs of one recipe at the same time have a note each."""

    def __init__(self, store: Store, key: str, place: RecipePlace, wait: Wait) -> None:
        """Nothing is noted until `begin`.

        key: the recipe's key.
        place: where the recipe is.
        wait: called with the process that frees space in the store, if the run must wait for it.
        """
        self._store = store
        self._key = key
        self._place = place
        self._wait = wait
        self._lock = ExitStack()
        self._begun = False
        # Where others read how far the run is; None before it begins.
        self.live: LiveFile | None = None

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
        """Note that the run begins, if it has not. Waits for a gc that goes on."""
        if self._begun:
            return
        self._begun = True
        with self._store.lock(GC_LOCK, self._wait):
            key = self._take_slot()
            # The note of a run that was stopped stays, with its earlier time.
            if not self._store.has(key):
                save_begun(self._store, key, BegunNote(self._place, time.time()))

    def _take_slot(self) -> str:
        """Take the lock of the first note that no live run holds; return the note's key."""
        slot = 0
        while True:
            key = begun_key(self._key, slot)
            lock = self._store.try_lock(key)
            if not isinstance(lock, Holder):
                self._lock.enter_context(lock)
                self.live = LiveFile(self._store.folder, key)
                self.live.remove()
                return key
            slot += 1

    def finish(self) -> None:
        """Remove the note of this run, and those of the recipe's runs that were stopped."""
        self._lock.close()
        for key in begun_keys(self._store, self._key):
            lock = self._store.try_lock(key)
            if not isinstance(lock, Holder):
                with lock:
                    self._store.forget(key)
                    LiveFile(self._store.folder, key).remove()


def find_unfinished(store: Store, root: Path) -> Sequence[Unfinished]:
    """The runs that have not finished.

    A run that was stopped does not count if its recipe is gone.

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
