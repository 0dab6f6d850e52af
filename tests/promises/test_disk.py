"""Promise: a full disk stops a run with one message and leaves the store whole; nothing is ever
evicted.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from respsel.store.store import Store
from tests.conftest import Bench

LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml"]
app()
"""


@pytest.mark.parametrize("limit", [40_000, 60_000, 100_000])
def test_a_full_disk(bench: Bench, limit: int) -> None:
    """Where no file may grow beyond a limit: exit code 1 naming the path; then verify is clean and
    a run goes on.
    """
    command = [sys.executable, "-c", LIMITED.format(limit=limit)]
    done = subprocess.run(
        command, cwd=bench.folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("error: ") == 1
    assert str(bench.folder) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(bench.folder.rglob("*.part"))
    assert bench.respsel("cache", "verify").code == 0
    assert bench.run()["verdicts"][0]["winner"]


# The store has room: only what is written for the report meets the limit.
LIMITED_REPORT = """
import resource, signal, sys
import respsel.report.write as report
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
write = report._write
def limited(*args):
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
    write(*args)
report._write = limited
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml"]
app()
"""


@pytest.mark.parametrize(
    "name", ["report.html", "report.json", "token_scores.parquet", "responses.parquet"]
)
def test_a_disk_that_is_full_when_the_report_is_written(bench: Bench, name: str) -> None:
    """Where a file of the report has no room, the old report stands, nothing half-written stays,
    and the next run writes it."""
    bench.run()
    folder = bench.folder / "runs/a"
    size = (folder / name).stat().st_size
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    (folder / "report.md").write_text("cut")
    command = [sys.executable, "-c", LIMITED_REPORT.format(limit=size * 9 // 10)]
    done = subprocess.run(
        command, cwd=bench.folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1, done.stderr
    assert "the report cannot be written" in done.stderr
    assert str(folder) in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "panicked" not in done.stderr
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert after == {**before, "report.md": b"cut"}
    assert bench.respsel("cache", "verify").code == 0
    assert bench.run()["steps_run"] == 0
    assert (folder / "report.md").read_text() != "cut"


def test_nothing_is_evicted(bench: Bench) -> None:
    """Even with diskcache's size limit at 1 MiB, everything that was put is still there."""
    with Store(bench.folder / "cache") as store:
        store._cache.reset("size_limit", 2**20)
        for i in range(600):
            store.put(f"k{i}", bytes([i % 256]) * 8_000)
        store._cache.expire()
        store._cache.cull()
        assert all(store.get(f"k{i}") == bytes([i % 256]) * 8_000 for i in range(600))
        assert not store.damage
