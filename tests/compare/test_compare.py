"""The command `compare`: what it runs, shows and writes, and what it leaves alone."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import respsel
from respsel.cli import app
from respsel.selection.verdict import FEWEST_EXAMPLES
from tests.conftest import Bench

SWEEP = 'strategies.teacher.prompt="Say {{ input }}","Tell me, {{ input }}"'


@pytest.fixture
def here(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs respsel in the bench's folder, in this process.

    The recipe has one metric and all twelve examples.
    """
    monkeypatch.chdir(bench.folder)
    text = bench.recipe.read_text().replace("resamples = 500", "resamples = 100")
    more = text[text.index('[[metrics]]\nname = "self') : text.index("[selection]")]
    bench.recipe.write_text(text.replace(more, "").replace("sample = 6\n", ""))

    def call(*args: str, code: int = 0) -> Any:
        done = CliRunner().invoke(app, list(args))
        assert done.exit_code == code, done.output
        return done

    return call


def test_targets_side_by_side(bench: Bench, here: Callable[..., Any]) -> None:
    """One sentence, one table, one page; the teachers' texts are made once for both targets."""
    planned = json.loads(
        here("compare", "a.toml", "--targets", "target,teacher", "--plan", "--json").stdout
    )
    assert [column["calls"] for column in planned["columns"]] == [24, 12]
    done = here("compare", "a.toml", "--targets", "target,teacher", "--json")
    compared = json.loads(done.stdout)
    first, second = compared["columns"]
    assert (first["label"], second["label"]) == ("target", "teacher")
    assert first["calls_made"] == 36
    # The texts of 'teacher' are found; both strategies are scored anew.
    assert second["calls_made"] == 24
    (table,) = compared["tables"]
    assert {row["strategy"] for row in table["rows"]} == {"human", "teacher"}
    assert compared["paired"] == []
    assert any("not comparable in size" in note for note in compared["notes"])
    # The plain recipe was not run, and nothing of it was written.
    assert [path.name for path in (bench.folder / "runs/a").iterdir() if path.is_file()] == []
    (page,) = bench.folder.glob("runs/compare/a-by-target-*/compare.html")
    assert json.loads(page.with_name("compare.json").read_text()) == compared
    html = page.read_text()
    assert compared["sentence"] in html
    for column in compared["columns"]:
        link = Path(column["report"]).relative_to(bench.folder / "runs").as_posix()
        assert f'href="../../{link}"' in html
    again = here("compare", "a.toml", "--targets", "target,teacher")
    assert again.stdout.splitlines()[0] == compared["sentence"]
    assert max(map(len, again.stdout.splitlines()[2:7])) <= 80


def test_a_plan_counts_what_is_shared_once(here: Callable[..., Any]) -> None:
    """The calls of all runs are no more than the plan says, and no fewer than are certain."""
    args = ("compare", "a.toml", "--sweep", SWEEP, "--targets", "target,teacher")
    planned = json.loads(here(*args, "--plan", "--json").stdout)
    made = sum(
        column["calls_made"] for column in json.loads(here(*args, "--json").stdout)["columns"]
    )
    assert planned["calls"] <= made <= planned["calls"] + planned["calls_later"]
    # 24 texts, 24 scores of 'human', and 48 of the two texts; nothing is planned twice.
    assert (planned["calls"], planned["calls_later"], made) == (48, 48, 96)
    assert [cost["calls"] for cost in planned["costs"]] == [12, 36]


def test_values_are_paired_over_the_same_examples(bench: Bench, here: Callable[..., Any]) -> None:
    """A sweep compares a strategy with itself, as `decide` compares the same scores."""
    compared = json.loads(here("compare", "a.toml", "--sweep", SWEEP, "--json").stdout)
    (pair,) = compared["paired"]
    assert pair["strategy"] == "teacher"
    scores = {}
    for column in compared["columns"]:
        value = column["label"].partition("=")[2].strip('"')
        changes = {"strategies.teacher.prompt": value}
        with respsel.open_study(bench.recipe, changes=changes) as study:
            result = study.stored_result()
            scores[column["label"]] = result.scores("sums", "teacher", "perplexity")
    expected = respsel.decide(
        scores,
        lower_is_better=True,
        scale="log",
        resamples=100,
        dataset="sums",
        metric="perplexity",
    )
    verdict = pair["verdict"]
    assert verdict["examples"] == FEWEST_EXAMPLES
    assert [
        (one["strategy"], one["score"], one["difference_low"]) for one in verdict["ranking"]
    ] == [(one.strategy, one.score, one.difference_low) for one in expected.ranking]
    assert any("corrected for their number" in note for note in compared["notes"])


def test_a_column_that_fails_ends_no_other(bench: Bench, here: Callable[..., Any]) -> None:
    """It is told, the others are shown, and the exit code is 1."""
    bench.write(
        "b.toml", 'extends = "a.toml"\ndatasets = [{ name = "sums", path = "bad.jsonl" }]\n'
    )
    bench.write("bad.jsonl", '{"question": 1}\n{"question": \n')
    done = here("compare", "a.toml", "b.toml", code=1)
    assert "error: b: bad.jsonl" in done.stderr
    assert "no result for b." in done.stdout.splitlines()[0]
    assert "human" in done.stdout
    assert "bad.jsonl" in next(bench.folder.glob("runs/compare/*/compare.html")).read_text()


def test_what_is_wrong_is_told_before_anything_runs(bench: Bench, here: Callable[..., Any]) -> None:
    """An unknown target or key is one error of the input, whatever the number of columns."""
    done = here("compare", "a.toml", "--targets", "target,teach", code=2)
    assert done.stderr == (
        "error: a.toml: --targets target.model: 'teach' is not a model of this recipe or of "
        "respsel.toml. Did you mean 'teacher'?\n"
    )
    done = here("compare", "a.toml", "--sweep", "strategies.teach.prompt=a,b", code=2)
    assert done.stderr.count("error:") == 1
    done = here("compare", "a.toml", "--sweep", "strategies.teacher.sampling.top_p=1,1.0", code=2)
    assert "compare: 'top_p=1' and 'top_p=1.0' come to the same recipe." in done.stderr
    assert not (bench.folder / "cache").exists()


def test_names_and_texts_are_no_markup(bench: Bench, here: Callable[..., Any]) -> None:
    """What comes from recipes is text in the page and in one line of the terminal."""
    bench.edit('name = "human"', 'name = "hu-man"')
    sweep = 'strategies.teacher.prompt="<b>1</b>\\n{{ input }}","<i>2</i> {{ input }}"'
    done = here("compare", "a.toml", "--sweep", sweep, "--limit", "3")
    html = next(bench.folder.glob("runs/compare/*/compare.html")).read_text()
    assert "<b>1" not in html
    assert "&lt;b&gt;1" in html
    assert "Nothing is decided" in done.stdout.splitlines()[0]


def test_what_is_not_downloaded_is_not_counted_as_nothing(
    bench: Bench, here: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan says where calls are not known yet, once for columns that share a download."""
    monkeypatch.delenv("RESPSEL_OFFLINE", raising=False)
    address = f"hf://datasets/o/n@{'1' * 40}/sums.jsonl"
    args = ("compare", "a.toml", "--plan", "--targets", "target,teacher")
    remote = f"datasets.sums.path={address}"
    planned = json.loads(here(*args, "--set", remote, "--json").stdout)
    assert [column["calls_later"] for column in planned["columns"]] == [None, None]
    assert planned["calls_later"] is None
    shown = here(*args, "--set", remote).stdout
    assert "0" not in shown.partition("Would download")[0]
    assert shown.count("not known") == 3
    assert shown.count(f"Would download {address}") == 1
    assert "how many follow is not known" in here("plan", "a.toml", "--set", remote).stdout
    # Of two columns, the one with its data here is counted.
    both = here(
        "compare", "a.toml", "--plan", "--sweep", f"datasets.sums.path=sums.jsonl,{address}"
    )
    assert both.stdout.splitlines()[1].split()[-2:] == ["24", "12"]
    assert "24 calls for certain. How many follow is not known" in both.stdout


def test_a_plan_refuses_what_no_run_would_take(
    bench: Bench, here: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the plan of one recipe does: an address of a branch, and one that is offline."""
    args = ("compare", "a.toml", "--plan")
    for revision, offline, code in (("main", "", 2), ("1" * 40, "1", 3)):
        monkeypatch.setenv("RESPSEL_OFFLINE", offline)
        changed = f"datasets.sums.path=hf://datasets/o/n@{revision}/sums.jsonl"
        refused = here("plan", "a.toml", "--set", changed, code=code).stderr
        why = refused.removeprefix("error: --set ")
        assert why != refused
        swept = here(*args, "--sweep", f"{changed},sums.jsonl", code=code).stderr
        assert swept == f"error: a.toml: --sweep {why}"
        shared = here(*args, "--set", changed, "--targets", "target,teacher", code=code).stderr
        assert shared.startswith(f"error: a.toml: --set {why.rstrip()[:-1]}")


def test_a_tracker_that_takes_no_verdict_is_told_once(
    bench: Bench, here: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `run` tells it; one warning for all columns."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    bench.write("respsel.toml", '[tracking]\nto = ["mlflow"]\n')
    done = here("compare", "a.toml", "--targets", "target,teacher", "--limit", "2")
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("warning:")]
    assert "mlflow" in told
    assert "tracking.to" in told


def test_columns_of_several_confidences_say_so(here: Callable[..., Any]) -> None:
    """And a strategy is tested across those of one confidence only."""
    args = ("--sweep", "selection.confidence=.8,.9", "--sweep", SWEEP, "--json")
    compared = json.loads(here("compare", "a.toml", *args).stdout)
    assert (
        "Each column's verdict is 80% to 90% sure on its own, whatever the number of columns."
        in compared["notes"]
    )
    verdicts = [pair["verdict"] for pair in compared["paired"]]
    assert [(one["confidence"], len(one["ranking"])) for one in verdicts] == [(0.8, 2), (0.9, 2)]


def test_differences_say_what_they_are(bench: Bench, here: Callable[..., Any]) -> None:
    """Columns by metrics of several scales, in the terminal and on the page."""
    bench.edit("[selection]", '[[metrics]]\nname = "response-tokens"\n\n[selection]')
    swept = "selection.metric=perplexity,response-tokens"
    done = here("compare", "a.toml", "--sweep", swept)
    heading = "gainst the leader of each column (1.2x: times it, +1.2: minus it)"
    assert f"sums: a{heading}" in done.stdout
    (row,) = [
        line for line in done.stdout.splitlines() if re.search(r"(tied|worse) [0-9.]+x", line)
    ]
    assert re.search(r"(leads|(tied|worse) [+-][0-9.]+)$", row)
    page = next(bench.folder.glob("runs/compare/*/compare.html")).read_text()
    assert f"A{heading}" in page


def test_a_table_says_why_a_strategy_is_barred(bench: Bench, here: Callable[..., Any]) -> None:
    """With the column, since gates may differ."""
    done = here("compare", "a.toml", "--sweep", "selection.require.right=0,0.9")
    (line,) = [line for line in done.stdout.splitlines() if " is barred in " in line]
    assert line.startswith("  teacher is barred in right=0.9: ")


def test_compare_takes_the_options_of_run(bench: Bench, here: Callable[..., Any]) -> None:
    """Quiet tells the page alone; what is not here is not downloaded offline, nor planned."""
    args = ("compare", "a.toml", "--targets", "target,teacher", "--limit", "2")
    done = here(*args, "-q")
    assert done.stderr == ""
    assert (bench.folder / done.stdout.strip()).name == "compare.html"
    remote = f"datasets.sums.path=hf://datasets/o/n@{'1' * 40}/sums.jsonl"
    refused = here(*args, "--plan", "--offline", "--set", remote, code=3).stderr
    assert "is not in the store" in refused
    assert "no result for" in here(*args, "--offline", "--set", remote, code=1).stdout
    assert "Nothing to download" in here("fetch", "a.toml", "--limit", "2").stdout
