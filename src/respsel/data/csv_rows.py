"""Delimited texts to rows: commas, semicolons, tabs or bars, as the header and the rows say.

Knows nothing of files and columns' meaning. Invariants: a delimiter is never guessed from the texts
alone. It cuts the header into columns. If several do, it is the one that gives every row as many
fields as the header. One record at a time is in the memory.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NoReturn

from respsel.data.lines import LONGEST, Text
from respsel.data.rows import FileRow
from respsel.errors import MOST_PROBLEMS, InputError, Problem, raise_problems

DELIMITERS = (",", ";", "\t", "|")
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# Excel's own way to say it, in the first line.
_DECLARED = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n|\n|\r)', re.IGNORECASE)
# What is below the header of a Markdown table.
_RULE = re.compile(r":?-{3,}:?")
# A row's first line and its cells.
Record = tuple[int, list[str]]


def csv_rows(text: Text, usual: str) -> Iterator[FileRow]:
    """Yield a delimited text's rows.

    usual: the delimiter that the file's ending stands for. Raises InputError.
    """
    csv.field_size_limit(LONGEST)
    declared = _declared(text)
    shown = text.shown
    records = _Records(text, declared or _find_delimiter(text, usual), 1 if declared else 0)
    try:
        rows = records.read()
        line, header = next(rows)
        yield from _named(rows, _names(header, shown, line), shown, records.delimiter)
    except StopIteration:
        return
    except csv.Error as error:
        where, _, why = str(error).partition(": ")
        _refuse(shown, int(where), f"is not CSV: {why}", "Double the quotes inside quoted text")


def splits_header(text: Text) -> bool:
    """Whether any delimiter cuts the first line into columns."""
    return bool(_declared(text)) or any(_width(text, mark) > 1 for mark in DELIMITERS)


def _declared(text: Text) -> str:
    """The delimiter that a first line of its own names, or nothing."""
    _, first = next(text.lines(as_written=True), (1, ""))
    found = _DECLARED.fullmatch(first)
    return found[1] if found else ""


def _named(
    records: Iterator[Record], names: Sequence[str], shown: str, delimiter: str
) -> Iterator[FileRow]:
    problems: list[Problem] = []
    for line, cells in records:
        where = f"line {line}"
        if len(cells) != len(names):
            what = f"has {len(cells)} fields, and the header has {len(names)}"
            remedy = f"Quote texts that contain {_NAMES.get(delimiter, repr(delimiter))}"
            problems.append(Problem(shown, where, what, remedy))
        # The first column of pandas and R has row numbers and no name.
        elif all(_RULE.fullmatch(cell.strip()) for cell in cells if cell) and delimiter == "|":
            what = "is a line of a Markdown table, not of CSV"
            _refuse(shown, line, what, "Take it out, and the bars at both ends")
        elif nameless := [i for i, cell in enumerate(cells) if i and cell.strip() and not names[i]]:
            what = f"has a text in column {nameless[0] + 1}, which has no name"
            problems.append(Problem(shown, where, what, "Name the column in the header"))
        else:
            fields = {name: cell for name, cell in zip(names, cells, strict=True) if name}
            yield FileRow(where, fields)
        if len(problems) > MOST_PROBLEMS:
            break
    raise_problems(problems)


def _names(header: Sequence[str], shown: str, line: int) -> list[str]:
    names = [name.strip() for name in header]
    seen: set[str] = set()
    problems = []
    for name in names:
        if name and name in seen:
            what = f"the column '{name}' comes twice in the header"
            problems.append(Problem(shown, f"line {line}", what, "Rename one of them"))
        seen.add(name)
    raise_problems(problems)
    return names


def _find_delimiter(text: Text, usual: str) -> str:
    widths = {mark: _width(text, mark) for mark in DELIMITERS}
    able = [mark for mark in DELIMITERS if widths[mark] > 1]
    if len(able) < 2:
        return able[0] if able else usual
    pool = [mark for mark in able if _is_even(text, mark)] or able
    widest = [mark for mark in pool if widths[mark] == max(widths[other] for other in pool)]
    if usual in widest or len(widest) == 1:
        return usual if usual in widest else widest[0]
    what = f"may be delimited by {' or by '.join(_NAMES[mark] for mark in widest)}"
    _refuse(text.shown, 1, what, f"Say which in a first line of its own: sep={widest[0]}")


def _width(text: Text, delimiter: str) -> int:
    """How many columns a delimiter gives the header; 0 if that is then not well formed."""
    try:
        return len(next(_Records(text, delimiter).read())[1])
    except (csv.Error, StopIteration):
        return 0


def _is_even(text: Text, delimiter: str) -> bool:
    records = _Records(text, delimiter).read()
    try:
        _, header = next(records)
        return all(len(cells) == len(header) for _, cells in records)
    except (csv.Error, StopIteration):
        return False


class _Records:
    """The records of a text by a delimiter."""

    def __init__(self, text: Text, delimiter: str, skipped: int = 0) -> None:
        """skipped: how many lines come before the records."""
        self.delimiter = delimiter
        self._text = text
        self._skipped = skipped
        self._characters = 0

    def read(self) -> Iterator[Record]:
        """The records that are not blank.

        Raises csv.Error that begins with the record's first line, and InputError.
        """
        _, header = next(self._read(False), (1, []))
        # Blanks behind the delimiters of the header are not part of the names. Then those in the
        # rows are not part of the texts.
        spaced = len(header) > 1 and all(name.startswith(" ") for name in header[1:])
        return ((line, cells) for line, cells in self._read(spaced) if any(cells))

    def _read(self, spaced: bool) -> Iterator[Record]:
        reader = csv.reader(
            self._lines(), delimiter=self.delimiter, strict=True, skipinitialspace=spaced
        )
        while True:
            start = reader.line_num + 1 + self._skipped
            self._characters = 0
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise csv.Error(f"{start}: {_in_words(error)}") from error
            yield start, cells

    def _lines(self) -> Iterator[str]:
        before = ""
        for number, line in islice(self._text.lines(as_written=True), self._skipped, None):
            if line.startswith("\ufeff") and before.endswith("\n"):
                what = "a byte order mark inside the file"
                _refuse(self._text.shown, number, what, "Was it joined from two files?")
            self._characters += len(line)
            if self._characters > LONGEST:
                # In the words of the csv module, which counts only the characters of a field.
                raise csv.Error("field larger")
            before = line
            yield line


def _in_words(error: csv.Error) -> str:
    why = str(error)
    if "end of data" in why:
        return "a quote that begins here is never closed"
    if why.startswith("field larger"):
        return f"the row that begins here has more than {LONGEST:,} characters"
    return why


def _refuse(shown: str, line: int, what: str, remedy: str) -> NoReturn:
    raise InputError(Problem(shown, f"line {line}", what, remedy))
