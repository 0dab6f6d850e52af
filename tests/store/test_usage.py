"""Size, list and verify of the store."""

from __future__ import annotations

import sqlite3

from tests.conftest import Bench


def test_verify_finds_every_bad_record_and_exits_4(bench: Bench) -> None:
    """A whole store passes; each damaged record is listed, set aside, and gone the next time."""
    bench.run()
    assert bench.respsel("cache", "verify").code == 0
    with sqlite3.connect(bench.folder / "cache/cache.db") as db:
        bad = [
            key for (key,) in db.execute("SELECT key FROM Cache WHERE key LIKE 'call/%' LIMIT 3")
        ]
        db.execute("UPDATE Cache SET value = zeroblob(99) WHERE key IN (?, ?, ?)", bad)
    db.close()
    done = bench.respsel("cache", "verify")
    assert done.code == 4
    assert "3 bad" in done.out
    for key in bad:
        assert f"{key}: a damaged record" in done.err
    assert len(list((bench.folder / "cache/quarantine").iterdir())) == 3
    assert bench.respsel("cache", "verify").code == 0
    assert bench.run()["steps_run"] == 0


def test_verify_finds_what_diskcache_hides(bench: Bench) -> None:
    """A record that holds no bytes is bad; one that claims to have expired is whole: nothing here
    expires.
    """
    bench.run()
    with sqlite3.connect(bench.folder / "cache/cache.db") as db:
        first, second = (
            key for (key,) in db.execute("SELECT key FROM Cache WHERE key LIKE 'call/%' LIMIT 2")
        )
        db.execute("UPDATE Cache SET expire_time = 1 WHERE key = ?", (first,))
        db.execute("UPDATE Cache SET value = 'text' WHERE key = ?", (second,))
    db.close()
    done = bench.respsel("cache", "verify")
    assert done.code == 4
    assert "1 bad" in done.out
    assert second in done.err


def test_commands_without_a_store_say_so(bench: Bench) -> None:
    """Where there is no store, none is made."""
    for command in ("size", "ls", "verify", "gc"):
        done = bench.respsel("cache", command)
        assert done.code == 2
        assert "there is no store" in done.err
    assert not (bench.folder / "cache").exists()


def test_size_and_ls(bench: Bench) -> None:
    """size counts records by kind; ls lists the steps with the recipe that needs them."""
    bench.run()
    size = bench.respsel("cache", "size").out
    assert "answers of models" in size
    listed = bench.respsel("cache", "ls").out
    assert "a.toml: verdict:sums" in listed
    assert listed.splitlines()[-1] == "17 steps"
