"""The notes that a store keeps: one owner, one format, and earlier formats are read."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from respsel.hashing import canonical_json
from respsel.store.notes import (
    AppliedNote,
    AppliedStep,
    BegunNote,
    LatestRun,
    RecipePlace,
    Unrecorded,
    begun_key,
    begun_keys,
    latest_runs,
    load_applied,
    load_begun,
    load_latest,
    save_applied,
    save_begun,
    save_latest,
)
from respsel.store.store import Store

PACKAGE = Path(__file__).parents[2] / "src" / "respsel"
PLACE = RecipePlace("recipes/a.toml", ("..", "../../ws"))
LATEST = LatestRun(
    place=PLACE,
    purpose="apply strategy",
    steps={"verdict:sums": "ab", "scores:sums": "cd"},
    weights=("x.gguf",),
    unrecorded={"scores:sums": Unrecorded("cd", "scores", "ef", 6, {"target": [1, 2, 3]})},
    finished=12.5,
)
LATEST_JSON = {
    "place": "recipes/a.toml",
    "roots": ["..", "../../ws"],
    "purpose": "apply strategy",
    "steps": {"verdict:sums": "ab", "scores:sums": "cd"},
    "weights": ["x.gguf"],
    "unrecorded": {
        "scores:sums": {
            "key": "cd",
            "table": "scores",
            "output": "ef",
            "rows": 6,
            "took": {"target": [1, 2, 3]},
        }
    },
    "finished": 12.5,
}
APPLIED = AppliedNote(
    mode="strategy",
    strategy=None,
    accept_undecided=True,
    strategies={"sums": "teacher"},
    basis="undecided verdict",
    steps={"responses:sums/teacher": AppliedStep("ab", "cd")},
)
APPLIED_JSON = {
    "wish": {"mode": "strategy", "strategy": None, "accept_undecided": True},
    "strategies": {"sums": "teacher"},
    "basis": "undecided verdict",
    "steps": {"responses:sums/teacher": {"key": "ab", "output": "cd"}},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "cache") as store:
        yield store


def without(note: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in note.items() if name not in names}


def refuse_writing(key: str, value: object) -> None:
    raise AssertionError(f"{key} is written")


def test_notes_have_one_owner() -> None:
    """No module but notes.py spells where notes are stored or the names of what is in them."""
    kinds = "run|begun|applied"
    names = "roots|unrecorded|finished|wish|at"
    spelled = re.compile(rf"""["'](?:{kinds})/|keys\(f?["'](?:{kinds})["'/]|["'](?:{names})["']""")
    modules = [path for path in PACKAGE.rglob("*.py") if spelled.search(path.read_text())]
    assert modules == [PACKAGE / "store" / "notes.py"]


def test_a_latest_run_comes_back(store: Store) -> None:
    """The note is stored in the format of earlier versions."""
    assert load_latest(store, "one") is None
    save_latest(store, "one", LATEST)
    assert load_latest(store, "one") == LATEST
    assert store.get("run/one") == canonical_json(LATEST_JSON)


def test_a_new_time_alone_is_not_written(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that reaches what the one before it reached leaves the note and its time alone."""
    save_latest(store, "one", LATEST)
    left = replace(LATEST.unrecorded["scores:sums"], took={"target": (1, 2, 3)})
    with monkeypatch.context() as patch:
        patch.setattr(store, "save_json", refuse_writing)
        save_latest(store, "one", replace(LATEST, unrecorded={"scores:sums": left}, finished=13.0))
    assert load_latest(store, "one") == LATEST
    other = replace(LATEST, weights=(), finished=13.0)
    save_latest(store, "one", other)
    assert load_latest(store, "one") == other


def test_all_latest_runs_come_in_the_order_of_a_listing(store: Store) -> None:
    """Of a listing that was made before, only the runs in it count, in its order."""
    later = replace(LATEST, finished=13.0)
    save_latest(store, "b", LATEST)
    save_latest(store, "a", later)
    save_applied(store, "a", APPLIED)
    listed = list(store.entries())
    save_latest(store, "c", LATEST)
    assert list(latest_runs(store, listed)) == [LATEST, later]
    assert list(latest_runs(store)) == [later, LATEST, LATEST]


def test_a_begun_run_comes_back(store: Store) -> None:
    """Its key tells the recipe and which of its runs it is."""
    note = BegunNote(PLACE, 12.5)
    keys = [begun_key("one", 0), begun_key("one", 1), begun_key("two", 0)]
    for key in keys:
        assert load_begun(store, key) is None
        save_begun(store, key, note)
        assert load_begun(store, key) == note
    assert begun_keys(store) == keys
    assert begun_keys(store, "one") == keys[:2]
    said = {"place": "recipes/a.toml", "roots": ["..", "../../ws"], "at": 12.5}
    assert store.get("begun/one/0") == canonical_json(said)


def test_an_applied_selection_comes_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stored in the format of earlier versions, and not again if it is the same."""
    assert load_applied(store, "one") is None
    save_applied(store, "one", APPLIED)
    assert load_applied(store, "one") == APPLIED
    assert store.get("applied/one") == canonical_json(APPLIED_JSON)
    monkeypatch.setattr(store, "save_json", refuse_writing)
    save_applied(store, "one", APPLIED)


def test_notes_of_earlier_formats_are_read(store: Store) -> None:
    """Roots, purposes and tables without a record were not noted once; the next run notes them."""
    store.save_json("run/one", without(LATEST_JSON, "roots", "purpose", "unrecorded"))
    place = RecipePlace("recipes/a.toml")
    assert load_latest(store, "one") == replace(LATEST, place=place, purpose="", unrecorded={})
    store.save_json("begun/one/0", {"place": "recipes/a.toml", "at": 12})
    assert load_begun(store, begun_key("one", 0)) == BegunNote(place, 12.0)
    save_latest(store, "one", replace(LATEST, purpose="", unrecorded={}))
    assert store.load_json("run/one") == {**LATEST_JSON, "purpose": "", "unrecorded": {}}


def test_a_damaged_note_is_left_out(store: Store) -> None:
    """Whoever asks for all runs learns of the damage from the store."""
    save_latest(store, "one", LATEST)
    save_latest(store, "two", LATEST)
    with closing(sqlite3.connect(store.folder / "cache.db")) as db, db:
        db.execute("UPDATE Cache SET value = zeroblob(99) WHERE key = 'run/two'")
    assert list(latest_runs(store)) == [LATEST]
    assert [problem.where for problem in store.damage] == ["run/two"]


def test_a_recipe_is_found_from_the_store_and_named_from_the_workspace(tmp_path: Path) -> None:
    """With roots it may be in another workspace; without, it is of the one that asks."""
    cache = tmp_path / "one/cache"
    cache.mkdir(parents=True)
    here = tmp_path / "two"
    file = tmp_path / "one/a.toml"
    assert RecipePlace("a.toml", ("..", "..")).find(cache, here) == (file, "../one/a.toml")
    assert RecipePlace("a.toml").find(cache, here) == (here / "a.toml", "a.toml")
    # The second way there is for a store behind a link, of which the workspace knows the link.
    other = tmp_path / "three/a.toml"
    place = RecipePlace("a.toml", ("..", "../../three"))
    assert place.find(cache, here) == (file, "../one/a.toml")
    other.parent.mkdir()
    other.touch()
    assert place.find(cache, here) == (other, "../three/a.toml")
