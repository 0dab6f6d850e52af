"""The help of each command: short and long, with an example that works."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from respsel.cli import app
from tests.conftest import Bench


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    inner = getattr(command, "commands", {})
    if not inner:
        yield path, command
    for name, item in inner.items():
        yield from _commands(item, (*path, name))


COMMANDS = dict(_commands(get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_ends_its_help_with_an_example(path: tuple[str, ...]) -> None:
    """It is a line of its own, names the command, and its options are those that there are."""
    command = COMMANDS[path]
    line = (command.help or "").strip().splitlines()[-1]
    assert line.startswith("Example: respsel ")
    assert len(line) <= 76
    words = shlex.split(line.removeprefix("Example: respsel "))
    assert tuple(words[: len(path)]) == path
    command.make_context("respsel", words[len(path) :])


def test_each_command_for_a_recipe_takes_a_changed_one() -> None:
    """Errors and texts name commands with these options."""
    for path, command in COMMANDS.items():
        names = {option for item in command.params for option in item.opts}
        if any(item.metavar == "RECIPE" for item in command.params):
            assert {"--set", "--limit"} <= names, path


@pytest.mark.parametrize("words", [[], ["run"], ["cache"], ["cache", "gc"], ["completion"]])
def test_help_has_a_short_name_at_every_level(bench: Bench, words: list[str]) -> None:
    """-h is --help."""
    short = bench.respsel(*words, "-h")
    assert short.code == 0
    assert short.out == bench.respsel(*words, "--help").out


def test_a_quiet_command_says_where_its_file_is(bench: Bench) -> None:
    """One path on standard output, and nothing on standard error."""
    done = bench.respsel("run", "a.toml", "-q")
    assert (done.code, done.err) == (0, "")
    assert done.out.strip().endswith("report.html")
    assert len(done.out.splitlines()) == 1
    page = bench.respsel("report", "a.toml", "--quiet")
    assert (page.out, page.err) == (done.out, "")
    applied = bench.respsel("apply", "a.toml", "-q", "--strategy", "human")
    assert (len(applied.out.splitlines()), applied.err) == (1, "")
    exported = bench.respsel("export", "a.toml", "-q", "--format", "messages")
    assert (len(exported.out.splitlines()), exported.err) == (1, "")


def test_a_quiet_command_still_tells_errors(bench: Bench) -> None:
    """They are all that there is."""
    bench.edit("prompt =", "promt =")
    done = bench.respsel("run", "a.toml", "-q")
    assert (done.code, done.out) == (2, "")
    assert "unknown key" in done.err


def test_a_verbose_run_tells_each_step(bench: Bench) -> None:
    """Those that are made, and those that are found, with the time; the answer is the same."""
    first = bench.respsel("run", "a.toml", "-v")
    assert " s] made  responses:sums/human" in first.err
    again = bench.respsel("run", "a.toml", "--verbose")
    assert " s] found responses:sums/human" in again.err
    assert "Report: " in again.out


def test_quiet_and_verbose_exclude_each_other(bench: Bench) -> None:
    """Nothing is begun."""
    done = bench.respsel("run", "a.toml", "-q", "-v")
    assert done.code == 2
    assert "Give one of them" in done.err


def test_a_misspelt_choice_is_told_its_neighbour() -> None:
    """In plain words."""
    done = CliRunner().invoke(app, ["export", "a.toml", "--format", "mesages"])
    assert done.exit_code == 2
    assert "Value error" not in done.output
    assert "'mesages' is not one of" in done.output
    assert "Did you mean 'messages'?" in done.output


def test_help_without_a_command_has_lines() -> None:
    """Bare `respsel` and `respsel cache` show what `-h` shows."""
    for args in ([], ["cache"]):
        bare = CliRunner().invoke(app, args).output
        assert "\\n" not in bare
        assert bare == CliRunner().invoke(app, [*args, "-h"]).output
