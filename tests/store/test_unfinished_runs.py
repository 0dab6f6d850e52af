"""Runs that have not finished: which there are, and which go on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from respsel.store.locks import Holder
from respsel.store.store import Store
from respsel.store.unfinished_runs import RunNote, find_unfinished
from respsel.workspace.loaded_recipe import LoadedRecipe
from respsel.workspace.loading import load_recipe
from tests.conftest import RECIPE, jsonl, rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "cache") as store:
        yield store


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedRecipe:
    (tmp_path / "a.toml").write_text(RECIPE)
    (tmp_path / "sums.jsonl").write_text(jsonl(rows(12)))
    return load_recipe(tmp_path / "a.toml")


def no_wait(holder: Holder) -> None:
    raise AssertionError(f"{holder} frees space")


def note_of(store: Store, loaded: LoadedRecipe) -> RunNote:
    return RunNote(store, loaded.key, loaded.recipe_place, no_wait)


def living(store: Store, root: Path) -> list[int | None]:
    return [run.holder.pid if run.holder else None for run in find_unfinished(store, root)]


def test_a_run_lives_until_it_has_finished(
    store: Store, loaded: LoadedRecipe, tmp_path: Path
) -> None:
    """A run that has begun is named with its process, once; one that has finished is no longer
    there.
    """
    assert living(store, tmp_path) == []
    with note_of(store, loaded) as note:
        note.begin()
        note.begin()
        assert living(store, tmp_path) == [os.getpid()]
        note.finish()
        assert living(store, tmp_path) == []


def test_one_run_that_finishes_leaves_the_others_note(
    store: Store, loaded: LoadedRecipe, tmp_path: Path
) -> None:
    """Of two runs of one recipe at once, the first to finish does not take away what protects the
    other.
    """
    with note_of(store, loaded) as first, note_of(store, loaded) as second:
        first.begin()
        second.begin()
        first.finish()
        assert living(store, tmp_path) == [os.getpid()]
        second.finish()
        assert living(store, tmp_path) == []


def test_a_stopped_run_counts_until_the_recipe_finishes_or_is_gone(
    store: Store, loaded: LoadedRecipe, tmp_path: Path
) -> None:
    """A run that was stopped lives no more but keeps its time; a later run that finishes takes its
    note away.
    """
    with note_of(store, loaded) as note:
        note.begin()
    (stopped,) = find_unfinished(store, tmp_path)
    with note_of(store, loaded) as note:
        note.begin()
        (again,) = find_unfinished(store, tmp_path)
        assert again.began == stopped.began
    loaded.path.rename(tmp_path / "b.toml")
    assert living(store, tmp_path) == []
    (tmp_path / "b.toml").rename(loaded.path)
    assert living(store, tmp_path) == [None]
    # One that found everything stored has not begun, and finishes all the same.
    note_of(store, loaded).finish()
    assert living(store, tmp_path) == []


def test_a_run_of_another_workspace_counts_while_its_recipe_is_there(
    store: Store, loaded: LoadedRecipe, tmp_path: Path
) -> None:
    """A stopped run is looked for in its own workspace, and named by the way there."""
    with note_of(store, loaded) as note:
        note.begin()
    elsewhere = tmp_path / "elsewhere"
    assert [run.recipe for run in find_unfinished(store, elsewhere)] == ["../a.toml"]
    elsewhere.mkdir()
    loaded.path.rename(elsewhere / "a.toml")
    assert living(store, elsewhere) == []
