"""What is in the store: how much of each kind, which steps, and whether every record is whole.

Knows nothing of what may be freed; see store.gc. Invariant: nothing is deleted here but what
`verify` moves to quarantine, and records whose key is not text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from respsel.errors import Problem
from respsel.store.downloads import verify_downloads
from respsel.store.folder import DATABASE, DOWNLOADS, QUARANTINE, WEIGHTS, listed
from respsel.store.notes import KINDS, LatestRun, latest_runs
from respsel.store.sealed import Entry
from respsel.store.store import Store

# Kinds of records that gc may free; the others are small notes.
FREEABLE = {
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
    "download": "what is behind addresses",
}
_FOLDERS = {
    WEIGHTS: "weights prepared for this machine",
    DOWNLOADS: "downloaded data",
    QUARANTINE: "damaged records",
}


@dataclass(frozen=True)
class Usage:
    """How much of one kind is stored.

    kind: the first part of its records' keys, or the name of a folder.
    what: the kind in words.
    records: how many records, or files in the folder.
    size_bytes: how much disk they take.
    """

    kind: str
    what: str
    records: int
    size_bytes: int


@dataclass(frozen=True)
class ListedStep:
    """A finished step in the store.

    key: the step's key.
    op: its operation.
    rows: how many rows its table has.
    stored_at: when it was stored (seconds since 1970).
    needed_by: the recipe whose latest run needs it, with the step's name there, or None.
    """

    key: str
    op: str
    rows: int
    stored_at: float
    needed_by: str | None


@dataclass(frozen=True)
class FoundRun:
    """The latest finished run of a recipe.

    recipe: the recipe's path from the workspace that asks, and what it was changed for.
    exists: whether its file is there.
    note: what the store notes of the run.
    """

    recipe: str
    exists: bool
    note: LatestRun


def measure(store: Store) -> list[Usage]:
    """The store's content by kind, its prepared weights and its quarantine."""
    words = {**FREEABLE, **_NOTES}
    counts = Counter(dict.fromkeys(words, 0))
    sizes: Counter[str] = Counter()
    for entry in store.entries():
        counts[kind_of(entry)] += 1
        sizes[kind_of(entry)] += entry.size_bytes
    usages = [
        Usage(kind, words.get(kind, "not written by respsel"), count, sizes[kind])
        for kind, count in counts.items()
    ]
    for name, what in _FOLDERS.items():
        files = listed(store.folder / name)
        usages.append(Usage(name, what, len(files), sum(map(size_of, files))))
    return usages


def list_steps(store: Store, root: Path) -> list[ListedStep]:
    """Every stored step, oldest first.

    root: the folder of the workspace that asks.
    """
    entries = list(store.entries())
    names: dict[str, str] = {}
    # What a recipe shares with its variants is the recipe's, which comes last.
    for run in sorted(find_runs(store, root, entries), key=lambda run: not run.note.variant):
        names |= {key: f"{run.recipe}: {name}" for name, key in run.note.steps.items()}
    steps = []
    for entry in entries:
        if entry.key is None or kind_of(entry) != "step":
            continue
        key = entry.key.partition("/")[2]
        if record := store.load_step(key):
            steps.append(ListedStep(key, record.op, record.rows, entry.stored_at, names.get(key)))
    return steps


def verify(store: Store) -> tuple[int, list[Problem]]:
    """Read every record and download; return how many there are, and all that is wrong.

    What is damaged moves to quarantine.
    """
    before = len(store.damage)
    count = 0
    store.damage += store.lost
    if (faults := store.integrity()) != "ok":
        what = f"SQLite finds fault with it: {faults}"
        remedy = "Run the recipes again: what cannot be read is made again"
        store.damage.append(Problem(str(store.folder / DATABASE), "", what, remedy))
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
    for problem in verify_downloads(store):
        count += 1
        store.damage += [problem] if problem else []
    return count, store.damage[before:]


def find_runs(store: Store, root: Path, entries: Sequence[Entry]) -> Iterator[FoundRun]:
    """The latest run of every recipe; a run whose note is damaged is left out.

    root: the folder of the workspace that asks. entries: what the store lists.
    """
    for note in latest_runs(store, entries):
        path, shown = note.place.find(store.folder, root)
        name = f"{shown} ({note.purpose})" if note.purpose else shown
        yield FoundRun(name, path.is_file(), note)


def kind_of(entry: Entry) -> str:
    """The kind of a record, which is the first part of its key."""
    return entry.key.partition("/")[0] if entry.key else "no text"


def size_of(path: Path) -> int:
    """How many bytes a file takes, or the files of a folder."""
    size = 0
    # Weights that are being made may take their place, under another name, during this.
    with suppress(FileNotFoundError):
        for file in path.rglob("*") if path.is_dir() else (path,):
            size += file.stat().st_size if file.is_file() else 0
    return size
