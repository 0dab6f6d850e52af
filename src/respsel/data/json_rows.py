"""JSON texts to rows: an object a line, a list of objects, or an object of rows as pandas writes.

Knows nothing of files and columns' meaning. Invariants: every fault has its line. A row that nests
too deeply to be written again is a fault. One row of lines or of a list is in the memory at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from respsel.data.json_shapes import object_rows
from respsel.data.json_text import DEEPEST, ListReader, parse, too_deep
from respsel.data.lines import Text
from respsel.data.rows import FileRow
from respsel.errors import MOST_PROBLEMS, InputError, Problem, raise_problems

_HEAD = 1 << 20
_KINDS: dict[type, str] = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}


def json_rows(text: Text, lines: bool) -> Iterator[FileRow]:
    """Yield a JSON text's rows.

    Raises InputError.

    lines: whether the file's ending stands for lines, if the text itself does not show it.
    """
    if _is_lines(text, lines):
        yield from _line_rows(text)
    elif _beginning(text).lstrip().startswith("["):
        yield from _as_rows(ListReader(text, _HEAD).items(), text.shown)
    else:
        yield from _as_rows(
            object_rows(parse(text.whole(), text.shown, ""), text.shown), text.shown
        )


def looks_like_json(text: Text) -> bool:
    """Whether a text that may be CSV is JSON: its first line or all of it is an object or list."""
    beginning = _beginning(text)
    first = next((line for line in beginning.split("\n") if line.strip()), "")
    return first.lstrip()[:1] in ("{", "[") and (
        _parses(first) or _parses(_all_of(text, beginning))
    )


def _beginning(text: Text) -> str:
    """The beginning of the text, which may end within the first line."""
    return next((chunk for chunk in text.chunks(_HEAD) if chunk.strip()), "")


def _all_of(text: Text, beginning: str) -> str:
    """The whole text, if it is not too long to be read whole."""
    try:
        return beginning if len(beginning) < _HEAD else text.whole()
    except InputError:
        return ""


def _is_lines(text: Text, lines: bool) -> bool:
    beginning = _beginning(text)
    if (
        beginning.lstrip().startswith("[")
        and "\n" not in beginning.lstrip()
        and len(beginning) == _HEAD
    ):
        # A list in one line, longer than what is looked at here.
        return False
    head = [line for _, line in islice(text.filled(), 2)]
    first = head[0].strip() if head else ""
    if len(head) < 2:
        return lines and not first.startswith("[")
    if first in ("[", "{"):
        return False
    if _parses(first):
        return True
    second = head[1].lstrip()
    if first.startswith("{"):
        # This may be a line with a fault in it, or the first line of an object of several lines.
        return second.startswith("{") and (
            first.endswith("}") or (lines and not first.endswith("["))
        )
    return lines and not first.startswith("[")


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _line_rows(text: Text) -> Iterator[FileRow]:
    problems: list[Problem] = []
    for number, ended in text.filled():
        where = f"line {number}"
        line = ended.removesuffix("\n")
        try:
            # Few brackets cannot nest deeply, and counting them takes no time.
            may_be_deep = line.count("[") + line.count("{") > DEEPEST
            yield _as_row(parse(line, text.shown, where), text.shown, where, may_be_deep)
        except InputError as error:
            problems += error.problems
            if len(problems) > MOST_PROBLEMS:
                break
    raise_problems(problems)


def _as_rows(named: Iterable[tuple[str, Any]], shown: str) -> Iterator[FileRow]:
    problems: list[Problem] = []
    for where, item in named:
        try:
            yield _as_row(item, shown, where, True)
        except InputError as error:
            problems += error.problems
            if len(problems) > MOST_PROBLEMS:
                break
    raise_problems(problems)


def _as_row(value: Any, shown: str, where: str, may_be_deep: bool) -> FileRow:
    if not isinstance(value, dict):
        what = f"is {_KINDS.get(type(value), 'a number')}, not an object"
        raise InputError(Problem(shown, where, what, 'Write each row as {"id": ..., ...}'))
    if may_be_deep and _is_deep(value):
        raise InputError(too_deep(shown, where))
    return FileRow(where, value)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        # As a loop over levels: recursion could fail for the very reason that this looks for.
        inner: list[Any] = []
        for item in level:
            inner += item.values() if isinstance(item, Mapping) else item
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return False
    return True
