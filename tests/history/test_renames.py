"""Which entries of a recipe have another name, and which were edited."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from respsel.history.recorded_runs import RunRecord, StepOutput
from respsel.history.renames import Rename, find_renames
from respsel.history.selected_by import SelectedBy, selected_by


def run(steps: Mapping[str, str]) -> RunRecord:
    outputs = {name: StepOutput("key", output, 1) for name, output in steps.items()}
    return RunRecord("a.toml", "", "", outputs, (), Path("runs/a/x"), Path("cache"))


def recipe(strategies: Mapping[str, str], dataset: str = "d") -> Mapping[str, Any]:
    """strategies: by name, the column."""
    return {
        "datasets": [{"name": dataset, "path": "d.jsonl"}],
        "strategies": [
            {"name": name, "from": "column", "column": column}
            for name, column in strategies.items()
        ],
        "metrics": [{"name": "perplexity"}],
    }


def renames(
    old: Mapping[str, str], new: Mapping[str, str], now: str = "d", changed: str = ""
) -> list[Rename]:
    """changed: a column whose responses came out differently in the second run."""

    def made(strategies: Mapping[str, str], dataset: str, other: str) -> RunRecord:
        written = {
            f"responses:{dataset}/{name}": f"texts of {column}{'!' * (column == other)}"
            for name, column in strategies.items()
        }
        return run({f"examples:{dataset}": "rows", **written})

    first = made(old, "d", "")
    second = made(new, now, changed)
    return list(find_renames(first, second, recipe(old), recipe(new, now)))


def strategy(old: str, new: str) -> Rename:
    return Rename("strategy", old, new)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"a": "x", "b": "y"}, {"a": "x", "c": "y"}, [("b", "c")]),
        ({"a": "x", "b": "y"}, {"c": "y", "a": "x"}, [("b", "c")]),
        ({"a": "x", "b": "y"}, {"c": "x", "d": "y"}, [("a", "c"), ("b", "d")]),
        # Swapped, and each one on.
        ({"a": "x", "b": "y"}, {"a": "y", "b": "x"}, [("a", "b"), ("b", "a")]),
        ({"a": "x", "b": "y"}, {"b": "x", "c": "y"}, [("a", "b"), ("b", "c")]),
        # One of two that are equal.
        ({"a": "x", "b": "x"}, {"a": "x", "c": "x"}, [("b", "c")]),
        # It cannot be told which of two.
        ({"a": "x", "b": "x"}, {"c": "x", "d": "x"}, []),
        ({"a": "x"}, {"b": "x", "c": "x"}, []),
        ({"a": "x", "b": "x"}, {"c": "x"}, []),
        # An edit, whatever its name.
        ({"a": "x"}, {"b": "y"}, []),
        ({"a": "x"}, {"a": "y"}, []),
        # One went, and another was edited to be like it.
        ({"a": "x", "b": "y"}, {"b": "x"}, []),
        # One was copied, then edited.
        ({"a": "x"}, {"a": "y", "b": "x"}, []),
    ],
)
def test_a_rename_is_told_where_one_entry_fits(
    old: Mapping[str, str], new: Mapping[str, str], told: list[tuple[str, str]]
) -> None:
    """Content, not place, tells which one it is; what is not clear is told as before."""
    assert renames(old, new) == [strategy(*names) for names in told]


def test_a_rename_with_other_responses_is_none() -> None:
    """The same entry over other texts may be about something else."""
    assert renames({"a": "x", "b": "y"}, {"a": "x", "c": "y"}, changed="y") == []


def test_a_dataset_and_its_strategies_may_both_have_new_names() -> None:
    """A strategy is compared over the dataset by its new name."""
    found = renames({"a": "x"}, {"b": "x"}, now="e")
    assert found == [Rename("dataset", "d", "e"), strategy("a", "b")]


def test_steps_have_the_names_of_the_second_run() -> None:
    """Dataset, strategy and label are told in every step; a part of a metric keeps its own name."""
    first = recipe({"a": "x"})
    second = recipe({"b": "x"}, "e")
    first = {**first, "metrics": [{"name": "rank-surprisal", "label": "mix"}]}
    second = {**second, "metrics": [{"name": "rank-surprisal", "label": "both"}]}
    runs = (
        run({"examples:d": "rows", "responses:d/a": "texts"}),
        run({"examples:e": "rows", "responses:e/b": "texts"}),
    )
    told = find_renames(*runs, first, second)
    assert told.step("scores:d/a/mix.alignment") == "scores:e/b/both.alignment"
    assert told.step("scores:d/a/mix") == "scores:e/b/both"
    assert told.step("token-scores:d/a/mix") == "token-scores:e/b/mix"
    assert told.step("own-outputs:d") == "own-outputs:e"
    assert told.step("verdict:overall") == "verdict:overall"


PLAIN = {"name": "perplexity"}
BEHIND = {"name": "self-aligned-perplexity"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ([PLAIN, BEHIND], [PLAIN, BEHIND], None),
        # The order of the list decides where the recipe does not.
        ([PLAIN, BEHIND], [BEHIND, PLAIN], ("perplexity", "self-aligned-perplexity", False)),
        # What is at its default is the same.
        ([PLAIN], [{**PLAIN, "label": "perplexity"}], None),
        (
            [{**BEHIND, "k": 2}],
            [{**BEHIND, "k": 4}],
            ("self-aligned-perplexity (k = 2)", "self-aligned-perplexity (k = 4)", False),
        ),
        ([{**PLAIN, "label": "fit"}], [{**PLAIN, "label": "suit"}], ("fit", "suit", True)),
        (
            [{**PLAIN, "label": "fit"}],
            [{**BEHIND, "label": "fit"}],
            ("fit (perplexity)", "fit (self-aligned-perplexity)", False),
        ),
        (
            [{"name": "gone", "a": 1}],
            [{"name": "gone", "a": 2}],
            ("gone (a = 1)", "gone (a = 2)", False),
        ),
    ],
)
def test_the_metric_that_decides(
    old: list[Mapping[str, Any]],
    new: list[Mapping[str, Any]],
    told: tuple[str, str, bool] | None,
) -> None:
    """Another metric, other parameters, another place in the list; of an absent plug-in too."""
    found = selected_by(run({}), run({}), {"metrics": old}, {"metrics": new})
    assert found == (None if told is None else SelectedBy(*told))


def test_a_named_metric_decides_wherever_it_stands() -> None:
    """`selection.metric` decides, so another order changes nothing."""
    chosen = {"selection": {"metric": "perplexity"}}
    before = {"metrics": [PLAIN, BEHIND]}
    after = {"metrics": [BEHIND, PLAIN], **chosen}
    assert selected_by(run({}), run({}), before, after) is None
