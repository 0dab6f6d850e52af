"""Promise: a damaged record is reported and made again, never served; a poisoned one
runs no code.
"""

from __future__ import annotations

import json
import pickle
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from respsel.errors import StoreError
from respsel.store.store import Store
from tests.conftest import Bench, needs

BODY = bytes(range(256)) * 400  # large enough to be a file of its own
SMALL = b"a small body"


def only_file(folder: Path) -> Path:
    (path,) = folder.rglob("*.val")
    return path


def damaged(folder: Path, key: str) -> None:
    with Store(folder) as store:
        assert store.get(key) is None
        (problem,) = store.damage
        assert f"{key}: a damaged record" in str(problem)
        assert "will be made again" in str(problem)
        assert list((folder / "quarantine").iterdir())
        assert not store.has(key)


@pytest.mark.parametrize("place", [0, 31, 32, 5000, -1])
def test_a_flipped_byte_in_a_file(tmp_path: Path, place: int) -> None:
    """One changed byte anywhere, in the seal or in the body, is a reported miss."""
    with Store(tmp_path) as store:
        store.put("k", BODY)
    data = bytearray(only_file(tmp_path).read_bytes())
    data[place] ^= 1
    only_file(tmp_path).write_bytes(data)
    damaged(tmp_path, "k")


def test_a_truncated_file(tmp_path: Path) -> None:
    """A value cut short is a reported miss."""
    with Store(tmp_path) as store:
        store.put("k", BODY)
    only_file(tmp_path).write_bytes(only_file(tmp_path).read_bytes()[:1000])
    damaged(tmp_path, "k")


def test_a_missing_file(tmp_path: Path) -> None:
    """A value whose file is gone is a reported miss."""
    with Store(tmp_path) as store:
        store.put("k", BODY)
    only_file(tmp_path).unlink()
    damaged(tmp_path, "k")


def test_two_swapped_values(tmp_path: Path) -> None:
    """Two whole values under each other's keys are both misses: the seal holds the key."""
    with Store(tmp_path) as store:
        store.put("a", SMALL)
        store.put("b", b"another body")
    with sqlite3.connect(tmp_path / "cache.db") as db:
        values = dict(db.execute("SELECT key, value FROM Cache"))
        db.execute("UPDATE Cache SET value = ? WHERE key = 'a'", (values["b"],))
        db.execute("UPDATE Cache SET value = ? WHERE key = 'b'", (values["a"],))
    db.close()
    damaged(tmp_path, "a")
    damaged(tmp_path, "b")


@pytest.mark.parametrize("body", [SMALL, BODY], ids=["in the database", "in a file"])
def test_a_damaged_record_that_another_process_makes_again_stays(
    tmp_path: Path, body: bytes
) -> None:
    """What another process stores between the reading of a damaged record and its removal is found,
    not removed.
    """
    with Store(tmp_path) as one, Store(tmp_path) as other:
        one.put("k", body)
        with sqlite3.connect(tmp_path / "cache.db") as db:
            db.execute("UPDATE Cache SET value = zeroblob(50), mode = 1, filename = NULL")
        db.close()
        fetch = one._cache.disk.fetch

        def fetch_and_be_late(*args: Any) -> bytes:
            found: bytes = fetch(*args)
            one._cache.disk.fetch = fetch
            assert other.get("k") is None
            other.put("k", body)
            return found

        one._cache.disk.fetch = fetch_and_be_late
        assert one.get("k") == body
        assert not one.damage
        assert other.get("k") == body


class Bomb:
    """Unpickling this would create a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return Path.touch, (self.target,)


def test_a_pickled_value_is_not_unpickled(tmp_path: Path) -> None:
    """A record in pickle mode, as CVE-2025-69872 plants it, is a reported miss and runs nothing."""
    target = tmp_path / "boom"
    with Store(tmp_path / "cache") as store:
        store.put("k", SMALL)
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as db:
        db.execute(
            "UPDATE Cache SET mode = 4, value = ? WHERE key = 'k'", (pickle.dumps(Bomb(target)),)
        )
    db.close()
    damaged(tmp_path / "cache", "k")
    assert not target.exists()


def test_a_record_that_names_a_file_outside_deletes_nothing(tmp_path: Path) -> None:
    """A planted record that points out of the store is set aside; the file that it names stays."""
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    with Store(tmp_path / "cache") as store:
        store.put("k", SMALL)
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as db:
        db.execute(
            "UPDATE Cache SET mode = 2, value = NULL, filename = '../precious.txt' WHERE key = 'k'"
        )
    db.close()
    damaged(tmp_path / "cache", "k")
    assert precious.read_text() == "mine"


def test_a_pickled_key_is_not_unpickled(tmp_path: Path) -> None:
    """A row whose key is a pickle is refused where keys are listed, and runs nothing."""
    target = tmp_path / "boom"
    with Store(tmp_path / "cache") as store:
        store.put("k", SMALL)
    with sqlite3.connect(tmp_path / "cache" / "cache.db") as db:
        db.execute("UPDATE Cache SET key = ?, raw = 0", (pickle.dumps(Bomb(target)),))
    db.close()
    with Store(tmp_path / "cache") as store:
        assert store.get("k") is None
        with pytest.raises(Exception, match="a key that is not text"):
            list(store._cache)
    assert not target.exists()


@needs("llama_cpp", "gguf")
def test_token_scores_that_are_gone_are_made_again_by_a_real_model(
    bench: Bench, make_tiny_gguf: Callable[..., Path]
) -> None:
    """Rows that only the report still needs are made again while the models are open; the process
    does not crash.
    """
    entry = (
        f'backend = "llama-cpp"\npath = "{make_tiny_gguf(context=4096)}"\nsampling = {{ '
        f"max_tokens = 8 }}\n\n[models.teacher]"
    )
    bench.edit('backend = "fake"\n\n[models.teacher]', entry)
    bench.run()
    with sqlite3.connect(bench.folder / "cache" / "cache.db") as db:
        db.execute("DELETE FROM Cache WHERE key LIKE 'rows/token-scores/%' OR key LIKE 'call/%'")
    db.close()
    bench.edit("resamples = 500", "resamples = 600")
    done = bench.run()
    assert done["calls_made"] == 24
    assert done["models_opened"] == ["target"]


def test_a_truncated_database(tmp_path: Path) -> None:
    """A cut cache.db is exit code 4 with the remedy."""
    with Store(tmp_path) as store:
        for i in range(200):
            store.put(f"k{i}", SMALL * 50)
    path = tmp_path / "cache.db"
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(StoreError, match=r"the store is damaged.*Move the folder away") as caught:
        read_all(tmp_path)
    assert caught.value.exit_code == 4


def read_all(folder: Path) -> None:
    with Store(folder) as store:
        for i in range(200):
            store.get(f"k{i}")


@pytest.mark.parametrize("kept", [0, 1, 99, 100, 511, 4096, 9000, 0.3, 0.6, 0.9, None])
def test_a_database_cut_short_or_gone(bench: Bench, kept: float | None) -> None:
    """Wherever cache.db ends, or if it is gone: every command is exit code 4 with the remedy, and
    nothing is made again in silence."""
    bench.run()
    path = bench.folder / "cache/cache.db"
    data = path.read_bytes()
    if kept is None:
        path.unlink()
    else:
        path.write_bytes(data[: kept if isinstance(kept, int) else int(len(data) * kept)])
    for args in (
        ["run", "a.toml"],
        ["plan", "a.toml"],
        ["cache", "verify"],
        ["cache", "gc", "--yes"],
        ["cache", "size"],
    ):
        done = bench.respsel(*args)
        assert done.code == 4, (args, done.err)
        assert "cache.db: the store is damaged: " in done.err
        assert "Move the folder away and run again; its results are then made again." in done.err
        assert "Traceback" not in done.err
    (bench.folder / "cache").rename(bench.folder / "away")
    assert bench.run()["steps_run"] == 17


def change(bench: Bench, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """Change the database behind the store's back."""
    with sqlite3.connect(bench.folder / "cache/cache.db") as db:
        for statement, values in statements:
            assert db.execute(statement, values).rowcount > 0
    db.close()


def listed(bench: Bench, kind: str) -> dict[str, Any]:
    """The rows of one kind: key and value."""
    with sqlite3.connect(bench.folder / "cache/cache.db") as db:
        found = dict(
            db.execute("SELECT key, value FROM Cache WHERE key LIKE ? ORDER BY key", (f"{kind}/%",))
        )
    db.close()
    return found


def test_damage_of_every_sort_in_a_store_that_is_used(bench: Bench) -> None:
    """Bytes flipped at five places, a value cut short and an empty one: a run reports each, makes
    just those calls again, and comes out the same."""
    bench.run()
    values = list(listed(bench, "call").items())[:7]
    update = "UPDATE Cache SET value = ? WHERE key = ?"
    for place, (key, value) in zip((0, 31, 32, len(values[3][1]) // 2, -1), values, strict=False):
        flipped = bytearray(value)
        flipped[place] ^= 1
        change(bench, (update, (bytes(flipped), key)))
    change(bench, (update, (values[5][1][:-5], values[5][0])), (update, (b"", values[6][0])))
    bench.edit("sample = 6", "sample = 7")
    done = bench.respsel("run", "a.toml", "--json")
    assert done.code == 0, done.err
    assert all(
        f"{key}: a damaged record: it does not match its seal." in done.err for key, _ in values
    )
    assert done.json["calls_made"] == 7 + 7
    other = Bench(bench.folder / "other")
    for name in ("a.toml", "sums.jsonl"):
        other.write(name, (bench.folder / name).read_bytes())
    assert other.run()["verdicts"] == done.json["verdicts"]
    assert bench.respsel("cache", "verify").code == 0


@pytest.mark.parametrize(
    ("kind", "made"), [("call", 2), ("request", 0), ("step", 0), ("rows/scores", 0)]
)
def test_two_swapped_records_in_a_store_that_is_used(bench: Bench, kind: str, made: int) -> None:
    """Two whole records under each other's keys: a run reports both, makes them again and comes out
    the same.
    """
    first = bench.run()
    rows = listed(bench, kind)
    # Two that differ; the first two of the kind that do.
    a = next(iter(rows))
    b = next(key for key, value in rows.items() if value != rows[a])
    update = "UPDATE Cache SET value = ? WHERE key = ?"
    change(bench, (update, (rows[b], a)), (update, (rows[a], b)))
    # Every step must look at its calls and tables again, and each finds them.
    bench.edit("sample = 6", "sample = 7")
    bench.edit("resamples = 500", "resamples = 501")
    done = bench.respsel("run", "a.toml", "--json")
    assert done.code == 0, done.err
    verified = bench.respsel("cache", "verify")
    said = done.err + verified.err
    assert all(f"{key}: a damaged record: it does not match its seal." in said for key in (a, b))
    assert done.json["calls_made"] == 7 + made
    assert bench.respsel("cache", "verify").code == 0
    bench.edit("sample = 7", "sample = 6")
    bench.edit("resamples = 501", "resamples = 500")
    assert bench.run()["verdicts"] == first["verdicts"]


def test_poisoned_records_in_a_store_that_is_used(bench: Bench) -> None:
    """Planted keys and values, by every command that reads the store: no code runs, nothing outside
    is touched, all are found by verify, and the run comes out the same."""
    first = bench.run()
    target = bench.folder / "boom"
    precious = bench.write("precious.txt", "mine")
    bomb = pickle.dumps(Bomb(target))
    insert = (
        "INSERT INTO Cache (key, raw, store_time, access_time, access_count, size, mode, "
        "filename, value) "
    )
    insert += "VALUES (?, ?, ?, 0, 0, ?, ?, ?, ?)"
    planted: list[tuple[Any, ...]] = [
        (bomb, 0, 1.0, 0, 4, None, bomb),
        (bomb + b".", 1, 1.0, 0, 1, None, b"x"),
        (7, 1, 1.0, 0, 1, None, b"x"),
        ("step/poison", 0, 1.0, 0, 4, None, bomb),
        ("step/poisoned", 1, "soon", "large", 4, None, bomb),
        ("call/poison", 1, 1.0, 0, 2, "../precious.txt", None),
        ("call/folder", 1, 1.0, 0, 2, "quarantine/..", None),
        ("call/bytes", 1, 1.0, 0, 2, b"x", None),
        ("run/poison", 1, 1.0, 0, 4, None, bomb),
        ("last/poison", 1, 1.0, 0, 3, None, "text"),
    ]
    change(bench, *((insert, values) for values in planted))
    change(
        bench,
        (
            "UPDATE Cache SET mode = 4, value = ? WHERE key LIKE 'call/%' OR key LIKE 'rows/%'",
            (bomb,),
        ),
    )
    change(
        bench,
        (
            "INSERT INTO Cache (key, raw, store_time, mode, value) VALUES (CAST(? AS TEXT), 1, "
            "1.0, 1, ?)",
            (b"\xff\xfe", b"x"),
        ),
    )
    bench.edit("resamples = 500", "resamples = 501")
    for args in (
        ["cache", "size"],
        ["cache", "ls"],
        ["plan", "a.toml"],
        ["explain", "a.toml"],
        ["run", "a.toml"],
    ):
        done = bench.respsel(*args)
        assert done.code == 0, (args, done.err)
        assert "Traceback" not in done.err
    verified = bench.respsel("cache", "verify")
    assert verified.code == 4
    assert "Traceback" not in verified.err
    assert verified.err.count("whose key is not text") == 5
    assert bench.respsel("cache", "verify").code == 0
    assert not target.exists()
    assert precious.read_text() == "mine"
    bench.edit("resamples = 501", "resamples = 500")
    assert bench.run()["verdicts"] == first["verdicts"]


def test_a_run_over_damaged_records_comes_out_the_same(bench: Bench) -> None:
    """Whatever is damaged is said on standard error and made again; the verdict is the same."""
    first = bench.run()
    with sqlite3.connect(bench.folder / "cache" / "cache.db") as db:
        db.execute(
            "UPDATE Cache SET value = zeroblob(40) WHERE key LIKE 'rows/%' OR key LIKE 'call/%'"
        )
    db.close()
    bench.edit("resamples = 500", "resamples = 600")
    done = bench.respsel("run", "a.toml", "--json")
    assert done.code == 0
    assert "warning: " in done.err
    assert "a damaged record" in done.err
    assert [r["score"] for r in done.json["verdicts"][0]["ranking"]] == [
        r["score"] for r in first["verdicts"][0]["ranking"]
    ]


OTHERWISE = """
import sys
from dataclasses import replace
from respsel.backends import fake
from respsel.backends.contract import Failure
init, generate = fake.FakeModel.__init__, fake.FakeModel.generate
def named(self, variant, *args):
    init(self, variant, *args)
    self.variant = variant
def other(self, calls):
    for index, made in generate(self, calls):
        yield index, {answer} if self.variant == "teacher" else made
fake.FakeModel.__init__, fake.FakeModel.generate = named, other
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml", "--json"]
app()
"""
OTHER_TEXT = "replace(made, text='Otherwise: ' + made.text)"
FAILURE = "Failure('out of memory')"
NEW_METRIC = 'name = "alignment"\n\n[[metrics]]\nname = "compression-ratio"'


def run_otherwise(bench: Bench, answer: str) -> subprocess.CompletedProcess[str]:
    """Run the recipe where the teacher answers otherwise."""
    code = OTHERWISE.format(answer=answer)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=bench.folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("edited", [False, True], ids=["in the report", "in the run"])
@pytest.mark.parametrize("answer", [OTHER_TEXT, FAILURE], ids=["otherwise", "failing"])
def test_what_follows_a_table_that_comes_out_otherwise_is_made_anew(
    bench: Bench, edited: bool, answer: str
) -> None:
    """Where tables are damaged, their calls gone and the model answers otherwise by now, or not at
    all, no report has new responses beside the scores of old ones: the run fails, and one run more
    makes all of it anew."""
    bench.run()
    with sqlite3.connect(bench.folder / "cache/cache.db") as db:
        db.execute(
            "UPDATE Cache SET value = zeroblob(40) WHERE key LIKE 'rows/%' OR key LIKE 'call/%'"
        )
    db.close()
    shutil.rmtree(bench.folder / "runs")
    if edited:
        bench.edit('name = "alignment"', NEW_METRIC)
    failed = run_otherwise(bench, answer)
    assert failed.returncode == 1
    what = (
        "responses:sums/teacher: its stored table was damaged, and made again it came out "
        "differently."
    )
    assert (
        f"error: a.toml: {what} Run again: what follows from it is then made again."
        in failed.stderr
    )
    assert not (bench.folder / "runs/a/report.json").exists()
    again = run_otherwise(bench, answer)
    assert again.returncode == 0, again.stderr
    other = Bench(bench.folder / "other")
    for name in ("a.toml", "sums.jsonl"):
        other.write(name, (bench.folder / name).read_bytes())
    afresh = run_otherwise(other, answer)
    assert json.loads(again.stdout)["verdicts"] == json.loads(afresh.stdout)["verdicts"]
    for name in ("responses.parquet", "scores.parquet"):
        assert pl.read_parquet(bench.folder / "runs/a" / name).equals(
            pl.read_parquet(other.folder / "runs/a" / name)
        )
    if answer == OTHER_TEXT:
        assert bench.run()["steps_run"] == 0
