"""Promise: no encoding of the terminal ends a command: what cannot be shown is replaced, and JSON
and HTML lose nothing.
"""

from __future__ import annotations

import html
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import Bench, jsonl

RECIPE = """\
format = 1
[target]
model = "target"
[models.target]
backend = "fake"
[[datasets]]
name = "d"
path = "données.jsonl"
[[strategies]]
name = "one"
from = "column"
column = "größer"
[[strategies]]
name = "two"
from = "column"
column = "数"
[[metrics]]
name = "perplexity"
"""
ENCODINGS: dict[str, Mapping[str, str]] = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "strict latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "cp437": {"PYTHONIOENCODING": "cp437"},
    "C": {"LC_ALL": "C", "LANG": ""},
    "POSIX": {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}
encodings = pytest.mark.parametrize("env", ENCODINGS.values(), ids=ENCODINGS)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.write("é.toml", RECIPE)
    made.write("typo.toml", RECIPE.replace("größer", "größe"))
    rows = [
        {"id": f"{i}号", "input": "Wie groß?", "größer": f"zwei – {i} 🎉", "数": f"二 {i}"}
        for i in range(3)
    ]
    made.write("données.jsonl", jsonl(rows))
    return made


def respsel(bench: Bench, env: Mapping[str, str], *args: str) -> tuple[int, bytes, bytes]:
    """Run respsel as a user does, with bytes out; whatever encoding this test run has is not passed
    on.
    """
    rest = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL", "LANG")
    }
    command = [sys.executable, "-m", "respsel", *args]
    done = subprocess.run(
        command,
        cwd=bench.folder,
        capture_output=True,
        env={**rest, **env},
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", ["ascii", "strict latin-1", "POSIX"])
def test_every_command_ends_as_it_does_on_a_terminal_of_utf8(bench: Bench, name: str) -> None:
    """Exit codes are those of a UTF-8 terminal, no traceback is shown, and errors name their place
    in what can be shown.
    """
    for command, code in (
        ("run é.toml", 0),
        ("plan é.toml", 0),
        ("explain é.toml", 0),
        ("report é.toml --format md", 0),
        ("apply é.toml --strategy one", 0),
        ("export é.toml --format messages", 0),
        ("run typo.toml", 2),
        ("plan ö.toml", 2),
        ("export é.toml --format messages --out größe", 0),
        ("metrics", 0),
        ("cache ls", 0),
        ("größe", 2),
    ):
        found, out, err = respsel(bench, ENCODINGS[name], *command.split())
        assert found == code, (command, out, err)
        assert b"Traceback" not in err, command
    assert "zwei – 1 🎉" in (bench.folder / "größe/messages/train.jsonl").read_text("utf-8")
    assert "–" in (bench.folder / "runs/é/report.md").read_text("utf-8")


@encodings
def test_json_and_html_on_standard_output_lose_nothing(
    bench: Bench, env: Mapping[str, str]
) -> None:
    """Printed as JSON or HTML, a report and a plan say what the files say."""
    assert respsel(bench, env, "run", "é.toml", "--json")[0] == 0
    report = json.loads((bench.folder / "runs/é/report.json").read_text("utf-8"))
    printed = json.loads(respsel(bench, env, "report", "é.toml", "--format", "json")[1])
    assert printed["datasets"] == report["datasets"]
    assert printed["recipe_path"] == "é.toml"
    assert json.loads(respsel(bench, env, "plan", "é.toml", "--json")[1])["recipe"] == "é.toml"
    page = respsel(bench, env, "report", "é.toml", "--format", "html")[1]
    shown = page.decode(env.get("PYTHONIOENCODING", "utf-8").partition(":")[0])
    assert "Wie groß?" in html.unescape(shown)
    assert "号" in html.unescape(shown)


def test_what_ascii_lacks_is_shown_as_what_is_nearest_or_by_its_number(bench: Bench) -> None:
    """A dash becomes a hyphen, other characters escapes of a fixed width, on both streams."""
    env = {"PYTHONIOENCODING": "ascii"}
    out = respsel(bench, env, "run", "é.toml")[1].decode("ascii")
    assert " - " in out
    err = respsel(bench, env, "run", "typo.toml")[2].decode("ascii")
    assert "donn\\u00e9es.jsonl" in err
    assert "\\u53f7'" in err


def test_an_argument_that_is_no_utf8_is_named_and_is_no_bug(bench: Bench) -> None:
    """A path of bytes that are not UTF-8 is read, keyed and reported like any other."""
    bench.write("a.toml", RECIPE)
    os.rename(bench.folder / "a.toml", os.fsencode(bench.folder) + b"/gr\xf6.toml")
    command = [sys.executable.encode(), b"-m", b"respsel"]
    for args in (
        [b"plan", b"gr\xf6.toml"],
        [b"run", b"gr\xf6.toml", b"--json"],
        [b"report", b"gr\xf6.toml", b"--format", b"md"],
    ):
        done = subprocess.run(
            [*command, *args], cwd=bench.folder, capture_output=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "args", [["schema"], ["report", "é.toml", "--format", "json"], ["metrics"]]
)
def test_a_reader_that_has_gone_is_no_error(bench: Bench, args: list[str]) -> None:
    """`respsel ... | head -1` says nothing of pipes on standard error."""
    assert respsel(bench, {}, "run", "é.toml")[0] == 0
    command = [sys.executable, "-m", "respsel", *args]
    with subprocess.Popen(
        command, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(300) in (0, 1)


def test_output_that_is_no_terminal_has_no_colours_and_no_bars(bench: Bench) -> None:
    """Into a file or a pipe go plain lines, with NO_COLOR and without."""
    for env in ({}, {"NO_COLOR": "1"}, {"TERM": "dumb"}):
        code, out, err = respsel(bench, env, "run", "é.toml")
        assert code == 0
        assert b"\x1b" not in out + err
