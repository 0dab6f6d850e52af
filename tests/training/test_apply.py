"""`respsel apply`: what is selected, what is made, what is left out, and when it is refused."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from tests.conftest import Bench, jsonl, rows


def applied(bench: Bench, *options: str) -> Any:
    done = bench.respsel("apply", "a.toml", *options, "--json")
    assert done.code == 0, done.err
    return done.json


@pytest.fixture
def judged(bench: Bench) -> Bench:
    """A recipe that was run; six examples decide nothing."""
    bench.run()
    return bench


@pytest.fixture
def decided(bench: Bench) -> Bench:
    """A recipe whose verdict is decided, since one strategy's responses are all shorter."""
    items = [
        {**row, "rationale": "well then, " * (5 + i % 3) + row["rationale"]}
        for i, row in enumerate(rows(24))
    ]
    bench.write(
        "sums.jsonl", jsonl([{**item, "short": f"it is {i}"} for i, item in enumerate(items)])
    )
    bench.edit(TEACHER, 'name = "short"\nfrom = "column"\ncolumn = "short"')
    bench.edit("sample = 6", "sample = 16")
    bench.edit('answer = "number"\n', "")
    bench.edit(
        "[selection]\n",
        '[[metrics]]\nname = "response-tokens"\n\n[selection]\nmetric = "response-tokens"\n',
    )
    (verdict,) = bench.run()["verdicts"]
    assert (verdict["winner"], verdict["decided"]) == ("short", True)
    return bench


TEACHER = 'name = "teacher"\nfrom = "model"\nmodel = "teacher"\nprompt = "Solve: {{ input }}"'


def test_a_decided_verdict_is_applied_to_the_whole_dataset(decided: Bench) -> None:
    """Without options the winner's responses to all examples are there, not only to the sample."""
    made = applied(decided)
    assert made["basis"] == "verdict"
    assert made["counts"][0]["kept"] == made["counts"][0]["examples"] == 24
    table = pl.read_parquet(made["data"])
    assert table["strategy"].unique().to_list() == list(made["strategies"].values()) == ["short"]
    assert table.columns == [
        *("dataset", "id", "input", "response", "strategy", "correct"),
        *("member", "weight"),
    ]


def test_an_undecided_verdict_is_refused_with_the_ways_on(judged: Bench) -> None:
    """Exit code 1, and the message says what is undecided and names each way to go on."""
    done = judged.respsel("apply", "a.toml")
    assert done.code == 1
    assert "verdict sums: is undecided" in done.err
    assert "--strategy NAME" in done.err
    assert "--accept-undecided" in done.err
    assert not (judged.folder / "runs/a/training").exists()


def test_an_undecided_verdict_may_be_accepted(bench: Bench) -> None:
    """--accept-undecided takes the leader, and says so."""
    bench.edit('answer = "number"\n', "")
    bench.run()
    report = json.loads((bench.folder / "runs/a/report.json").read_text())
    made = applied(bench, "--accept-undecided")
    assert made["basis"] == "undecided verdict"
    assert made["strategies"] == {"sums": report["datasets"][0]["verdict"]["winner"]}


def test_without_a_verdict_only_a_named_strategy_is_applied(bench: Bench) -> None:
    """Before any run there is no verdict: refused with the command to run; a named strategy needs
    none.
    """
    done = bench.respsel("apply", "a.toml", "--accept-undecided")
    assert done.code == 1
    assert "respsel run a.toml" in done.err
    made = applied(bench, "--strategy", "teacher")
    assert (made["calls_made"], made["counts"][0]["examples"]) == (12, 12)


def test_a_verdict_of_an_edited_recipe_is_not_applied(decided: Bench) -> None:
    """When the recipe has changed since its run, its verdict is another one, which is not known."""
    decided.edit("resamples = 500", "resamples = 600")
    done = decided.respsel("apply", "a.toml")
    assert done.code == 1
    assert "no verdict on the recipe as it stands now" in done.err


def test_a_strategy_whose_answers_are_mostly_wrong_is_applied_only_by_name(decided: Bench) -> None:
    """A likelihood says nothing of answers: the better score is not taken, unless it is named."""
    decided.edit("require = { right = 0 }", "")
    decided.edit('label = "answer"\n', 'label = "answer"\nanswer = "number"\n')
    decided.run()
    assert set(applied(decided)["strategies"].values()) == {"human"}
    named = decided.respsel("apply", "a.toml", "--strategy", "short")
    assert named.code == 0
    assert "short was chosen by name and may not be recommended: most of its answers" in " ".join(
        named.out.split()
    )


def test_what_the_sample_has_is_reused(judged: Bench) -> None:
    """Of twelve examples six were asked for by the run: the other six calls are made, and none the
    next time.
    """
    made = applied(judged, "--strategy", "teacher")
    assert (made["calls_made"], made["calls_reused"]) == (6, 6)
    again = applied(judged, "--strategy", "teacher")
    assert (again["calls_made"], again["steps_run"], again["models_opened"]) == (0, 0, [])


def test_applying_leaves_the_recipes_own_run_as_it_was(judged: Bench) -> None:
    """plan and explain compare with the recipe's last run, not with what was applied, and gc keeps
    both.
    """
    applied(judged, "--strategy", "teacher")
    assert judged.respsel("plan", "a.toml", "--json").json["run"] == 0
    assert judged.respsel("cache", "gc", "--yes").code == 0
    assert judged.run()["steps_run"] == 0
    assert applied(judged, "--strategy", "teacher")["steps_run"] == 0
    judged.edit("Solve:", "Please solve:")
    explained = judged.respsel("explain", "a.toml", "responses:sums/teacher").out
    assert "strategies.teacher.prompt" in explained or "prompt changed" in explained
    assert "sample" not in explained


def test_a_dry_run_makes_nothing_and_counts_calls_tokens_and_money(judged: Bench) -> None:
    """--dry-run says what it would take, at the recipe's price, and stores nothing."""
    judged.edit(
        'variant = "teacher"\n',
        'variant = "teacher"\nprice = { input = 1000.0, output = 2000.0 }\n',
    )
    plan = applied(judged, "--strategy", "teacher", "--dry-run")
    (cost,) = plan["costs"]
    assert (cost["model"], cost["calls"]) == ("teacher", 6)
    assert cost["money"] > 0
    assert not (judged.folder / "runs/a/training").exists()
    assert (
        "teacher: 6 calls"
        in judged.respsel("apply", "a.toml", "--strategy", "teacher", "--dry-run").out
    )
    assert applied(judged, "--strategy", "teacher")["calls_made"] == 6


def test_per_example_takes_the_best_of_all_strategies(judged: Bench) -> None:
    """Each example has the response with the best score, and the counts are those of
    the mixture.
    """
    made = applied(judged, "--mode", "per-example")
    (counts,) = made["counts"]
    assert counts["examples"] == 12
    assert sum(counts["by_strategy"].values()) == counts["kept"]
    again = applied(judged, "--mode", "per-example")
    assert again["calls_made"] == 0


def test_per_example_takes_the_next_best_where_the_best_is_cut_short(bench: Bench) -> None:
    """What would be left out is not chosen where another response may be trained on."""
    bench.edit(
        'prompt = "Solve: {{ input }}"',
        'prompt = "Solve: {{ input }}"\nsampling = { max_tokens = 3 }',
    )
    (counts,) = applied(bench, "--mode", "per-example")["counts"]
    assert (counts["kept"], counts["by_strategy"]) == (12, {"human": 12})


def test_reasons_of_several_datasets_add_up(bench: Bench) -> None:
    """When nothing is left the message counts over all datasets."""
    text = bench.recipe.read_text()
    second = (
        '[[datasets]]\nname = "more"\npath = "sums.jsonl"\ninput = "question"\nreference = '
        '"rationale"\n\n[[strategies]]'
    )
    bench.recipe.write_text(text.replace("[[strategies]]", second, 1))
    bench.edit(
        'prompt = "Solve: {{ input }}"',
        'prompt = "Solve: {{ input }}"\nsampling = { max_tokens = 3 }',
    )
    done = bench.respsel("apply", "a.toml", "--strategy", "teacher")
    assert "cut short at max_tokens 24" in done.err


def test_what_is_left_out_is_counted_by_reason(bench: Bench) -> None:
    """Wrong answers that the recipe drops, and texts cut short, are left out and counted; keep
    keeps them.
    """
    bench.edit(
        'prompt = "Solve: {{ input }}"',
        'prompt = "Solve: {{ input }}"\nsampling = { max_tokens = 3 }',
    )
    done = bench.respsel("apply", "a.toml", "--strategy", "teacher")
    assert done.code == 2
    assert "no example is left" in done.err
    assert "cut short at max_tokens 12" in done.err
    bench.recipe.write_text(bench.recipe.read_text() + '\n[training]\nif_truncated = "keep"\n')
    (counts,) = applied(bench, "--strategy", "teacher")["counts"]
    assert counts["kept"] == 12


def test_given_responses_can_be_dropped_when_they_are_wrong(bench: Bench) -> None:
    """if_wrong is for columns and files, too: a wrong response is left out, or fails the step."""
    items = rows(12)
    items[3]["rationale"] = "3 + 3 = 7"
    bench.write("sums.jsonl", jsonl(items))
    bench.edit('column = "rationale"', 'column = "rationale"\nif_wrong = "drop"')
    (counts,) = applied(bench, "--strategy", "human")["counts"]
    assert (counts["kept"], counts["dropped"]) == (11, {"wrong answer": 1})
    bench.edit('if_wrong = "drop"', 'if_wrong = "fail"')
    done = bench.respsel("apply", "a.toml", "--strategy", "human")
    assert done.code == 1
    assert "no right answer for 1 of 12 examples: 'e3'" in done.err


def test_wrong_answers_in_the_set_are_told(bench: Bench) -> None:
    """What is kept although its answer is wrong is counted, said, and on the card; so is a set of
    too few examples.
    """
    done = bench.respsel("apply", "a.toml", "--strategy", "teacher")
    assert "12 of them with a wrong answer" in done.out
    assert "Caution: 12 of 12 checked responses in the set have a wrong answer." in done.out
    assert "0 of 12" in (bench.folder / "runs/a/training/parquet/README.md").read_text()
    bench.write("sums.jsonl", jsonl(rows(8)))
    bench.edit("sample = 6\n", "")
    bench.respsel("apply", "a.toml", "--strategy", "human")
    assert (
        "OpenAI wants at least 10 examples, and these are 8"
        in bench.respsel("export", "a.toml", "--format", "openai").out
    )


def test_sets_of_what_was_applied_before_are_told(bench: Bench) -> None:
    """After another strategy was applied the other formats are old, and it is said which."""
    bench.respsel("apply", "a.toml", "--strategy", "human")
    bench.respsel("export", "a.toml", "--format", "openai", "--format", "axolotl")
    assert (
        "axolotl, openai in runs/a/training still hold"
        in bench.respsel("apply", "a.toml", "--strategy", "teacher").out
    )
    assert (
        "axolotl in runs/a/training still hold"
        in bench.respsel("export", "a.toml", "--format", "openai").out
    )


def test_an_unknown_strategy_is_named(bench: Bench) -> None:
    """A typo gets the nearest name."""
    done = bench.respsel("apply", "a.toml", "--strategy", "teachr")
    assert done.code == 2
    assert "Did you mean 'teacher'?" in done.err


def test_datasets_that_lack_the_strategy_are_left_alone(bench: Bench) -> None:
    """A strategy that is only for one dataset is applied to that one."""
    text = bench.recipe.read_text()
    second = (
        '[[datasets]]\nname = "more"\npath = "sums.jsonl"\ninput = "question"\nreference = '
        '"rationale"\n\n[[strategies]]'
    )
    bench.recipe.write_text(text.replace("[[strategies]]", second, 1))
    bench.edit('name = "teacher"\nfrom', 'name = "teacher"\ndatasets = ["more"]\nfrom')
    made = applied(bench, "--strategy", "teacher")
    assert list(made["strategies"]) == ["more"]
    assert [counts["dataset"] for counts in made["counts"]] == ["more"]


def test_a_strategy_that_is_alone_is_not_called_decided(bench: Bench) -> None:
    """Neither by apply nor by the card: it was compared with none."""
    bench.edit('[[strategies]]\nname = "human"\nfrom = "column"\ncolumn = "rationale"\n', "")
    bench.edit("sample = 6", "sample = 12")
    bench.run()
    done = bench.respsel("apply", "a.toml")
    assert "sums: teacher (the only one; compared with no other)" in done.out
    bench.respsel("export", "a.toml", "--format", "messages")
    card = (bench.folder / "runs/a/training/messages/README.md").read_text()
    assert "teacher was compared with no other strategy: **nothing is decided**" in card
    assert "The responses of teacher, the only strategy that could be." in card
