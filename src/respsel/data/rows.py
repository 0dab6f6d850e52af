"""A row of a data file, and the text in it under a column's name or a dotted path.

Knows nothing of file formats. Invariant: a text is used only if the user can mean no other. An
object, or several different texts, is a problem that names the path of one of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respsel.errors import Problem, close_match, name_list, suggest
from respsel.hashing import canonical_json, digest

_BREAK = re.compile(r"[.\[]")
_INDEX = re.compile(r"\[(-?\d{1,9})\]|(-?\d{1,9})(?=$|[.\[])")
_ID_CHARACTERS = 16
# Each part of a path is looked for in several ways, so a longer path would take minutes.
_LONGEST_PATH = 2000
# The roles of turns in OpenAI's messages, ShareGPT's conversations and Gemini's contents.
_ASKERS = ("user", "human")
_ANSWERERS = ("assistant", "gpt", "model", "chatgpt", "bot")
_OTHERS = ("system", "tool", "function", "developer", "observation")


class _Absent:
    """Stands for a column that a row does not have, which is not a null."""


ABSENT = _Absent()


@dataclass(frozen=True)
class FileRow:
    """A row of a data file.

    where: its place in the file: "line 7" or "row 7".
    fields: by column, its values.
    is_whole: whether it has all columns of the file.
    is_filled: whether its objects may have nulls for keys that only other rows' objects have.
    """

    where: str
    fields: Mapping[str, Any]
    is_whole: bool = True
    is_filled: bool = False


def find_value(value: Any, path: str) -> Any:
    """Return the value at a path such as `answers.text` or `messages[1].content`, or ABSENT.

    A name that contains the dots itself comes first. Everything in a null, or behind the end of a
    list, is null.
    """
    if isinstance(value, Mapping):
        if path in value:
            return value[path]
        if len(path) > _LONGEST_PATH:
            return ABSENT
        for stop in reversed([found.start() for found in _BREAK.finditer(path)]):
            if path[:stop] in value:
                inner = find_value(value[path[:stop]], path[stop:].removeprefix("."))
                if inner is not ABSENT:
                    return inner
        return ABSENT
    if value is None:
        return None
    if isinstance(value, list) and (found := _INDEX.match(path)):
        index = int(found[1] or found[2])
        rest = path[found.end() :].removeprefix(".")
        if not -len(value) <= index < len(value):
            return None
        return find_value(value[index], rest) if rest else value[index]
    return ABSENT


def row_id(fields: Mapping[str, Any]) -> str:
    """The id of a row that has none: the digest of its content, whatever its columns' order."""
    return digest("row", canonical_json(dict(fields)))[:_ID_CHARACTERS]


def has_column(rows: Sequence[FileRow], path: str) -> bool:
    """Whether some row has something at a path."""
    return any(find_value(row.fields, path) is not ABSENT for row in rows)


def is_blank(value: Any) -> bool:
    """Whether a value says nothing.

    That is null, blank text, an empty list or object, and a list of nulls and blank texts.
    """
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, list):
        return all(item is None or (isinstance(item, str) and not item.strip()) for item in value)
    return value is None or value == {}


def text_of(value: Any) -> str | None:
    """A single value as text, numbers and booleans as JSON; None for a list, object or null."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, (int, float)) else None


def text_field(
    row: FileRow,
    column: str,
    shown: str,
    problems: list[Problem],
    required: bool = True,
    remedy: str = "Fill it in or take the row out",
) -> str | None:
    """Return a column as text, or None after noting the problem.

    A list of one text, or of the same text several times, is this text.

    required: a missing or empty column is a problem too. remedy: what to do about an empty one.
    """
    value = find_value(row.fields, column)
    if value is ABSENT:
        if required:
            problems.append(absent(row, column, shown))
        return None
    if is_blank(value):
        if required:
            problems.append(Problem(shown, row.where, f"column '{column}' is empty", remedy))
        return None
    one = _only(value) if isinstance(value, list) else value
    text = text_of(one)
    if text is None:
        what, advice = _many(value, column) if isinstance(value, list) else _object(value, column)
        problems.append(Problem(shown, row.where, f"column '{column}' {what}", advice))
        return None
    return text


def wrong_turn(row: FileRow, column: str, asked: bool, shown: str) -> Problem | None:
    """The problem of a path to a turn of the wrong role.

    Hazard: some conversations begin with a system's turn. Then one place is the question in some
    rows and the answer in others, and the model would be trained to ask.

    asked: whether it should be the user's turn; else the assistant's.
    """
    stop = next(_stops(column), 0)
    turn = find_value(row.fields, column[:stop]) if stop else None
    role = turn.get("role", turn.get("from")) if isinstance(turn, Mapping) else None
    expected, name = (_ASKERS, "user") if asked else (_ANSWERERS, "assistant")
    if role in expected or role not in (*_ASKERS, *_ANSWERERS, *_OTHERS):
        return None
    what = f"column '{column}' is a turn of role '{role}' here, not the {name}'s"
    remedy = "Name a place that is the same turn in every row, or take such rows out"
    return Problem(shown, row.where, what, remedy)


def absent(row: FileRow, column: str, shown: str) -> Problem:
    """The problem of a row without a column."""
    hint = _nearest_path(row.fields, column) or suggest(column, row.fields)
    return Problem(shown, row.where, f"has no column '{column}'", hint)


def _only(items: Sequence[Any]) -> Any:
    """The only value of a list, however often it has it; None if there are several."""
    distinct = {json.dumps(item, sort_keys=True): item for item in items if item is not None}
    return next(iter(distinct.values())) if len(distinct) == 1 else None


def _many(items: Sequence[Any], column: str) -> tuple[str, str]:
    """What is wrong with a list of several values, and what to do."""
    turns = [item for item in items if isinstance(item, Mapping)]
    if any(isinstance(item, list) for item in items):
        return "is a list of lists, not text", f"Name a part of it, such as '{column}.0.0'"
    if not turns:
        return "holds several different texts", f"Name one of them, such as '{column}.0'"
    part = next(
        (name for name in ("content", "value", "text") if name in turns[0]),
        next(iter(turns[0]), "..."),
    )
    roles = [str(turn.get("role", turn.get("from", ""))) for turn in turns]
    if (start := next((i for i, role in enumerate(roles) if role in _ASKERS), None)) is None:
        return "is a list of objects, not text", f"Name a part of it, such as '{column}.0.{part}'"
    question = f"{column}.{start}.{part}"
    answer = f"{column}.{start + 1}.{part}"
    return (
        "is a conversation, not text",
        f"Name a turn: here '{question}' is the first question, '{answer}' its answer. A dataset "
        "of conversations has 'messages' in place of 'input'",
    )


def _object(value: Mapping[str, Any], column: str) -> tuple[str, str]:
    """What is wrong with an object in place of a text, and what to do."""
    if set(value) == {"bytes"}:
        return "holds bytes that are not text", "Give text"
    part = next(
        (name for name in ("text", "content", "value") if name in value), next(iter(value), "...")
    )
    return "is an object, not text", f"Name a part of it, such as '{column}.{part}'"


def _nearest_path(fields: Mapping[str, Any], column: str) -> str:
    """What a dotted path may mean, if the row has its beginning."""
    for stop in _stops(column):
        outer = column[:stop]
        rest = column[stop:].lstrip(".")
        value = find_value(fields, outer)
        if isinstance(value, list):
            return f"'{outer}' is a list: say which part of it, such as '{outer}.0.{rest}'"
        if isinstance(value, Mapping) and value:
            close = close_match(rest, [str(name) for name in value])
            return close or f"Known in '{outer}': {name_list(sorted(map(str, value)))}"
        if value is not ABSENT:
            return f"'{outer}' is a text, which has no parts"
    return ""


def _stops(path: str) -> Iterator[int]:
    if len(path) <= _LONGEST_PATH:
        yield from reversed([found.start() for found in _BREAK.finditer(path) if found.start()])
