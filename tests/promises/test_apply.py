"""Promise: applying loses no acknowledged call, makes none twice, and never passes a stale set off
as the present one.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from respsel.system.atomic_folder import MANIFEST
from respsel.training.formats import FORMATS
from tests.conftest import Bench

# Ends the process from inside, after the n-th call was acknowledged by the store.
KILLED = """
import os, signal, sys
from respsel.calls.caller import Caller
keep, count = Caller._keep, 0
def hooked(self, *args):
    global count
    keep(self, *args)
    count += 1
    if count == {place}: os.kill(os.getpid(), signal.SIGKILL)
Caller._keep = hooked
from respsel.cli import app
sys.argv = ["respsel", "apply", "a.toml", {options}]
app()
"""
# Kills the process before the n-th time that it touches a file of a folder.
TOUCHED = """
import os, signal, sys
count = 0
def watch(event, args):
    global count
    if event in ("open", "os.rename", "os.remove", "os.mkdir") and "training" in str(args[0]):
        count += 1
        if count == {place}:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
from respsel.cli import app
sys.argv = ["respsel", "export", "a.toml", "--format", "{kind}"]
try:
    app()
finally:
    print(count, file=sys.stderr)
"""


def python(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("place", [1, 5, 11, 12])
def test_a_killed_apply_goes_on_where_it_was(bench: Bench, place: int) -> None:
    """After kill -9 behind the n-th of twelve acknowledged calls, exactly the others are made, and
    no set was written.
    """
    done = python(bench.folder, KILLED.format(place=place, options='"--strategy", "teacher"'))
    assert done.returncode == -signal.SIGKILL
    assert not (bench.folder / "runs").exists()
    again = bench.respsel("apply", "a.toml", "--strategy", "teacher", "--json")
    assert again.code == 0, again.err
    assert again.json["calls_made"] == 12 - place
    assert len(pl.read_parquet(again.json["data"])) == 12


def test_a_killed_mixture_goes_on_where_it_was(bench: Bench) -> None:
    """The same where every strategy is made and scored: the calls before and after the kill are all
    that there are.
    """
    whole = Bench(bench.folder / "whole")
    for name in ("a.toml", "sums.jsonl"):
        whole.write(name, (bench.folder / name).read_bytes())
    calls = whole.respsel("apply", "a.toml", "--mode", "per-example", "--json").json["calls_made"]
    place = calls - 5
    done = python(bench.folder, KILLED.format(place=place, options='"--mode", "per-example"'))
    assert done.returncode == -signal.SIGKILL
    assert (
        bench.respsel("apply", "a.toml", "--mode", "per-example", "--json").json["calls_made"] == 5
    )


@pytest.mark.parametrize("kind", ["messages", "llama-factory"])
def test_a_killed_export_is_whole_or_absent(bench: Bench, kind: str) -> None:
    """At any point of its writing: what a manifest names is whole, and the next export completes
    it.
    """
    bench.respsel("apply", "a.toml", "--strategy", "human")
    whole = Bench(bench.folder.parent / f"{bench.folder.name}-whole")
    shutil.copytree(bench.folder, whole.folder)
    done = python(whole.folder, TOUCHED.format(place=0, kind=kind))
    assert done.returncode == 0, done.stderr
    new = contents(whole.folder / "runs/a/training" / kind)
    steps = int(done.stderr.splitlines()[-1])
    for place in sorted(random.Random(3).sample(range(1, steps + 1), 6)):
        killed = Bench(bench.folder.parent / f"{bench.folder.name}-{place}")
        shutil.copytree(bench.folder, killed.folder)
        folder = killed.folder / "runs/a/training" / kind
        assert (
            python(killed.folder, TOUCHED.format(place=place, kind=kind)).returncode
            == -signal.SIGKILL
        )
        found = contents(folder)
        assert MANIFEST not in found or found == new
        assert all(value == new[name] for name, value in found.items())
        assert killed.respsel("export", "a.toml", "--format", kind).code == 0
        assert contents(folder) == new
        assert not list(folder.glob(".*"))


def contents(folder: Path) -> dict[str, bytes]:
    return (
        {path.name: path.read_bytes() for path in folder.glob("[!.]*")} if folder.is_dir() else {}
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Solve: {{ input }}", "Please solve: {{ input }}"),
        ('variant = "teacher"', 'variant = "other"'),
        ("attempts = 1", "attempts = 2"),
    ],
)
def test_a_stale_set_is_not_exported(bench: Bench, old: str, new: str) -> None:
    """After a change of prompt, model or attempts, export says to apply again."""
    bench.edit('prompt = "Solve: {{ input }}"', 'prompt = "Solve: {{ input }}"\nattempts = 1')
    bench.respsel("apply", "a.toml", "--strategy", "teacher")
    assert bench.respsel("export", "a.toml", "--format", "openai").code == 0
    bench.edit(old, new)
    done = bench.respsel("export", "a.toml", "--format", "openai")
    assert done.code == 1
    assert "has changed since it was applied" in done.err
    assert "respsel apply a.toml" in done.err


def test_a_set_of_changed_data_is_not_exported(bench: Bench) -> None:
    """After a change of the dataset's file export says to apply again."""
    bench.respsel("apply", "a.toml", "--strategy", "human")
    text = (bench.folder / "sums.jsonl").read_text()
    bench.write("sums.jsonl", text.replace("3 + 3 = 6", "3 + 3 is 6"))
    done = bench.respsel("export", "a.toml", "--format", "openai")
    assert done.code == 1
    assert "has changed since it was applied" in done.err


def test_a_set_of_an_old_verdict_is_not_exported(bench: Bench) -> None:
    """When the verdict that it was applied by is no longer the recipe's, nothing is exported."""
    bench.edit('answer = "number"\n', "")
    bench.run()
    assert bench.respsel("apply", "a.toml", "--accept-undecided").code == 0
    bench.edit("resamples = 500", "resamples = 700")
    done = bench.respsel("export", "a.toml", "--format", "openai")
    assert done.code == 1
    assert "no verdict on the recipe as it stands now" in done.err


def test_a_damaged_table_is_told_and_made_again(bench: Bench) -> None:
    """A flipped byte in an applied table is never exported; apply makes the table again without a
    call.
    """
    first = bench.respsel("apply", "a.toml", "--strategy", "teacher", "--json").json
    before = Path(first["data"]).read_bytes()
    shutil.rmtree(bench.folder / "runs")
    damage_rows(bench.folder / "cache")
    done = bench.respsel("export", "a.toml", "--format", "messages")
    assert done.code == 1
    assert "respsel apply a.toml" in done.err
    again = bench.respsel("apply", "a.toml", "--strategy", "teacher", "--json").json
    assert again["calls_made"] == 0
    assert Path(again["data"]).read_bytes() == before


def damage_rows(cache: Path) -> None:
    """Flip a byte of each stored table of responses."""
    import sqlite3

    with sqlite3.connect(cache / "cache.db") as base:
        found = base.execute(
            "SELECT rowid, value FROM Cache WHERE key LIKE 'rows/responses/%'"
        ).fetchall()
        assert found
        for row, value in found:
            assert isinstance(value, bytes)
            base.execute(
                "UPDATE Cache SET value = ? WHERE rowid = ?",
                (value[:-1] + bytes([value[-1] ^ 1]), row),
            )


def test_a_users_files_are_never_replaced(bench: Bench) -> None:
    """A folder with a README of the user's own is refused, and stays as it was."""
    bench.respsel("apply", "a.toml", "--strategy", "human")
    mine = bench.write("out/messages/README.md", "mine")
    bench.write("out/messages/manifest.json", json.dumps({"name": "of another tool"}))
    done = bench.respsel("export", "a.toml", "--format", "messages", "--out", "out")
    assert done.code == 2
    assert "README.md" in done.err
    assert mine.read_text() == "mine"
    assert bench.respsel("export", "a.toml", "--format", "openai", "--out", "out").code == 0


def test_only_our_own_leftovers_are_removed(bench: Bench) -> None:
    """Files of the user's that look like parts stay."""
    bench.respsel("apply", "a.toml", "--strategy", "human")
    mine = [
        bench.write(f"out/messages/{name}", "mine")
        for name in (".big.partial", ".x.parts/a", ".train.jsonl.partial")
    ]
    bench.write("out/messages/.train.jsonl.part", "a leftover")
    assert bench.respsel("export", "a.toml", "--format", "messages", "--out", "out").code == 0
    assert [path.read_text() for path in mine] == ["mine"] * 3
    assert not (bench.folder / "out/messages/.train.jsonl.part").exists()


def test_another_recipes_set_is_not_replaced(bench: Bench) -> None:
    """Two recipes that export to one folder do not take each other's files."""
    bench.write("b.toml", bench.recipe.read_bytes())
    for name in ("a.toml", "b.toml"):
        bench.respsel("apply", name, "--strategy", "human")
    assert bench.respsel("export", "a.toml", "--format", "messages", "--out", "out").code == 0
    done = bench.respsel("export", "b.toml", "--format", "messages", "--out", "out")
    assert done.code == 2
    assert "a training set of another recipe, a.toml" in done.err


def test_a_changed_set_is_neither_replaced_nor_passed_off(bench: Bench) -> None:
    """A byte that differs is seen, whatever the size, and what a user changed is not
    overwritten.
    """
    bench.respsel("apply", "a.toml", "--strategy", "human")
    bench.respsel("export", "a.toml", "--format", "messages")
    data = bench.folder / "runs/a/training/messages/train.jsonl"
    before = data.read_bytes()
    data.write_bytes(before.replace(b"plus", b"PLUS"))
    done = bench.respsel("export", "a.toml", "--format", "messages")
    assert done.code == 2
    assert "train.jsonl was changed since it was exported" in done.err
    assert b"PLUS" in data.read_bytes()
    data.unlink()
    assert bench.respsel("export", "a.toml", "--format", "messages").code == 0
    assert data.read_bytes() == before


def test_a_card_that_was_filled_in_stays(bench: Bench) -> None:
    """While the set is the same it is left as it is; when it becomes another one it is kept beside
    the new one.
    """
    bench.respsel("apply", "a.toml", "--strategy", "human")
    bench.respsel("export", "a.toml", "--format", "messages")
    card = bench.folder / "runs/a/training/messages/README.md"
    card.write_text(card.read_text().replace("license: unknown", "license: mit"))
    bench.respsel("export", "a.toml", "--format", "messages")
    assert "license: mit" in card.read_text()
    bench.recipe.write_text(bench.recipe.read_text() + "# a remark\n")
    bench.respsel("export", "a.toml", "--format", "messages")
    assert "license: unknown" in card.read_text()
    assert "license: mit" in card.with_name("README.former.md").read_text()


def test_a_failure_between_two_files_locks_nothing(bench: Bench) -> None:
    """When a file cannot take its place, the next export knows the folder for its own and completes
    it.
    """
    bench.respsel("apply", "a.toml", "--strategy", "human")
    code = (
        "import os, sys\nreplace, count = os.replace, 0\n"
        "def failing(*args):\n    global count\n    count += 1\n"
        "    if count == 2: raise PermissionError(13, 'in use')\n    return replace(*args)\n"
        "os.replace = failing\nfrom respsel.cli import app\n"
        "sys.argv = ['respsel', 'export', 'a.toml', '--format', 'messages', '--out', "
        "'out']\napp()\n"
    )
    done = python(bench.folder, code)
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    again = (
        "import sys, respsel.training.export as w\n"
        "def failing(*args): raise OSError(28, 'full')\n"
        "w._write_data = failing\nfrom respsel.cli import app\n"
        "sys.argv = ['respsel', 'export', 'a.toml', '--format', 'messages', '--out', "
        "'out']\napp()\n"
    )
    assert "cannot be written" in python(bench.folder, again).stderr
    assert bench.respsel("export", "a.toml", "--format", "messages", "--out", "out").code == 0
    assert not list((bench.folder / "out/messages").glob(".*"))


def test_a_failed_call_is_left_out_named_and_asked_again(bench: Bench) -> None:
    """A response whose call failed is counted as left out; the next apply asks for just
    that one.
    """
    code = (
        "import sys\nfrom respsel.backends import fake\nfrom respsel.backends.contract import "
        "Failure\n"
        "generate = fake.FakeModel.generate\n"
        "def failing(self, calls):\n"
        "    for index, answer in generate(self, calls):\n"
        "        yield index, Failure('out of luck') if index == 4 else answer\n"
        "fake.FakeModel.generate = failing\n"
        "from respsel.cli import app\n"
        "sys.argv = ['respsel', 'apply', 'a.toml', '--strategy', 'teacher', '--json']\napp()\n"
    )
    done = python(bench.folder, code)
    (counts,) = json.loads(done.stdout)["counts"]
    assert (counts["kept"], counts["dropped"]) == (11, {"the call failed": 1})
    # What there is can be exported, and gc leaves it.
    assert bench.respsel("cache", "gc", "--yes").code == 0
    assert bench.respsel("export", "a.toml", "--format", "messages").code == 0
    again = bench.respsel("apply", "a.toml", "--strategy", "teacher", "--json").json
    assert (again["calls_made"], again["counts"][0]["kept"]) == (1, 12)


def test_a_verdict_with_a_failed_call_in_it_counts(bench: Bench) -> None:
    """A call that always fails keeps its step from being done, not its verdict from being applied,
    exported or reported.
    """
    code = (
        "import sys\nfrom respsel.backends import fake\nfrom respsel.backends.contract import "
        "Failure\n"
        "generate = fake.FakeModel.generate\n"
        "def failing(self, calls):\n"
        "    for index, answer in generate(self, calls):\n"
        "        asked = calls[index].messages[0].content\n"
        "        yield index, Failure('not this one') if '3 plus 3' in asked else answer\n"
        "fake.FakeModel.generate = failing\nfrom respsel.cli import app\n"
        "sys.argv = ['respsel', *{arguments}]\napp()\n"
    )
    bench.edit('answer = "number"\n', "")
    bench.edit("sample = 6\n", "")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return python(bench.folder, code.replace("{arguments}", repr(arguments)))

    assert run("run", "a.toml").returncode == 0
    assert run("report", "a.toml").returncode == 0
    done = run("apply", "a.toml", "--accept-undecided", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["basis"] == "undecided verdict"
    assert run("cache", "gc", "--yes").returncode == 0
    assert run("export", "a.toml", "--format", "messages").returncode == 0
    card = (bench.folder / "runs/a/training/messages/README.md").read_text()
    assert "undecided** at 95%" in card
    # It goes with the recipe as it was run: another one has no verdict.
    bench.edit("resamples = 500", "resamples = 600")
    assert "no verdict on the recipe as it stands now" in run("apply", "a.toml").stderr


def test_the_formats_of_the_command_are_those_there_are() -> None:
    """No format is missing from --format."""
    from respsel.cli.training import ExportFormat

    assert [kind.value for kind in ExportFormat] == list(FORMATS)
