"""The public Python API: what is exported, what it returns, and how it fails."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

import respsel
from tests.conftest import RECIPE, Bench, jsonl, rows

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


@pytest.fixture
def study(bench: Bench) -> Iterator[respsel.Study]:
    with respsel.open_study(bench.recipe) as opened:
        yield opened


def plain(value: Any) -> Any:
    """A value as JSON gives it back."""
    import json

    return json.loads(json.dumps(value))


def test_exported_members() -> None:
    """Everything in __all__ is there, in order, and nothing else is public."""
    assert respsel.__all__ == sorted(respsel.__all__)
    assert dir(respsel) == respsel.__all__
    for name in respsel.__all__:
        assert getattr(respsel, name) is not None
    public = {
        name
        for name, value in vars(respsel).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public == set(respsel.__all__) - {"__version__"}
    with pytest.raises(AttributeError, match="no attribute 'fine_tune'"):
        respsel.fine_tune  # type: ignore[attr-defined]  # noqa: B018


def test_importing_is_light() -> None:
    """`import respsel` and its errors load no library; `decide` and `open_study` load little."""
    code = """if True:
        import sys
        import respsel
        def loaded(*names):
            return [name for name in names if name in sys.modules]
        heavy = ("polars", "numpy", "typer", "rich", "pydantic", "jinja2", "diskcache")
        assert not loaded(*heavy, "respsel.errors")
        respsel.InputError, respsel.Problem
        assert not loaded(*heavy)
        respsel.decide
        assert not loaded("typer", "rich", "diskcache", "polars")
        respsel.open_study
        assert not loaded("typer", "rich", "polars")
    """
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_gives_what_the_command_prints(
    bench: Bench, study: respsel.Study, capfd: pytest.CaptureFixture[str]
) -> None:
    """Plan, run and verdicts are those of the commands, and nothing is printed."""
    told = bench.respsel("plan", "a.toml").out
    assert str(study.plan()) in told
    result = study.run()
    assert capfd.readouterr() == ("", "")
    printed = bench.run()
    assert (printed["steps_run"], printed["calls_made"]) == (0, 0)
    assert result.steps_run == printed["steps_total"]
    assert [plain(asdict(verdict)) for verdict in result.verdicts] == printed["verdicts"]
    assert os.path.samefile(result.page, bench.folder / printed["report"])
    assert result.verdict("sums") == result.verdicts[0]
    assert study.run().steps_run == 0
    assert {item.step.state for item in study.explain()} == {"cached"}
    assert study.damage == study.lost == ()


def test_a_str_is_a_path(bench: Bench) -> None:
    """A recipe is opened by str or Path, and closed by hand where there is no `with`."""
    study = respsel.open_study(str(bench.recipe))
    assert study.plan().count("run") > 0
    study.close()
    study.close()
    assert "(closed)" in repr(study)


def test_tables_are_frames(study: respsel.Study) -> None:
    """Examples, responses and scores are polars frames with the columns that the docs name."""
    result = study.run()
    scores = result.scores("sums", "teacher", "perplexity")
    assert scores.columns == ["id", "value", "problem", "weight"]
    assert result.responses("sums", "human").columns[:3] == ["id", "text", "problem"]
    examples = result.examples("sums")
    assert examples.columns[:4] == ["id", "input", "reference", "label"]
    assert examples.columns[4:] == ["columns", "copies", "turns"]
    assert scores["id"].to_list() == examples["id"].to_list()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("sms", "human", "perplexity"),
            "'sms' is not a dataset of this recipe. Did you mean 'sums'?",
        ),
        (
            ("sums", "humans", "perplexity"),
            "'humans' is not a strategy of this recipe. Did you mean 'human'?",
        ),
        (
            ("sums", "human", "bleu"),
            "'bleu' is not a metric of this recipe. Known here: alignment, perplexity",
        ),
    ],
)
def test_an_unknown_name_is_one_error(
    study: respsel.Study, names: tuple[str, str, str], message: str
) -> None:
    """It names what is wrong and the known names, or the one that was probably meant."""
    with pytest.raises(respsel.InputError) as caught:
        study.run().scores(*names)
    (problem,) = caught.value.problems
    assert problem.file.endswith("a.toml")
    assert message in str(problem)


def test_a_closed_study_says_so(bench: Bench) -> None:
    """Verdicts and counts stay; tables and methods raise one error with a remedy."""
    with respsel.open_study(bench.recipe) as study:
        result = study.run()
    assert result.verdict("sums").winner
    assert result.calls_made > 0
    for use in (
        lambda: result.examples("sums"),
        lambda: result.rows("examples:sums"),
        study.plan,
        study.run,
        study.apply,
    ):
        with pytest.raises(
            respsel.StoreError, match=r"a\.toml: the study is closed, .* open the study again"
        ):
            use()


@pytest.fixture
def unchecked(bench: Bench) -> Iterator[respsel.Study]:
    """A study whose answers nothing checks: the fake's are wrong, and would not be applied."""
    bench.edit('answer = "number"\n', "")
    with respsel.open_study(bench.recipe) as opened:
        yield opened


def test_apply_export_and_report(bench: Bench, unchecked: respsel.Study) -> None:
    """They do what the commands do, and say where it is."""
    study = unchecked
    study.run()
    with pytest.raises(respsel.RunError, match="is undecided"):
        study.apply()
    applied = study.apply(accept_undecided=True)
    assert applied.selected.basis == "undecided verdict"
    assert applied.training_set.counts[0].examples == 12
    assert len(pl.read_parquet(applied.training_set.data)) == applied.training_set.counts[0].kept
    winner = applied.selected.strategies["sums"]
    assert len(applied.run.responses("sums", winner)) == 12
    with pytest.raises(respsel.InputError, match="is not part of this run"):
        applied.run.scores("sums", winner, "perplexity")
    (made,) = study.export("messages")
    assert made.data == bench.folder / "runs/a/training/messages/train.jsonl"
    (elsewhere,) = study.export("openai", folder=bench.folder / "out")
    assert elsewhere.folder == bench.folder / "out/openai"
    page = study.report()
    assert page.read_text("utf-8") != ""
    assert "# " in study.report_text("md")
    assert study.stored_result().verdicts == study.run().verdicts


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda study: study.export("mesages"),
            "'mesages' is not a format. Did you mean 'messages'?",
        ),
        (lambda study: study.export(), "no format is given. Known here: axolotl"),
        (
            lambda study: study.export("dpo", mode="strategy"),
            "pairs need every strategy's responses",
        ),
        (
            lambda study: study.apply(mode="each"),
            "'each' is not a mode. Known here: per-example, strategy",
        ),
        (lambda study: study.apply("human", mode="per-example"), "goes with one strategy"),
        (lambda study: study.report_text("pdf"), "'pdf' is not a format of a report"),
    ],
)
def test_bad_arguments_are_input_errors(study: respsel.Study, use: Any, message: str) -> None:
    """Each names the known values."""
    with pytest.raises(respsel.InputError, match=re.escape(message)):
        use(study)


def test_a_report_needs_a_run(study: respsel.Study) -> None:
    """Nothing is run for it."""
    with pytest.raises(respsel.RunError, match="steps are not in the store"):
        study.report()


def test_bad_recipes_are_told_with_all_problems(bench: Bench) -> None:
    """The errors are those of the commands."""
    bench.edit('name = "perplexity"', 'name = "perplexty"')
    bench.edit('model = "target"', 'model = "targt"')
    with pytest.raises(respsel.InputError) as caught:
        respsel.open_study(bench.recipe)
    assert len(caught.value.problems) == 2


def test_a_damaged_table_is_made_again_while_the_study_is_open(
    bench: Bench, study: respsel.Study
) -> None:
    """Though the run is over, and its models are closed."""
    from tests.promises.test_damage import change

    result = study.run()
    before = result.responses("sums", "teacher")
    change(bench, ("UPDATE Cache SET value = ? WHERE key LIKE 'rows/responses/%'", (b"x" * 64,)))
    assert result.responses("sums", "teacher").equals(before)
    assert len(study.damage) > 0


def given(result: respsel.RunResult) -> dict[str, dict[str, float | None]]:
    frames = {name: result.scores("sums", name, "perplexity") for name in ("human", "teacher")}
    return {
        name: dict(zip(frame["id"], frame["value"], strict=True)) for name, frame in frames.items()
    }


def test_decide_gives_a_recipes_verdict(study: respsel.Study) -> None:
    """The same scores and selection give the same verdict, from mappings, sequences and frames."""
    result = study.run()
    verdict = result.verdict("sums")
    scores = given(result)
    how: dict[str, Any] = {"lower_is_better": True, "scale": "log", "resamples": 500}
    assert respsel.decide(scores, dataset="sums", metric="perplexity", **how) == verdict
    frames = {name: result.scores("sums", name, "perplexity") for name in scores}
    assert respsel.decide(frames, dataset="sums", metric="perplexity", **how) == verdict
    lists = {name: list(values.values()) for name, values in scores.items()}
    assert respsel.decide(lists, dataset="sums", metric="perplexity", **how) == verdict
    series = {name: pl.Series(values) for name, values in lists.items()}
    assert respsel.decide(series, dataset="sums", metric="perplexity", **how) == verdict
    arrays: Any = {name: np.array(values) for name, values in lists.items()}
    assert respsel.decide(arrays, dataset="sums", metric="perplexity", **how) == verdict


def test_decide_pairs_shared_ids_and_is_deterministic() -> None:
    """What a strategy lacks counts as unscored; the direction is as asked."""
    a = {str(i): 1.0 + i % 3 for i in range(30)}
    b = {str(i): 2.0 + i % 5 for i in range(4, 34)}
    verdict = respsel.decide({"a": a, "b": {**b, "5": None}}, lower_is_better=True)
    assert (verdict.winner, verdict.decided, verdict.examples) == ("a", True, 25)
    assert verdict.unscored == {"a": 4, "b": 5}
    assert verdict == respsel.decide({"a": a, "b": {**b, "5": None}}, lower_is_better=True)
    assert respsel.decide({"a": a, "b": b}, lower_is_better=False).winner == "b"
    assert (
        "a comes first. Decided at 95%: it beats every other strategy over 25 examples by score"
        in str(verdict)
    )


@pytest.mark.parametrize(
    ("scores", "how", "message"),
    [
        ({}, {}, "a verdict compares two strategies or more, and there are 0"),
        ({"a": [1.0]}, {}, "a verdict compares two strategies or more, and there are 1"),
        ([1.0], {}, "there are none"),
        ({"a": [1.0, float("nan")], "b": [1.0, 2.0]}, {}, "decide: a, 1: the score is not finite"),
        ({"a": [1.0, float("inf")], "b": [1.0, 2.0]}, {}, "the score is not finite"),
        ({"a": [1.0, "2"], "b": [1.0, 2.0]}, {}, "a str is not a number"),
        ({"a": [1.0, True], "b": [1.0, 2.0]}, {}, "a bool is not a number"),
        ({"a": [1.0, 0.0], "b": [1.0, 2.0]}, {"scale": "log"}, "the score is not above 0"),
        ({"a": [1.0], "b": [1.0, 2.0]}, {}, "differ in length: a 1, b 2"),
        ({"a": [1.0], "b": {"0": 1.0}}, {}, "some strategies have ids and some do not"),
        ({"a": {"1": 1.0}, "b": {"2": 1.0}}, {}, "no example has a score of every strategy"),
        ({"a": {}, "b": {}}, {}, "no example has a score of every strategy"),
        ({"a": 1.0, "b": 2.0}, {}, "a float is not a table of scores"),
        ({"a": pl.DataFrame({"id": ["1"]}), "b": [1.0]}, {}, "the frame lacks the column 'value'"),
        (
            {"a": pl.DataFrame({"id": ["1", "1"], "value": [1.0, 2.0]}), "b": [1.0]},
            {},
            "an id is there twice",
        ),
        ({"a": [1.0], "b": [1.0]}, {"confidence": 2.0}, "decide: confidence"),
        ({"a": [1.0], "b": [1.0]}, {"scale": "lin"}, "Did you mean 'linear'?"),
    ],
)
def test_decide_refuses_what_cannot_be_compared(scores: Any, how: Any, message: str) -> None:
    """Each is an InputError that says where and what to do."""
    with pytest.raises(respsel.InputError, match=re.escape(message)):
        respsel.decide(scores, lower_is_better=True, **how)


def test_notebooks_see_the_verdict(study: respsel.Study) -> None:
    """Words and ranking, an undecided one as undecided; nothing that loads or sets colours."""
    result = study.run()
    shown = result._repr_html_()
    verdict = result.verdict("sums")
    assert verdict._repr_html_() in shown
    assert "Undecided at 95%" in shown
    assert shown.count("<tr>") == 3
    assert "leads" in shown
    for word in ("<script", "http", "style", "background", "src="):
        assert word not in shown


def test_names_are_escaped() -> None:
    """A name obeys nothing in a notebook."""
    bad = "<script>alert('x')</script>\u202e\n"
    verdict = respsel.decide(
        {bad: [1.0, 2.0], "b": [2.0, 3.0]}, lower_is_better=True, dataset="<b>", metric="&\"'"
    )
    shown = verdict._repr_html_()
    assert "<script" not in shown
    assert "\u202e" not in shown
    assert "<b>&lt;b&gt;: &amp;&quot;&#x27; (lower is better), 2 examples</b>" in shown
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in shown


def test_the_page_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of docs/python.md runs, in order, and prints what the block after it shows."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "math.jsonl").write_text(jsonl(rows(24)))
    text = PAGE.read_text("utf-8")
    (recipe,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "recipe.toml").write_text(recipe)
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", text, re.DOTALL)
    assert len(blocks) > 4
    for code, shown in blocks:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(code, str(PAGE), "exec"), names)
        if shown:
            assert out.getvalue() == shown


def test_the_recipe_of_these_tests_is_undecided() -> None:
    """Which the tests above rely on: six examples decide nothing."""
    assert "sample = 6" in RECIPE
