"""Delimited texts to rows: commas, semicolons, tabs or bars, as the header and the rows say.

Knows nothing of files and columns' meaning. Invariant: a delimiter is never guessed from the texts alone. It cuts
the header into columns, and of several that could, it is the one by which every row has as many fields as the header.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import NoReturn

from respsel.data.rows import FileRow
from respsel.errors import MOST_PROBLEMS, InputError, Problem, raise_problems

DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# Excel's own way to say it, in the first line.
_DECLARED = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n|\n|\r)', re.IGNORECASE)
# What stands below the header of a Markdown table.
_RULE = re.compile(r":?-{3,}:?")
# A row's first line and its cells.
Record = tuple[int, list[str]]


def csv_rows(text: str, shown: str, usual: str) -> Iterator[FileRow]:
    """Yield a delimited text's rows. usual: the delimiter that the file's ending stands for. Raises InputError."""
    csv.field_size_limit(1 << 30)
    if joined := text.find("\n\ufeff") + 1:
        _refuse(shown, text.count("\n", 0, joined) + 1, "a byte order mark inside the file", "Was it joined from two files?")
    declared = _DECLARED.match(text)
    delimiter = declared[1] if declared else _find_delimiter(text, shown, usual)
    records = _records(text[declared.end() :] if declared else text, delimiter)
    offset = 1 if declared else 0
    try:
        line, header = next(records)
        names = _names(header, shown, line + offset)
        yield from _named(records, names, shown, offset, delimiter)
    except StopIteration:
        return
    except csv.Error as error:
        where, _, said = str(error).partition(": ")
        _refuse(shown, int(where) + offset, f"is not CSV: {said}", "Double the quotes inside quoted text")


def splits_header(text: str) -> bool:
    """Whether any delimiter cuts the first line into columns."""
    return bool(_DECLARED.match(text)) or any(_width(text, mark) > 1 for mark in DELIMITERS)


def _named(records: Iterator[Record], names: Sequence[str], shown: str, offset: int, delimiter: str) -> Iterator[FileRow]:
    problems: list[Problem] = []
    for line, cells in records:
        where = f"line {line + offset}"
        if len(cells) != len(names):
            what = f"has {len(cells)} fields, and the header has {len(names)}"
            remedy = f"Quote texts that contain {_NAMES.get(delimiter, repr(delimiter))}"
            problems.append(Problem(shown, where, what, remedy))
        # The first column of pandas and R has row numbers and no name.
        elif all(_RULE.fullmatch(cell.strip()) for cell in cells if cell) and delimiter == "|":
            _refuse(shown, line + offset, "is a line of a Markdown table, not of CSV", "Take it out, and the bars at both ends")
        elif nameless := [i for i, cell in enumerate(cells) if i and cell.strip() and not names[i]]:
            what = f"has a text in column {nameless[0] + 1}, which has no name"
            problems.append(Problem(shown, where, what, "Name the column in the header"))
        else:
            yield FileRow(where, {name: cell for name, cell in zip(names, cells, strict=True) if name})
        if len(problems) > MOST_PROBLEMS:
            break
    raise_problems(problems)


def _names(header: Sequence[str], shown: str, line: int) -> list[str]:
    names = [name.strip() for name in header]
    problems = [
        Problem(shown, f"line {line}", f"the column '{name}' stands twice in the header", "Rename one of them")
        for i, name in enumerate(names)
        if name and name in names[:i]
    ]
    raise_problems(problems)
    return names


def _find_delimiter(text: str, shown: str, usual: str) -> str:
    widths = {mark: _width(text, mark) for mark in DELIMITERS}
    able = [mark for mark in DELIMITERS if widths[mark] > 1]
    if len(able) < 2:
        return able[0] if able else usual
    pool = [mark for mark in able if _is_even(text, mark)] or able
    widest = [mark for mark in pool if widths[mark] == max(widths[other] for other in pool)]
    if usual in widest or len(widest) == 1:
        return usual if usual in widest else widest[0]
    what = f"may be delimited by {' or by '.join(_NAMES[mark] for mark in widest)}"
    _refuse(shown, 1, what, f"Say which in a first line of its own: sep={widest[0]}")


def _width(text: str, delimiter: str) -> int:
    """How many columns a header has by a delimiter; 0 if it is not well formed."""
    try:
        return len(next(_records(text, delimiter))[1])
    except (csv.Error, StopIteration):
        return 0


def _is_even(text: str, delimiter: str) -> bool:
    records = _records(text, delimiter)
    try:
        _, header = next(records)
        return all(len(cells) == len(header) for _, cells in records)
    except (csv.Error, StopIteration):
        return False


def _records(text: str, delimiter: str) -> Iterator[Record]:
    """The records that are not blank. Raises csv.Error that begins with the record's first line."""
    spaced = False
    start = 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = next(_read(reader), (1, []))[1]
    # Blanks behind the delimiters of the header are no part of the names, and so are those of the rows.
    spaced = len(header) > 1 and all(name.startswith(" ") for name in header[1:])
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=spaced)
    for start, cells in _read(reader):
        if any(cells):
            yield start, cells


def _read(reader: Iterator[list[str]]) -> Iterator[Record]:
    while True:
        start = reader.line_num + 1  # type: ignore[attr-defined]
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            said = "a quote that begins here is never closed" if "end of data" in str(error) else str(error)
            raise csv.Error(f"{start}: {said}") from error
        yield start, cells


def _refuse(shown: str, line: int, what: str, remedy: str) -> NoReturn:
    raise InputError(Problem(shown, f"line {line}", what, remedy))
