"""A data file to its columns: what each holds, as far as the first rows tell.

Parts of objects and items of lists are columns too, under their paths. Knows nothing of what a
column is good for. Invariant: a few values of each column are kept, however long the file is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from respsel.data.files import read_rows
from respsel.data.rows import find_value, is_blank, text_of
from respsel.data.turn_shapes import looks_like_turns, without_filling
from respsel.errors import InputError, Problem

# Rows that are looked at, and those whose values are kept.
MOST_ROWS = 20_000
_KEPT_ROWS = 300
# Parts of parts of an object, and items of a list of texts, that are columns of their own.
_DEEPEST = 2
_MOST_ITEMS = 8
TEXT = "text"
NUMBER = "number"
TRUTH = "truth"
CONVERSATION = "conversation"
# A list of several texts.
TEXTS = "texts"
# Pairs of an earlier question and its answer.
PAIRS = "pairs"
OTHER = "other"
_NUMBER = re.compile(r"\s*[-+]?[$€£]?\s?\d[\d,.  ]*\s?%?\s*")
# A character of a script without blanks between words counts as half a word.
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")


@dataclass
class Column:
    """What was met under a path.

    seen: in how many rows it was there, if only as a null.
    filled: in how many rows it said something.
    values: the first values that say something.
    kinds: the kinds of its values.
    known: the hashes of its values, to count the different ones.
    """

    path: str
    seen: int = 0
    filled: int = 0
    longest: int = 0
    values: list[Any] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    known: set[int] = field(default_factory=set)

    @property
    def kind(self) -> str:
        """The one kind of its values; numbers among texts are texts."""
        if len(self.kinds) == 1:
            return next(iter(self.kinds))
        return TEXT if self.kinds and self.kinds <= {TEXT, NUMBER, TRUTH} else OTHER

    @property
    def is_single(self) -> bool:
        """Whether its values are texts, numbers or truth values."""
        return self.kind in (TEXT, NUMBER, TRUTH)

    @property
    def distinct(self) -> int:
        """How many different values it has."""
        return len(self.known)

    @cached_property
    def texts(self) -> list[str]:
        """Its first values as texts."""
        return [text for value in self.values if (text := one_text(value)) is not None]

    @cached_property
    def words(self) -> float:
        """The median number of words."""
        return median(map(count_words, self.texts)) if self.texts else 0

    @cached_property
    def characters(self) -> float:
        """The median number of characters."""
        return median(map(len, self.texts)) if self.texts else 0

    def add(self, value: Any) -> None:
        """Take the value of another row."""
        self.seen += 1
        if is_blank(value):
            return
        self.filled += 1
        self.kinds.add(kind_of(value))
        self.known.add(hash(repr(value)))
        self.longest = max(
            self.longest, len((one_text(value) or repr(value)).encode(errors="replace"))
        )
        if len(self.values) < _KEPT_ROWS:
            self.values.append(value)


@dataclass(frozen=True)
class LookedAt:
    """A data file's columns.

    columns: by path, in the file's order.
    rows: how many rows were looked at.
    is_whole: whether these are all.
    """

    columns: Mapping[str, Column]
    rows: int
    is_whole: bool

    def is_full(self, path: str) -> bool:
        """Whether every row says something there."""
        return path in self.columns and self.columns[path].filled == self.rows

    def is_unique(self, path: str) -> bool:
        """Whether every row says something else there."""
        return self.is_full(path) and self.columns[path].distinct == self.rows


def look_at(path: Path, shown: str) -> LookedAt:
    """Look at a file's first rows. Raises InputError if it cannot be read."""
    columns: dict[str, Column] = {}
    rows = 0
    is_whole = True
    for row in islice(read_rows(path, shown), MOST_ROWS + 1):
        if rows == MOST_ROWS:
            is_whole = False
            break
        rows += 1
        for name, value in without_filling(row).fields.items():
            for part, inner in _parts(name, value, 0):
                columns.setdefault(part, Column(part)).add(inner)
    if not rows:
        raise InputError(Problem(shown, "", "holds no rows", "Give at least one row"))
    known = {name: column for name, column in columns.items() if column.filled}
    return LookedAt(dict(_with_items(known)), rows, is_whole)


def kind_of(value: Any) -> str:
    """The kind of a value that says something."""
    if looks_like_turns(value):
        return CONVERSATION
    if isinstance(value, bool):
        return TRUTH
    if isinstance(value, int | float):
        return NUMBER
    if isinstance(value, str):
        return NUMBER if _NUMBER.fullmatch(value) else TEXT
    if isinstance(value, list):
        if one_text(value) is not None:
            return TEXT
        if all(isinstance(item, str) for item in value):
            return TEXTS
        if all(isinstance(item, list) and len(item) == 2 for item in value):
            return PAIRS
    return OTHER


def one_text(value: Any) -> str | None:
    """A value as the one text that it is, or None."""
    if isinstance(value, list):
        distinct = {item for item in value if isinstance(item, str)}
        whole = all(item is None or isinstance(item, str) for item in value)
        return distinct.pop() if whole and len(distinct) == 1 else None
    return text_of(value)


def count_words(text: str) -> float:
    """About how many words a text has, in any script."""
    wide = len(_WIDE.findall(text))
    return len(_WIDE.sub(" ", text).split()) + wide / 2


def _parts(path: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """A value with its parts, if it is an object that is no conversation."""
    if isinstance(value, Mapping) and not looks_like_turns(value) and depth < _DEEPEST:
        for name, inner in value.items():
            yield from _parts(f"{path}.{name}", inner, depth + 1)
    else:
        yield path, value


def _with_items(columns: Mapping[str, Column]) -> Iterator[tuple[str, Column]]:
    """The columns; behind a list of several texts its items."""
    for path, column in columns.items():
        yield path, column
        if column.kinds <= {TEXT, TEXTS} and TEXTS in column.kinds:
            width = min(len(value) if isinstance(value, list) else 1 for value in column.values)
            for index in range(min(width, _MOST_ITEMS)) if width > 1 else ():
                yield f"{path}.{index}", _item(column, str(index))


def _item(column: Column, path: str) -> Column:
    item = Column(f"{column.path}.{path}")
    for value in column.values:
        item.add(find_value(value, path))
    # The rows behind those that are kept are taken to be alike.
    item.seen = column.seen
    item.filled = column.filled if item.filled == len(column.values) else item.filled
    return item


def single_columns(looked: LookedAt) -> Sequence[Column]:
    """The columns of texts, numbers and truth values."""
    return [column for column in looked.columns.values() if column.is_single]
