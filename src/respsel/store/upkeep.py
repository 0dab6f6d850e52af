"""Looking after the store: its size, whether every record is whole, and what no latest run reaches.

Invariants: verify reads everything and deletes nothing but into quarantine; gc keeps whatever the
latest finished run of any recipe reaches, and whatever was stored since, and frees nothing beside a
run that goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from respsel.errors import Problem, StoreError
from respsel.store.folder import DATABASE, QUARANTINE, WEIGHTS, is_prepared, leftovers, listed
from respsel.store.locks import Wait
from respsel.store.notes import KINDS, LatestRun, latest_runs
from respsel.store.sealed import Entry
from respsel.store.store import Store
from respsel.store.unfinished_runs import GC_LOCK, Unfinished, find_unfinished
from respsel.system.parts import PART, is_part, remove

# Kinds of records that gc may free; the others are small notes.
_KINDS = {
    "call": "answers of models",
    "request": "which call a request became",
    "rows": "tables of steps",
    "step": "records of steps",
    "uses": "which calls a step used",
}
_NOTES = {
    **KINDS,
    "last": "latest step of each recipe",
    "file": "digests of files",
}

# What the name of a folder ends in whose files are being freed.
_FREED = ".freed"


@dataclass(frozen=True)
class Usage:
    """How much of one kind is stored."""

    kind: str
    what: str
    records: int
    size_bytes: int


@dataclass(frozen=True)
class ListedStep:
    """A finished step in the store; needed_by: its recipe and name in a latest run, if any needs
    it.
    """

    key: str
    op: str
    rows: int
    stored_at: float
    needed_by: str | None


@dataclass(frozen=True)
class FoundRun:
    """The latest finished run of a recipe, as gc finds it.

    recipe: the recipe's path from the workspace that asks, and what it was changed for.
    exists: whether its file is there.
    note: what the store notes of the run.
    """

    recipe: str
    exists: bool
    note: LatestRun


@dataclass(frozen=True)
class Garbage:
    """What gc would free, the runs whose reach it keeps, and those that go on, beside which it
    frees nothing.
    """

    entries: Sequence[Entry]
    files: Sequence[Path]
    size_bytes: int
    kept: Sequence[FoundRun]
    forgotten: Sequence[FoundRun]
    running: Sequence[Unfinished]


def measure(store: Store) -> list[Usage]:
    """The store's content by kind, its prepared weights and its quarantine."""
    counts: dict[str, list[int]] = {}
    for entry in store.entries():
        found = counts.setdefault(_kind(entry), [0, 0])
        found[0] += 1
        found[1] += entry.size_bytes
    usages = [
        Usage(kind, what, *counts.pop(kind, (0, 0))) for kind, what in {**_KINDS, **_NOTES}.items()
    ]
    usages += [Usage(kind, "not written by respsel", *found) for kind, found in counts.items()]
    for name, what in (
        (WEIGHTS, "weights prepared for this machine"),
        (QUARANTINE, "damaged records"),
    ):
        files = listed(store.folder / name)
        usages.append(Usage(name, what, len(files), sum(map(_size, files))))
    return usages


def list_steps(store: Store, root: Path) -> list[ListedStep]:
    """Every stored step, oldest first."""
    entries = list(store.entries())
    names: dict[str, str] = {}
    for run in _find_runs(store, root, entries):
        names |= {key: f"{run.recipe}: {name}" for name, key in run.note.steps.items()}
    found = []
    for entry in entries:
        if (
            entry.key is not None
            and _kind(entry) == "step"
            and (record := store.load_step(key := entry.key.partition("/")[2]))
        ):
            found.append(ListedStep(key, record.op, record.rows, entry.stored_at, names.get(key)))
    return found


def verify(store: Store) -> tuple[int, list[Problem]]:
    """Read every record; return their number, the bad ones, which are moved to quarantine, and what
    else is wrong.
    """
    before = len(store.damage)
    count = 0
    store.damage += store.lost
    if (found := store.integrity()) != "ok":
        remedy = "Run the recipes again: what cannot be read is made again"
        store.damage.append(
            Problem(
                str(store.folder / DATABASE), "", f"SQLite finds fault with it: {found}", remedy
            )
        )
    for entry in store.entries():
        count += 1
        if entry.key is not None:
            store.get(entry.key)
            continue
        what = "a record whose key is not text was written by something else"
        remedy = "It stays, since the store is read-only" if store.read_only else "It was taken out"
        store.damage.append(Problem(str(store.folder), f"row {entry.row}", what, remedy))
        if not store.read_only:
            store.discard(entry)
    return count, store.damage[before:]


def clean(store: Store, root: Path, free: bool, wait: Wait) -> Garbage:
    """Find what no latest run reaches and free it, if so told; see find_garbage."""
    with store.lock(GC_LOCK, wait):
        garbage = find_garbage(store, root)
        if free:
            collect(store, garbage)
    return garbage


def find_garbage(store: Store, root: Path) -> Garbage:
    """What no latest run reaches. A recipe whose file is gone reaches nothing; without any run all
    is kept, and so it is while one goes on.

    root: the folder of the workspace that asks; others may use the store, too. Raises StoreError
    after damage: what is reached is then not known.
    """
    entries = list(store.entries())
    runs = list(_find_runs(store, root, entries))
    kept = [run for run in runs if run.exists]
    gone = [run for run in runs if not run.exists]
    reached: set[str] = set()
    steps_known = True
    for run in kept:
        reached |= {f"rows/{left.table}/{left.output}" for left in run.note.unrecorded.values()}
        for key in run.note.steps.values():
            steps_known &= _reach(store, key, reached)
    if (
        not steps_known
        or store.damage
        or not all(is_part(path.name) for path in listed(store.folder / QUARANTINE))
    ):
        what = "was damaged, so it is not known what is needed"
        remedy = "Run every recipe again, empty its quarantine folder, and try once more"
        raise StoreError(Problem(str(store.folder), "", what, remedy))
    unfinished = find_unfinished(store, root)
    if running := [run for run in unfinished if run.holder]:
        return Garbage((), (), 0, kept, gone, running)
    began = [run.began for run in unfinished]
    if began:
        _reach_unfinished(store, entries, min(began), reached)
    horizon = min([max((run.note.finished for run in runs), default=0.0), *began])
    free = [entry for entry in entries if _is_free(entry, reached, horizon)]
    weights = {name for run in kept for name in run.note.weights}
    found = [path for path in listed(store.folder / WEIGHTS) if not path.is_symlink()]
    made = [*(path for path in found if is_prepared(path.name)), *store.strays()]
    # What an earlier gc left comes first: the name is then free for what takes it to be removed.
    files = [
        path
        for path in found
        if is_prepared(path.name.removesuffix(_FREED)) and path.name.endswith(_FREED)
    ]
    files += [path for path in made if path.name not in weights and path.stat().st_mtime < horizon]
    files += leftovers(store.folder)
    size = sum(entry.size_bytes for entry in free) + sum(map(_size, files))
    return Garbage(free, files, size, kept, gone, ())


def _reach_unfinished(
    store: Store, entries: Sequence[Entry], since: float, reached: set[str]
) -> None:
    """Add what unfinished runs may have found: every recipe's newest steps, and the calls that
    steps began with.
    """
    for entry in entries:
        if entry.key is None:
            continue
        if _kind(entry) == "last" and (body := store.get(entry.key)):
            _reach(store, body.decode(), reached)
        elif _kind(entry) == "uses" and entry.stored_at >= since:
            reached |= set(store.load_uses(entry.key.partition("/")[2]) or ())


def collect(store: Store, garbage: Garbage) -> None:
    """Free what `find_garbage` found."""
    for entry in garbage.entries:
        store.discard(entry)
    for path in garbage.files:
        _remove(path)
    store.shrink()


def _remove(path: Path) -> None:
    if not path.is_dir() or path.is_symlink() or PART in path.name:
        remove(path)
        return
    # Hazard: a folder goes file by file, and what a kill leaves of it would be loaded as prepared
    # weights.
    if not path.name.endswith(_FREED):
        path = path.rename(path.with_name(f"{path.name}{_FREED}"))
    shutil.rmtree(path)


def _size(path: Path) -> int:
    """What a file or a folder of files takes."""
    size = 0
    # Weights that are being made take their place meanwhile.
    with suppress(FileNotFoundError):
        for file in path.rglob("*") if path.is_dir() else (path,):
            size += file.stat().st_size if file.is_file() else 0
    return size


def _find_runs(store: Store, root: Path, entries: Sequence[Entry]) -> Iterator[FoundRun]:
    """Every latest run but those whose note is damaged; find_garbage refuses for these."""
    for note in latest_runs(store, entries):
        path, shown = note.place.find(store.folder, root)
        name = f"{shown} ({note.purpose})" if note.purpose else shown
        yield FoundRun(name, path.is_file(), note)


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
        entry.key is None or (_kind(entry) in _KINDS and entry.key not in reached)
    )


def _kind(entry: Entry) -> str:
    return entry.key.partition("/")[0] if entry.key else "no text"
