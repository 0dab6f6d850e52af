"""What the index of all examples says of each: how its input begins, and who made its id.

Knows nothing of markup. Invariant: of an input only the beginning is kept, however long it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from respsel.data.rows import ABSENT, find_value

_DIGITS = re.compile(r"([0-9]+)")
_LONGEST = 60
# Texts that begin alike for longer than this are told apart by what follows.
_ALIKE = 30
# So many characters are looked at.
LOOKED_AT = 2000


@dataclass(frozen=True)
class DatasetIndex:
    """A dataset's part of the index.

    begins: by id, how the input begins.
    made: whether respsel made the ids, since the data has none.
    """

    begins: Mapping[str, str]
    made: bool

    @property
    def ordered(self) -> list[str]:
        """The ids in the order of the index: by themselves, or by inputs where they say nothing."""
        if not self.made:
            return by_id(list(self.begins))
        return sorted(self.begins, key=lambda key: (_sort_key(self.begins[key]), key))


def by_id(ids: Sequence[str]) -> list[str]:
    """Ids as people sort them: e2 before e10."""
    return sorted(ids, key=_sort_key)


def beginnings(inputs: Mapping[str, str]) -> dict[str, str]:
    """By id, how inputs begin, in one line; what all have in common at first is left out."""
    lines = {key: " ".join(text[:LOOKED_AT].split()) for key, text in inputs.items()}
    common = _common(min(lines.values()), max(lines.values())) if len(lines) > 1 else ""
    start = common.rfind(" ") + 1 if len(common) > _ALIKE else 0
    return {key: _cut(line, start) for key, line in lines.items()}


def has_no_id(entry_id: str | None, columns: Mapping[str, Any]) -> bool:
    """Whether a row has no id: neither by the dataset's entry nor of its own."""
    return entry_id is None and find_value(columns, "id") is ABSENT


def _common(first: str, last: str) -> str:
    """What the first and the last of sorted texts, and so all of them, begin with."""
    pairs = zip(first, last, strict=False)
    return first[: sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))]


def _cut(line: str, start: int) -> str:
    rest = line[start:]
    shown = rest if len(rest) <= _LONGEST else f"{rest[: _LONGEST - 1].rstrip()}…"
    return f"… {shown}" if start else shown


def _sort_key(key: str) -> list[tuple[int, int, str]]:
    """Runs of digits as numbers, before letters."""
    parts = _DIGITS.split(key)
    return [
        (0, len(part.lstrip("0")), part.lstrip("0")) if place % 2 else (1, 0, part.casefold())
        for place, part in enumerate(parts)
    ]
