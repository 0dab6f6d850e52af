"""What calls took, in tokens and money."""

from __future__ import annotations

import json

import pytest

from respsel.calls.costs import costs_of, total
from respsel.records import TokenUsage
from respsel.workspace.loading import load_recipe
from tests.conftest import Bench

PRICE = "price = { input = 2.0, output = 10.0 }\n"


def priced(bench: Bench, price: str = PRICE) -> None:
    bench.edit('variant = "teacher"\n', f'variant = "teacher"\n{price}')


def test_money_is_tokens_times_price_for_a_million(bench: Bench) -> None:
    """A model without a price has none; sums are by currency."""
    priced(bench)
    models = load_recipe(bench.recipe).models
    taken = {"teacher": TokenUsage(3, 500_000, 100_000), "target": TokenUsage(2, 10, 0)}
    target, teacher = costs_of(taken, models)
    assert teacher.money == pytest.approx(2.0)
    assert teacher.currency == "USD"
    assert target.money is None
    assert total([target, teacher, teacher]) == {"USD": pytest.approx(4.0)}


def test_a_run_says_what_its_calls_took(bench: Bench) -> None:
    """Prompts to the teacher and what it wrote are counted in full; a cached run took nothing, and
    says what it rests on.
    """
    priced(bench)
    first = bench.run()
    teacher = next(cost for cost in first["costs"] if cost["model"] == "teacher")
    report = json.loads((bench.folder / "runs/a/report.json").read_text())
    assert first["costs"] == first["costs_now"] == report["costs"]
    assert teacher["calls"] == 6
    assert teacher["prompt_tokens"] > 6 * len("Solve: What is 0 plus 0?")
    assert 6 * 7 <= teacher["output_tokens"] <= 6 * 27
    assert teacher["money"] == pytest.approx(
        (teacher["prompt_tokens"] * 2 + teacher["output_tokens"] * 10) / 1e6
    )
    assert sum(cost["calls"] for cost in first["costs"]) == first["calls_made"]
    again = bench.run()
    assert (again["costs_now"], again["costs"]) == ([], first["costs"])


def test_scored_responses_count_as_they_are_given_to_read(bench: Bench) -> None:
    """Token scores take their prompts and responses, as the table of token scores has them, and
    write nothing.
    """
    import polars as pl

    bench.edit("samples = 2", 'path = "own.jsonl"')
    bench.write(
        "own.jsonl",
        "".join(json.dumps({"id": f"e{i}", "response": f"it is {i}"}) + "\n" for i in range(12)),
    )
    (target,) = [cost for cost in bench.run()["costs"] if cost["model"] == "target"]
    scored = pl.read_parquet(bench.folder / "runs/a/token_scores.parquet")
    assert target["calls"] == len(scored)
    assert target["prompt_tokens"] == int(scored["prompt_tokens"].sum()) + int(
        scored["response_tokens"].sum()
    )
    assert target["output_tokens"] == 0


def test_reused_calls_are_part_of_what_a_recipe_took(bench: Bench) -> None:
    """A larger sample pays for the new examples now; all of them are what the recipe's
    steps took.
    """
    first = bench.run()
    bench.edit("sample = 6", "sample = 7")
    second = bench.run()
    for before, now, after in zip(
        first["costs"], second["costs_now"], second["costs"], strict=True
    ):
        for what in ("calls", "prompt_tokens", "output_tokens"):
            assert before[what] + now[what] == after[what]


def test_a_race_is_counted_once(bench: Bench) -> None:
    """The calls that a race made are not counted again for the token scores that it leaves."""
    bench.edit("sample = 6", "sample = 12")
    bench.edit("[selection]", '[selection]\nbudget = "race"')
    done = bench.run()
    assert sum(cost["calls"] for cost in done["costs"]) == done["calls_made"]


def test_a_price_reruns_nothing(bench: Bench) -> None:
    """A changed price is in the next report without a step or call."""
    bench.run()
    priced(bench)
    done = bench.run()
    assert (done["steps_run"], done["calls_made"]) == (0, 0)
    report = json.loads((bench.folder / "runs/a/report.json").read_text())
    assert next(cost for cost in report["costs"] if cost["model"] == "teacher")["money"] > 0


def test_a_plan_says_what_certain_calls_would_take(bench: Bench) -> None:
    """Before anything is run: the teacher's prompts, at most max_tokens of output each, and the
    money.
    """
    priced(bench)
    bench.edit(
        'prompt = "Solve: {{ input }}"',
        'prompt = "Solve: {{ input }}"\nsampling = { max_tokens = 100 }',
    )
    planned = bench.respsel("plan", "a.toml", "--json").json
    teacher = next(cost for cost in planned["costs"] if cost["model"] == "teacher")
    assert (teacher["calls"], teacher["output_tokens"]) == (6, 600)
    assert 20 < teacher["prompt_tokens"] < 60
    assert "teacher: 6 calls, about" in bench.respsel("plan", "a.toml").out
    bench.run()
    assert bench.respsel("plan", "a.toml", "--json").json["costs"] == []
