"""Promise: a report appears whole or not at all, whenever its writer is killed; the next run
completes it.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from respsel.system.atomic_folder import MANIFEST, is_written
from tests.conftest import Bench

# Counts what a process does to files of the report's folder, and kills it before the n-th time.
KILLED = """
import os, signal, sys
count = 0
def watch(event, args):
    global count
    changes = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")
    if event in changes and "runs/a" in str(args[0]):
        count += 1
        if count == {place}:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml", "--json"]
try:
    app()
finally:
    print(count, file=sys.stderr)
"""


def run(folder: Path, place: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED.format(place=place)]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )


def content(path: Path) -> object:
    """What a file says, apart from when it was written; raises if it is not whole."""
    if path.suffix == ".parquet":
        return pl.read_parquet(path).rows()
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "then", path.read_text())
    if path.suffix == ".json":
        data = json.loads(text)
        # A page's size, and so the manifest, may differ by what was run for it.
        return data["key"] if path.name == MANIFEST else data
    assert path.suffix != ".html" or text.endswith("</html>")
    return text


def contents(folder: Path) -> dict[str, object]:
    return {
        path.name: content(path)
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".")
    }


def pages(folder: Path) -> dict[str, str]:
    """The pages of all examples; none while their folder is replaced."""
    return {path.name: path.read_text() for path in (folder / "examples").glob("*")}


@pytest.fixture
def before(bench: Bench) -> Bench:
    """A finished run, then an edit that changes the verdict, the scores and the responses."""
    bench.run()
    bench.edit("sample = 6", "sample = 7")
    bench.edit("resamples = 500", "resamples = 600")
    return bench


def copied(bench: Bench, name: str) -> Bench:
    made = Bench(bench.folder.parent / f"{bench.folder.name}-{name}")
    shutil.copytree(bench.folder, made.folder)
    return made


def test_kill_at_random_points_of_writing(before: Bench) -> None:
    """Every file of the report is the old or the new one, no manifest lies, and the next run leaves
    the new report.
    """
    old = contents(before.folder / "runs/a")
    whole = copied(before, "whole")
    done = run(whole.folder, 0)
    assert done.returncode == 0, done.stderr
    new = contents(whole.folder / "runs/a")
    steps = int(done.stderr.splitlines()[-1])
    assert steps > 20
    assert all(new[name] != old[name] for name in new)
    for place in sorted(random.Random(7).sample(range(1, steps + 1), 12)):
        bench = copied(before, str(place))
        assert run(bench.folder, place).returncode == -signal.SIGKILL
        either: tuple[dict[str, str], ...] = (
            {},
            pages(before.folder / "runs/a"),
            pages(whole.folder / "runs/a"),
        )
        assert pages(bench.folder / "runs/a") in either
        check_after_kill(bench, old, new)
        assert pages(bench.folder / "runs/a") == either[2]


def check_after_kill(bench: Bench, old: Mapping[str, object], new: Mapping[str, object]) -> None:
    folder = bench.folder / "runs/a"
    found = contents(folder)
    assert all(value in (old[name], new[name]) for name, value in found.items())
    if MANIFEST in found:
        # Where there is a manifest, the files are all of one version.
        version = old if found[MANIFEST] == old[MANIFEST] else new
        assert found == version
        assert is_written(folder, str(version[MANIFEST]))
    else:
        assert set(found) == set(old) - {MANIFEST}
    assert bench.run()["calls_made"] == 0
    after = contents(folder)
    # How much was run for the report is another number after a kill.
    tables = [name for name in new if name.endswith(".parquet")]
    assert [after[name] for name in (*tables, MANIFEST)] == [
        new[name] for name in (*tables, MANIFEST)
    ]
    assert not list(folder.rglob(".*.part*"))
    assert len(list(folder.glob("*/run.json"))) == 2


def test_a_kill_while_tables_are_written(before: Bench) -> None:
    """At any moment, not only between files: killed while polars writes, the old report stands and
    is replaced next.
    """
    old = contents(before.folder / "runs/a")
    code = "import respsel.tables.parquet as t, polars as pl, os, signal, threading\n"
    code += "write = pl.DataFrame.write_parquet\n"
    code += "def hooked(self, place, *a, **k):\n"
    code += "    if 'scores.parquet' in getattr(place, 'name', str(place)):\n"
    code += (
        "        place.write(b'PAR1 and a piece'); place.flush(); os.kill(os.getpid(), "
        "signal.SIGKILL)\n"
    )
    code += "    return write(self, place, *a, **k)\n"
    code += "pl.DataFrame.write_parquet = hooked\n"
    code += (
        "import sys; sys.argv = ['respsel', 'run', 'a.toml']\nfrom respsel.cli import app\napp()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=before.folder,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert contents(before.folder / "runs/a") == old
    assert list((before.folder / "runs/a").glob(".*.part*"))
    before.run()
    assert contents(before.folder / "runs/a").keys() == old.keys()
    assert not list((before.folder / "runs/a").glob(".*.part*"))


def test_a_live_writers_parts_are_left_alone(before: Bench) -> None:
    """Two processes that write one report take turns; neither removes what the other is about to
    put in place.
    """
    slow = "import time, respsel.report.write as w\nput = w.put_in_place\n"
    slow += "def hooked(*args):\n    time.sleep(1); put(*args)\nw.put_in_place = hooked\n"
    slow += (
        "import sys; sys.argv = ['respsel', 'run', 'a.toml', '--json']\nfrom respsel.cli "
        "import app\napp()\n"
    )
    before.run()
    shutil.rmtree(before.folder / "runs")
    command = [sys.executable, "-c", slow]
    both = [
        subprocess.Popen(
            command, cwd=before.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    ends = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert MANIFEST in contents(before.folder / "runs/a")
    assert len(list((before.folder / "runs/a").glob("*/run.json"))) == 1
