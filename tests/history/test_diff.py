"""Comparing recorded runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from respsel.history.recorded_runs import list_runs
from respsel.strategies import own_outputs
from tests.conftest import Bench, jsonl, rows


def test_the_last_two_runs_of_a_recipe(bench: Bench) -> None:
    """A changed prompt shows in recipe, responses, scores and verdict; what did not change is left
    out.
    """
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    found = bench.respsel("diff", "a.toml", "--json").json
    assert [change["where"] for change in found["recipe"]] == ["strategies.teacher.prompt"]
    (response,) = found["responses"]
    assert response["name"] == "responses:sums/teacher"
    assert response["counts"]["changed"] == 6
    assert len(response["texts"]) == 3
    assert {score["name"].split("/")[1] for score in found["scores"]} == {"teacher"}
    for score in found["scores"]:
        comparison = score["comparison"]
        assert comparison["examples"] == 6
        assert comparison["low"] <= comparison["difference"] <= comparison["high"]
    assert [verdict["dataset"] for verdict in found["verdicts"]] == ["sums"]
    text = bench.respsel("diff", "a.toml").out
    assert "strategies.teacher.prompt: Solve: {{ input }} -> Solve this: {{ input }}" in text


def test_a_ratio_of_means_is_compared_as_one(bench: Bench) -> None:
    """A metric that is a ratio of means over a dataset is compared in that form, so the numbers are
    the rankings' own.
    """
    bench.edit('[[metrics]]\nname = "perplexity"', '[[metrics]]\nname = "rank-surprisal-ratio"')

    def score() -> float:
        ranking = bench.run()["verdicts"][0]["ranking"]
        return float(next(ranked["score"] for ranked in ranking if ranked["strategy"] == "teacher"))

    before = score()
    bench.edit("Solve:", "Solve this:")
    after = score()
    (found,) = [
        item
        for item in bench.respsel("diff", "a.toml", "--json").json["scores"]
        if "rank-surprisal" in item["name"]
    ]
    assert found["comparison"]["before"] == pytest.approx(before)
    assert found["comparison"]["after"] == pytest.approx(after)


def outside(bench: Bench) -> dict[str, tuple[str, str]]:
    found = bench.respsel("diff", "a.toml", "--json").json
    return {change["where"]: (change["old"], change["new"]) for change in found["outside"]}


def test_a_model_in_the_workspace_file_is_a_cause(bench: Bench) -> None:
    """What changed in respsel.toml is told once, though many steps have the model in their keys."""
    models = (
        '[models.target]\nbackend = "fake"\nvariant = "{}"\nsampling = {{ temperature = {} }}\n'
    )
    bench.edit('[models.target]\nbackend = "fake"\n', "")
    bench.write("respsel.toml", models.format("one", 0.5))
    bench.run()
    bench.write("respsel.toml", models.format("two", 0.6))
    bench.run()
    assert outside(bench) == {
        "models.target.variant": ("one", "two"),
        "models.target.sampling.temperature": ("0.5", "0.6"),
    }
    found = bench.respsel("diff", "a.toml").out
    assert found.count("models.target.variant") == 1
    assert "recipe: unchanged" in found
    assert "outside the recipe: models.target.variant: one -> two" in found


JUDGED = (
    '[[metrics]]\nname = "reward"\nlabel = "judged"\nmodel = "judge"\nprompt = "Rate {{ '
    'response }}"\n\n[selection]'
)


def test_a_judge_in_the_workspace_file_is_a_cause(bench: Bench) -> None:
    """A judge's model is not taken for the target; another one by the recipe's text is told there
    alone.
    """
    models = (
        '[models.judge]\nbackend = "fake"\nvariant = "{}"\n[models.other]\nbackend = '
        '"fake"\nvariant = "third"\n'
    )
    bench.edit("[selection]", JUDGED)
    bench.write("respsel.toml", models.format("one"))
    bench.run()
    bench.write("respsel.toml", models.format("two"))
    bench.run()
    assert outside(bench) == {"models.judge.variant": ("one", "two")}
    bench.edit('model = "judge"', 'model = "other"')
    bench.run()
    assert outside(bench) == {}


def test_a_change_that_the_recipe_tells_is_not_told_again(bench: Bench) -> None:
    """A model's entry, a strategy's model, its sampling, another data file: the recipe's text says
    it all.
    """
    bench.write("more.jsonl", jsonl(rows(13)))
    bench.run()
    bench.edit('variant = "teacher"', 'variant = "other"\nsampling = { top_p = 0.5 }')
    bench.edit('path = "sums.jsonl"', 'path = "more.jsonl"')
    bench.edit('answer = "number"', 'answer = "exact"')
    bench.run()
    assert outside(bench) == {}
    bench.edit('model = "teacher"', 'model = "target"')
    bench.edit("samples = 2", "samples = 2\nsampling = { seed = 3 }")
    bench.edit(
        'from = "column"\ncolumn = "rationale"',
        'from = "model"\nmodel = "target"\nprompt = "{{ input }}"',
    )
    bench.run()
    assert outside(bench) == {}


def test_contents_of_files_are_causes(bench: Bench) -> None:
    """Data, responses and a chat template that changed under the same names."""
    bench.edit('variant = "teacher"', 'variant = "teacher"\nchat_template = "t.jinja"')
    bench.edit('from = "column"\ncolumn = "rationale"', 'from = "file"\npath = "r.jsonl"')

    def write(word: str) -> None:
        bench.write(
            "r.jsonl", jsonl([{"id": f"e{i}", "response": f"{word} {i}"} for i in range(12)])
        )
        bench.write(
            "sums.jsonl",
            jsonl([{**row, "question": f"{word}: {row['question']}"} for row in rows(12)]),
        )
        bench.write("t.jinja", word)

    write("one")
    bench.run()
    write("two")
    bench.run()
    assert set(outside(bench)) == {
        "datasets.sums.path (its content)",
        "strategies.human.path (its content)",
        "models.teacher.chat_template",
    }


def test_a_newer_operation_is_a_cause(bench: Bench) -> None:
    """A run with another version of one of respsel's operations and metrics says so."""
    bench.run()
    code = (
        "import respsel.strategies.own_outputs as o, respsel.metrics.likelihood as m\n"
        "from dataclasses import replace; o.VERSION += 1\n"
        "m.METRICS = tuple(replace(metric, version=7) for metric in m.METRICS)\n"
        "import respsel.backends.fake as f; f.VERSION = 9\n"
        "from respsel.cli import app; app()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", "a.toml"],
        cwd=bench.folder,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert outside(bench) == {
        "respsel's operation 'own-outputs'": (
            f"version {own_outputs.VERSION}",
            f"version {own_outputs.VERSION + 1}",
        ),
        "respsel's metric 'perplexity', version": ("1", "7"),
        "respsel's metric 'self-aligned-perplexity', version": ("1", "7"),
        "models.target: respsel's fake backend": ("1", "9"),
        "models.teacher: respsel's fake backend": ("1", "9"),
    }


def test_a_run_that_changes_nothing_is_not_recorded_again(bench: Bench) -> None:
    """Recorded runs are those that differ; one is too few to compare, and that is said."""
    bench.run()
    bench.run()
    assert len(list((bench.folder / "runs/a").glob("*/run.json"))) == 1
    done = bench.respsel("diff", "a.toml")
    assert done.code == 2
    assert "a.toml: has 1 recorded runs that differ, and two are needed" in done.err


def test_recipes_of_one_name_are_not_each_others_last_run(bench: Bench) -> None:
    """A recipe in the root and one in recipes/ are run, compared and applied side by side."""
    bench.write("respsel.toml", "")
    bench.write(
        "recipes/a.toml",
        bench.recipe.read_text().replace("sums.jsonl", "../sums.jsonl").replace("Solve:", "Other:"),
    )
    bench.run()
    assert bench.respsel("run", "recipes/a.toml").code == 0
    for recipe in ("a.toml", "recipes/a.toml"):
        assert f"{recipe}: has 1 recorded runs that differ" in bench.respsel("diff", recipe).err
        done = bench.respsel("apply", recipe, "--strategy", "human")
        assert done.code == 0, done.err
    assert (bench.folder / "runs/recipes/a/report.html").is_file()


def test_runs_of_one_second_keep_their_order(tmp_path: Path) -> None:
    """Runs that finished within a second are told apart by when they were written, not by their
    digests.
    """
    for name in (
        "20260101-120000-ffffffff",
        "20260101-120000-00000000",
        "20260101-115959-99999999",
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
        os.utime(tmp_path / name / "run.json", ns=(0, len(list(tmp_path.iterdir()))))
    assert [path.name[-8:] for path in list_runs(tmp_path)] == ["99999999", "ffffffff", "00000000"]


def test_strategies_that_come_and_go_are_named(bench: Bench) -> None:
    """A strategy that only one run has is listed as such; runs can be given by their folders."""
    bench.run()
    bench.edit('name = "teacher"', 'name = "tutor"')
    bench.edit("Solve:", "Solve this:")
    bench.run()
    first, second = sorted(
        (bench.folder / "runs/a").glob("*/run.json"), key=lambda path: path.stat().st_mtime
    )
    found = bench.respsel("diff", str(first.parent), str(second), "--json").json
    assert "responses:sums/teacher" in found["only_before"]
    assert "responses:sums/tutor" in found["only_after"]
    assert found["responses"] == []
    assert found["not_stored"] == []


def test_runs_given_by_folder_find_their_store(bench: Bench) -> None:
    """Without a respsel.toml too, two folders are compared with the store that they
    were made with.
    """
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    folders = sorted(
        (path.parent for path in (bench.folder / "runs/a").glob("*/run.json")),
        key=lambda path: path.stat().st_mtime,
    )
    found = bench.respsel("diff", *map(str, folders), "--json").json
    assert found["responses"][0]["counts"]["changed"] == 6
    assert not (folders[0] / "cache").exists()


def test_a_damaged_record_is_told(bench: Bench) -> None:
    """A run.json that is no record is exit code 2, not a crash."""
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    for text in ('{"steps": []}', "{}", "no json"):
        next((bench.folder / "runs/a").glob("*/run.json")).write_text(text)
        done = bench.respsel("diff", "a.toml")
        assert done.code == 2
        assert "is not a recorded run" in done.err


def test_runs_are_never_needed(bench: Bench) -> None:
    """Deleting all recorded runs and reports costs no call."""
    import shutil

    bench.run()
    shutil.rmtree(bench.folder / "runs")
    done = bench.run()
    assert (done["calls_made"], done["steps_run"]) == (0, 0)
    assert (bench.folder / "runs/a/report.html").exists()


def test_tables_that_are_no_longer_stored_are_said(bench: Bench) -> None:
    """After gc an old run's tables may be gone: diff says so and compares the rest."""
    bench.run()
    bench.edit("Solve:", "Solve this:")
    bench.run()
    assert bench.respsel("cache", "gc", "--yes").code == 0
    done = bench.respsel("diff", "a.toml")
    assert done.code == 0
    assert "no longer in the store: responses:sums/teacher" in done.out


def test_what_is_no_run_is_told(bench: Bench) -> None:
    """A path that is not a recorded run is exit code 2."""
    done = bench.respsel("diff", "runs/x", "runs/y")
    assert done.code == 2
    assert "runs/x: is not a recorded run: it cannot be read: No such file or directory" in done.err


def test_a_renamed_strategy_is_one_line(bench: Bench) -> None:
    """Nothing comes or goes; what changed otherwise is compared under both names."""
    bench.run()
    bench.edit('name = "teacher"\nfrom', 'name = "tutor"\nfrom')
    assert "scores" not in bench.respsel("explain", "a.toml", "verdict").out.splitlines()[0]
    bench.run()
    head, *lines = bench.respsel("diff", "a.toml").out.splitlines()
    assert " -> " in head
    assert [line for line in lines if line and not line.startswith("verdict")] == [
        "strategy teacher is now called tutor"
    ]
    bench.edit('name = "tutor"\nfrom', 'name = "guide"\nfrom')
    bench.edit(
        '[models.target]\nbackend = "fake"', '[models.target]\nbackend = "fake"\nvariant = "b"'
    )
    bench.run()
    found = bench.respsel("diff", "a.toml", "--json").json
    assert found["renames"] == [{"kind": "strategy", "old": "tutor", "new": "guide"}]
    assert (found["only_before"], found["only_after"]) == ([], [])
    was = {score["name"]: score["was"] for score in found["scores"]}
    assert was["scores:sums/guide/perplexity"] == "scores:sums/tutor/perplexity"
    assert was["scores:sums/human/perplexity"] is None


def test_another_selection_metric_is_the_first_line(bench: Bench) -> None:
    """Verdicts of different metrics are about different things, which is said before all else;
    that confidence and direction changed is said too.
    """
    bench.run()
    bench.edit("resamples = 500", 'resamples = 500\nmetric = "alignment"\nconfidence = 0.9')
    bench.run()
    _, first, *others = bench.respsel("diff", "a.toml").out.splitlines()
    assert first == (
        "selected by: perplexity (lower is better) -> alignment (higher is better) "
        "(verdicts are not comparable)"
    )
    assert "recipe: selection.confidence: nothing -> 0.9" in others
    found = bench.respsel("diff", "a.toml", "--json").json
    assert not found["selected_by"]["comparable"]


def test_another_order_of_strategies_is_one_line(bench: Bench) -> None:
    """It is told as the order, and nothing else of them."""
    bench.run()
    text = bench.recipe.read_text()
    human, teacher = (
        text[text.index(f'[[strategies]]\nname = "{name}"') :].split("\n\n")[0]
        for name in ("human", "teacher")
    )
    bench.recipe.write_text(
        text.replace(human, "HUMAN").replace(teacher, human).replace("HUMAN", teacher)
    )
    bench.run()
    assert bench.respsel("diff", "a.toml", "--json").json["recipe"] == [
        {
            "where": "strategies (their order)",
            "old": "human, teacher",
            "new": "teacher, human",
        }
    ]
