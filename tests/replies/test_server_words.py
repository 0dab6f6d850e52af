"""What servers say in errors, in one line."""

from __future__ import annotations

import time
from typing import Any

import pytest

from respsel.replies.server_words import one_line, page_words, words_of

FIELD = {"loc": ["body", "top_k"], "msg": "not permitted", "input": {"messages": ["a secret"]}}
BEHIND = {
    "message": "Provider returned error",
    "metadata": {"raw": '{"error": {"message": "too hot"}}'},
}
PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Access &amp; login</title><style>p { color: red }</style>"
    "<script>let x = '<p>no</p>'</script></head><body><h1>Log in</h1> <p>with your "
    "card</p></body></html>"
)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"error": {"message": "no\nsuch thing", "code": 404}}, "no such thing"),
        ({"error": "no such thing"}, "no such thing"),
        ({"object": "error", "message": "no such thing", "code": 40301}, "no such thing"),
        ({"detail": "no such thing"}, "no such thing"),
        ({"detail": [FIELD]}, "top_k: not permitted"),
        ({"message": "no such thing"}, "no such thing"),
        ({"error_code": 17, "error_msg": "no such thing"}, "no such thing"),
        ({"errors": [{"message": "one"}, {"message": "two"}]}, "one; two"),
        (
            [{"error": {"code": 400, "message": "no such thing", "status": "INVALID_ARGUMENT"}}],
            "no such thing",
        ),
        ({"error": BEHIND}, "Provider returned error: too hot"),
        ({"error": {"code": "content_filter"}}, "content_filter"),
        ({"error": {"message": PAGE}}, "Access & login: Log in with your card"),
        ({"what": 1}, '{"what": 1}'),
        ("plain words", "plain words"),
        (PAGE, "Access & login: Log in with your card"),
        ([], "[]"),
    ],
)
def test_an_error_in_its_own_words(document: Any, told: str) -> None:
    """Of every shape the words, in one line, without the request that it repeats."""
    assert words_of(document) == told


def test_control_characters_are_no_words() -> None:
    """Escape sequences and marks that turn the direction of writing reach no terminal."""
    assert one_line("a\x1b[31m\u202eb\x00\u200b c\ud800\n\td") == "a[31mb c? d"


@pytest.mark.parametrize(
    "text",
    ["<html>" + "<" * 1_000_000, "<script>" * 200_000, "<title" * 200_000, "<p " + "a" * 1_000_000],
)
def test_a_page_takes_no_time(text: str) -> None:
    """A long and broken page is read in linear time, and only its beginning."""
    begun = time.perf_counter()
    assert len(page_words(text)) < 20_200
    assert time.perf_counter() - begun < 1


def test_deep_nesting_is_no_bug() -> None:
    """Whatever a server sends."""
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    assert words_of(deep)
