"""Garbage collection: which records and files no recipe needs any more, and freeing them.

gc keeps what the latest finished run of any recipe needs, and of each of its variants, which
commands changed by options. It frees what only variants need if it is told to. It also keeps
everything stored since the last run finished, and what a stopped run had found. While a run goes on
it frees nothing.

Knows nothing of recipes. Invariant: a run that begins is either known to gc, or starts from what gc
has left.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from respsel.errors import Problem, StoreError
from respsel.store.downloads import is_downloaded, needed_downloads
from respsel.store.folder import (
    DOWNLOADS,
    QUARANTINE,
    WEIGHTS,
    is_prepared,
    leftovers,
    listed,
)
from respsel.store.locks import Wait
from respsel.store.notes import forget_runs
from respsel.store.sealed import Entry
from respsel.store.store import Store
from respsel.store.unfinished_runs import GC_LOCK, Unfinished, find_unfinished
from respsel.store.usage import FREEABLE, FoundRun, find_runs, kind_of, size_of
from respsel.system.parts import PART, is_part, remove

# What the name of a folder ends in whose files are being freed.
_FREED = ".freed"


@dataclass(frozen=True)
class Garbage:
    """What gc would free, and what keeps it from freeing more.

    entries: the records that it would free.
    files: the files and folders that it would free.
    size_bytes: how much disk these take.
    kept: the latest runs of recipes that exist; what they need is kept.
    forgotten: the latest runs of recipes whose file is gone, and of variants that are to go.
    running: the runs that go on; if there are any, nothing is freed.
    """

    entries: Sequence[Entry]
    files: Sequence[Path]
    size_bytes: int
    kept: Sequence[FoundRun]
    forgotten: Sequence[FoundRun]
    running: Sequence[Unfinished]


def clean(store: Store, root: Path, free: bool, wait: Wait, variants: bool = False) -> Garbage:
    """List what gc may free, and free it if `free` says so.

    root: the folder of the workspace that asks. variants: also free what only variants need.
    """
    with store.lock(GC_LOCK, wait):
        garbage = find_garbage(store, root, variants)
        if free:
            collect(store, garbage)
    return garbage


def find_garbage(store: Store, root: Path, variants: bool = False) -> Garbage:
    """List the records and files that gc may free.

    A record is kept if the latest finished run of any existing recipe needs it. If no run has
    finished, or one goes on, no record is listed; what dead processes left is listed in any case.

    root: the folder of the workspace that asks; others may use the store too. variants: variants
    of recipes are not kept. Raises StoreError after damage, since it is then not known what is
    needed.
    """
    entries = list(store.entries())
    runs = list(find_runs(store, root, entries))
    stays = [run.exists and not (variants and run.note.variant) for run in runs]
    kept = [run for run, stay in zip(runs, stays, strict=True) if stay]
    forgotten = [run for run, stay in zip(runs, stays, strict=True) if not stay]
    reached = _reached_by(store, kept)
    unfinished = find_unfinished(store, root)
    if running := [run for run in unfinished if run.holder]:
        return Garbage((), (), 0, kept, forgotten, running)
    began = [run.began for run in unfinished]
    if began:
        _reach_unfinished(store, entries, min(began), reached)
    horizon = min([max((run.note.finished for run in runs), default=0.0), *began])
    free = [entry for entry in entries if _is_free(entry, reached, horizon)]
    needed = {name for run in kept for name in (*run.note.weights, *run.note.downloads)}
    needed |= needed_downloads(store, root)
    files = _free_files(store, needed, horizon)
    size = sum(entry.size_bytes for entry in free) + sum(map(size_of, files))
    return Garbage(free, files, size, kept, forgotten, ())


def collect(store: Store, garbage: Garbage) -> None:
    """Free what `find_garbage` listed."""
    if not garbage.running:
        # Without its note a variant counts as not run, and not as damaged.
        forget_runs(store, [run.note for run in garbage.forgotten if run.exists])
    for entry in garbage.entries:
        store.discard(entry)
    for path in garbage.files:
        _remove(path)
    store.shrink()


def _reached_by(store: Store, runs: Iterable[FoundRun]) -> set[str]:
    """The keys of the records that runs need. Raises StoreError where damage hides some."""
    reached: set[str] = set()
    steps_known = True
    for run in runs:
        reached |= {f"rows/{left.table}/{left.output}" for left in run.note.unrecorded.values()}
        for key in run.note.steps.values():
            steps_known &= _reach(store, key, reached)
    # Of damaged downloads it is known what they were.
    quarantined = [
        path
        for path in listed(store.folder / QUARANTINE)
        if not is_part(path.name) and not path.name.startswith(f"{DOWNLOADS}-")
    ]
    if not steps_known or store.damage or quarantined:
        what = "was damaged, so it is not known what is needed"
        remedy = "Run every recipe again, empty its quarantine folder, and try once more"
        raise StoreError(Problem(str(store.folder), "", what, remedy))
    return reached


def _reach_unfinished(
    store: Store, entries: Sequence[Entry], since: float, reached: set[str]
) -> None:
    """Add what unfinished runs may have found.

    That is every recipe's newest steps, and the calls that steps noted since the first run began.
    """
    for entry in entries:
        if entry.key is None:
            continue
        if kind_of(entry) == "last" and (body := store.get(entry.key)):
            _reach(store, body.decode(), reached)
        elif kind_of(entry) == "uses" and entry.stored_at >= since:
            reached |= set(store.load_uses(entry.key.partition("/")[2]) or ())


def _reach(store: Store, step: str, reached: set[str]) -> bool:
    """Add the keys that a step's record leads to; False if that is not known."""
    record = store.load_step(step)
    reached |= {f"step/{step}", f"uses/{step}"}
    uses = store.load_uses(step)
    reached |= set(uses or ())
    if record is None:
        # A step with a failed call has no record, but notes its calls.
        return uses is not None
    reached.add(f"rows/{record.table}/{record.output}")
    return uses is not None or not record.asks


def _is_free(entry: Entry, reached: set[str], horizon: float) -> bool:
    return entry.stored_at < horizon and (
        entry.key is None or (kind_of(entry) in FREEABLE and entry.key not in reached)
    )


def _free_files(store: Store, needed: set[str], horizon: float) -> list[Path]:
    """Files and folders that gc may free.

    These are prepared weights, downloads, value files without a record, and parts.

    needed: the names of weights and downloads that stay.
    horizon: what is newer stays (seconds since 1970).
    """
    weights = [path for path in listed(store.folder / WEIGHTS) if not path.is_symlink()]
    half_freed = [path for path in weights if _is_half_freed(path.name)]
    downloads = [
        path
        for path in listed(store.folder / DOWNLOADS)
        if is_downloaded(path.name) and not path.is_symlink()
    ]
    made = [*(path for path in weights if is_prepared(path.name)), *downloads, *store.strays()]
    old = [path for path in made if path.name not in needed and path.stat().st_mtime < horizon]
    # What an earlier gc left comes first: its name is then free for the next folder to remove.
    return [*half_freed, *old, *leftovers(store.folder)]


def _is_half_freed(name: str) -> bool:
    return name.endswith(_FREED) and is_prepared(name.removesuffix(_FREED))


def _remove(path: Path) -> None:
    if not path.is_dir() or path.is_symlink() or PART in path.name:
        remove(path)
        return
    # Hazard: a folder is removed file by file, and what a kill leaves of it would be loaded as
    # prepared weights. So its name changes first.
    if not path.name.endswith(_FREED):
        path = path.rename(path.with_name(f"{path.name}{_FREED}"))
    shutil.rmtree(path)
