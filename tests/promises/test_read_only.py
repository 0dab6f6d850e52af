"""Promise: what only reads works on a store and runs that cannot be written, and says what is
stored; nothing is made there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from respsel.errors import StoreError
from respsel.store.read_only import ReadOnlyDatabase
from respsel.store.store import Store
from tests.conftest import Bench, Finished, jsonl, rows

_RIGHTS = "-dac_override,-dac_read_search"
# Root without the right to write what permissions forbid.
BOUND = ["setpriv", f"--bounding-set={_RIGHTS}", f"--inh-caps={_RIGHTS}"]
READING: Sequence[Sequence[str]] = (
    ("plan", "p/a.toml"),
    ("report", "p/a.toml", "--format", "md"),
    ("report", "p/a.toml"),
    ("explain", "p/a.toml"),
    ("diff", "p/a.toml"),
    ("apply", "p/a.toml", "--strategy", "human", "--dry-run"),
    ("export", "p/a.toml", "--format", "messages", "--out", "out"),
    ("cache", "size", "--workspace", "p"),
    ("cache", "ls", "--workspace", "p"),
    ("cache", "verify", "--workspace", "p"),
    ("cache", "gc", "--workspace", "p"),
    ("doctor", "p/a.toml"),
)
WRITING: Sequence[Sequence[str]] = (
    ("run", "p/a.toml"),
    ("apply", "p/a.toml", "--strategy", "human"),
    ("cache", "gc", "--workspace", "p", "--yes"),
)
Run = Callable[..., Finished]


def can_run(*command: str) -> bool:
    """Whether a command is there and this process may use it."""
    return (
        shutil.which(command[0]) is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@pytest.fixture
def project(bench: Bench) -> Bench:
    """A folder with a finished project in p: two recorded runs and an applied strategy."""
    made = Bench(bench.folder / "x")
    for name in ("a.toml", "sums.jsonl"):
        made.write(f"p/{name}", (bench.folder / name).read_bytes())
    inside = Bench(made.folder / "p")
    inside.run()
    inside.write(
        "sums.jsonl", jsonl([{**row, "rationale": row["rationale"] + "."} for row in rows(12)])
    )
    inside.run()
    assert inside.respsel("apply", "a.toml", "--strategy", "human").code == 0
    return made


def mounted(project: Bench) -> Run:
    """Commands in a namespace where p is mounted read-only."""
    inside = 'mount --bind p p && mount -o remount,ro,bind p && exec "$@"'
    before = ["unshare", "-m", "sh", "-c", inside, "sh"]
    return lambda *args: _run(project, before, args)


def forbidden(project: Bench) -> Run:
    """Commands of a user to whom p's permissions allow no writing; root goes without the right to
    override them.
    """
    for path in [*(project.folder / "p").rglob("*"), project.folder / "p"]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return lambda *args: _run(project, BOUND if os.geteuid() == 0 else [], args)


def _run(project: Bench, before: Sequence[str], args: Sequence[str]) -> Finished:
    command = [*before, sys.executable, "-m", "respsel", *args]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command,
        cwd=project.folder,
        capture_output=True,
        text=True,
        env=env,
        check=False,
        timeout=300,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(params=["mounted", "forbidden"])
def run(request: pytest.FixtureRequest, project: Bench) -> Iterator[Run]:
    """Run respsel where p cannot be written: on a read-only mount, or by its permissions."""
    if request.param == "mounted":
        if not can_run("unshare", "-m", "mount", "--bind", "/tmp", "/tmp"):
            pytest.skip("this process may not mount")
        yield mounted(project)
        return
    if os.geteuid() == 0 and not can_run(*BOUND, "true"):
        pytest.skip("root cannot be bound by permissions without setpriv")
    yield forbidden(project)
    for path in [project.folder / "p", *(project.folder / "p").rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def content(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
    }


def test_reading_commands_work_and_leave_everything_as_it_is(project: Bench, run: Run) -> None:
    """Each command that reads ends as it does on a writable store, with the same output; nothing in
    p is touched.
    """
    before = content(project.folder / "p")
    for args in READING:
        done = run(*args)
        assert done.code == 0, (args, done.err)
    assert "0 to run" in run("plan", "p/a.toml").out
    assert run("cache", "verify", "--workspace", "p").out.endswith(" 0 bad.\n")
    assert len((project.folder / "out/messages/train.jsonl").read_text("utf-8").splitlines()) == 12
    assert content(project.folder / "p") == before


def test_writing_commands_say_that_it_is_read_only(project: Bench, run: Run) -> None:
    """run, apply and gc --yes end with exit code 4 and one line, which says what may be done and
    nothing of damage.
    """
    for args in WRITING:
        done = run(*args)
        assert done.code == 4, (args, done.err)
        assert "the store is read-only" in done.err
        assert done.err.count("\n") == 1
        assert "damaged" not in done.err


def test_commits_of_a_killed_process_are_read(project: Bench, run: Run) -> None:
    """What stands only in the write-ahead log that a killed process left is read, with its index
    there and without.
    """
    cache = project.folder / "p/cache"
    forbid = not os.stat(cache).st_mode & 0o200
    for path in (cache, *cache.glob("cache.db*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    script = "import os, sys; from pathlib import Path; from respsel.store.store import Store\n"
    script += (
        "store = Store(Path(sys.argv[1])).__enter__(); store.put('note/late', b'late'); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", script, str(cache)], check=False, env=dict(os.environ))
    assert (cache / "cache.db-wal").stat().st_size > 0
    for path in (*cache.glob("cache.db-*"), *([cache] if forbid else [])):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for _ in range(2):
        done = run("cache", "size", "--workspace", "p")
        assert done.code == 0, done.err
        assert "note" in done.out
        (cache / "cache.db-shm").unlink(missing_ok=True)


def test_damage_is_told_and_left_where_it_is(project: Bench, run: Run) -> None:
    """verify names a damaged record with exit code 4 and moves nothing; report refuses it."""
    for path in (project.folder / "p/cache", project.folder / "p/cache/cache.db"):
        path.chmod(path.stat().st_mode | 0o200)
    database = sqlite3.connect(project.folder / "p/cache/cache.db")
    with database:
        database.execute(
            "UPDATE Cache SET value = zeroblob(64) WHERE key LIKE 'rows/responses/%' AND value IS "
            "NOT NULL"
        )
    database.close()
    for path in (project.folder / "p/cache", project.folder / "p/cache/cache.db"):
        path.chmod(path.stat().st_mode & 0o555)
    done = run("cache", "verify", "--workspace", "p")
    assert done.code == 4
    assert "stays where it is" in done.err
    assert not (project.folder / "p/cache/quarantine").exists()
    assert run("plan", "p/a.toml").code == 0


def test_planning_makes_no_store(bench: Bench) -> None:
    """Where there is no store, plan, explain and cache size leave none behind."""
    before = set(bench.folder.iterdir())
    assert bench.respsel("plan", "a.toml").code == 0
    assert bench.respsel("explain", "a.toml").code == 0
    assert bench.respsel("report", "a.toml").code == 1
    assert bench.respsel("cache", "size").code == 2
    assert set(bench.folder.iterdir()) == before


def test_a_store_that_was_written_while_it_was_read_as_unchanging_is_an_error(
    tmp_path: Path,
) -> None:
    """Where the system lets nobody see who writes, a change of the database between opening and
    closing is told.
    """
    with Store(tmp_path) as store:
        store.put("note/a", b"a")
    database = ReadOnlyDatabase(tmp_path / "cache.db")
    database._stat = None
    database.close()
    from respsel.hashing import FileStat

    changed = ReadOnlyDatabase(tmp_path / "cache.db")
    changed._stat = FileStat.of(tmp_path / "cache.db")
    os.utime(tmp_path / "cache.db", (1, 1))
    with pytest.raises(StoreError, match="wrote the store while it was read"):
        changed.close()


def test_a_store_that_is_open_to_be_read_takes_no_record(tmp_path: Path) -> None:
    """Without a store there is an empty one to read: nothing is found in it, and putting something
    is an error.
    """
    with Store(tmp_path / "cache", reading=True) as store:
        assert store.read_only
        assert store.get("note/a") is None
        assert list(store.entries()) == []
        with pytest.raises(StoreError, match="read-only"):
            store.put("note/a", b"a")
    assert not (tmp_path / "cache").exists()
