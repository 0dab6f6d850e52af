"""Promise: a user's own pattern ends in bounded time and memory, names the example that it hung on,
and loses nothing.
"""

from __future__ import annotations

import time

import pytest

from respsel.answers import PatternTimeoutError, find_answer, patterns
from respsel.recipe.schema import LONGEST_PATTERN, AnswerEntry
from tests.conftest import Bench, jsonl, rows

CHECK = 'answer = { kind = "regex", pattern = "PATTERN" }'


def find(pattern: str, text: str) -> str | None:
    return find_answer(AnswerEntry(kind="regex", pattern=pattern), text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(a+)+$", "a" * 40 + "b"),
        (r"(a|a)*c", "a" * 60),
        (r"(\s*\S*)*x$", "ab " * 50),
        (r"(.*)(.*)(.*)(.*)=$", "x" * 20_000),
        (r"((a{1,1000}){1,1000}){1,1000}b", "a" * 3000),
    ],
)
def test_a_pattern_that_explodes_is_stopped(pattern: str, text: str) -> None:
    """Repetitions in repetitions end at the limit of processor time; the next text is read all the
    same.
    """
    began = time.monotonic()
    with pytest.raises(PatternTimeoutError, match="the pattern took longer than 5 s"):
        patterns.last_match(pattern, text, 0.3)
    assert time.monotonic() - began < 60
    assert patterns.last_match(r"(\d+)", "1 and 2") == "2"


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (r"A: (\w+)", "A: 1\nA: zwölf", "zwölf"),
        (r"(x)?(y)", "xy y", "y"),
        (r"\d+", "no", None),
        (r"[[a]+", "[a", "[a"),
        (r".", "a\ud800", "\ud800"),
        (r"(?s).+", "a\n\x00\u2028\rb", "a\n\x00\u2028\rb"),
        (r"", "ab", ""),
        (r"(\d+)\s*$", "1 " * 500 + "7" + "\n" * 500, "7"),
    ],
)
@pytest.mark.filterwarnings("ignore:Possible nested set")
def test_a_pattern_finds_what_it_always_found(pattern: str, text: str, found: str | None) -> None:
    """Python's own re reads it: the last match's first group that is not empty, in texts of all
    characters.
    """
    assert find(pattern, text) == found


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(" * 5000 + ")" * 5000, "nested too deeply"),
        ("a{99999999999999}", "not a regular expression"),
        ("(", "not a regular expression"),
        ("a|" * LONGEST_PATTERN, "may have 10,000"),
    ],
    ids=["nested", "overflow", "open", "long"],
)
def test_a_pattern_that_cannot_be_used_is_an_error_of_the_recipe(pattern: str, said: str) -> None:
    """Too deep, too long, too many: each is told when the recipe is read."""
    with pytest.raises(ValueError, match=said):
        AnswerEntry(kind="regex", pattern=pattern)


def test_the_example_is_named_and_nothing_is_lost(bench: Bench) -> None:
    """A run that hangs on one response ends with one error at the pattern's place; what models
    wrote is not asked again.
    """
    bench.edit('answer = "number"', CHECK.replace("PATTERN", r"(?:Answer: |= )(\\d+)"))
    first = bench.run()["calls_made"]
    items = rows(12)
    for item in items:
        item["rationale"] = "a" * 40 + "b"
    bench.write("sums.jsonl", jsonl(items))
    bench.edit(r"(?:Answer: |= )(\\d+)", "(a+)+$")
    done = bench.respsel("run", "a.toml")
    assert done.code == 1, done.err
    assert "dataset 'sums', answer.pattern: the pattern took longer than 5 s" in done.err
    assert "(strategy 'human'). Write it without a repetition inside a repetition" in done.err
    assert any(f"on example '{item['id']}'" in done.err for item in items)
    bench.edit("(a+)+$", "a(b)$")
    again = bench.respsel("run", "a.toml", "--json").json
    assert again["calls_made"] < first
