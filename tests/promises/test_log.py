"""Promise: commits that a damaged write-ahead log takes with it are told, and what is whole is
never called damaged.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from respsel.store import write_ahead
from respsel.store.store import Store
from tests.conftest import Bench

RECORDS = 60
WRITES = """
import os, sys
from pathlib import Path
from respsel.store import write_ahead
from respsel.store.store import Store
store = Store(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    store.put(f"call/{number}", os.urandom(300))
if sys.argv[3:]:
    # Begun and not committed.
    store._sql("BEGIN IMMEDIATE")
    store._sql("PRAGMA cache_size = 1")
    store._sql("UPDATE Cache SET value = zeroblob(3000)")
print("ready", flush=True)
sys.stdin.read()
os._exit(1)
"""
# Beside a reader no log is begun anew.
WRITES_MORE = """
import sqlite3
reader = sqlite3.connect(os.path.join(sys.argv[1], "cache.db"), isolation_level=None)
reader.execute("BEGIN")
reader.execute("SELECT count(*) FROM Cache").fetchall()
sys.stdin.readline()
store.put("more", b"more")
print("done", flush=True)
sys.stdin.read()
"""
Damage = Callable[[Path], object]


def start(folder: Path, *args: object, program: str = WRITES) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, str(folder), *map(str, args)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def leave(folder: Path, *args: object) -> Path:
    """A store as a killed process leaves it."""
    process = start(folder, RECORDS, *args)
    process.communicate(timeout=120)
    assert (folder / "cache.db-wal").stat().st_size > RECORDS * 4096
    return folder


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return leave(tmp_path_factory.mktemp("left") / "cache")


def opened(folder: Path) -> tuple[int, list[str]]:
    """How many records are gone, and what is said of it when the store is opened."""
    with Store(folder) as store:
        gone = sum(store.get(f"call/{number}") is None for number in range(RECORDS))
        assert not store.damage
        return gone, [str(problem) for problem in store.lost]


def flip(part: float) -> Damage:
    def damage(folder: Path) -> None:
        log = folder / "cache.db-wal"
        data = bytearray(log.read_bytes())
        data[int(part * (len(data) - 1))] ^= 4
        log.write_bytes(data)

    return damage


def cut(part: float) -> Damage:
    return lambda folder: os.truncate(
        folder / "cache.db-wal", int((folder / "cache.db-wal").stat().st_size * part)
    )


@pytest.mark.parametrize("index", [True, False], ids=["with its index", "without its index"])
@pytest.mark.parametrize("part", [0, 2e-5, 6e-5, 1.2e-4, 0.1, 0.5, 0.9, 0.999, 1])
def test_a_flipped_bit_in_a_log_is_told(
    tmp_path: Path, left: Path, part: float, index: bool
) -> None:
    """Wherever a bit of a killed process's log is flipped, opening the store says once how many
    records are lost.
    """
    folder = shutil.copytree(left, tmp_path / "cache")
    flip(part)(folder)
    if not index:
        (folder / "cache.db-shm").unlink()
    gone, said = opened(folder)
    assert 0 < gone <= RECORDS
    (line,) = said
    assert (
        "cache.db-wal: the store's write-ahead log is damaged: of the last records stored about "
        in line
    )
    # That the store is one was stored, too.
    assert any(
        f"about {count} {verb} lost. What is missing is made again" in line
        for count, verb in _counts(gone)
    )
    assert opened(folder) == (gone, [])


def _counts(gone: int) -> list[tuple[int, str]]:
    return [(count, "is" if count == 1 else "are") for count in (gone, gone + 1)]


@pytest.mark.parametrize(
    "damage",
    [cut(0), cut(1e-5), cut(0.5), cut(0.999), lambda folder: (folder / "cache.db-wal").unlink()],
)
def test_a_log_cut_short_or_gone_is_told(tmp_path: Path, left: Path, damage: Damage) -> None:
    """Of a log that was cut short or taken away, the index still tells that records are lost."""
    folder = shutil.copytree(left, tmp_path / "cache")
    damage(folder)
    gone, said = opened(folder)
    assert gone > 0
    assert [line.partition(": ")[2] for line in said] == [
        "the store's write-ahead log is damaged: of the last records stored some are lost. "
        "What is missing is made again when it is needed."
    ]


@pytest.mark.parametrize("index", [True, False], ids=["with its index", "without its index"])
@pytest.mark.parametrize("begun", [(), ("begun",)], ids=["between commits", "within a commit"])
def test_what_a_kill_leaves_is_no_damage(
    tmp_path: Path, begun: tuple[str, ...], index: bool
) -> None:
    """After a kill, also amid a commit or with a torn last frame, nothing is lost and nothing is
    said.
    """
    folder = leave(tmp_path / "cache", *begun)
    if not index:
        (folder / "cache.db-shm").unlink()
    with (folder / "cache.db-wal").open("ab") as log:
        log.write(b"a frame that was not finis")
    assert opened(folder) == (0, [])


def test_a_log_that_was_begun_anew_is_no_damage(tmp_path: Path) -> None:
    """Frames of an earlier round behind the end of a log are nobody's loss, with the index and
    without.
    """
    for index in (True, False):
        folder = tmp_path / str(index)
        process = start(folder, RECORDS)
        assert process.stdout is not None
        process.stdout.readline()
        # What the other process wrote is merged, and its next commit overwrites the log's
        # beginning.
        with sqlite3.connect(folder / "cache.db") as database:
            database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            database.execute("UPDATE Cache SET tag = 'x' WHERE rowid = 1")
        process.kill()
        process.communicate()
        database.close()
        if not index:
            (folder / "cache.db-shm").unlink(missing_ok=True)
        assert opened(folder) == (0, [])


def test_the_log_of_a_live_process_is_never_called_damaged(tmp_path: Path) -> None:
    """However often a store is opened beside a process that writes and merges its log, nothing is
    called lost.
    """
    script = WRITES.replace("sys.stdin.read()", "").replace(
        "300))", "300))\n    if number % 7 == 0: store.checkpoint()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "cache"), "1500"], stdout=subprocess.PIPE
    )
    seen = 0
    while process.poll() is None:
        with Store(tmp_path / "cache") as store:
            assert not store.lost
        seen += 1
    process.communicate()
    assert seen
    with Store(tmp_path / "cache") as store:
        assert not store.lost
        assert store.get("call/1499")


def test_what_is_written_while_the_log_is_looked_at_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits of another process that come after SQLite has said where the log ends are behind the
    end, and whole.
    """
    writes_more = WRITES.replace("sys.stdin.read()", WRITES_MORE)
    process = start(tmp_path / "cache", RECORDS, program=writes_more)
    to = process.stdin
    answers = process.stdout
    assert to is not None
    assert answers is not None
    assert answers.readline() == "ready\n"
    frames = write_ahead._frames
    index = write_ahead._read_index
    looks: list[Path] = []

    def late_frames(log: Path, page_bytes: int, found: int) -> Iterator[tuple[int, bytes, bool]]:
        if len(looks) == 1:
            to.write("\n")
            to.flush()
            assert answers.readline() == "done\n"
        return frames(log, page_bytes, found)

    def other_index(shm: Path) -> object:
        # The log was begun anew between the look at its index and that at its header.
        looks.append(shm)
        return None if len(looks) == 1 else index(shm)

    monkeypatch.setattr(write_ahead, "_frames", late_frames)
    monkeypatch.setattr(write_ahead, "_read_index", other_index)
    try:
        assert write_ahead.find_loss(tmp_path / "cache/cache.db") is None
        assert len(looks) == 2
    finally:
        process.communicate(timeout=60)


def test_a_checkpoint_leaves_nothing_in_the_log(tmp_path: Path) -> None:
    """After a checkpoint no damage to the log can take a record; a reader is neither kept waiting
    nor waited for.
    """
    folder = tmp_path / "cache"
    with Store(folder) as store:
        store.put("a", b"a")
        store.checkpoint()
        assert (folder / "cache.db-wal").stat().st_size == 0
        reader = sqlite3.connect(folder / "cache.db", isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM Cache").fetchone() == (1,)
        store.put("b", b"b")
        store.checkpoint()
        assert reader.execute("SELECT count(*) FROM Cache").fetchone() == (1,)
        reader.execute("COMMIT")
        reader.close()
        assert store.get("b") == b"b"


# Every step that is done stands in the database itself: what is lost is what followed the last of
# them.
STOP = """
import os, sys
from respsel.run.stage import Stage
finish = Stage._finish
def stop(self, step, rows):
    finish(self, step, rows)
    if step.op == "token-scores":
        os._exit(9)
Stage._finish = stop
sys.argv = ["respsel", "run", "a.toml"]
from respsel.cli import app
app()
"""


def test_a_step_that_is_done_outlives_its_log(bench: Bench) -> None:
    """A run that was killed after a step, and whose log is then damaged: what the step took is not
    made again; the next command says what is lost, and verify ends with exit code 4."""
    done = subprocess.run(
        [sys.executable, "-c", STOP],
        cwd=bench.folder,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 9, done.stderr
    cache = bench.folder / "cache"
    with sqlite3.connect(f"file:{cache / 'cache.db'}?immutable=1", uri=True) as database:
        assert (
            database.execute("SELECT count(*) FROM Cache WHERE key LIKE 'call/%'").fetchone()[0] > 0
        )
    database.close()
    subprocess.run(
        [sys.executable, "-c", WRITES, str(cache), "20"],
        input="",
        text=True,
        check=False,
        timeout=120,
    )
    flip(0.5)(cache)
    shutil.copytree(cache, bench.folder / "copy")
    planned = bench.respsel("plan", "a.toml")
    assert planned.code == 0
    assert planned.err.startswith("warning: ")
    assert planned.err.count("write-ahead log is damaged") == 1
    shutil.rmtree(cache)
    (bench.folder / "copy").rename(cache)
    verified = bench.respsel("cache", "verify")
    assert verified.code == 4
    assert "error: " in verified.err
    assert "1 bad." in verified.out
    assert bench.respsel("cache", "verify").code == 0
