"""Strategies that take from others: what is asked for them, and what is made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from respsel.graph import build_graph
from respsel.store.store import Store
from respsel.workspace.loading import load_recipe
from tests.conftest import Bench, jsonl, rows

FIRST = """\
[[strategies]]
name = "own"
from = "column"
column = "mine"
compare = false

[[strategies]]
name = "hint"
from = "model"
model = "teacher"
prompt = "{{ input }} It is {{ reference }}."
compare = false

[[strategies]]
name = "mixed"
from = "first"
of = ["own", "hint", "human"]

[own_outputs]"""
BEST = """\
[[strategies]]
name = "chosen"
from = "best"
of = ["teacher", "human"]
n = 3
by = "perplexity"

[own_outputs]"""


def add(bench: Bench, strategies: str) -> None:
    bench.edit("[own_outputs]", strategies)


def with_own(bench: Bench, right: int) -> None:
    """Give the rows a column of which the first ones are right."""
    ours = [
        {**row, "mine": f"It is {row['answer'] if i < right else -1}."}
        for i, row in enumerate(rows(12))
    ]
    bench.write("sums.jsonl", jsonl(ours))


def responses(bench: Bench, strategy: str) -> list[dict[str, Any]]:
    table = pl.read_parquet(bench.folder / "runs/a/responses.parquet")
    return table.filter(pl.col("strategy") == strategy).to_dicts()


def ranked(done: Any) -> set[str]:
    (verdict,) = done["verdicts"]
    return {item["strategy"] for item in verdict["ranking"]}


def test_the_first_that_passes_is_taken_and_named(bench: Bench) -> None:
    """Where the own answer is right it is taken, else the hint's, else the human's."""
    add(bench, FIRST)
    with_own(bench, 6)
    done = bench.run()
    assert ranked(done) == {"human", "teacher", "mixed"}
    taken = responses(bench, "mixed")
    assert len(taken) == 6
    for row in taken:
        is_right = int(row["id"][1:]) < 6
        assert (row["member"] == "own") == is_right
        assert row["correct"]
    assert all(row["member"] == "" for row in responses(bench, "human"))


def test_a_member_is_asked_only_where_it_is_needed(bench: Bench) -> None:
    """All own answers right: the hint is asked for none. None right: for all six."""
    add(bench, FIRST)
    with_own(bench, 12)
    before = bench.respsel("run", "a.toml", "--json").json["calls_made"]
    with_own(bench, 0)
    # Six hints; where they are wrong the human's text is taken, which is scored already.
    plan = bench.respsel("plan", "a.toml", "--json").json
    (hint,) = [step for step in plan["steps"] if step["name"] == "responses:sums/hint"]
    assert hint["calls"] == 6
    # Without any: 6 teacher's, 12 own outputs; and 3 strategies in two views.
    assert before == 6 + 12 + 3 * 6 * 2


def test_a_member_is_made_for_all_if_it_is_compared(bench: Bench) -> None:
    """A compared member's step does not depend on the others."""
    add(bench, FIRST.replace('It is {{ reference }}."\ncompare = false', 'It is {{ reference }}."'))
    with_own(bench, 12)
    assert ranked(bench.run()) == {"human", "teacher", "mixed", "hint"}
    assert all(row["text"] for row in responses(bench, "hint"))


def test_a_first_of_what_is_there_takes_no_call(bench: Bench) -> None:
    """Its members are compared already, and their texts are scored."""
    bench.run()
    mixed = 'name = "mixed"\nfrom = "first"\nof = ["teacher", "human"]'
    add(bench, f"[[strategies]]\n{mixed}\n\n[own_outputs]")
    done = bench.run()
    assert "mixed" in ranked(done)
    assert (done["calls_made"], done["models_opened"]) == (0, [])


def test_one_members_change_makes_it_and_what_takes_from_it(bench: Bench) -> None:
    """Another prompt for the hint asks the hint's six calls again, and scores only new texts."""
    add(bench, FIRST)
    with_own(bench, 0)
    bench.run()
    before = {row["id"]: row["text"] for row in responses(bench, "mixed")}
    bench.edit("It is {{ reference }}.", "Is it {{ reference }}?")
    done = bench.run()
    after = {row["id"]: row["text"] for row in responses(bench, "mixed")}
    changed = sum(before[name] != after[name] for name in before)
    assert done["calls_made"] <= 6 + 2 * changed
    assert done["calls_made"] >= 6


def test_the_best_of_draws_is_taken(bench: Bench) -> None:
    """Three draws of the teacher and the human's: a wrong draw is never taken."""
    add(bench, BEST)
    bench.edit('prompt = "Solve: {{ input }}"', 'prompt = "Solve: {{ input }}"\nattempts = 3')
    done = bench.run()
    assert ranked(done) == {"human", "teacher", "chosen"}
    taken = responses(bench, "chosen")
    human = {row["id"]: row for row in responses(bench, "human")}
    # The human's answers are right, so a wrong draw is never taken over them.
    assert all(row["correct"] for row in taken)
    for row in taken:
        assert row["member"] == "teacher" or row["text"] == human[row["id"]]["text"]
    again = bench.run()
    assert (again["calls_made"], again["steps_run"]) == (0, 0)


def test_draws_are_the_attempts_calls(bench: Bench) -> None:
    """What attempts have asked is not asked again as a draw, nor the other way round."""
    bench.edit('answer = "number"', "")
    bench.edit('label = "answer"', "")
    bench.run()
    add(bench, BEST)
    plan = bench.respsel("plan", "a.toml", "--json").json
    calls = {step["name"]: step["calls"] for step in plan["steps"] if "@" in step["name"]}
    assert calls["responses:sums/teacher@1"] == 0
    assert calls["responses:sums/teacher@2"] == 6
    assert calls["responses:sums/teacher@3"] == 6


@pytest.mark.parametrize("budget", ["all", "race"])
def test_composites_may_take_from_each_other(bench: Bench, budget: str) -> None:
    """A best of a first of a best runs to its verdict, also with a race, and is then cached."""
    add(bench, BEST)
    more = """\
[[strategies]]
name = "first-chosen"
from = "first"
of = ["chosen", "human"]
if_wrong = "drop"

[[strategies]]
name = "best-first"
from = "best"
of = ["human", "first-chosen"]
by = "perplexity"

[own_outputs]"""
    add(bench, more)
    bench.edit("[selection]", f'[selection]\nbudget = "{budget}"')
    done = bench.run()
    assert ranked(done) == {"human", "teacher", "chosen", "first-chosen", "best-first"}
    again = bench.run()
    assert (again["calls_made"], again["steps_run"]) == (0, 0)
    verdicts = done["verdicts"]
    assert verdicts == again["verdicts"]


@pytest.mark.parametrize(
    "metric",
    ["self-aligned-perplexity", "alignment", "response-tokens", "hidden", "judged"],
)
def test_every_kind_of_metric_can_choose(bench: Bench, metric: str) -> None:
    """Metrics over views, own outputs, hidden states, texts and judgements."""
    add(bench, BEST.replace('by = "perplexity"', f'by = "{metric}"'))
    bench.edit(
        "[selection]",
        '[[metrics]]\nname = "response-tokens"\n\n[[metrics]]\nname = "alignment"\n'
        'kernel = "hidden"\nlabel = "hidden"\n\n[[metrics]]\nname = "reward"\n'
        'label = "judged"\nmodel = "teacher"\nprompt = "Rate: {{ response }}"\n\n[selection]',
    )
    done = bench.run()
    assert "chosen" in ranked(done)
    assert bench.run()["steps_run"] == 0


@pytest.mark.parametrize("by", ["judge", "judged"])
@pytest.mark.parametrize("budget", ["all", "race"])
def test_the_judge_can_choose(bench: Bench, by: str, budget: str) -> None:
    """Alone, and by way of a metric that reads its rewards; each response is judged once."""
    add(bench, BEST.replace('by = "perplexity"', f'by = "{by}"'))
    bench.edit(
        "[selection]",
        '[[metrics]]\nname = "reward"\nlabel = "judged"\n\n[judge]\nmodel = "teacher"\n'
        f'rubric = "Is it right?"\n\n[selection]\nbudget = "{budget}"',
    )
    done = bench.run()
    assert "chosen" in ranked(done)
    values = pl.read_parquet(bench.folder / "runs/a/scores.parquet")
    mine = values.filter((pl.col("metric") == "judged") & (pl.col("strategy") == "chosen"))
    human = values.filter((pl.col("metric") == "judged") & (pl.col("strategy") == "human"))
    right = dict(zip(human["id"], human["value"], strict=True))
    taken = {row["id"]: row["member"] for row in responses(bench, "chosen")}
    for name, value in zip(mine["id"], mine["value"], strict=True):
        # The human's are right and always candidates, so what is taken is judged no lower.
        if value is not None and right[name] is not None and taken[name] == "teacher":
            assert value >= right[name]
    assert bench.run()["steps_run"] == 0


def test_a_renamed_member_makes_nothing_again(bench: Bench) -> None:
    """Names are in no key and in no table of responses."""
    add(bench, FIRST)
    with_own(bench, 3)
    bench.run()
    text = bench.recipe.read_text().replace('"hint"', '"nudge"')
    bench.recipe.write_text(text)
    done = bench.run()
    assert (done["calls_made"], done["steps_run"]) == (0, 0)


def test_levels_rise_along_what_is_taken(bench: Bench, tmp_path: Path) -> None:
    """Every step comes after its inputs, in the graph and by its stage."""
    add(bench, FIRST)
    add(bench, BEST.replace('["teacher", "human"]', '["teacher", "mixed"]'))
    with_own(bench, 3)
    with Store(tmp_path / "store") as store:
        graph = build_graph(load_recipe(bench.recipe), store)
    seen: set[str] = set()
    for step in graph.steps.values():
        assert seen.issuperset(step.inputs.values()), step.name
        for name in step.inputs.values():
            assert graph.steps[name].stage < step.stage
        seen.add(step.name)


def test_apply_makes_the_members_for_the_whole_dataset(bench: Bench) -> None:
    """`apply --strategy mixed` takes from them as the run did, and counts them."""
    add(bench, FIRST)
    with_own(bench, 7)
    done = bench.respsel("apply", "a.toml", "--strategy", "mixed")
    assert done.code == 0, done.err
    table = pl.read_parquet(bench.folder / "runs/a/training/parquet/train.parquet")
    assert len(table) == 12
    refused = bench.respsel("apply", "a.toml", "--strategy", "hint")
    assert refused.code == 2
    assert "'hint' is not a strategy" in refused.err
