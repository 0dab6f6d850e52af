"""Promise: processes share the work; each call is made once, and a dead holder blocks nobody."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

from tests.conftest import Bench
from tests.promises.test_interruption import CALLS, start


def test_eight_processes_make_each_call_once(bench: Bench) -> None:
    """Eight runs of one recipe at once make together exactly the calls of one, and agree."""
    command = [sys.executable, "-m", "respsel", "run", "a.toml", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, cwd=bench.folder, **pipes) for _ in range(8)]  # type: ignore[call-overload]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, outputs
    results = [json.loads(out) for out, _ in outputs]
    assert sum(result["calls_made"] for result in results) == CALLS
    assert all(result["verdicts"] == results[0]["verdicts"] for result in results)
    assert bench.respsel("cache", "verify").code == 0


def test_a_live_holder_is_named(bench: Bench) -> None:
    """A run that must wait says for which process, and since when it has been at work; then it
    shares.
    """
    first = start(bench, "time.sleep(2.0 if count <= 4 else 0)")
    assert first.stderr is not None
    while "calls to teacher, at most" not in (first.stderr.readline()):
        time.sleep(0.01)
    time.sleep(0.3)
    second = bench.respsel("run", "a.toml", "--json")
    out, _ = first.communicate(timeout=60)
    assert f"waiting for process {first.pid} (a.toml), which has been asking" in second.err
    assert second.json["calls_made"] + json.loads(out)["calls_made"] == CALLS


def test_a_killed_holder_blocks_nobody(bench: Bench) -> None:
    """After kill -9 of the process that held a lock, the next one goes on at once."""
    first = holding(bench)
    first.kill()
    first.communicate()
    begun = time.monotonic()
    done = bench.respsel("run", "a.toml", "--json")
    assert done.json["calls_made"] == CALLS - 3
    assert time.monotonic() - begun < 30


def waiting_beside(bench: Bench, holder: subprocess.Popen[str]) -> subprocess.Popen[str]:
    """A second run, from when it says that it waits for the holder."""
    command = [sys.executable, "-m", "respsel", "run", "a.toml", "--json"]
    second = subprocess.Popen(
        command, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert second.stderr is not None
    while f"waiting for process {holder.pid}" not in second.stderr.readline():
        assert second.poll() is None
    return second


def holding(bench: Bench) -> subprocess.Popen[str]:
    """A run that holds its lock after three calls, until it is killed."""
    first = start(
        bench, "if count == 3: print('three', file=sys.stderr, flush=True); time.sleep(600)"
    )
    assert first.stderr is not None
    while "three" not in first.stderr.readline():
        assert first.poll() is None
    return first


def test_the_next_in_line_goes_on_when_the_holder_is_killed(bench: Bench) -> None:
    """A process that waits for a holder which is killed -9 takes the lock by itself, and makes only
    what is missing.
    """
    first = holding(bench)
    second = waiting_beside(bench, first)
    third = waiting_beside(bench, first)
    first.kill()
    first.communicate()
    ends = [process.communicate(timeout=60) for process in (second, third)]
    assert [second.returncode, third.returncode] == [0, 0], ends
    assert sum(json.loads(out)["calls_made"] for out, _ in ends) == CALLS - 3
    assert bench.run()["steps_run"] == 0
    assert bench.respsel("cache", "verify").code == 0


def test_ctrl_c_while_waiting(bench: Bench) -> None:
    """Ctrl-C on a process that waits ends it with 130 at once, and the holder is not disturbed."""
    first = start(
        bench, "print(count, file=sys.stderr, flush=True); time.sleep(2.0 if count == 3 else 0)"
    )
    assert first.stderr is not None
    while "3" not in first.stderr.readline().split():
        assert first.poll() is None
    second = waiting_beside(bench, first)
    second.send_signal(signal.SIGINT)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 130
    assert "Stopped. What was done is kept" in err
    assert "Traceback" not in err
    out, _ = first.communicate(timeout=60)
    assert first.returncode == 0
    assert json.loads(out)["calls_made"] == CALLS
    assert bench.run()["steps_run"] == 0
