"""Promise: a recipe changed for one command leaves the recipe, its runs and its verdict alone.

Nothing that a variant needs is freed unasked, and a first look is part of the whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import respsel
from respsel.cli import app
from respsel.history.diff import diff_runs
from respsel.history.recorded_runs import list_runs, load_run
from respsel.store.store import Store
from tests.conftest import RECIPE, Bench

CHANGE = ("--set", "strategies.teacher.prompt=Explain: {{ input }}")


@pytest.fixture
def here(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command in the bench's folder, in this process; returns its standard output.

    The recipe has one metric, so that a run takes half the time.
    """
    monkeypatch.chdir(bench.folder)
    text = bench.recipe.read_text().replace("resamples = 500", "resamples = 100")
    more = text[text.index('[[metrics]]\nname = "self') : text.index("[selection]")]
    bench.recipe.write_text(text.replace(more, ""))

    def call(*args: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(args))
        assert done.exit_code == code, done.output
        return done.output if code else done.stdout

    return call


def content(folder: Path) -> dict[str, bytes]:
    """The files of a recipe's runs but for those of its variants."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "with-" not in str(path.relative_to(folder))
    }


def test_a_variant_leaves_the_recipe_its_report_and_its_set(
    bench: Bench, here: Callable[..., str]
) -> None:
    """After runs and applies of a variant the recipe's own are as they were, bit for bit."""
    here("run", "a.toml")
    here("apply", "a.toml", "--strategy", "human")
    before = content(bench.folder / "runs/a")
    text = bench.recipe.read_bytes()
    plan = here("plan", "a.toml", "--json")
    here("run", "a.toml", *CHANGE)
    here("apply", "a.toml", *CHANGE, "--strategy", "teacher")
    here("report", "a.toml", *CHANGE)
    assert bench.recipe.read_bytes() == text
    assert content(bench.folder / "runs/a") == before
    assert json.loads(here("plan", "a.toml", "--json")) == json.loads(plan)
    (own,) = json.loads(here("export", "a.toml", "--format", "messages", "--json"))
    assert "3 + 3 = 6" in Path(own["data"]).read_text()
    (other,) = json.loads(here("export", "a.toml", *CHANGE, "--format", "messages", "--json"))
    assert "3 + 3 = 6" not in Path(other["data"]).read_text()
    assert Path(other["folder"]).relative_to(bench.folder / "runs/a").parts[0].startswith("with-")


def test_the_commands_of_messages_repeat_the_options(
    bench: Bench, here: Callable[..., str]
) -> None:
    """What is printed to go on with is about the variant, not about the recipe."""
    said = here("run", "a.toml", *CHANGE)
    assert "respsel run a.toml --set 'strategies.teacher.prompt=Explain: {{ input }}'\n" in said
    refused = here("export", "a.toml", *CHANGE, "--format", "messages", code=1)
    assert "Run: respsel apply a.toml --set 'strategies.teacher.prompt=Explain" in refused
    refused = here("report", "a.toml", code=1)
    assert "Run: respsel run a.toml." in refused


def test_a_first_look_is_part_of_the_whole(bench: Bench, here: Callable[..., str]) -> None:
    """A run after `--limit` makes only the calls of the other examples."""
    first = json.loads(here("run", "a.toml", "--limit", "2", "--json"))
    rest = json.loads(here("run", "a.toml", "--json"))
    assert rest["calls_reused"] == first["calls_made"]
    assert rest["calls_made"] == 2 * first["calls_made"]
    assert "0 calls for certain" in here("plan", "a.toml", "--limit", "5").splitlines()[-1]


def test_a_first_look_says_how_to_go_on(here: Callable[..., str]) -> None:
    """More examples are there without the limit, which is what the command says."""
    said = here("run", "a.toml", "--limit", "3")
    assert "leave out --limit and run again" in said
    assert "respsel run a.toml\n" in said


def test_a_run_records_what_ran(bench: Bench, here: Callable[..., str]) -> None:
    """The record of a recipe that extends another one holds all of it, whatever becomes of that."""
    bench.write("b.toml", 'extends = "a.toml"\n')
    here("run", "b.toml")
    bench.edit("resamples = 100", "resamples = 200")
    here("run", "b.toml", "--set", "selection.confidence=0.9")
    bench.recipe.unlink()
    (first,) = list_runs(bench.folder / "runs/b")
    (variant,) = (bench.folder / "runs/b").glob("with-*")
    (second,) = list_runs(variant)
    with Store(bench.folder / "cache", reading=True) as store:
        found = diff_runs(store, load_run(first), load_run(second))
    assert {change.where for change in found.recipe} == {
        "selection.resamples",
        "selection.confidence",
    }


def test_explain_compares_with_the_base_s_change(bench: Bench, here: Callable[..., str]) -> None:
    """A change of a base is named like one of the recipe's own."""
    bench.write("b.toml", 'extends = "a.toml"\n')
    here("run", "b.toml")
    bench.edit("Solve:", "Explain:")
    (item,) = json.loads(here("explain", "b.toml", "responses:sums/teacher", "--json"))
    assert [change["where"] for change in item["changes"]] == ["strategies.teacher.prompt"]


def test_gc_keeps_what_variants_need_unless_it_is_told(
    bench: Bench, here: Callable[..., str]
) -> None:
    """gc frees nothing of a variant while its recipe exists; --variants frees it knowingly."""
    here("run", "a.toml", *CHANGE)
    here("apply", "a.toml", *CHANGE, "--strategy", "teacher")
    here("run", "a.toml")
    said = here("cache", "gc", "--yes")
    assert "a.toml (strategies.teacher.prompt=Explain: {{ input }})" in said
    again = json.loads(here("run", "a.toml", *CHANGE, "--json"))
    assert (again["steps_run"], again["calls_made"]) == (0, 0)
    # An apply must not be the newest, since what is newer than the last run stays.
    here("run", "a.toml", "--set", "selection.seed=5")
    assert "is not to be kept" in here("cache", "gc", "--yes", "--variants")
    assert json.loads(here("run", "a.toml", "--json"))["steps_run"] == 0
    assert "Would free 0 B" in here("cache", "gc")
    assert json.loads(here("run", "a.toml", *CHANGE, "--json"))["calls_made"] > 0


def test_wrong_settings_are_errors_of_the_input(bench: Bench, here: Callable[..., str]) -> None:
    """Every command that takes a recipe names the option, exits with 2 and stores nothing."""
    for command in (
        ["plan"],
        ["run"],
        ["report"],
        ["explain"],
        ["apply"],
        ["doctor"],
        ["validate"],
        ["export", "--format", "messages"],
    ):
        said = here(*command, "a.toml", "--set", "strategies.teach.prompt=x", code=2)
        assert said == (
            "error: --set strategies.teach.prompt: no strategy 'teach'. Did you mean 'teacher'?\n"
        )
    here("run", "a.toml", "--limit", "0", code=2)
    assert not (bench.folder / "cache").exists()


def test_a_study_of_a_variant(bench: Bench) -> None:
    """From Python changes and a limit do the same, and give the same variant."""
    changes = {"strategies.teacher.prompt": "Explain: {{ input }}"}
    with respsel.open_study(bench.recipe, changes=changes, limit=3) as study:
        result = study.run()
        assert len(result.examples("sums")) == 3
        assert "with-" in str(result.page)
    with pytest.raises(
        respsel.InputError, match=r"changes: strategies\.x\.prompt: no strategy 'x'"
    ):
        respsel.open_study(bench.recipe, changes={"strategies.x.prompt": "a"})
    assert bench.recipe.read_text() == RECIPE
