"""A row's fields: dotted paths, the one text of a list, and remedies that work."""

from __future__ import annotations

from typing import Any

import pytest

from respsel.data.rows import ABSENT, FileRow, find_value, row_id, text_field
from respsel.errors import Problem

TURNS = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "So."},
]
FIELDS: dict[str, Any] = {
    "id": 1,
    "a.b": "dotted name",
    "a": {"b": "inner", "c": {"d": "deep"}},
    "a.c": {"e": "beside"},
    "turns": TURNS,
    "answers": {"text": ["Paris", "Paris"], "start": [3, 9]},
    "several": ["4", "four"],
    "matrix": [[1, 2], [3, 4]],
    "spans": [{"x": 1}],
    "nothing": None,
    "blanks": [None, " "],
    "one": [7],
    "image": {"bytes": 12},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b", "dotted name"),
        ("a.c.d", "deep"),
        ("a.c.e", "beside"),
        ("turns.1.content", "Why?"),
        ("turns[1].content", "Why?"),
        ("turns.-1.content", "So."),
        ("turns[-1].role", "assistant"),
        ("matrix[1][0]", 3),
        ("matrix.1.0", 3),
        ("turns.9.content", None),
        ("nothing.at.all", None),
        ("a.x", ABSENT),
        ("turns.content", ABSENT),
        ("id.x", ABSENT),
        ("turns.99999999999999.content", ABSENT),
    ],
)
def test_a_path_names_a_part(path: str, value: Any) -> None:
    """Dots and brackets go into objects and lists; a column that has the dots in its name comes
    first.
    """
    assert find_value(FIELDS, path) == value


def text(column: str, required: bool = True) -> str | None:
    problems: list[Problem] = []
    found = text_field(FileRow("line 1", FIELDS), column, "a", problems, required)
    return found if not problems else str(problems[0]).removeprefix("a: line 1: ")


@pytest.mark.parametrize(
    ("column", "found"),
    [
        ("answers.text", "Paris"),
        ("one", "7"),
        ("id", "1"),
        (
            "several",
            "column 'several' holds several different texts. Name one of them, such as "
            "'several.0'.",
        ),
        ("several.1", "four"),
        (
            "answers",
            "column 'answers' is an object, not text. Name a part of it, such as 'answers.text'.",
        ),
        (
            "spans",
            "column 'spans' is a list of objects, not text. Name a part of it, such as "
            "'spans.0.x'.",
        ),
        (
            "matrix",
            "column 'matrix' is a list of lists, not text. Name a part of it, such as "
            "'matrix.0.0'.",
        ),
        ("image", "column 'image' holds bytes that are not text. Give text."),
        ("blanks", "column 'blanks' is empty. Fill it in or take the row out."),
        (
            "turns.content",
            "has no column 'turns.content'. 'turns' is a list: say which part of it, such as "
            "'turns.0.content'.",
        ),
        ("answers.txt", "has no column 'answers.txt'. Did you mean 'text'?"),
        ("id.part", "has no column 'id.part'. 'id' is a text, which has no parts."),
        (
            "turns",
            "column 'turns' is a conversation, not text. "
            "Name a turn: here 'turns.1.content' is the first question, 'turns.2.content' its "
            "answer. A dataset of conversations has 'messages' in place of 'input'.",
        ),
    ],
)
def test_a_text_is_taken_where_only_one_can_be_meant(column: str, found: str) -> None:
    """A list of one text is this text; of what is no text, the message names a path that is."""
    assert text(column) == found


def test_what_is_not_required_may_be_empty_and_still_no_object() -> None:
    """An empty or missing text is nothing; several texts are a problem all the same."""
    assert text("nothing", required=False) is None
    assert text("unknown", required=False) is None
    assert "several different texts" in str(text("several", required=False))


def test_the_digest_of_a_row_is_of_its_content() -> None:
    """The order of columns is not part of it, every value is."""
    assert row_id({"a": 1, "b": "x"}) == row_id({"b": "x", "a": 1}) != row_id({"a": 1, "b": "y"})
    assert len(row_id(FIELDS)) == 16
