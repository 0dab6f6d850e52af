"""Looking after the store: its size, whether every record is whole, and what no latest run reaches.

Invariants: verify reads everything and deletes nothing but into quarantine; gc keeps whatever the latest
finished run of any recipe reaches, and whatever was stored since, so an unfinished run loses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respsel.errors import Problem
from respsel.runner import RunResult
from respsel.store import Entry, Store

# Kinds of records that gc may free; the others are small notes.
_KINDS = {
    "call": "answers of models",
    "request": "which call a request became",
    "rows": "tables of steps",
    "step": "records of steps",
    "uses": "which calls a step used",
}
_NOTES = {"run": "latest runs", "last": "latest step of each recipe", "file": "digests of files"}


@dataclass(frozen=True)
class Usage:
    """How much of one kind is stored."""

    kind: str
    what: str
    records: int
    size_bytes: int


@dataclass(frozen=True)
class StoredStep:
    """A finished step in the store; needed_by: its recipe and name in a latest run, if any needs it."""

    key: str
    op: str
    rows: int
    stored_at: float
    needed_by: str | None


@dataclass(frozen=True)
class LatestRun:
    """The latest finished run of a recipe, as gc knows it."""

    recipe: str
    exists: bool
    finished: float
    steps: Mapping[str, str]


@dataclass(frozen=True)
class Garbage:
    """What gc would free, and the runs whose reach it keeps."""

    entries: Sequence[Entry]
    files: Sequence[Path]
    size_bytes: int
    kept: Sequence[LatestRun]
    forgotten: Sequence[LatestRun]


def note_latest(store: Store, result: RunResult) -> None:
    """Note a finished run as its recipe's latest, for gc; nothing is written if it was the latest."""
    loaded = result.graph.loaded
    steps = {name: result.key(name) for name in result.graph.steps}
    weights = [Path(name).name for name in result.weights]
    key, known = f"run/{loaded.key}", store.load_json(f"run/{loaded.key}")
    said = {"recipe": loaded.shown, "path": str(loaded.path), "steps": steps, "weights": weights}
    if known is None or {name: known.get(name) for name in said} != said:
        store.save_json(key, {**said, "finished": time.time()})


def measure(store: Store) -> list[Usage]:
    """The store's content by kind, its prepared weights and its quarantine."""
    counts: dict[str, list[int]] = {}
    for entry in store.entries():
        found = counts.setdefault(_kind(entry), [0, 0])
        found[0] += 1
        found[1] += entry.size_bytes
    usages = [Usage(kind, what, *counts.pop(kind, (0, 0))) for kind, what in {**_KINDS, **_NOTES}.items()]
    usages += [Usage(kind, "not written by respsel", *found) for kind, found in counts.items()]
    for name, what in (("weights", "weights prepared for this machine"), ("quarantine", "damaged records")):
        files = [path for path in (store.folder / name).glob("*") if path.is_file()]
        usages.append(Usage(name, what, len(files), sum(path.stat().st_size for path in files)))
    return usages


def list_steps(store: Store) -> list[StoredStep]:
    """Every stored step, oldest first."""
    entries = list(store.entries())
    names: dict[str, str] = {}
    for entry in entries:
        if entry.key is not None and _kind(entry) == "run":
            run, _ = _latest(store, entry.key)
            names |= {key: f"{run.recipe}: {name}" for name, key in run.steps.items()}
    found = []
    for entry in entries:
        if entry.key is not None and _kind(entry) == "step" and (record := store.load_step(key := entry.key.partition("/")[2])):
            found.append(StoredStep(key, record.op, record.rows, entry.stored_at, names.get(key)))
    return found


def verify(store: Store) -> tuple[int, list[Problem]]:
    """Read every record; return their number and the bad ones, which are moved to quarantine."""
    before, count = len(store.damage), 0
    for entry in list(store.entries()):
        count += 1
        if entry.key is None:
            store.discard(entry)
            what = "a record whose key is not text was written by something else"
            store.damage.append(Problem(str(store.folder), f"row {entry.row}", what, "It was taken out"))
        else:
            store.get(entry.key)
    return count, store.damage[before:]


def find_garbage(store: Store) -> Garbage:
    """What no latest run reaches. A recipe whose file is gone reaches nothing; without any run all is kept."""
    entries = list(store.entries())
    runs = [_latest(store, entry.key) for entry in entries if entry.key is not None and _kind(entry) == "run"]
    reached: set[str] = set()
    weights: set[str] = set()
    calls_known = True
    for run, names in runs:
        if run.exists:
            weights |= set(names)
            for key in run.steps.values():
                calls_known &= _reach(store, key, reached)
    newest = max((run.finished for run, _ in runs), default=0.0)
    kinds = set(_KINDS) if calls_known else set(_KINDS) - {"call", "request"}
    free = [entry for entry in entries if _is_free(entry, kinds, reached, newest)]
    made = (store.folder / "weights").glob("*.gguf")
    files = [path for path in made if path.name not in weights and path.stat().st_mtime < newest]
    size = sum(entry.size_bytes for entry in free) + sum(path.stat().st_size for path in files)
    kept, gone = [run for run, _ in runs if run.exists], [run for run, _ in runs if not run.exists]
    return Garbage(free, files, size, kept, gone)


def collect(store: Store, garbage: Garbage) -> None:
    """Free what `find_garbage` found."""
    for entry in garbage.entries:
        store.discard(entry)
    for path in garbage.files:
        path.unlink(missing_ok=True)
    store.shrink()


def _latest(store: Store, key: str) -> tuple[LatestRun, list[str]]:
    found: Any = store.load_json(key) or {}
    path = Path(found.get("path", ""))
    run = LatestRun(found.get("recipe", "?"), path.is_file(), found.get("finished", 0.0), found.get("steps", {}))
    return run, found.get("weights", [])


def _reach(store: Store, step: str, reached: set[str]) -> bool:
    """Add the keys that a step's record leads to; False if its calls are not known, so none may be freed."""
    record = store.load_step(step)
    reached |= {f"step/{step}", f"uses/{step}"}
    if record is None:
        return True
    reached.add(f"rows/{record.table}/{record.output}")
    uses = store.load_uses(step)
    reached |= set(uses or ())
    return uses is not None or not record.asks


def _is_free(entry: Entry, kinds: set[str], reached: set[str], newest: float) -> bool:
    return entry.key is None or (_kind(entry) in kinds and entry.key not in reached and entry.stored_at < newest)


def _kind(entry: Entry) -> str:
    return entry.key.partition("/")[0] if entry.key else "no text"
