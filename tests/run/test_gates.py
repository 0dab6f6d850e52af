"""Gates in runs: races, choices for each example, training sets, judges."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from tests.conftest import Bench, jsonl, rows

OWN = '[[strategies]]\nname = "own"\nfrom = "model"\nmodel = "target"\nprompt = "{{ input }}"\n\n'
WHY = "the target wrote it and finds its own text likely, and nothing else speaks for it"


@pytest.fixture
def own(bench: Bench) -> Bench:
    """The usual recipe with a strategy of the target's, without an answer check."""
    bench.write("sums.jsonl", jsonl(rows(24)))
    bench.edit("sample = 6", "sample = 16")
    bench.edit('answer = "number"\n', "")
    bench.edit("[own_outputs]", OWN + "[own_outputs]")
    return bench


def verdict_of(bench: Bench) -> Any:
    (verdict,) = bench.run()["verdicts"]
    return verdict


def test_a_run_bars_the_targets_own_text(own: Bench) -> None:
    """It is ranked last with the reason, and it is marked in tables and figures."""
    verdict = verdict_of(own)
    assert verdict["barred"] == {"own": WHY}
    assert verdict["ranking"][-1]["strategy"] == "own"
    assert verdict["winner"] != "own"
    page = (own.folder / "runs/a/report.html").read_text()
    assert ">own *</text>" in page
    assert 'own <span class="own">by the target</span>' in page
    text = (own.folder / "runs/a/report.md").read_text()
    assert "| own * |" in text
    assert f"own is not recommended: {WHY}." in text


def test_a_race_keeps_a_barred_strategy_for_one_lap(own: Bench) -> None:
    """It drops nobody, and no more than the first lap is scored of it."""
    own.edit("[selection]", '[selection]\nbudget = "race"')
    verdict = verdict_of(own)
    assert verdict["winner"] in ("human", "teacher")
    table = pl.read_parquet(own.folder / "runs/a/scores.parquet")
    mine = table.filter((pl.col("strategy") == "own") & (pl.col("metric") == "perplexity"))
    assert len(mine.filter(pl.col("value").is_not_null())) == 12


def test_no_choice_and_no_pair_has_a_barred_response(own: Bench) -> None:
    """Per example too it is never taken, on the sample and on the whole dataset."""
    own.edit("[selection]", '[selection]\nmode = "per-example"')
    own.run()
    (data,) = json.loads((own.folder / "runs/a/report.json").read_text())["datasets"]
    assert {choice["strategy"] for choice in data["choices"]} <= {"human", "teacher"}
    applied = own.respsel("apply", "a.toml", "--mode", "per-example", "--json").json
    assert applied["counts"][0]["by_strategy"].keys() <= {"human", "teacher"}
    assert f"own is left out: {WHY}." in applied["cautions"]
    (pairs,) = own.respsel("export", "a.toml", "--format", "dpo", "--json").json
    assert any("only the one that the target finds likelier" in line for line in pairs["cautions"])


def test_a_changed_limit_asks_no_model(own: Bench) -> None:
    """Gates come behind the responses: what is scored is not scored again."""
    own.run()
    own.edit("require = { right = 0 }", "require = { right = 0, whole = 0.9, distinct = 0.2 }")
    done = own.run()
    assert (done["calls_made"], done["models_opened"]) == (0, [])


@pytest.mark.parametrize(
    ("require", "place", "told"),
    [
        ("right = 0.8", "right", "a dataset has no answer check"),
        ("reward = 6", "reward", "nothing in the recipe gives each strategy's responses rewards"),
        ("right = 80", "right", "at most 1"),
        ("wright = 0.8", "wright", "unknown key"),
    ],
)
def test_a_gate_that_nothing_is_known_for_is_an_error(
    own: Bench, require: str, place: str, told: str
) -> None:
    """It would bar all strategies, or none, without a word."""
    own.edit("require = { right = 0 }", f"require = {{ {require} }}")
    done = own.respsel("plan", "a.toml")
    assert done.code == 2
    assert f"selection.require.{place}" in done.err
    assert told in done.err


def test_a_column_of_rewards_is_a_gate_and_an_advocate(own: Bench) -> None:
    """Rewards of the data bar by their mean, and speak for the target's own text."""
    items = [
        {**row, "human_r": 4 + i % 3, "teacher_r": 5 + i % 3, "own_r": 6 + i % 3}
        for i, row in enumerate(rows(24))
    ]
    own.write("sums.jsonl", jsonl(items))
    own.edit("[selection]", '[[metrics]]\nname = "reward"\ncolumn = "{strategy}_r"\n\n[selection]')
    own.edit("require = { right = 0 }", "require = { reward = 5.5 }")
    verdict = verdict_of(own)
    assert verdict["barred"].keys() == {"human"}
    assert "selection.require.reward asks for 5.50" in verdict["barred"]["human"]
    (data,) = json.loads((own.folder / "runs/a/report.json").read_text())["datasets"]
    (mine,) = [one for one in data["standings"] if one["strategy"] == "own"]
    assert "its mean reward is 7" in mine["advocate"]
