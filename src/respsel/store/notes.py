"""The notes that a store keeps: of latest, begun and applied runs, and how fast models were.

Knows nothing of recipes, graphs or models: a note has its recipe's place, keys and digests.
Invariants: no other module knows under which keys or in which shape notes are stored, and a note
that an earlier version wrote is still read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respsel.hashing import digest

if TYPE_CHECKING:
    from respsel.store.sealed import Entry
    from respsel.store.store import Store

_LATEST = "run"
_BEGUN = "begun"
_APPLIED = "applied"
_SPEED = "speed"
# The kinds of notes, and what is counted of each.
KINDS = {
    _LATEST: "latest runs",
    _BEGUN: "unfinished runs",
    _APPLIED: "applied selections",
    _SPEED: "measured speeds",
}


@dataclass(frozen=True)
class RecipePlace:
    """Where a recipe is.

    place: its path within its workspace, with forward slashes.
    roots: the workspace's paths from the store, see Workspace. Earlier notes have none.
    """

    place: str
    roots: tuple[str, ...] = ()

    def find(self, store_folder: Path, root: Path) -> tuple[Path, str]:
        """The recipe's file, and its path from a workspace's root, which is its name there.

        A recipe without roots is taken to be of that workspace.
        """
        stores = (store_folder.resolve(), store_folder)
        pairs = zip(stores, self.roots, strict=False)
        homes = [store / to_root for store, to_root in pairs] or [root]
        paths = [Path(os.path.normpath(home / self.place)) for home in homes]
        path = next((path for path in paths if path.is_file()), paths[0])
        return path, Path(os.path.relpath(path, root)).as_posix()


@dataclass(frozen=True)
class Unrecorded:
    """A step's table without a record: a call of the step failed, so the next run asks again.

    key: the step's key.
    table: the kind of the table.
    output: the table's digest.
    rows: how many rows it has.
    took: by model, what the step's calls took; see StepRecord.
    """

    key: str
    table: str
    output: str
    rows: int
    took: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class LatestRun:
    """The latest finished run of a recipe.

    place: where the recipe is.
    purpose: what the recipe was changed for, if it ran differently from its file.
    variant: the options that changed it, if the user gave any.
    key: the recipe's key that it is noted under; empty before it is noted.
    steps: by name, the keys of its steps.
    weights: the names of the prepared weights that it used.
    downloads: the names of the files that its data was downloaded to.
    unrecorded: by name, the steps that have no record.
    finished: when the run finished (seconds since 1970).
    """

    place: RecipePlace
    purpose: str
    steps: Mapping[str, str]
    weights: tuple[str, ...]
    unrecorded: Mapping[str, Unrecorded]
    finished: float
    variant: str = ""
    downloads: tuple[str, ...] = ()
    key: str = field(default="", compare=False)


@dataclass(frozen=True)
class BegunNote:
    """A run that has begun.

    place: where its recipe is.
    began: when it began (seconds since 1970).
    """

    place: RecipePlace
    began: float


@dataclass(frozen=True)
class AppliedStep:
    """A step of an applied selection.

    key: the step's key.
    output: the digest of its table.
    """

    key: str
    output: str


@dataclass(frozen=True)
class AppliedNote:
    """A selection that was applied.

    mode: how it was selected.
    strategy: the strategy that the user named, if any.
    accept_undecided: whether the user took the leader of an undecided verdict.
    strategies: by dataset, the strategy that was applied.
    basis: what decided the selection.
    steps: by name, the key and output of each step.
    """

    mode: str
    strategy: str | None
    accept_undecided: bool
    strategies: Mapping[str, str]
    basis: str
    steps: Mapping[str, AppliedStep]


@dataclass(frozen=True)
class SpeedNote:
    """How fast a model answered one kind of call on a machine.

    units_s, calls_s: units of work and calls in a second; see watch.pace.
    written: how many tokens a text had that it wrote.
    measured_s: for how long that was measured.
    when: when it was measured last (seconds since 1970).
    """

    units_s: float
    calls_s: float
    written: float
    measured_s: float
    when: float


@dataclass(frozen=True)
class ModelSpeeds:
    """How fast a model was on a machine.

    kinds: by kind of call.
    load_s: how long it took to load; None where that is not known.
    """

    kinds: Mapping[str, SpeedNote]
    load_s: float | None


def load_speeds(store: Store, machine: str, model: str) -> ModelSpeeds:
    """How fast a model was on a machine; nothing is known of one without a note.

    machine: its name. model: the model's identity.
    """
    note = store.load_json(_speed_key(machine, model))
    try:
        kinds = {kind: SpeedNote(**known) for kind, known in note["kinds"].items()}
        return ModelSpeeds(kinds, note["load_s"])
    except (TypeError, KeyError, AttributeError):
        # There is none, or a later version wrote it.
        return ModelSpeeds({}, None)


def save_speeds(store: Store, machine: str, model: str, speeds: ModelSpeeds) -> None:
    """Note how fast a model was on a machine."""
    kinds = {kind: asdict(known) for kind, known in speeds.kinds.items()}
    store.save_json(_speed_key(machine, model), {"kinds": kinds, "load_s": speeds.load_s})


def _speed_key(machine: str, model: str) -> str:
    return f"{_SPEED}/{digest('speed', machine, model)}"


def load_latest(store: Store, recipe: str) -> LatestRun | None:
    """The latest finished run of a recipe, or None; recipe: its key."""
    note = store.load_json(f"{_LATEST}/{recipe}")
    return None if note is None else _latest_of(note)


def save_latest(store: Store, recipe: str, run: LatestRun) -> None:
    """Note a recipe's latest finished run; nothing is written if only the time is new."""
    key = f"{_LATEST}/{recipe}"
    known = store.load_json(key)
    document = {
        **place_json(run.place),
        "purpose": run.purpose,
        "steps": dict(run.steps),
        "weights": list(run.weights),
        "unrecorded": {name: _unrecorded_json(left) for name, left in run.unrecorded.items()},
    }
    if run.variant:
        document["variant"] = run.variant
    if run.downloads:
        document["downloads"] = list(run.downloads)
    if known is None or {name: known.get(name) for name in document} != document:
        store.save_json(key, {**document, "finished": run.finished})


def latest_runs(store: Store, entries: Iterable[Entry] | None = None) -> Iterator[LatestRun]:
    """The latest finished run of every recipe; a damaged note is left out.

    entries: what the store lists, if the caller has it; the runs come in that order.
    """
    if entries is None:
        keys = [key for key, _ in store.keys(_LATEST)]
    else:
        listed = [entry.key for entry in entries if entry.key is not None]
        keys = [key for key in listed if key.startswith(f"{_LATEST}/")]
    for key in keys:
        if (note := store.load_json(key)) is not None:
            yield replace(_latest_of(note), key=key.partition("/")[2])


def forget_runs(store: Store, runs: Iterable[LatestRun]) -> None:
    """Remove the notes of latest runs, and of what was applied under the same keys."""
    for run in runs:
        store.forget(f"{_LATEST}/{run.key}")
        store.forget(f"{_APPLIED}/{run.key}")


def begun_key(recipe: str, slot: int) -> str:
    """The key of the note of one begun run, which is also the name of its lock.

    recipe: the recipe's key. slot: the number of this run among those of the recipe.
    """
    return f"{_BEGUN}/{recipe}/{slot}"


def begun_keys(store: Store, recipe: str | None = None) -> list[str]:
    """The keys of all notes of begun runs, or of those of one recipe.

    recipe: that recipe's key.
    """
    return [key for key, _ in store.keys(_BEGUN if recipe is None else f"{_BEGUN}/{recipe}")]


def load_begun(store: Store, key: str) -> BegunNote | None:
    """The note of a begun run, or None if it is damaged or gone."""
    note = store.load_json(key)
    return None if note is None else BegunNote(place_of(note), float(note["at"]))


def save_begun(store: Store, key: str, note: BegunNote) -> None:
    """Note that a run has begun."""
    store.save_json(key, {**place_json(note.place), "at": note.began})


def load_applied(store: Store, recipe: str) -> AppliedNote | None:
    """What was applied last, or None; recipe: the key of the recipe for the mode."""
    note = store.load_json(f"{_APPLIED}/{recipe}")
    if note is None:
        return None
    return AppliedNote(
        **note["wish"],
        strategies=note["strategies"],
        basis=note["basis"],
        steps={name: AppliedStep(**step) for name, step in note["steps"].items()},
    )


def save_applied(store: Store, recipe: str, note: AppliedNote) -> None:
    """Note what was applied; nothing is written if it was applied last."""
    key = f"{_APPLIED}/{recipe}"
    wish = {
        "mode": note.mode,
        "strategy": note.strategy,
        "accept_undecided": note.accept_undecided,
    }
    document = {
        "wish": wish,
        "strategies": dict(note.strategies),
        "basis": note.basis,
        "steps": {name: asdict(step) for name, step in note.steps.items()},
    }
    if store.load_json(key) != document:
        store.save_json(key, document)


def _latest_of(note: Mapping[str, Any]) -> LatestRun:
    # Earlier notes have neither purposes nor tables without a record.
    left = note.get("unrecorded") or {}
    return LatestRun(
        place=place_of(note),
        purpose=note.get("purpose") or "",
        steps=note["steps"],
        weights=tuple(note["weights"]),
        unrecorded={name: Unrecorded(**item) for name, item in left.items()},
        finished=note["finished"],
        variant=note.get("variant") or "",
        downloads=tuple(note.get("downloads") or ()),
    )


def _unrecorded_json(left: Unrecorded) -> Mapping[str, Any]:
    # As lists, since JSON has no tuples and notes are compared.
    took = {model: list(counts) for model, counts in left.took.items()}
    return {**asdict(left), "took": took}


def place_of(note: Mapping[str, Any]) -> RecipePlace:
    """The place of a recipe that a note has."""
    return RecipePlace(note["place"], tuple(note.get("roots", ())))


def place_json(place: RecipePlace) -> Mapping[str, Any]:
    """A recipe's place as a note has it."""
    return {"place": place.place, "roots": list(place.roots)}
