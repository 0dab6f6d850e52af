"""Promise: what a killed process was making goes with the next run or gc; what a live one makes
stays, and so does all else.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from respsel.store.store import Store
from respsel.system.parts import part_for, remove_dead_parts, write_beside
from tests.conftest import Bench

MAKES = """
import os, sys
from pathlib import Path
from respsel.system.parts import part_for
with part_for(Path(sys.argv[1]), folder=sys.argv[2] == "folder") as part:
    (part / "model" if part.is_dir() else part).write_text("half")
    print(part, flush=True)
    sys.stdin.read()
    os._exit(9)
"""


def start(place: Path, kind: str = "file") -> tuple[subprocess.Popen[str], Path]:
    """A process that is making a file or a folder, and the part that it has begun."""
    place.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-c", MAKES, str(place), kind]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def leave(place: Path, kind: str = "file") -> Path:
    """The part that a killed process leaves."""
    process, part = start(place, kind)
    process.communicate(timeout=60)
    assert part.exists()
    return part


def test_gc_frees_the_parts_of_killed_processes(bench: Bench) -> None:
    """In each of the store's folders the parts that killed processes left are freed, and only
    theirs; none of them keeps gc from freeing, as what is set aside does."""
    bench.run()
    cache = bench.folder / "cache"
    weights = "a" * 64 + ".float32.tokenizer-1.safetensors"
    dead = [
        leave(cache / name)
        for name in (
            "store.txt",
            "locks/0.json",
            "quarantine/0.bin",
            f"weights/{'a' * 64}.bf16.gguf",
        )
    ]
    dead.append(leave(cache / "weights" / weights, "folder"))
    mine = bench.write("mine/.x.part", "mine")
    (cache / "weights/.x.1-0123abcd.part").symlink_to(mine.parent)
    others = [
        bench.write(f"cache/weights/{name}", "mine")
        for name in (".x.part", ".download.part", "x.7-0123abcd.part")
    ]
    living, part = start(cache / "weights" / weights, "folder")
    told = bench.respsel("cache", "gc").out
    done = bench.respsel("cache", "gc", "--yes")
    assert done.code == 0, done.err
    assert (part / "model").read_text() == "half"
    living.communicate(timeout=60)
    assert all(str(path) in told for path in dead)
    assert not any(path.exists() for path in dead)
    assert all(path.exists() for path in (mine, *others))
    assert not (cache / "weights/.x.1-0123abcd.part").is_symlink()
    assert "1 file" in bench.respsel("cache", "gc", "--yes").out
    assert not part.exists()


def test_whoever_makes_the_same_thing_removes_what_a_killed_process_left_of_it(
    tmp_path: Path,
) -> None:
    """The next to hold a lock, to set damage aside, or to make a store removes the parts that are
    left there.
    """
    with Store(tmp_path) as store:
        store.put("k", b"v")
        with store.lock("t", lambda holder: None):
            (note,) = (tmp_path / "locks").glob("*.json")
        left = [leave(tmp_path / name) for name in (f"locks/{note.name}", "quarantine/0.bin")]
        left.append(leave(tmp_path / "store.txt"))
        (tmp_path / "store.txt").unlink()
        store._sql("UPDATE Cache SET value = zeroblob(50)")
    with Store(tmp_path) as store:
        assert store.get("k") is None
        with store.lock("t", lambda holder: None):
            pass
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_part_is_its_makers_alone(tmp_path: Path, kind: str) -> None:
    """While a process makes something its part stays, whoever passes by; when it was killed, it
    goes.
    """
    process, part = start(tmp_path / "x", kind)
    remove_dead_parts(tmp_path)
    with part_for(tmp_path / "x") as mine:
        remove_dead_parts(tmp_path)
        assert mine.exists()
    assert part.exists()
    process.communicate(timeout=60)
    remove_dead_parts(tmp_path, of="y")
    assert part.exists()
    remove_dead_parts(tmp_path, of="x")
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """Where a file cannot take its place, no part of it stays."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x/mine").write_text("mine")
    with pytest.raises(OSError, match="directory"):
        write_beside(tmp_path / "x", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_parts_beside_a_whole_report_go_with_the_next_run(bench: Bench) -> None:
    """What a killed process left when it wrote a report again goes, though the report that is there
    stands.
    """
    bench.run()
    bench.write("runs/a/.report.html.part", "half")
    bench.write("runs/a/.20260101-000000-01234567.part/run.json", "half")
    before = (bench.folder / "runs/a/report.html").stat().st_mtime_ns
    bench.run()
    assert not list((bench.folder / "runs/a").glob(".*"))
    assert (bench.folder / "runs/a/report.html").stat().st_mtime_ns == before
