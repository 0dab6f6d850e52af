"""Promise: the store touches only what it wrote itself, where it writes it, and follows no link."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from respsel.errors import StoreError
from respsel.store import Store
from tests.conftest import Bench


def gc(bench: Bench) -> str:
    done = bench.respsel("cache", "gc", "--yes")
    assert done.code == 0, done.err
    return done.out


def old(path: Path) -> Path:
    """A file from before every run."""
    os.utime(path, (1, 1), follow_symlinks=False)
    return path


@pytest.fixture
def at_home(bench: Bench) -> Bench:
    """A workspace whose store is its own folder, after a run."""
    bench.write("respsel.toml", 'store = "."\n')
    bench.run()
    return bench


def test_gc_frees_no_file_of_the_users(at_home: Bench) -> None:
    """Beside a store that is the workspace itself, data that ends like a value file and weights of one's own stay."""
    theirs = [
        old(at_home.write("data/squad.val", b"mine")),
        old(at_home.write("ab/cd/squad.val", b"mine")),
        old(at_home.write("weights/mine.gguf", b"mine")),
        old(at_home.write(f"other/cache/ab/cd/{'0' * 28}.val", b"another store's")),
    ]
    stray = old(at_home.write(f"ab/cd/{'0' * 28}.val", b"what a put left that had no room"))
    prepared = old(at_home.write(f"weights/{'a' * 64}.bf16.gguf", b"prepared"))
    told = at_home.respsel("cache", "gc").out
    assert str(stray) in told
    assert str(prepared) in told
    gc(at_home)
    assert all(path.is_file() for path in theirs)
    assert not stray.exists()
    assert not prepared.exists()


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
    """Links that a store came with, at the places of its notes, are replaced, and what they lead to stays as it was."""
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
