"""Running a recipe: what is made, what is reused, and what users see in between."""

from __future__ import annotations

import json
from statistics import mean

import polars as pl
import pytest

from tests.conftest import Bench, jsonl, rows


def test_a_run_ends_in_a_verdict_and_a_report(bench: Bench) -> None:
    """The first run makes every call and says which strategy leads."""
    done = bench.run()
    assert done["steps_total"] == done["steps_run"] == 17
    # 6 teacher responses, 12 own outputs, 6 examples x 2 strategies x 2 views.
    assert done["calls_made"] == 6 + 12 + 24
    (verdict,) = done["verdicts"]
    assert verdict["dataset"] == "sums"
    assert {r["strategy"] for r in verdict["ranking"]} == {"human", "teacher"}
    assert verdict["winner"] == verdict["ranking"][0]["strategy"]
    assert (bench.folder / "runs" / "a" / "report.html").samefile(done["report"])


def test_a_second_run_does_nothing(bench: Bench) -> None:
    """Run again: no step, no call, no model opened, the report untouched."""
    bench.run()
    before = {p.name: p.stat().st_mtime_ns for p in (bench.folder / "runs" / "a").iterdir()}
    done = bench.run()
    assert (done["steps_run"], done["calls_made"], done["calls_reused"], done["models_opened"]) == (
        0,
        0,
        0,
        [],
    )
    assert {p.name: p.stat().st_mtime_ns for p in (bench.folder / "runs" / "a").iterdir()} == before


def test_another_prompt_redoes_that_strategy_alone(bench: Bench) -> None:
    """Editing one strategy's prompt makes its responses and scores, and no other call."""
    bench.run()
    bench.edit("Solve:", "Solve this:")
    done = bench.run()
    assert done["calls_made"] == 6 + 12
    assert done["calls_reused"] == 0


def test_a_larger_sample_makes_only_the_new_examples(bench: Bench) -> None:
    """From 6 to 10 examples, exactly the calls of 4 examples are made."""
    bench.run()
    bench.edit("sample = 6", "sample = 10")
    assert bench.run()["calls_made"] == 4 * (1 + 2 + 4)


def test_a_smaller_sample_makes_no_call_and_opens_no_model(bench: Bench) -> None:
    """Going back to fewer examples finds everything in the store."""
    bench.run()
    bench.edit("sample = 6", "sample = 5")
    done = bench.run()
    assert (done["calls_made"], done["models_opened"]) == (0, [])
    assert done["calls_reused"] == 5 * (1 + 2 + 4)


def test_another_metric_over_a_scored_view_is_free(bench: Bench) -> None:
    """Adding response-tokens makes no call."""
    bench.run()
    bench.edit("[selection]", '[[metrics]]\nname = "response-tokens"\n\n[selection]')
    done = bench.run()
    assert (done["calls_made"], done["models_opened"]) == (0, [])
    assert done["steps_run"] == 2


def test_another_k_scores_only_that_view(bench: Bench) -> None:
    """With another k, the self-aligned view is scored anew and nothing else."""
    bench.run()
    bench.edit("k = 2", "k = 1")
    assert bench.run()["calls_made"] == 12


def test_renaming_a_strategy_runs_nothing_but_gates_and_verdict(bench: Bench) -> None:
    """Names are not in the keys of what they name, only in what compares strategies."""
    bench.run()
    bench.edit('name = "teacher"', 'name = "tutor"')
    done = bench.run()
    assert (done["calls_made"], done["steps_run"]) == (0, 2)


def test_a_column_that_changes_nothing_stops_early(bench: Bench) -> None:
    """A new column in the data reruns the examples; the responses come out the same and are scored
    by no call.
    """
    bench.run()
    bench.write("sums.jsonl", jsonl([{**row, "note": "new"} for row in rows(12)]))
    assert bench.run()["calls_made"] == 0


def test_changed_settings_outside_the_keys_run_nothing(bench: Bench) -> None:
    """Threads, context length and the recipe's comments are in no key."""
    bench.run()
    bench.edit(
        'variant = "teacher"', 'variant = "teacher"\nthreads = 3\ncontext_tokens = 2048 # more'
    )
    assert bench.run()["steps_run"] == 0


def test_wrong_answers_are_tried_again_then_dropped(bench: Bench) -> None:
    """attempts asks again while the answer is wrong; if_wrong = "drop" leaves the rest out, named
    and counted.
    """
    bench.edit(
        'prompt = "Solve: {{ input }}"',
        'prompt = "Solve: {{ input }}"\nattempts = 3\nif_wrong = "drop"',
    )
    done = bench.run()
    frame = pl.read_parquet(bench.folder / "runs/a/responses.parquet").filter(
        pl.col("strategy") == "teacher"
    )
    dropped = frame.filter(pl.col("problem") == "wrong answer")
    kept = frame.filter(pl.col("problem") == "")
    assert kept["correct"].all()
    assert not dropped["correct"].any()
    assert set(dropped["attempts"]) <= {3}
    assert done["verdicts"][0]["unscored"]["teacher"] == len(dropped)
    assert done["verdicts"][0]["examples"] == len(kept)


def test_wrong_answers_can_fail_the_run(bench: Bench) -> None:
    """if_wrong = "fail" names the examples; what was made is kept."""
    bench.edit('prompt = "Solve: {{ input }}"', 'prompt = "Solve: {{ input }}"\nif_wrong = "fail"')
    done = bench.respsel("run", "a.toml")
    assert done.code == 1
    assert "strategy 'teacher': no right answer for" in done.err
    assert "Traceback" not in done.err
    bench.edit('if_wrong = "fail"', 'if_wrong = "keep"')
    assert bench.run()["calls_reused"] == 18


def test_own_outputs_from_a_file_make_no_call(bench: Bench) -> None:
    """Own outputs made elsewhere take the place of sampled ones."""
    bench.write("own.jsonl", jsonl([{"id": f"e{i}", "response": f"I say {i}"} for i in range(12)]))
    bench.edit("samples = 2", 'path = "own.jsonl"')
    assert bench.run()["calls_made"] == 6 + 24


def test_a_response_file_is_matched_by_id(bench: Bench) -> None:
    """A file's order and its other rows do not matter."""
    bench.write(
        "r.jsonl", jsonl([{"id": f"e{i}", "response": f"It is {i}"} for i in range(20, -1, -1)])
    )
    bench.edit('from = "column"\ncolumn = "rationale"', 'from = "file"\npath = "r.jsonl"')
    bench.run()
    frame = pl.read_parquet(bench.folder / "runs/a/responses.parquet").filter(
        pl.col("strategy") == "human"
    )
    assert dict(frame.select("id", "text").iter_rows()) == {
        i: f"It is {i[1:]}" for i in frame["id"]
    }


MORE = (
    '[[datasets]]\nname = "more"\npath = "more.jsonl"\ninput = '
    '"question"\n\n[[strategies]]\nname = "human"'
)


def test_two_datasets_have_a_verdict_each_and_one_overall(bench: Bench) -> None:
    """Every dataset has its verdict, and there is one over all."""
    bench.write("more.jsonl", jsonl(rows(7)))
    bench.edit('[[strategies]]\nname = "human"', MORE)
    done = bench.run()
    assert [v["dataset"] for v in done["verdicts"]] == ["sums", "more"]
    assert {r["strategy"] for r in done["overall"]["ranking"]} == {"human", "teacher"}
    assert done["overall"]["examples"] == 6 + 7


def test_strategies_limited_to_datasets_are_not_ranked_overall(bench: Bench) -> None:
    """Where a strategy is not for every dataset there is no overall verdict, and the report has one
    for each.
    """
    bench.write("more.jsonl", jsonl(rows(7)))
    bench.edit('[[strategies]]\nname = "human"', MORE)
    bench.edit(
        'prompt = "Solve: {{ input }}"', 'prompt = "Solve: {{ input }}"\ndatasets = ["sums"]'
    )
    done = bench.run()
    assert [v["dataset"] for v in done["verdicts"]] == ["sums", "more"]
    assert done["overall"] is None
    text = (bench.folder / "runs/a/report.md").read_text()
    assert "sums: No clear winner yet" in text
    assert "more: human is the only strategy in the recipe" in text


def test_a_strategy_of_the_target_is_not_its_own_output(bench: Bench) -> None:
    """The target asked with the input alone, as a strategy, writes other texts than the own outputs
    it is compared with.
    """
    bench.edit(
        'model = "teacher"\nprompt = "Solve: {{ input }}"',
        'model = "target"\nprompt = "{{ input }}"',
    )
    bench.run()
    scores = pl.read_parquet(bench.folder / "runs/a/scores.parquet")
    alignment = scores.filter(
        (pl.col("metric") == "alignment") & (pl.col("strategy") == "teacher")
    )["value"]
    assert alignment.max() < 0.99  # type: ignore[operator]


def test_greedy_samples_are_one_call(bench: Bench) -> None:
    """At temperature 0 all samples of an example are answered by one call."""
    bench.edit("samples = 2", "samples = 4\nsampling = { temperature = 0 }")
    assert bench.run()["calls_made"] == 6 + 6 + 24


def test_plan_counts_what_run_makes(bench: Bench) -> None:
    """The calls that a plan announces are those that the run makes."""
    plan = bench.respsel("plan", "a.toml", "--json").json
    announced = sum(step["calls_at_most"] for step in plan["steps"])
    assert announced == bench.run()["calls_made"]
    after = bench.respsel("plan", "a.toml", "--json").json
    assert (after["cached"], after["run"], after["waits"]) == (17, 0, 0)


def test_plan_says_why(bench: Bench) -> None:
    """A changed prompt is named as the reason; what follows says what it waits for."""
    bench.run()
    bench.edit("Solve:", "Solve this:")
    steps = {step["name"]: step for step in bench.respsel("plan", "a.toml", "--json").json["steps"]}
    changed = steps["responses:sums/teacher"]
    assert (changed["state"], changed["reason"], changed["calls"]) == ("run", "prompt changed", 6)
    assert changed["tokens"] > 0
    waits = steps["token-scores:sums/teacher/plain"]
    assert (waits["state"], waits["reason"], waits["calls_at_most"]) == (
        "waits",
        "for responses",
        6,
    )
    assert steps["token-scores:sums/human/plain"]["state"] == "cached"


def test_plan_counts_attempts(bench: Bench) -> None:
    """With several attempts a plan says the fewest and the most calls, and the run makes a number
    between.
    """
    bench.edit('prompt = "Solve: {{ input }}"', 'prompt = "Solve: {{ input }}"\nattempts = 3')
    steps = {step["name"]: step for step in bench.respsel("plan", "a.toml", "--json").json["steps"]}
    made = steps["responses:sums/teacher"]
    assert (made["calls"], made["calls_at_most"]) == (6, 18)
    assert 42 <= bench.run()["calls_made"] <= 42 + 12


AGAIN = (
    '[[strategies]]\nname = "again"\nfrom = "model"\nmodel = "teacher"\nprompt = "Solve: {{ '
    'input }}"\n'
)


def test_plan_counts_shared_calls_once(bench: Bench) -> None:
    """A call that two strategies share is counted, and paid, with the first; the second may have
    attempts of its own.
    """
    bench.edit('variant = "teacher"', 'variant = "teacher"\nprice = { input = 1, output = 1 }')
    alone = bench.respsel("plan", "a.toml", "--json").json
    bench.edit("[own_outputs]", f"{AGAIN}\n[own_outputs]")
    plan = bench.respsel("plan", "a.toml", "--json").json
    assert plan["costs"] == alone["costs"]
    steps = {step["name"]: step for step in plan["steps"]}
    first, again = (steps[f"responses:sums/{name}"] for name in ("teacher", "again"))
    assert (first["calls"], again["calls"], again["calls_at_most"], again["examples"]) == (
        6,
        0,
        0,
        0,
    )
    bench.edit(AGAIN, f"{AGAIN}attempts = 3\n")
    found = bench.respsel("plan", "a.toml", "--json").json["steps"]
    (again,) = [step for step in found if step["name"] == "responses:sums/again"]
    assert (again["name"], again["calls"], again["calls_at_most"]) == (
        "responses:sums/again",
        0,
        12,
    )
    bench.edit("attempts = 3\n", "")
    certain = sum(step["calls"] for step in plan["steps"] if step["state"] == "run")
    # The six responses are scored once in each of two views, and the human ones in the second.
    assert bench.run()["calls_made"] == certain + 12 + 6


def test_plan_for_a_larger_sample_counts_the_new_calls_only(bench: Bench) -> None:
    """Calls that the store has are not announced where the inputs are known."""
    bench.run()
    bench.edit("sample = 6", "sample = 10")
    steps = {step["name"]: step for step in bench.respsel("plan", "a.toml", "--json").json["steps"]}
    assert steps["responses:sums/teacher"]["calls"] == 4
    assert steps["own-outputs:sums"]["calls"] == 8
    assert steps["token-scores:sums/human/plain"]["calls"] == 4


ONE_PASS = (
    "perplexity",
    "mean-log-likelihood",
    "rank-surprisal-ratio",
    "log-probability-plus-entropy",
    "mean-brier",
    "lark",
    "aslec-drop",
    "response-tokens",
    "confident-conflicts",
    "mean-step-length",
    "compression-ratio",
)


def add_metrics(bench: Bench, *metrics: str) -> None:
    text = "".join(f"[[metrics]]\n{metric}\n\n" for metric in metrics)
    bench.edit("[selection]", f"{text}[selection]")


def test_each_one_pass_metric_is_free(bench: Bench) -> None:
    """Whatever reads the plain view or the text alone makes no call in a finished recipe, all
    together and one by one.
    """
    bench.run()
    for name in ONE_PASS[1:]:
        add_metrics(bench, f'name = "{name}"')
        done = bench.run()
        assert (done["steps_run"], done["calls_made"], done["models_opened"]) == (2, 0, []), name
    scores = pl.read_parquet(bench.folder / "runs/a/scores.parquet")
    assert set(ONE_PASS) <= set(scores["metric"])
    assert scores["value"].is_not_null().all()


def test_metrics_with_more_needs_make_their_calls_once(bench: Bench) -> None:
    """Views, hidden states and judgements cost what they say, for 6 examples, 2 strategies and 2
    own outputs, and once.
    """
    bench.run()
    for calls, metric in (
        (12, 'name = "ifd-loss-ratio"'),
        (0, 'name = "ifd-perplexity-ratio"\ndirection = "higher"'),
        (12, 'name = "self-aligned-perplexity"\nlabel = "as-published"\nk = 2\ntemplate = "paper"'),
        (12 + 12, 'name = "alignment"\nlabel = "hidden"\nkernel = "hidden"'),
        (0, 'name = "alignment"\nlabel = "rouge"\nkernel = "rouge-l"'),
        (0, 'name = "alignment"\nlabel = "same-answer"\nkernel = "exact"'),
        (0, 'name = "alignment-perplexity-mix"'),
        (0, 'name = "reward"\ncolumn = "answer"'),
        (12, 'name = "car"\nmodel = "teacher"\nprompt = "Rate {{ response }} for {{ input }}."'),
    ):
        add_metrics(bench, metric)
        assert bench.run()["calls_made"] == calls, metric
        assert bench.run()["steps_run"] == 0
    scores = pl.read_parquet(bench.folder / "runs/a/scores.parquet")
    assert len(scores["metric"].unique()) == 12
    assert scores.filter(pl.col("value").is_null()).is_empty()


def test_local_naturalness_scores_each_step_behind_the_last_few(bench: Bench) -> None:
    """A response of three lines takes three calls; where a step stands behind the same, another
    window makes none.
    """
    lines = [
        {**row, "rationale": f"{row['rationale']}\nSo it is.\nDone {row['id']}."}
        for row in rows(12)
    ]
    bench.write("sums.jsonl", jsonl(lines))
    bench.edit(
        '[[strategies]]\nname = "teacher"\nfrom = "model"\nmodel = "teacher"\nprompt = "Solve: {{ '
        'input }}"\n',
        "",
    )
    bench.run()
    add_metrics(bench, 'name = "local-naturalness"\nwindow = 2')
    # Every example has another input, and with it all of its steps have other prompts.
    assert bench.run()["calls_made"] == 18
    tokens = pl.read_parquet(bench.folder / "runs/a/token_scores.parquet").filter(
        pl.col("view") == "local-2"
    )
    assert tokens["response_tokens"].to_list() == tokens["nll"].list.len().to_list()
    plain = pl.read_parquet(bench.folder / "runs/a/token_scores.parquet").filter(
        pl.col("view") == "plain"
    )
    assert tokens["token_ids"].to_list() == plain["token_ids"].to_list()
    bench.edit("window = 2", "window = 1")
    # Only the third step has more than one step before it.
    assert bench.run()["calls_made"] == 6
    bench.edit("window = 1", "window = 1\nwith_input = false")
    # Without the input all three steps of each stand behind other tokens than before.
    assert bench.run()["calls_made"] == 18


def test_another_strategy_leaves_the_other_scores_alone(bench: Bench) -> None:
    """Adding a strategy computes its own scores; of the others only a mix, which weighs by the
    spread, is computed anew.
    """
    add_metrics(bench, 'name = "alignment-perplexity-mix"')
    bench.run()
    bench.edit(
        "[own_outputs]",
        '[[strategies]]\nname = "short"\nfrom = "column"\ncolumn = "answer"\n\n[own_outputs]',
    )
    plan = bench.respsel("plan", "a.toml", "--json").json
    to_run = {step["name"] for step in plan["steps"] if step["state"] != "cached"}
    assert {name for name in to_run if "/short" not in name} == {
        "scores:sums/human/alignment-perplexity-mix",
        "scores:sums/teacher/alignment-perplexity-mix",
        "gates:sums",
        "verdict:sums",
    }


def test_a_run_can_be_made_to_fail_on_an_unscored_response(bench: Bench) -> None:
    """With if_unscored = "fail" a response without a value is an error that counts and names it,
    behind a whole report.
    """
    bench.write(
        "sums.jsonl", jsonl([{**row, "stars": "x" if row["id"] == "e3" else 3} for row in rows(6)])
    )
    add_metrics(bench, 'name = "reward"\ncolumn = "stars"')
    assert bench.respsel("run", "a.toml").code == 0
    bench.edit("resamples = 500", 'resamples = 500\nif_unscored = "fail"')
    done = bench.respsel("run", "a.toml")
    assert done.code == 1
    assert (
        "a.toml: scores:sums/human/reward: 1 of 6 responses have no value, e.g. 'e3': column "
        "'stars' holds no number" in done.err
    )
    assert (bench.folder / "runs/a/report.html").is_file()


def test_a_ratio_of_means_is_selected_by_as_one(bench: Bench) -> None:
    """The verdict's and the report's score of a rank-surprisal ratio is mean ranks over mean nats,
    not a mean of ratios.
    """
    add_metrics(bench, 'name = "rank-surprisal-ratio"')
    bench.edit("resamples = 500", 'resamples = 500\nmetric = "rank-surprisal-ratio"')
    verdict = bench.run()["verdicts"][0]
    tokens = pl.read_parquet(bench.folder / "runs/a/token_scores.parquet").filter(
        pl.col("view") == "plain"
    )
    data = json.loads((bench.folder / "runs/a/report.json").read_text())["datasets"][0]
    for ranked in verdict["ranking"]:
        mine = tokens.filter(pl.col("strategy") == ranked["strategy"])
        ranks = [mean(min(rank, 100) for rank in response) for response in mine["rank"].to_list()]
        nats = [mean(response) for response in mine["nll"].to_list()]
        assert ranked["score"] == pytest.approx(mean(ranks) / mean(nats))
        summary = next(
            item for item in data["strategies"] if item["strategy"] == ranked["strategy"]
        )
        (shown,) = [
            item["mean"] for item in summary["means"] if item["metric"] == "rank-surprisal-ratio"
        ]
        assert shown == pytest.approx(ranked["score"])


def test_a_misspelt_reward_column_is_told(bench: Bench) -> None:
    """A column that no row has is an error with a suggestion, not a table of failures."""
    add_metrics(bench, 'name = "reward"\ncolumn = "anwser"')
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert "sums.jsonl: reward: no row has the column 'anwser'. Did you mean 'answer'?" in done.err


def test_metrics_are_listed(bench: Bench) -> None:
    """`respsel metrics` names all, `respsel metrics NAME` says all of one, both also as JSON; a
    wrong name is an error.
    """
    assert "rank-surprisal-ratio" in bench.respsel("metrics").out
    one = bench.respsel("metrics", "car").out
    assert "parameter  beta = 3.0" in one
    assert "arXiv 2411.07133" in one
    assert bench.respsel("metrics", "car", "--json").json["direction"] == "higher"
    assert len(bench.respsel("metrics", "--json").json) > 15
    wrong = bench.respsel("metrics", "perplexty")
    assert wrong.code == 2
    assert "Did you mean 'perplexity'?" in wrong.err


LONG = '[models.target]\nbackend = "fake"\ncontext_tokens = 60'


def test_what_does_not_fit_the_context_is_an_error_before_any_call(bench: Bench) -> None:
    """By default the run stops, naming each example that is too long."""
    bench.edit('[models.target]\nbackend = "fake"', LONG)
    bench.edit("samples = 2", "samples = 2\nsampling = { max_tokens = 20 }")
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert "exceed the context of 60" in done.err


def test_what_does_not_fit_the_context_can_be_left_out(bench: Bench) -> None:
    """With if_too_long = "drop" the responses that fit are scored, the others are named and
    counted, and nothing is cut.
    """
    bench.edit('[models.target]\nbackend = "fake"', LONG)
    bench.edit('model = "target"', 'model = "target"\nif_too_long = "drop"')
    bench.edit("samples = 2", "samples = 2\nsampling = { max_tokens = 20 }")
    done = bench.run()
    audit = json.loads((bench.folder / "runs/a/report.json").read_text())["datasets"][0]["audit"]
    plain = {row["strategy"]: row for row in audit if row["view"] == "plain"}
    assert (plain["human"]["over_context"], plain["human"]["scored_responses"]) == (0, 6)
    assert plain["teacher"]["over_context"] > 0
    assert plain["teacher"]["over_context"] + plain["teacher"]["scored_responses"] == 6
    assert plain["teacher"]["tokens_scored"] < plain["teacher"]["tokens_expected"]
    assert done["verdicts"][0]["unscored"]["teacher"] == 6
    assert "longer than the context" in (bench.folder / "runs/a/report.md").read_text()
    assert bench.run()["steps_run"] == 0


def test_people_read_the_verdict_and_programs_json(bench: Bench) -> None:
    """Without --json the verdict is on standard output; with it, only one JSON object is."""
    done = bench.respsel("run", "a.toml")
    assert done.code == 0
    assert "leads" in done.out
    assert "Report: runs/a/report.html" in done.out
    assert json.loads(bench.respsel("run", "a.toml", "--json").out)["steps_run"] == 0


@pytest.mark.parametrize("command", ["run", "plan"])
def test_recipes_of_one_name_in_two_folders_have_reports_of_their_own(
    bench: Bench, command: str
) -> None:
    """x/a.toml does not write over the report of a.toml."""
    bench.write("respsel.toml", "")
    bench.write("x/a.toml", bench.recipe.read_text().replace('path = "sums', 'path = "../sums'))
    assert bench.respsel(command, "x/a.toml").code == bench.respsel(command, "a.toml").code == 0
    if command == "run":
        assert (bench.folder / "runs/a/report.html").exists()
        assert (bench.folder / "runs/x/a/report.html").exists()


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_missing_recipe_is_told(bench: Bench, command: str) -> None:
    """A path that is not there is exit code 2 and no traceback."""
    done = bench.respsel(command, "nowhere.toml")
    assert done.code == 2
    assert done.err.startswith(
        "error: nowhere.toml: cannot be read: No such file or directory. Give the path of a recipe"
    )


def test_a_column_strategy_reads_the_column_that_it_names(bench: Bench) -> None:
    """Also where the dataset calls another column by that name."""
    bench.write(
        "sums.jsonl", jsonl([{**row, "reference": f"HUMAN {row['answer']}"} for row in rows(12)])
    )
    bench.edit('from = "column"\ncolumn = "rationale"', 'from = "column"\ncolumn = "reference"')
    bench.run()
    texts = (
        pl.read_parquet(bench.folder / "runs/a/responses.parquet")
        .filter(pl.col("strategy") == "human")["text"]
        .to_list()
    )
    assert all(text.startswith("HUMAN") for text in texts)
