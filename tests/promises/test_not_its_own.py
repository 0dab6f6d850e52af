"""Promise: the store touches only what it wrote itself, where it writes it, and follows no link."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from respsel.backends.llama_cpp.prepare import prepare_weights
from respsel.errors import InputError, StoreError
from respsel.store.locks import Holder
from respsel.store.store import Store
from respsel.workspace.workspace import find_workspace
from tests.conftest import Bench

ROOT = Path(__file__).parents[2]


def gc(bench: Bench) -> str:
    done = bench.respsel("cache", "gc", "--yes")
    assert done.code == 0, done.err
    return done.out


def old(path: Path) -> Path:
    """A file from before every run."""
    os.utime(path, (1, 1), follow_symlinks=False)
    return path


def test_gc_frees_no_file_of_the_users(bench: Bench) -> None:
    """In the store's folders, data that ends like a value file, weights of one's own and another
    store's values stay.
    """
    bench.run()
    theirs = [
        old(bench.write("cache/ab/cd/squad.val", b"mine")),
        old(bench.write("cache/weights/mine.gguf", b"mine")),
        old(bench.write(f"cache/ab/other/ab/cd/{'0' * 28}.val", b"another store's")),
    ]
    stray = old(bench.write(f"cache/ab/cd/{'0' * 28}.val", b"what a put left that had no room"))
    prepared = old(bench.write(f"cache/weights/{'a' * 64}.bf16.gguf", b"prepared"))
    told = bench.respsel("cache", "gc").out
    assert str(stray) in told
    assert str(prepared) in told
    gc(bench)
    assert all(path.is_file() for path in theirs)
    assert not stray.exists()
    assert not prepared.exists()


OTHERS = [
    "respsel.toml",
    "data/squad.jsonl",
    "other/cache/cache.db",
    "notes.txt",
    "mine.gguf",
    "runs/a/report.html",
    "cat.jpg",
]


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("used", [False, True], ids=["before its first use", "in use"])
def test_a_store_folder_that_holds_other_things_is_refused(
    tmp_path: Path, name: str, used: bool
) -> None:
    """A store is not opened where something lies that it did not write: the error names it, and
    nothing is made there.
    """
    folder = tmp_path / "cache"
    if used:
        with Store(folder) as store:
            store.put("k", b"kept")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("mine")
    before = sorted(folder.rglob("*"))
    for reading in (False, True):
        with pytest.raises(
            StoreError,
            match=f"what respsel did not write: {name.split('/')[0]}. Move that away, or",
        ) as caught:
            Store(folder, reading)
        assert caught.value.exit_code == 4
    assert sorted(folder.rglob("*")) == before
    (folder / name).unlink()
    while (top := (folder / name).parent) != folder and top.exists():
        shutil.rmtree(folder / name.split("/")[0])
    with Store(folder) as store:
        assert store.get("k") == (b"kept" if used else None)


def test_folders_that_are_called_like_value_folders_are_no_store(tmp_path: Path) -> None:
    """Where there is no database, folders called 01 to 12 are somebody's months."""
    (tmp_path / "01").mkdir()
    with pytest.raises(StoreError, match="did not write: 01"):
        Store(tmp_path)


def test_what_systems_tools_and_kills_leave_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """Hidden files, those of file systems, notes and copies of the keeper's, and what a killed
    process left are let be.
    """
    with Store(tmp_path) as store:
        store.put("k", b"large" * 20_000)
    names = [
        ".DS_Store",
        ".gitignore",
        ".nfs0000",
        "Thumbs.db",
        "CACHEDIR.TAG",
        "README.md",
        "cache.db.bak",
        "lost+found/x",
    ]
    names += [
        "cache.db-journal",
        ".store.txt.7-0123abcd.part",
        "quarantine.old/x.bin",
        "weights/x.gguf",
        "ab/cd/x.val",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for reading in (False, True):
        with Store(tmp_path, reading) as store:
            assert store.get("k") == b"large" * 20_000
    assert all((tmp_path / name).exists() for name in names if name != "cache.db-journal")


def test_a_clone_has_a_folder_for_the_store(bench: Bench) -> None:
    """Before the first run it holds one file, which says what the folder is.

    No command minds or removes it.
    """
    note = bench.folder / "cache" / ".gitignore"
    note.parent.mkdir()
    shutil.copy(ROOT / "cache" / ".gitignore", note)
    assert bench.respsel("plan", "a.toml").code == 0
    assert "there is no store" in bench.respsel("cache", "verify").err
    bench.run()
    for command in (["doctor", "a.toml"], ["cache", "size"], ["cache", "ls"], ["cache", "verify"]):
        done = bench.respsel(*command)
        assert done.code == 0, done.err
        assert ".gitignore" not in done.out + done.err
    assert ".gitignore" not in gc(bench)
    assert note.read_bytes() == (ROOT / "cache" / ".gitignore").read_bytes()


def test_a_workspace_that_is_its_own_store_is_refused(bench: Bench) -> None:
    """`store = "."` ends a command with one error that names what is there, and nothing is made."""
    bench.write("respsel.toml", 'store = "."\n')
    before = set(bench.folder.iterdir())
    done = bench.respsel("run", "a.toml")
    assert done.code == 4
    assert "did not write: a.toml, respsel.toml, sums.jsonl. Move that away" in done.err
    assert done.err.count("\n") == 1
    assert set(bench.folder.iterdir()) == before


@pytest.mark.parametrize("runs", ["cache", "cache/ab", "x/../cache"])
def test_reports_do_not_go_into_the_store(tmp_path: Path, runs: str) -> None:
    """A folder for runs that is the store's, or in it, is an error before anything is written
    there.
    """
    (tmp_path / "respsel.toml").write_text(f'runs = "{runs}"\n')
    with pytest.raises(
        InputError, match=r"respsel\.toml: line 1, runs: is the store's folder, or in it"
    ) as caught:
        find_workspace(tmp_path)
    assert caught.value.exit_code == 2


def test_gc_goes_through_no_link(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Behind a linked folder lie files of the user's, whatever they are called."""
    outside = tmp_path_factory.mktemp("models")
    weights = outside / f"{'a' * 64}.bf16.gguf"
    value = outside / "cd" / f"{'0' * 28}.val"
    value.parent.mkdir()
    for path in (weights, value):
        path.write_bytes(b"mine")
        old(path)
    bench.run()
    (bench.folder / "cache/weights").symlink_to(outside)
    (bench.folder / "cache/ab").symlink_to(outside)
    gc(bench)
    assert weights.is_file()
    assert value.is_file()


def test_nothing_is_written_through_a_link(bench: Bench) -> None:
    """Links that a store came with, at the places of its notes, are replaced, and what they lead to
    stays as it was.
    """
    bench.run()
    mine = bench.write("mine.txt", b"mine")
    cache = bench.folder / "cache"
    for note in [*(cache / "locks").glob("*.json"), cache / "store.txt"]:
        note.unlink()
        note.symlink_to(mine)
    (cache / "store.txt").unlink()
    (cache / "store.txt").symlink_to(bench.folder / "new.txt")
    bench.edit("Solve:", "Please solve:")
    bench.run()
    assert mine.read_bytes() == b"mine"
    assert not (bench.folder / "new.txt").exists()
    assert not list(cache.rglob(".*.part"))


def test_damage_is_not_set_aside_behind_a_link(bench: Bench) -> None:
    """A quarantine that is a link is an error that names it, and nothing is written there."""
    bench.run()
    outside = bench.folder / "outside"
    outside.mkdir()
    cache = bench.folder / "cache"
    (cache / "quarantine").symlink_to(outside)
    with sqlite3.connect(cache / "cache.db") as db:
        (key,) = db.execute("SELECT key FROM Cache WHERE key LIKE 'call/%' LIMIT 1").fetchone()
        db.execute("UPDATE Cache SET value = zeroblob(99) WHERE key = ?", (key,))
    db.close()
    with Store(cache) as store, pytest.raises(StoreError, match="quarantine: is a link"):
        store.get(key)
    assert not list(outside.iterdir())


def test_a_store_folder_may_be_a_link(tmp_path: Path) -> None:
    """A store on another disk, where a link leads, is used like any."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "disk")
    for body in (b"small", b"large" * 20_000):
        with Store(tmp_path / "cache") as store, store.lock("t", lambda holder: None):
            store.put("k", body)
        with Store(tmp_path / "cache") as store:
            assert store.get("k") == body
    assert {path.name for path in (tmp_path / "disk").iterdir()} >= {
        "cache.db",
        "store.txt",
        "locks",
    }


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
@pytest.mark.parametrize("name", ["cache.db", "cache.db-wal", "cache.db-shm", "cache.db-journal"])
def test_a_database_that_is_no_file_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    """A database or log that is a link, a pipe or a folder is an error at once, and what a link
    leads to stays.
    """
    mine = tmp_path / "mine"
    if kind == "link":
        mine.write_bytes(b"mine" * 2000)
    with Store(tmp_path / "cache") as store:
        store.put("k", b"v")
    place = tmp_path / "cache" / name
    place.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(mine)
    for reading in (False, True):
        with pytest.raises(
            StoreError, match=f"{name}: is (a link|not a file), and the store writes there"
        ):
            Store(tmp_path / "cache", reading)
    assert mine.read_bytes() == b"mine" * 2000 if kind == "link" else not mine.exists()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_value_files_are_behind_no_link(tmp_path: Path, depth: int) -> None:
    """A value behind a linked folder, or that is a link or a pipe itself, counts as damaged; it is
    made again elsewhere, and what the link leads to is neither read nor removed."""
    body = b"large" * 20_000
    with Store(tmp_path / "cache") as store:
        store.put("k", body)
    (value,) = (tmp_path / "cache").rglob("*.val")
    place = [value.parent.parent, value.parent, value][depth - 1]
    place.rename(tmp_path / "mine")
    place.symlink_to(tmp_path / "mine")
    with Store(tmp_path / "cache") as store:
        assert store.get("k") is None
        assert "no file was written by something else" in str(store.damage)
        store.put("k", body)
        assert store.get("k") == body
    (kept,) = [
        path for path in (tmp_path / "mine", *(tmp_path / "mine").rglob("*")) if path.is_file()
    ]
    assert len(kept.read_bytes()) == 32 + len(body)


def test_a_value_that_is_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A pipe in a value's place counts as damaged, and is not read."""
    with Store(tmp_path) as store:
        store.put("k", b"large" * 20_000)
    (value,) = tmp_path.rglob("*.val")
    value.unlink()
    os.mkfifo(value)
    with Store(tmp_path) as store:
        assert store.get("k") is None
        assert store.damage


def test_value_files_are_written_beside_links(tmp_path: Path) -> None:
    """Where all but one of the folders for values are links, each value goes into that one; where
    all are, it is an error.
    """
    (tmp_path / "mine").mkdir()
    folder = tmp_path / "cache"
    with Store(folder) as store:
        for number in range(256):
            (folder / f"{number:02x}").symlink_to(tmp_path / "mine")
        with pytest.raises(StoreError, match="is a link, and the store writes there"):
            store.put("k", b"large" * 20_000)
        for number in range(128):
            (folder / f"{number:02x}").unlink()
        for number in range(8):
            store.put(f"k{number}", b"large" * 20_000)
            assert store.get(f"k{number}")
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("kind", ["link", "pipe", "linked folder"])
def test_locks_are_taken_through_no_link(tmp_path: Path, kind: str) -> None:
    """A lock that is a link or a pipe, or a folder of locks that is a link, is an error that names
    it; what it leads to stays as it was."""
    mine = tmp_path / "mine"
    mine.mkdir()
    cache = tmp_path / "cache"
    with Store(cache) as store:
        with store.lock("t", lambda holder: None):
            (lock,) = (cache / "locks").glob("*.lock")
        if kind == "linked folder":
            shutil.rmtree(cache / "locks")
            (cache / "locks").symlink_to(mine)
        else:
            lock.unlink(missing_ok=True)
            (mine / "lock").write_text("mine")
            lock.symlink_to(mine / "lock") if kind == "link" else os.mkfifo(lock)
        with pytest.raises(
            StoreError, match=r"(locks|\.lock): is (a link|not a file), and the store writes there"
        ):
            store.try_lock("t")
    assert [path.read_text() for path in mine.iterdir()] == (
        [] if kind == "linked folder" else ["mine"]
    )


def test_a_note_of_a_lock_that_is_a_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Who holds a lock is not known where the note is a pipe; nobody waits for what it says."""
    with Store(tmp_path) as store, store.lock("t", lambda holder: None):
        (note,) = (tmp_path / "locks").glob("*.json")
        note.unlink()
        os.mkfifo(note)
        assert store.try_lock("t") == Holder(None, None)


def test_weights_are_prepared_behind_no_link(tmp_path: Path) -> None:
    """A folder of weights that is a link is an error, and nothing is made where it leads."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "weights").symlink_to(tmp_path / "mine")
    with pytest.raises(StoreError, match="weights: is a link, and the store writes there"):
        prepare_weights(tmp_path / "x.gguf", tmp_path / "weights" / "x.bf16.gguf", "bf16")
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("name", ["a", "a/training"])
def test_reports_are_written_through_no_link(bench: Bench, name: str) -> None:
    """A link within runs/ is an error that names it; what lies behind it, a part of a download,
    say, stays.
    """
    mine = bench.write("mine/.download.part", "mine")
    if name != "a":
        bench.run()
    (bench.folder / "runs").mkdir(exist_ok=True)
    (bench.folder / "runs" / name).symlink_to(mine.parent)
    command = ["run", "a.toml"] if name == "a" else ["apply", "a.toml", "--strategy", "human"]
    done = bench.respsel(*command)
    assert done.code == 1
    assert f"runs/{name}: is a link, and respsel writes and removes files there." in done.err
    assert [path.name for path in mine.parent.iterdir()] == [".download.part"]
