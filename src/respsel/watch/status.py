"""What goes on with a recipe: a run that is going on, one that was stopped, or the latest one.

Knows nothing of terminals. Invariants: only the lock of a run says that it lives; nothing is
written, so this works in a read-only store too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from respsel.graph.ledger import Ledger
from respsel.store.live import read_live
from respsel.store.locks import Holder
from respsel.store.notes import BegunNote, begun_keys, load_begun, load_latest
from respsel.text.numbers import counted

if TYPE_CHECKING:
    from respsel.graph import Graph
    from respsel.selection.verdict import Verdict
    from respsel.store.store import Store
    from respsel.workspace.loaded_recipe import LoadedRecipe


@dataclass(frozen=True)
class RunningRun:
    """A run that goes on.

    pid, host: its process; the pid is None where that is not known.
    began: when it began (seconds since 1970).
    said_at: when it last said how far it is; None if it never did.
    far: what it said; see watcher.Standing. Empty if it said nothing.
    left_s: how long the rest takes from now on, in seconds; None where the run did not say.
    """

    pid: int | None
    host: str
    began: float
    said_at: float | None
    far: Mapping[str, Any]
    left_s: float | None


@dataclass(frozen=True)
class StoppedRun:
    """A run that has not finished and whose process is gone.

    began: when it began (seconds since 1970).
    said_at: when it last said how far it is; None if it never did.
    ended: what ended it, if it could say: the name of an error; empty if it was killed.
    far: what it said last.
    """

    began: float
    said_at: float | None
    ended: str
    far: Mapping[str, Any]


@dataclass(frozen=True)
class Status:
    """What goes on with a recipe.

    recipe: its path as it was given.
    state: "running", "stopped" (begun and not finished), "done", "changed" (done, and some
        steps of the present recipe are not stored) or "never run".
    running: the runs that go on.
    changed: those of the same recipe that go on changed: with --set or --limit, or an apply.
    stopped: the newest that was stopped since the latest one finished.
    finished: when the latest one finished (seconds since 1970).
    verdicts: what that found, in a line each; empty if the recipe has changed since.
    steps_stored, steps: how many of the recipe's steps are stored, and how many it has.
    """

    recipe: str
    state: Literal["running", "stopped", "done", "changed", "never run"]
    running: Sequence[RunningRun]
    changed: Sequence[RunningRun]
    stopped: StoppedRun | None
    finished: float | None
    verdicts: Sequence[str]
    steps_stored: int
    steps: int


def find_status(graph: Graph, store: Store) -> Status:
    """What goes on with the recipe of a graph."""
    key = graph.loaded.key
    running: list[RunningRun] = []
    stopped: list[StoppedRun] = []
    for run in begun_keys(store, key):
        note = load_begun(store, key=run)
        holder = store.holder_of(run)
        said = read_live(store.folder, run)
        if holder is not None:
            running.append(_running(holder, note, said))
        elif note is not None:
            at = _number(said.get("now"))
            stopped.append(StoppedRun(note.began, at, str(said.get("ended") or ""), said))
    ledger = Ledger(graph, store)
    stored = sum(1 for step in graph.steps.values() if ledger.recall(step))
    latest = load_latest(store, key)
    whole = stored == len(graph.steps)
    newest = max(stopped, key=lambda run: run.began, default=None)
    if running:
        state: Any = "running"
    elif newest is not None:
        state = "stopped"
    elif latest is None:
        state = "done" if whole else "never run"
    else:
        state = "done" if whole else "changed"
    return Status(
        recipe=graph.loaded.shown,
        state=state,
        running=running,
        changed=_changed(graph.loaded, store),
        stopped=newest,
        finished=latest.finished if latest else None,
        verdicts=_verdicts(graph, ledger) if whole else (),
        steps_stored=stored,
        steps=len(graph.steps),
    )


def _changed(loaded: LoadedRecipe, store: Store) -> list[RunningRun]:
    """The runs that go on of the same recipe under other keys."""
    own = set(begun_keys(store, loaded.key))
    here = loaded.recipe_place
    found = []
    for run in begun_keys(store):
        note = None if run in own else load_begun(store, key=run)
        holder = None if note is None else store.holder_of(run)
        if note is None or holder is None or note.place.place != here.place:
            continue
        if not note.place.roots or set(note.place.roots) & set(here.roots):
            found.append(_running(holder, note, read_live(store.folder, run)))
    return found


def _running(holder: Holder, note: BegunNote | None, said: Mapping[str, Any]) -> RunningRun:
    # What another process left there before says nothing of this one.
    own = said if said.get("pid") in (None, holder.pid) else {}
    began = _number(own.get("began")) or holder.since or (note.began if note else time.time())
    host = holder.host or str(own.get("host") or "")
    said_at = _number(own.get("now"))
    left = _number(own.get("left_s"))
    if left is not None:
        left = None if said_at is None else max(left - max(time.time() - said_at, 0.0), 0.0)
    return RunningRun(holder.pid, host, began, said_at, own, left)


def _verdicts(graph: Graph, ledger: Ledger) -> list[str]:
    lines = []
    for step in graph.steps.values():
        if step.op == "verdict" and (rows := ledger.rows(step.name)):
            lines.append(_in_short(rows[0]))
    return lines


def _in_short(verdict: Verdict) -> str:
    """A verdict in a line."""
    over = f"by {verdict.metric} over {counted(verdict.examples, 'example')}"
    if verdict.winner is None:
        return f"{verdict.dataset}: none can be recommended, {over}"
    if verdict.is_alone:
        return f"{verdict.dataset}: {verdict.winner}, compared with no other, {over}"
    how = "is first, decided" if verdict.decided else "leads, undecided"
    return f"{verdict.dataset}: {verdict.winner} {how} {over}"


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
