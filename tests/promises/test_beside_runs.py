"""Promise: looking after the store while runs are going on loses nothing that they
stored or found.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from respsel.hashing import digest
from respsel.store.store import Store
from respsel.store.unfinished_runs import GC_LOCK
from tests.conftest import Bench
from tests.promises.test_interruption import CALLS, HOOKED

SLOWLY = "print(count, file=sys.stderr, flush=True); time.sleep(0.05)"


def started(bench: Bench, calls: int) -> subprocess.Popen[bytes]:
    """A slow run of a.toml that has just made so many calls; what it says goes to files."""
    command = [sys.executable, "-c", HOOKED.format(action=SLOWLY)]
    with (bench.folder / "out").open("wb") as out, (bench.folder / "err").open("wb") as err:
        process = subprocess.Popen(command, cwd=bench.folder, stdout=out, stderr=err)
    while str(calls) not in (bench.folder / "err").read_text().split():
        assert process.poll() is None
        time.sleep(0.005)
    return process


def ended(
    bench: Bench, process: subprocess.Popen[bytes], meanwhile: Callable[[], None]
) -> dict[str, int]:
    """Do something again and again until a run ends, which must end well; what it printed."""
    rounds = 0
    while process.poll() is None:
        meanwhile()
        rounds += 1
    assert process.returncode == 0, (bench.folder / "err").read_text()
    assert rounds >= 2
    found: dict[str, int] = json.loads((bench.folder / "out").read_text())
    return found


def collected(bench: Bench) -> None:
    done = bench.respsel("cache", "gc", "--yes")
    assert done.code == 0, done.err


def verified(bench: Bench) -> None:
    done = bench.respsel("cache", "verify")
    assert done.code == 0, done.err


def test_gc_during_a_first_run(bench: Bench) -> None:
    """While a store's first run goes on, gc frees nothing of it: each call is made once, and
    nothing is missing.
    """
    done = ended(bench, started(bench, 3), lambda: collected(bench))
    assert done["calls_made"] == CALLS
    assert (bench.run()["steps_run"], bench.run()["calls_made"]) == (0, 0)
    verified(bench)


def test_gc_during_a_run_that_uses_what_no_latest_run_needs(bench: Bench) -> None:
    """A run that goes back to an earlier prompt finds that one's calls; gc beside it keeps them for
    it and after it.
    """
    bench.run()
    earlier = bench.recipe.read_text()
    bench.edit("Solve:", "Solve this:")
    bench.edit("samples = 2", "samples = 1")
    bench.edit("k = 2", "k = 1")
    bench.run()
    # One more example than before: every step must run, and all but that example's calls are
    # stored.
    bench.recipe.write_text(earlier.replace("sample = 6", "sample = 7"))
    done = ended(bench, started(bench, 1), lambda: collected(bench))
    assert done["calls_made"] == 7
    assert bench.run()["steps_run"] == 0
    # Not only its tables: the calls themselves are there, for an example more.
    bench.edit("sample = 7", "sample = 8")
    collected(bench)
    assert bench.run()["calls_made"] == 7


GOING_BACK = """
import subprocess, sys
import respsel.report.write as write
from respsel.store.unfinished_runs import RunNote
begin, write_report = RunNote.begin, write.write_report
def collect(now):
    if now:
        collect = [sys.executable, "-m", "respsel", "cache", "gc", "--yes"]
        subprocess.run(collect, stdout=sys.stderr, check=True)
def begin_late(self):
    collect({early} and not self._begun)
    begin(self)
def write_late(*args):
    collect(not {early})
    return write_report(*args)
RunNote.begin, write.write_report = begin_late, write_late
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml", "--json"]
app()
"""


@pytest.mark.parametrize(
    "early", [True, False], ids=["before it is noted", "while it writes its report"]
)
def test_gc_beside_a_run_that_finds_all_of_an_earlier_one(bench: Bench, early: bool) -> None:
    """A recipe that is as it was before finds every step; gc beside that run leaves them, or the
    run makes them anew.
    """
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    bench.edit("Solve this:", "Solve:")
    command = [sys.executable, "-c", GOING_BACK.format(early=early)]
    done = subprocess.run(command, cwd=bench.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ("18 call" in done.stderr) is early
    assert ("nothing is freed until that run has finished" in done.stderr) is not early
    assert json.loads(done.stdout)["calls_made"] == (18 if early else 0)
    collected(bench)
    assert bench.run()["steps_run"] == 0
    verified(bench)


READ_ONLY = """
import sys
from respsel.store.sealed import SealedRecords
put = SealedRecords.put
def refuse(self, name, *args):
    # A file that has just changed is digested anew, and then noted.
    assert name.startswith("file/"), f"{name} is written"
    put(self, name, *args)
SealedRecords.put = SealedRecords.lock = SealedRecords.try_lock = refuse
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml", "--json"]
app()
"""


def test_a_run_that_finds_all_of_the_latest_one_writes_nothing(bench: Bench) -> None:
    """gc keeps what the latest run needs in any case: to find it again takes no note
    and no lock.
    """
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    done = subprocess.run(
        [sys.executable, "-c", READ_ONLY],
        cwd=bench.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_gc_during_a_run_says_why_it_frees_nothing_and_frees_it_afterwards(bench: Bench) -> None:
    """It cannot be known what a run will find in its later stages: gc says so, and frees the rest
    when it has finished.
    """
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    bench.edit("Solve this:", "Another:")
    process = started(bench, 2)
    during = bench.respsel("cache", "gc", "--yes").out
    assert (
        f"a.toml is being run by process {process.pid}: nothing is freed until that run has "
        "finished" in during
    )
    assert "Freed 0 B" in during
    process.wait(timeout=60)
    assert process.returncode == 0
    assert "36 call" in bench.respsel("cache", "gc", "--yes").out
    assert bench.run()["steps_run"] == 0


def test_a_run_that_begins_during_gc_waits_and_says_for_whom(bench: Bench) -> None:
    """A run is either known to gc or begins after it: it waits for the lock, and names
    who has it.
    """
    (bench.folder / "cache").mkdir()
    with Store(bench.folder / "cache") as store, store.lock(GC_LOCK, lambda holder: None):
        command = [sys.executable, "-m", "respsel", "run", "a.toml", "--json"]
        process = subprocess.Popen(
            command, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        said = process.stderr.readline()
        assert (
            f"waiting for process {os.getpid()}, which has been freeing space in the store since"
            in said
        )
        assert not store.keys("call")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out)["calls_made"] == CALLS


@pytest.mark.parametrize(
    "args", ["run a.toml", "report a.toml", "export a.toml --format messages", "cache gc"]
)
def test_a_command_that_waits_says_for_whom(bench: Bench, args: str) -> None:
    """Another process writes the report, exports or frees: a command that needs the same place does
    not wait in silence.
    """
    bench.respsel("run", "a.toml")
    bench.respsel("apply", "a.toml", "--strategy", "human")
    (bench.folder / "runs/a/report.html").unlink()
    locks = [
        "report/a.toml",
        f"export/{digest('folder', str((bench.folder / 'runs/a/training/messages').resolve()))}",
        GC_LOCK,
    ]
    with Store(bench.folder / "cache") as store, ExitStack() as held:
        for lock in locks:
            held.enter_context(store.lock(lock, lambda holder: None))
        command = [sys.executable, "-m", "respsel", *args.split()]
        process = subprocess.Popen(
            command, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        assert f"waiting for process {os.getpid()}, which has been" in process.stderr.readline()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


def test_verify_during_a_run(bench: Bench) -> None:
    """verify beside a run finds no fault and takes nothing away."""
    done = ended(bench, started(bench, 3), lambda: verified(bench))
    assert done["calls_made"] == CALLS
    assert bench.run()["steps_run"] == 0
    assert not (bench.folder / "cache/quarantine").exists()


def test_plan_and_explain_during_a_run(bench: Bench) -> None:
    """Looking at a plan beside a run changes nothing and counts down."""
    announced: list[int] = []

    def look() -> None:
        planned = bench.respsel("plan", "a.toml", "--json")
        assert planned.code == 0, planned.err
        announced.append(sum(step["calls"] for step in planned.json["steps"]))
        assert bench.respsel("explain", "a.toml").code == 0

    done = ended(bench, started(bench, 3), look)
    assert done["calls_made"] == CALLS
    assert announced[-1] < announced[0] or len(announced) < 3


def test_processes_that_make_a_store_at_once(bench: Bench) -> None:
    """Eight processes that find no store make one, and none takes another's beginnings
    for damage.
    """
    command = [sys.executable, "-m", "respsel", "plan", "a.toml"]
    for _ in range(3):
        shutil.rmtree(bench.folder / "cache", ignore_errors=True)
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        processes = [subprocess.Popen(command, cwd=bench.folder, **pipes) for _ in range(8)]  # type: ignore[call-overload]
        ends = [process.communicate(timeout=60)[1] for process in processes]
        assert [process.returncode for process in processes] == [0] * 8, ends
