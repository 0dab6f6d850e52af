"""Metrics that show held-out examples: what a run asks for them, and what it finds again."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from tests.conftest import Bench


def add(bench: Bench, metric: str) -> None:
    bench.edit("[selection]", f"[[metrics]]\n{metric}\n\n[selection]")


def values(bench: Bench, metric: str, strategy: str) -> list[tuple[str, float | None, str]]:
    scores = pl.read_parquet(bench.folder / "runs/a/scores.parquet")
    mine = scores.filter((pl.col("metric") == metric) & (pl.col("strategy") == strategy))
    return list(mine.select("id", "value", "problem").iter_rows())


def test_each_call_is_made_once(held_out: Bench) -> None:
    """Six responses of a teacher; of 12 responses plain and behind 3 held-out ones; 3 groups of 2
    with 2 references each, 6 tries a strategy, and the references alone once for both.
    """
    plain = {(row, reference) for row in range(3) for reference in range(2)}
    plan = held_out.respsel("plan", "a.toml", "--json").json
    done = held_out.run()
    references = done["calls_made"] - (6 + 12 + 12 + 6 + 6)
    assert 2 <= references <= len(plain)
    assert done["calls_made"] <= sum(step["calls_at_most"] for step in plan["steps"])
    again = held_out.run()
    assert (again["steps_run"], again["calls_made"], again["models_opened"]) == (0, 0, [])
    # A plain view is there, and so is everything for a group of the same references.
    add(held_out, 'name = "perplexity"')
    assert held_out.run()["calls_made"] == 0
    add(held_out, 'name = "ica-score"\nlabel = "ica-1"\nk = 1')
    assert held_out.run()["calls_made"] == 12


def test_a_larger_sample_asks_for_the_new_examples_alone(held_out: Bench) -> None:
    """From 6 to 8 examples: 2 responses written, 4 scored plain and behind others, one more group
    of 2 tries a strategy, and at most 2 references alone.
    """
    held_out.run()
    before = {who: values(held_out, "demonstration-gain", who) for who in ("human", "teacher")}
    held_out.edit("sample = 6", "sample = 8")
    made = held_out.run()["calls_made"]
    assert 2 + 4 + 4 + 4 <= made <= 2 + 4 + 4 + 4 + 2
    for who, rows in before.items():
        assert values(held_out, "demonstration-gain", who)[:6] == rows


def test_the_unit_of_a_verdict_is_a_group(held_out: Bench) -> None:
    """With k = 2 the verdict is over 3 groups of 6 examples. The others' rows say why they have no
    value, and are no gap: even with if_unscored = "fail" the run succeeds. A seventh example is
    left over.
    """
    held_out.edit("sample = 6", "sample = 7")
    held_out.edit("[selection]", '[selection]\nmetric = "demonstration-gain"\nif_unscored = "fail"')
    (verdict,) = held_out.run()["verdicts"]
    assert verdict["examples"] == 3
    found = values(held_out, "demonstration-gain", "human")
    assert [value is not None for _, value, _ in found] == [True, False] * 3 + [False]
    assert "their value is at the first" in found[1][2]
    assert "fewer than are shown together" in found[6][2]
    report = json.loads((held_out.folder / "runs/a/report.json").read_text())
    assert "demonstrations-2-on-2" in json.dumps(report)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            '[validation]\npath = "dev.jsonl"\n',
            "",
            "metric 'ica-score': 'ica-score' needs held-out examples, and the recipe names none",
        ),
        (
            'path = "dev.jsonl"',
            'path = "sums.jsonl"',
            "validation.path: is the file of dataset 'sums', so nothing in it is held out",
        ),
        ('path = "dev.jsonl"', 'path = "dew.jsonl"', "validation.path"),
        (
            'reference = "rationale"\n',
            "",
            "validation: dataset 'sums' names no 'reference' that it could take over",
        ),
        (
            'path = "dev.jsonl"',
            'path = "dev.jsonl"\ninput = "{{ question"',
            "validation.input: line 1 of the template",
        ),
        ('path = "dev.jsonl"', 'path = "dev.jsonl"\nid = "{{ id }}"', "'id' is a column"),
        ('path = "dev.jsonl"', 'path = "dev.jsonl"\nsampel = 2', "validation.sampel: unknown key"),
        (
            'path = "dev.jsonl"',
            'path = "dev.jsonl"\nsample = 2',
            "validation: 3 held-out examples are shown at once, but there are only 2",
        ),
        (
            "[selection]",
            '[selection]\nmetric = "demonstration-gain"\nmode = "per-example"',
            "selection.mode: a value of 'demonstration-gain' is about k examples",
        ),
        (
            "[selection]",
            '[selection]\nbudget = "race"',
            "selection.budget: 'ica-score' is not from token scores in one view",
        ),
        ("k = 2", "k = 7", "7 responses are shown together, but there are only 6 examples"),
        ("k = 2", "references = 9", "9 held-out examples are shown at once"),
    ],
)
def test_misuse_is_told(held_out: Bench, old: str, new: str, told: str) -> None:
    """Each is an error with its place, before any call."""
    held_out.edit(old, new)
    done = held_out.respsel("run", "a.toml")
    assert done.code == 2, done.out
    assert told in done.err


def test_a_demonstration_that_does_not_fit_is_told(held_out: Bench) -> None:
    """Two responses of 3,000 bytes and a reference do not fit 4,096 tokens: an error before any
    call, naming the example and the view; with "drop" the group has no value.
    """
    long = json.dumps("x" * 3000)
    data = [json.loads(line) for line in (held_out.folder / "sums.jsonl").read_text().splitlines()]
    held_out.write(
        "sums.jsonl",
        "".join(json.dumps({**row, "rationale": json.loads(long)}) + "\n" for row in data),
    )
    done = held_out.respsel("run", "a.toml")
    assert done.code == 2
    assert "human, demonstrations-2-on-2, example" in done.err
    assert "exceed the context" in done.err
    held_out.edit('model = "target"', 'model = "target"\nif_too_long = "drop"')
    held_out.run()
    found = values(held_out, "demonstration-gain", "human")
    assert {problem for _, _, problem in found[::2]} == {"longer than the context"}


def test_a_race_leaves_the_groups_out_that_it_did_not_come_to(held_out: Bench) -> None:
    """In a race by perplexity, the gain is of the groups whose examples were all reached."""
    held_out.edit("[selection]", '[selection]\nmetric = "perplexity"\nbudget = "race"')
    add(held_out, 'name = "perplexity"')
    held_out.run()
    found = values(held_out, "demonstration-gain", "human")
    assert any(value is not None for _, value, _ in found)


def test_a_changed_file_is_explained(held_out: Bench) -> None:
    """One more held-out example: plan and explain name the file, and diff names it as a cause."""
    held_out.run()
    with (held_out.folder / "dev.jsonl").open("a") as file:
        file.write('{"id": "d9", "question": "Why?", "rationale": "So."}\n')
    items: dict[str, Any] = {
        item["step"]["name"]: item for item in held_out.respsel("explain", "a.toml", "--json").json
    }
    (change,) = items["validation:sums"]["changes"]
    assert change["where"] == "validation.path (its content)"
    step = items["token-scores:sums/human/validation-3"]
    assert [(one["name"], one["added"], one["same"]) for one in step["inputs"]] == [
        ("validation:sums", 1, 8)
    ]
    # Only the examples that the new one goes with are scored again.
    assert step["step"]["calls"] < 6
    held_out.run()
    told = held_out.respsel("diff", "a.toml").out
    assert "validation.path (its content)" in told


def test_a_validation_key_changes_the_keys_of_its_step_alone(held_out: Bench) -> None:
    """Another sample or seed is another table of held-out examples, and no other field."""
    from tests.promises.test_keys import keys

    before = keys(held_out)
    for line in ("sample = 7", "seed = 1", 'id = "id"', 'input = "{{ question }}"'):
        held_out.edit('path = "dev.jsonl"', f'path = "dev.jsonl"\n{line}')
        after = keys(held_out)
        assert {name for name in after if after[name] != before[name]} == {"validation:sums"}, line
        held_out.edit(f'path = "dev.jsonl"\n{line}', 'path = "dev.jsonl"')


def test_the_best_response_for_each_example_can_be_chosen(held_out: Bench) -> None:
    """With k = 1 each example has its own value, so the mode per-example works, also over the whole
    dataset.
    """
    held_out.edit("k = 2", "k = 1")
    held_out.edit("[selection]", '[selection]\nmetric = "demonstration-gain"\nmode = "per-example"')
    held_out.run()
    done = held_out.respsel("apply", "a.toml", "--mode", "per-example", "--json")
    assert done.code == 0, done.err
