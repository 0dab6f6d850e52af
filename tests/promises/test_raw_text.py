"""Promise: text from data and servers reaches the terminal as text; it moves no cursor, hides
nothing, forges no message.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from respsel.text.characters import one_line, told, visible
from tests.conftest import Bench, jsonl, rows

# Clear the screen; set the window's title; turn text around; go back to the line's beginning; a C1
# introducer; ring.
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\r\x9b31mred\u2066x"
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
BIDIRECTIONAL = list("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def assert_plain(text: str) -> None:
    found = [char for char in [*CONTROLS, *BIDIRECTIONAL, "\u2028", "\u2029"] if char in text]
    assert not found


@pytest.mark.parametrize("char", [*CONTROLS, *BIDIRECTIONAL])
def test_a_control_character_is_shown_as_an_escape(char: str) -> None:
    """Nothing of it is left, and what stands around it is as it was."""
    assert_plain(visible(f"a{char}b"))
    assert visible(f"a{char}b").startswith("a\\")
    assert visible(f"a{char}b").endswith("b")


def test_plain_text_stays() -> None:
    """Letters of all scripts, emoji, line ends and tabs are no control characters."""
    text = "Größe\t数\n\N{FAMILY}\u200d\N{GIRL} e\u0301 \u05d0"
    assert visible(text) == text
    assert one_line("a\nb") == "a\\nb"


def test_errors_hold_no_control_characters(bench: Bench) -> None:
    """A hostile id in a message of what is wrong with a data file, and a line break that would
    begin a second message.
    """
    items = rows(3)
    items[1]["id"] = items[2]["id"] = f"{HOSTILE}\nerror: a.toml: all is well"
    bench.write("sums.jsonl", jsonl(items))
    done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert_plain(done.err)
    assert "owned" in done.err
    assert sum(line.startswith("error:") for line in done.err.splitlines()) == 1


def test_diffs_and_reports_hold_no_control_characters(bench: Bench) -> None:
    """Texts side by side, explanations and the report on standard output."""
    items = rows(12)
    bench.write("sums.jsonl", jsonl(items))
    bench.run()
    for item in items:
        item["rationale"] = f"{HOSTILE} {item['rationale']}"
    bench.write("sums.jsonl", jsonl(items))
    assert bench.respsel("run", "a.toml", env={"NO_COLOR": "1"}).code == 0
    for command in (
        ["diff", "a.toml"],
        ["explain", "a.toml"],
        ["report", "a.toml", "--format", "md"],
        ["plan", "a.toml"],
    ):
        done = bench.respsel(*command, env={"NO_COLOR": "1"})
        assert done.code == 0, done.err
        assert_plain(done.out)
        assert_plain(done.err)
    for command in (
        ["diff", "a.toml", "--json"],
        ["report", "a.toml", "--format", "json"],
        ["report", "a.toml", "--format", "html"],
    ):
        done = bench.respsel(*command)
        assert_plain(done.out)
        assert "\\u202e" in done.out
        if "html" not in command:
            assert "\u202e" in json.dumps(json.loads(done.out), ensure_ascii=False)
    for page in (bench.folder / "runs/a").glob("report.*"):
        assert_plain(page.read_text("utf-8"))


@pytest.mark.parametrize(
    "typed",
    [
        ["run", f"{HOSTILE}.toml"],
        [f"--{HOSTILE}"],
        [HOSTILE],
        ["run", "a.toml", HOSTILE],
        ["diff", HOSTILE],
    ],
)
def test_what_was_typed_is_shown_without_control_characters(bench: Bench, typed: list[str]) -> None:
    """A command, option or file that there is not is repeated in the error, as text."""
    done = bench.respsel(*(part.replace("\x00", "") for part in typed))
    assert done.code == 2
    assert_plain(done.out + done.err)
    assert "owned" in done.err


def test_a_traceback_holds_no_control_characters_and_no_second_message(bench: Bench) -> None:
    """What a bug's error says may come from data: it is indented, so that none of its lines begins
    a message.
    """
    code = (
        "import sys\nfrom respsel.cli import app, inspect\n"
        f"def broken(*_): raise KeyError({HOSTILE + chr(10)!r} + 'error: a.toml: all is well')\n"
        "import respsel.graph\nrespsel.graph.build_graph = broken\n"
        "from respsel.cli.app import main\nsys.argv = ['respsel', 'plan', 'a.toml']\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=bench.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 70, done.stderr
    assert_plain(done.stderr)
    assert [line for line in done.stderr.splitlines() if line.startswith("error:")] == [
        "error: This is a bug in respsel. Please report it with the lines above."
    ]


def test_text_in_markdown_begins_no_line_and_no_markup() -> None:
    """What a server or a column says forges no heading, cell, HTML or link in a report
    or a card.
    """
    assert (
        told("a\n# b | <img src=x> [y](http://z)") == "a\\n# b \\| &lt;img src=x> [y]\\(http://z)"
    )
