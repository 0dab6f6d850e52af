"""What status says, as lines of text.

Prints nothing itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from respsel.store.locks import host_name
from respsel.text.numbers import counted, duration

if TYPE_CHECKING:
    from respsel.watch.status import RunningRun, Status, StoppedRun

# A run says every second how far it is, unless a call takes longer.
_STALE_S = 60.0


def status_lines(status: Status) -> Iterator[str]:
    """The runs that go on; else what became of the latest ones."""
    for run in status.running:
        yield from _running_lines(status.recipe, run)
    if not status.running:
        yield from _rest_lines(status)
    for run in status.changed:
        said = str(run.far.get("purpose") or "changed")
        yield from _running_lines(f"{status.recipe} ({said})", run)


def _rest_lines(status: Status) -> Iterator[str]:
    """The run that was stopped, and the latest that finished."""
    if status.stopped is not None:
        yield from _stopped_lines(status, status.stopped)
    if status.finished is not None:
        yield from _finished_lines(status)
    elif status.state == "done":
        yield f"{status.recipe}: not run by this name, but all of its steps are in the store"
        yield from (f"  {line}" for line in status.verdicts)
    elif status.stopped is None:
        yield f"{status.recipe}: never run"


def _running_lines(recipe: str, run: RunningRun) -> Iterator[str]:
    where = f" on {run.host}" if run.host and run.host != host_name() else ""
    who = "a process" if run.pid is None else f"process {run.pid}"
    yield f"{recipe}: running since {_clock(run.began)}, by {who}{where}"
    far = run.far
    if not far:
        yield "  it has not said yet how far it is"
        return
    if far.get("waits"):
        yield f"  {far['waits']}"
    steps = f"{far.get('steps_done', 0)} of {counted(int(far.get('steps', 0)), 'step')} done"
    yield f"  {far.get('step') or far.get('stage')}: {steps}{_calls(far)}"
    left = run.left_s
    took = time.time() - run.began
    if left is not None:
        share = min(took / max(took + left, 1e-9), 0.99)
        yield f"  {share:.0%} of the run, about {duration(left)} left"
    else:
        yield f"  {duration(took)} so far; how long it takes is not known yet"
    if run.said_at is not None and time.time() - run.said_at > _STALE_S:
        yield f"  it last said so {duration(time.time() - run.said_at)} ago"


def _calls(far: Mapping[str, Any]) -> str:
    wanted = far.get("calls_wanted") or 0
    if not wanted:
        return ""
    done = far.get("calls_done") or 0
    rate = ""
    if done:
        rate = f", {far.get('calls_s') or 0:.2g} calls/s, {far.get('tokens_s') or 0:,.0f} tokens/s"
    return f"; {done:,} of {counted(wanted, 'call')} to {far.get('model')}{rate}"


def _stopped_lines(status: Status, run: StoppedRun) -> Iterator[str]:
    how = {
        "": "its process was killed, or ended without a word",
        "KeyboardInterrupt": "it was stopped with Ctrl-C",
    }.get(run.ended, f"it failed: {run.ended}")
    yield f"{status.recipe}: not running; begun {_clock(run.began)} and not finished: {how}"
    made = int(run.far.get("calls_made") or 0)
    calls = f" and {counted(made, 'call')} of its own" if made else ""
    stored = f"{status.steps_stored} of {counted(status.steps, 'step')}"
    yield f"  {stored}{calls} are kept: the next run goes on from there"


def _finished_lines(status: Status) -> Iterator[str]:
    assert status.finished is not None
    when = _clock(status.finished)
    lead = "" if status.stopped is not None else f"{status.recipe}: "
    indent = "  " if status.stopped is not None else ""
    if status.state == "changed" or not status.verdicts:
        missing = status.steps - status.steps_stored
        since = "" if status.stopped else f"; {counted(missing, 'step')} would run now"
        yield f"{indent}{lead}the latest run finished {when}{since}"
        return
    yield f"{indent}{lead}finished {when}"
    yield from (f"  {line}" for line in status.verdicts)


def _clock(at: float) -> str:
    """A time of today alone, or with its day."""
    there = time.localtime(at)
    today = time.localtime()[:3] == there[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M", there)
