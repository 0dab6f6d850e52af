"""JSON texts to rows: one object a line, a list of objects, or an object of rows as pandas and hubs write it.

Knows nothing of files and columns' meaning. Invariants: every fault has its line; a name that stands twice in an
object is a fault; what nests too deeply to be written again is a fault.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NoReturn

from respsel.data.json_shapes import object_rows
from respsel.data.rows import FileRow
from respsel.errors import MOST_PROBLEMS, InputError, Problem, raise_problems

# Far below Python's own limit, so that every row that is read can be written again.
_DEEPEST = 100
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_COLON = re.compile(r"\s*:")
_ONE_COMMA_MORE = re.compile(r",\s*\Z")
_FIX = "Fix it"
_KINDS: dict[type, str] = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
_CONSTANT = "no JSON value"
_JOINED = "A byte order mark inside the file: was it joined from two files?"


class _Twice(ValueError):
    """A name that stands twice in an object."""


def json_rows(text: str, shown: str, lines: bool) -> Iterator[FileRow]:
    """Yield a JSON text's rows. lines: what the file's ending says, for texts that do not tell. Raises InputError."""
    # Between values a bare carriage return is white space, and inside strings it is not allowed.
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    head = [line for _, line in islice(_lines(text), 2)]
    yield from _line_rows(text, shown) if _is_lines(head, lines) else _whole_rows(text, shown)


def looks_like_json(text: str) -> bool:
    """Whether a text that may be CSV is JSON: its first line, or all of it, is an object or a list."""
    first = next((line for _, line in _lines(text)), "")
    return first.lstrip()[:1] in ("{", "[") and (_parses(first) or _parses(text))


def _is_lines(head: Sequence[str], lines: bool) -> bool:
    first = head[0].strip() if head else ""
    if len(head) < 2:
        return lines and not first.startswith("[")
    if first in ("[", "{"):
        return False
    if _parses(first):
        return True
    second = head[1].lstrip()
    if first.startswith("{"):
        # A first line with a fault in it is told from the first line of an object over several lines.
        return second.startswith("{") and (first.endswith("}") or (lines and not first.endswith("[")))
    return lines and not first.startswith("[")


def _parses(text: str) -> bool:
    try:
        json.loads(text)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers.

    Not splitlines(): that also splits at U+2028, which JSON allows inside a string.
    """
    start, number = 0, 1
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if line.strip():
            yield number, line
        start, number = end + 1, number + 1


def _line_rows(text: str, shown: str) -> Iterator[FileRow]:
    problems: list[Problem] = []
    for number, line in _lines(text):
        where = f"line {number}"
        try:
            # Few brackets cannot nest deeply, and to count them takes no time.
            may_be_deep = line.count("[") + line.count("{") > _DEEPEST
            yield _as_row(_parse(line, shown, where), shown, where, may_be_deep)
        except InputError as error:
            problems += error.problems
            if len(problems) > MOST_PROBLEMS:
                break
    raise_problems(problems)


def _whole_rows(text: str, shown: str) -> Iterator[FileRow]:
    value = _parse(text, shown, "")
    problems: list[Problem] = []
    rows = enumerate(value, 1) if isinstance(value, list) else None
    named = [(f"row {number}", item) for number, item in rows] if rows else object_rows(value, shown)
    for where, item in named:
        try:
            yield _as_row(item, shown, where, True)
        except InputError as error:
            problems += error.problems
    raise_problems(problems)


def _as_row(value: Any, shown: str, where: str, may_be_deep: bool) -> FileRow:
    if not isinstance(value, dict):
        what = f"is {_KINDS.get(type(value), 'a number')}, not an object"
        raise InputError(Problem(shown, where, what, 'Write each row as {"id": ..., ...}'))
    if may_be_deep and _is_deep(value):
        raise InputError(_too_deep(shown, where))
    return FileRow(where, value)


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        # As a loop over levels: recursion would be the fault that this looks for.
        inner: list[Any] = []
        for item in level:
            inner += item.values() if isinstance(item, Mapping) else item
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _too_deep(shown: str, where: str) -> Problem:
    return Problem(shown, where, f"nests more than {_DEEPEST} levels deep", "Take that part out")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise _Twice
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is {_CONSTANT}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large")
    return value


def _parse(text: str, shown: str, where: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_once)
        if "\\ud" in text.lower():
            # Half a surrogate pair is legal in JSON and in Python, and in no UTF-8 text.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except RecursionError as error:
        raise InputError(_too_deep(shown, where or _place(text, _deep_at(text)))) from error
    except _Twice as error:
        offset, name = _twice_at(text)
        at = f"{where}, column {offset + 1}" if where else _place(text, offset)
        what = f"the name '{name}' stands twice in one object"
        raise InputError(Problem(shown, at, what, "Keep one of them, or rename one")) from error
    except UnicodeEncodeError as error:
        raise InputError(Problem(shown, where, "holds half a surrogate pair", "Fix the text's encoding")) from error
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}" if not where else f"{where}, column {error.colno}"
        said = error.msg.removesuffix(" starting at")
        raise InputError(Problem(shown, at, f"is not JSON: {said}", _advice(text, error))) from error
    except ValueError as error:
        remedy = "Write null in its place" if _CONSTANT in str(error) else _FIX
        said = str(error).split(";")[0]
        raise InputError(Problem(shown, where, f"is not JSON: {said}", remedy)) from error


def _advice(text: str, error: json.JSONDecodeError) -> str:
    if "\ufeff" in text:
        return _JOINED
    if error.msg.startswith("Extra data"):
        return "Write one value on each line, or one list of objects"
    if error.pos < len(text) and text[error.pos] in "]}" and _ONE_COMMA_MORE.search(text[max(0, error.pos - 99) : error.pos]):
        return "There is a comma too many before it"
    if error.pos == 0 and text[:1] not in ("{", "["):
        return f"{_FIX}; if it is CSV, name the file .csv"
    return _FIX


def _place(text: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"line {line}, column {offset - text.rfind(chr(10), 0, offset)}"


def _twice_at(text: str) -> tuple[int, str]:
    """Where in a JSON text, which is well formed but for that, a name stands in its object again."""
    seen: list[set[str] | None] = []
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in ("{", "["):
            seen.append(set() if mark == "{" else None)
        elif mark in ("}", "]"):
            seen.pop()
        elif (names := seen[-1] if seen else None) is not None and _COLON.match(text, token.end()):
            name = str(json.loads(mark))
            if name in names:
                return token.start(), name
            names.add(name)
    return 0, "?"


def _deep_at(text: str) -> int:
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth > _DEEPEST:
            return token.start()
    return 0
