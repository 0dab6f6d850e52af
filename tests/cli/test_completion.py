"""What may stand at the cursor: quick, silent, and of any recipe or none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from respsel.cli import app
from respsel.cli.completion import METRICS, SCRIPTS, STEPS, answer_shell, candidates
from respsel.graph.names import StepName
from respsel.metrics.registry import all_metrics
from tests.conftest import Bench


def words(line: str) -> list[str]:
    """The words for the end of a line."""
    *before, typed = line.split(" ")
    return [word for word, _ in candidates(app, before, typed)]


@pytest.fixture
def _here(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.folder)
    bench.write("respsel.toml", "")
    bench.write("other.toml", "x = 1\n")
    bench.write("recipes/b.toml", '[[strategies]]\nname = "b"\n')
    bench.write("recipes/more/c.toml", 'extends = "../b.toml"\n[[strategies]]\nname = "c"\n')
    (bench.folder / "runs" / "a" / "20260101-000000-deadbeef").mkdir(parents=True)


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ex", ["explain", "export"]),
        ("cache ", ["size", "ls", "verify", "gc"]),
        ("run ", ["a.toml", "recipes/b.toml", "recipes/more/", "runs/"]),
        ("run recipes/", ["recipes/b.toml", "recipes/more/"]),
        ("run a.toml ", []),
        ("run a.toml --q", ["--quiet"]),
        ("apply a.toml --strategy t", ["teacher"]),
        ("apply --strategy t", []),
        ("apply recipes/more/c.toml --strategy ", ["c", "b"]),
        ("apply --mode ", ["strategy", "per-example"]),
        ("apply --mode=per", ["--mode=per-example"]),
        ("apply --accept-undecided --mode strategy a", ["a.toml"]),
        ("explain a.toml h", ["human"]),
        ("explain a.toml scores:", ["scores:sums", "scores:sums/human", "scores:sums/teacher"]),
        ("report a.toml --format m", ["md"]),
        ("export a.toml --format parq", ["parquet"]),
        ("metrics perp", ["perplexity"]),
        ("diff runs/a", ["runs/a/", "runs/a/20260101-000000-deadbeef"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("nothing ", []),
        ("run -- --", []),
    ],
)
def test_the_words_that_may_stand_there(line: str, found: list[str]) -> None:
    """Commands, options, recipes and not other TOML, names of the recipe, choices."""
    assert words(line) == found


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe[target]",
        b"[target",
        b"strategies = 3\n[target]",
        b"[target]\nstrategies = [1, { name = 2 }, { name = 'a\\nb' }]",
        b'[target]\n[[strategies]]\nname = "x\\u001b[2J"',
        b"[target]\nx = " + b"[" * 100_000,
        b'extends = "a.toml"',
        b'extends = ["a.toml", 3]',
    ],
)
def test_no_recipe_breaks_it(
    bench: Bench, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever is in the file, there are words or none."""
    bench.write("a.toml", content)
    assert words("apply a.toml --strategy ") == []
    assert words("explain a.toml ") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("_here")
def test_a_pipe_is_not_waited_for(bench: Bench) -> None:
    """A file of another kind is no recipe."""
    os.mkfifo(bench.folder / "pipe.toml")
    assert "pipe.toml" not in words("run ")
    assert words("apply pipe.toml --strategy ") == []


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("respsel apply a.toml --strategy te", ["teacher"]),
        ("respsel explain a.toml responses:sums/h", ["sums/human"]),
        ("respsel report a.toml --format=m", ["md"]),
        ("respsel run my\\ d", ["my\\ dir/"]),
        ('respsel run "my d', ["my dir/"]),
        ('respsel run "my dir/', ["my dir/it's b.toml"]),
        ("respsel run my\\ dir/", ["my\\ dir/it\\'s\\ b.toml"]),
    ],
)
def test_bash_gets_what_it_puts_behind_its_last_break(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    answer: list[str],
) -> None:
    """It breaks words at = and :, and takes quotes and blanks as they would be typed."""
    monkeypatch.chdir(bench.folder)
    bench.write("my dir/it's b.toml", "[target]\n")
    monkeypatch.setenv("RESPSEL_COMPLETE", "bash")
    monkeypatch.setenv("RESPSEL_COMPLETE_LINE", line)
    assert answer_shell(app)
    assert capsys.readouterr().out.splitlines() == answer


def test_names_that_are_written_out_are_right() -> None:
    """The metrics are those of respsel, and the operations those of steps."""
    assert sorted(METRICS) == sorted(all_metrics())
    assert all(str(StepName(op, "d")) == f"{op}:d" for op in STEPS)


def test_each_shell_has_a_script(bench: Bench) -> None:
    """`respsel completion` prints it; bash reads it without a word."""
    for shell, script in SCRIPTS.items():
        assert bench.respsel("completion", shell).out == script
    done = subprocess.run(
        ["bash", "--norc", "-c", f"{SCRIPTS['bash']}\ncomplete -p respsel"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("complete -F _respsel respsel", "")


def test_a_key_press_loads_nothing_heavy_and_writes_nothing(bench: Bench) -> None:
    """Neither pydantic nor rich, and no file is made."""
    before = sorted(bench.folder.rglob("*"))
    code = (
        "import sys\nfrom respsel.cli import app\nfrom respsel.cli.completion import candidates\n"
        "assert candidates(app, ['explain', 'a.toml'], 'hum') == [('human', '')]\n"
        "heavy = ('pydantic', 'rich', 'numpy', 'polars', 'jinja2', 'diskcache', 'scipy')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=bench.folder
    )
    assert done.stdout.strip() == "[]"
    assert sorted(bench.folder.rglob("*")) == before
    assert not list(Path(bench.folder).glob("cache"))
