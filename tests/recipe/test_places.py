"""Places as users know them: file, line, the entry's name, the key."""

from __future__ import annotations

import pytest

from respsel.recipe.key_paths import KeyPath
from respsel.recipe.places import Place, Source, file_source, plain_place
from respsel.recipe.toml import parse_toml

TEXT = b"""\xef\xbb\xbfformat = 1\r
[[strategies]]\r
name = "terse"\r
sampling = { temperature = 9 }\r
[[strategies]]\r
name = 3\r
[[metrics]]\r
name = "car"\r
label = "mine"\r
[[datasets]]\r
name = "sums"\r
label = "answer"\r
[models."a.b"]\r
backend = "fake"\r
"x y" = 1\r
"""
DATA = parse_toml(TEXT, "a.toml")


@pytest.mark.parametrize(
    ("path", "where"),
    [
        (("format",), "line 1, format"),
        (("strategies",), "line 2, strategies"),
        (("strategies", 0), "line 2, strategy 'terse'"),
        (("strategies", 0, "prompt"), "line 2, strategy 'terse', prompt"),
        (
            ("strategies", 0, "sampling", "temperature"),
            "line 4, strategy 'terse', sampling.temperature",
        ),
        (("strategies", 1, "of", 1), "line 5, strategy 2, of, item 2"),
        (("strategies", 7), "line 2, strategy 8"),
        (("metrics", 0, "k"), "line 7, metric 'mine', k"),
        (("datasets", 0, "label"), "line 12, dataset 'sums', label"),
        (("models", "a.b", "x y"), "line 15, model 'a.b', \"x y\""),
        (("models", "n\0", "path"), "line 13, model 'n\\x00', path"),
        (("judge", "examples", 0, "why"), "judge.examples, item 1, why"),
        ((), ""),
    ],
)
def test_a_place_has_its_line_and_name(path: KeyPath, where: str) -> None:
    """CRLF and a byte order mark count for nothing; what has no name has its number."""
    problem = Place(file_source("a.toml", DATA, TEXT), path).problem("is wrong", "Fix it")
    assert (problem.file, problem.where) == ("a.toml", where)


def test_a_place_may_come_from_another_file() -> None:
    """What was put together of several files, or was given as an option, says so."""
    of = {"format": ("base.toml", 3), "runs": ("--set runs", None)}
    source = Source("a.toml", {}, lambda path: of[str(path[0])] if path else ("a.toml", None))
    assert str(Place(source, ("format",)).problem("is wrong")) == (
        "base.toml: line 3, format: is wrong."
    )
    assert str(Place(source, ("runs",)).problem("is wrong")) == "--set runs: runs: is wrong."


def test_a_place_without_a_file_has_no_line() -> None:
    """Nothing is said of what is not known."""
    place = plain_place("a.toml", "metrics", 0)
    assert str(place.at("k").problem("is wrong")) == "a.toml: metric 1, k: is wrong."
    assert (place.at("k").name, plain_place("", "models", "m", "request").keys) == (
        "metric 1, k",
        "models.m.request",
    )
