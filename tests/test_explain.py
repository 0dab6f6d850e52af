"""Explaining: what changed, old and new, and how far it reaches."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Bench, jsonl, rows


def explained(bench: Bench, *args: str) -> dict[str, Any]:
    done = bench.respsel("explain", "a.toml", *args, "--json")
    assert done.code == 0, done.err
    return {item["step"]["name"]: item for item in done.json}


def test_a_changed_prompt_is_shown_old_and_new(bench: Bench) -> None:
    """The field, its old and its new value, and the number of examples that must be asked again."""
    bench.run()
    bench.edit("Solve:", "Solve this:")
    item = explained(bench)["responses:sums/teacher"]
    assert item["changes"] == [
        {"where": "strategies.teacher.prompt", "old": "Solve: {{ input }}", "new": "Solve this: {{ input }}"}
    ]
    assert (item["step"]["calls"], item["step"]["examples"]) == (6, 6)
    assert item["inputs"] == []
    text = bench.respsel("explain", "a.toml", "responses:sums/teacher").out
    assert "strategies.teacher.prompt changed: Solve: {{ input }} -> Solve this: {{ input }}" in text
    assert "6 calls for 6 examples" in text


def test_a_larger_sample_counts_the_rows_that_are_new(bench: Bench) -> None:
    """An input that grew says how many rows are new, gone, changed and the same."""
    bench.run()
    bench.edit("sample = 6", "sample = 8")
    item = explained(bench)["own-outputs:sums"]
    assert item["inputs"] == [{"name": "examples:sums", "added": 2, "gone": 0, "changed": 0, "same": 6}]
    assert (item["step"]["calls"], item["step"]["examples"]) == (4, 2)


def test_a_changed_row_is_counted(bench: Bench) -> None:
    """One example whose text changed is one changed row."""
    bench.run()
    first = next(iter(explained(bench)))
    assert first == "examples:sums"
    changed = [{**row, "rationale": "another"} for row in rows(12)]
    bench.write("sums.jsonl", jsonl(changed))
    items = explained(bench)
    assert items["examples:sums"]["changes"][0]["where"] == "datasets.sums.path (its content)"
    assert items["responses:sums/human"]["inputs"][0]["changed"] == 6


def test_an_unchanged_recipe_is_all_cached(bench: Bench) -> None:
    """After a run every step is cached and nothing has changed."""
    bench.run()
    assert all(item["step"]["state"] == "cached" and not item["changes"] for item in explained(bench).values())


@pytest.mark.parametrize(
    ("old", "new", "step", "where"),
    [
        ("k = 2", "k = 1", "scores:sums/human/self-aligned-perplexity", "metrics.self-aligned-perplexity.k"),
        ("resamples = 500", "resamples = 600", "verdict:sums", "selection.resamples"),
        ("samples = 2", "samples = 3", "own-outputs:sums", "own_outputs.samples"),
        ('answer = "number"', 'answer = "exact"', "responses:sums/human", "datasets.sums.answer.kind"),
        ('variant = "teacher"', 'variant = "other"', "responses:sums/teacher", "strategies.teacher.model.variant"),
    ],
)
def test_places_are_those_of_the_recipe(bench: Bench, old: str, new: str, step: str, where: str) -> None:
    """A change is named by its place in the recipe."""
    bench.run()
    bench.edit(old, new)
    item = explained(bench)[step]
    if item["step"]["state"] == "run":
        assert where in [change["where"] for change in item["changes"]]
    else:
        assert item["step"]["state"] == "waits"


def test_an_unknown_step_is_told(bench: Bench) -> None:
    """A misspelt step name gets a suggestion; a beginning of a name gives all that begin so."""
    done = bench.respsel("explain", "a.toml", "response:sums/teacher")
    assert done.code == 2
    assert "a.toml: response:sums/teacher: is no step of this recipe. Did you mean 'responses:sums/teacher'?" in done.err
    assert set(explained(bench, "responses:")) == {"responses:sums/human", "responses:sums/teacher"}
