"""Promise: kill -9 or Ctrl-C at any point loses no acknowledged call, and the next run makes only
the others.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import Bench

CALLS = 42
# Ends or slows the process from inside, after the n-th call was acknowledged by the store.
HOOKED = """
import os, signal, sys, time
from respsel.calls.caller import Caller
keep, count = Caller._keep, 0
def hooked(self, *args):
    global count
    keep(self, *args)
    count += 1
    {action}
Caller._keep = hooked
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml", "--json"]
app()
"""


def start(bench: Bench, action: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOOKED.format(action=action)]
    return subprocess.Popen(
        command, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("place", sorted(random.Random(5).sample(range(1, CALLS), 20)))
def test_kill_after_the_nth_call(bench: Bench, place: int) -> None:
    """After kill -9 behind the n-th acknowledged call, exactly the others are made."""
    process = start(bench, f"if count == {place}: os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    done = bench.run()
    assert done["calls_made"] == CALLS - place
    assert bench.run()["steps_run"] == 0


def test_ctrl_c_exits_130_and_goes_on(bench: Bench) -> None:
    """Ctrl-C stops with exit code 130 and one sentence, leaves no part of a file, and the next run
    goes on.
    """
    process = start(bench, "print(count, file=sys.stderr, flush=True) or time.sleep(0.05)")
    assert process.stderr is not None
    while "5" not in process.stderr.readline().split():
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped. What was done is kept" in err
    assert "Traceback" not in err
    assert not list(bench.folder.rglob("*.part"))
    made = bench.run()["calls_made"]
    assert 0 < made <= CALLS - 5


def test_an_interrupted_run_ends_with_the_same_verdict(bench: Bench) -> None:
    """The verdict after an interruption is that of an undisturbed run."""
    process = start(bench, "if count == 20: os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate(timeout=60)
    after = bench.run()["verdicts"]
    other = Bench(bench.folder / "other")
    for name in ("a.toml", "sums.jsonl"):
        other.write(name, (bench.folder / name).read_bytes())
    assert other.run()["verdicts"] == after
