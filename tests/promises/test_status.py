"""Promise: a run that was killed is never called running, and what says how far a run is can
neither stop it nor change it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from respsel.cli.render.status import status_lines
from respsel.store import live
from respsel.store.live import LiveFile
from respsel.store.store import Store
from respsel.study import Silent, open_study
from respsel.watch import watcher
from respsel.watch.status import RunningRun, Status
from respsel.watch.watcher import Watcher
from tests.conftest import Bench

CALLS = 42
KILLED = """
import os, signal
from respsel.calls.caller import Caller
keep, count = Caller._keep, 0
def hooked(self, *args):
    global count
    keep(self, *args)
    count += 1
    if count == 8:
        print("here", flush=True)
        input()
Caller._keep = hooked
from respsel.watch import watcher
watcher._PUBLISH_EVERY_S = 0.0
from respsel.study import open_study
with open_study("a.toml") as study:
    study.run()
"""


def status(bench: Bench) -> Any:
    with open_study(bench.recipe, reading=True) as study:
        return study.status()


def test_a_killed_run_is_not_running(bench: Bench) -> None:
    """While it lives its process is named, with what it does; after kill -9 it is called stopped,
    with how much is kept. The next run takes its file away.
    """
    assert status(bench).state == "never run"
    command = [sys.executable, "-c", KILLED]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=bench.folder, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "here\n"
        found = status(bench)
        assert found.state == "running"
        assert [run.pid for run in found.running] == [process.pid]
        assert found.running[0].far["recipe"] == "a.toml"
        assert found.running[0].far["calls_wanted"]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    found = status(bench)
    assert (found.state, list(found.running)) == ("stopped", [])
    assert found.stopped.ended == ""
    assert 0 < found.steps_stored < found.steps
    assert list((bench.folder / "cache/locks").glob("*.progress"))
    done = bench.run()
    assert done["calls_made"] == CALLS - 8
    found = status(bench)
    assert (found.state, found.stopped) == ("done", None)
    assert found.verdicts == ["sums: teacher leads, undecided by perplexity over 6 examples"]
    assert not list((bench.folder / "cache/locks").glob("*.progress"))


def test_a_changed_run_is_told_beside_the_recipes_own(bench: Bench) -> None:
    """A run with --limit is no run of the plain recipe, and is not kept from view either."""
    bench.run()
    values = '{"strategies.teacher.prompt": "Other {{ input }}"}'
    changed = KILLED.replace('"a.toml"', f'"a.toml", limit=5, changes={values}')
    changed = changed.replace("count == 8", "count == 1")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", changed]
    with subprocess.Popen(command, cwd=bench.folder, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "here\n"
        found = status(bench)
        lines = list(status_lines(found))
        process.communicate("go on\n")
    assert (found.state, list(found.running)) == ("done", [])
    assert [run.pid for run in found.changed] == [process.pid]
    assert "finished" in lines[0]
    (told,) = [line for line in lines if f"by process {process.pid}" in line]
    assert "a.toml (strategies.teacher.prompt=Other {{ input }}, limit 5): running since" in told


def test_a_run_that_fails_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C and errors are told from a kill."""

    class Stops(Silent):
        def call_made(self, tokens: int) -> None:
            raise KeyboardInterrupt

    with open_study(bench.recipe) as study, pytest.raises(KeyboardInterrupt):
        study.run(Stops())
    found = status(bench)
    assert (found.state, found.stopped.ended) == ("stopped", "KeyboardInterrupt")


@pytest.mark.parametrize("broken", ["the disk is full", "the folder is read-only", "a link"])
def test_no_file_stops_a_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, broken: str, tmp_path: Path
) -> None:
    """Whatever is wrong with the file, the run is as without it, and nothing is written through a
    link.
    """
    monkeypatch.setattr(watcher, "_PUBLISH_EVERY_S", 0.0)
    other = bench.write("mine.txt", "mine")

    def refuse(path: Path, data: bytes) -> None:
        raise OSError(28 if broken == "the disk is full" else 30, broken)

    def linked(self: LiveFile, said: Any) -> None:
        self._path.unlink(missing_ok=True)
        self._path.symlink_to(other)
        write(self, said)

    write = LiveFile.write
    if broken == "a link":
        monkeypatch.setattr(LiveFile, "write", linked)
    else:
        monkeypatch.setattr(live, "write_beside", refuse)
    with open_study(bench.recipe) as study:
        result = study.run()
    assert result.calls_made == CALLS
    assert other.read_text() == "mine"


def test_a_forecast_that_fails_stops_no_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither looking ahead, nor a count, nor a note of speeds can end a run or change a key."""
    from respsel.watch.forecast import Forecast

    def fail(*args: object, **more: object) -> None:
        raise RuntimeError("wrong")

    with open_study(bench.recipe) as study:
        keys = study.run().outputs
    for name in ("foresee", "answered", "left_s", "ends"):
        monkeypatch.setattr(Forecast, name, fail)
    bench.edit("format = 1", "format = 1\n# again")
    with Store(bench.folder / "cache") as store:
        for key, _ in [*store.keys("step"), *store.keys("call"), *store.keys("request")]:
            store.forget(key)
    with open_study(bench.recipe) as study:
        result = study.run()
    assert (result.calls_made, result.outputs) == (CALLS, keys)


def test_what_lies_in_the_place_of_a_file_is_no_status(bench: Bench) -> None:
    """A damaged file, or one of another process, says nothing of a run that goes on."""
    with open_study(bench.recipe) as study:
        events = Watcher(Silent(), study._graph, study._store)
        with study._registration(study.loaded, events) as note:
            note.begin()
            assert note.live is not None
            for said in (b"no JSON", b"[]", b'{"pid": 1, "left_s": 5, "now": 1.0}'):
                note.live._path.write_bytes(said)
                found = status(bench)
                assert [run.pid for run in found.running] == [os.getpid()]
                assert found.running[0].far == {}


@pytest.mark.parametrize("value", ["x", None, True, -1, 1e300, float("nan"), [1], {}])
def test_a_file_of_another_shape_is_no_crash(bench: Bench, value: Any) -> None:
    """Another version, or another program, may have written it: what does not fit is not known."""
    counts = ("pid", "steps", "steps_done", "calls_done", "calls_wanted", "calls_made")
    numbers = ("began", "now", "calls_s", "tokens_s", "elapsed_s", "left_s")
    with Store(bench.folder / "cache") as store:
        file = LiveFile(store.folder, "run")
        file._path.parent.mkdir(exist_ok=True)
        file._path.write_text(json.dumps(dict.fromkeys((*counts, *numbers, "stage"), value)))
        said = live.read_live(store.folder, "run")
        assert set(said) == ({"stage"} if value == "x" else set())
        assert live.how_far(said) == ""
        far = RunningRun(1, "", 1.0, 1.0, {"steps": 3, **said}, None)
        lines = list(status_lines(Status("a", "running", [far], [], None, None, (), 0, 3)))
        assert "0 of 3 steps done" in lines[1]
        file._path.write_text(json.dumps({"format": 2, "steps": 3}))
        assert live.read_live(store.folder, "run") == {}
