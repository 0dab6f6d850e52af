"""The sample of a dataset: the examples that are first in hash order.

Knows nothing of files. Invariants: examples come in hash order of (seed, id). So a larger sample
begins with the smaller one, whatever the file's order. A row that is not kept takes eight bytes.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Collection
from dataclasses import replace

from respsel.hashing import digest
from respsel.records import Example

# After how many ids it is first checked whether some are used twice; then at each doubling.
_FIRST_LOOK = 4096


def mark_of(seed: int, name: str) -> int:
    """Eight bytes that stand for an id: equal ids have equal marks, and hardly any others."""
    return _mark(_rank(seed, name))


class Sample:
    """The first examples in hash order.

    places: by id, where the row of a kept example is in the file.
    """

    def __init__(self, seed: int, most: int | None, has_ids: bool) -> None:
        """An empty sample.

        seed: another seed is another sample.
        most: how many examples; None for all.
        has_ids: an id may be used once only. Without ids, equal rows are copies of one example.
        """
        self._seed = seed
        self._most = most
        self._has_ids = has_ids
        self._kept: dict[str, Example] = {}
        self._last_first: list[tuple[int, str]] = []
        self._marks = array("Q")
        self._clashes: set[int] = set()
        self._next_look = _FIRST_LOOK
        self.places: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, example: Example, place: str) -> bool:
        """Take a row. Returns False if many ids are used twice, so that no more need be read."""
        rank = _rank(self._seed, example.id)
        self._marks.append(_mark(rank))
        if self._has_ids and len(self._marks) >= self._next_look:
            self._next_look *= 2
            if len(self.repeated()) > _FIRST_LOOK // 2:
                return False
        known = self._kept.get(example.id)
        if known is None:
            self._keep(rank, example, place)
        elif not self._has_ids and known.columns == example.columns:
            self._kept[example.id] = replace(known, copies=known.copies + 1)
        else:
            self._clashes.add(_mark(rank))
        return True

    def repeated(self) -> Collection[int]:
        """The marks of ids that may be used twice."""
        if not self._has_ids:
            return self._clashes
        import numpy as np

        values, counts = np.unique(np.frombuffer(self._marks, np.uint64), return_counts=True)
        return self._clashes | set(values[counts > 1].tolist())

    def total(self) -> int:
        """How many different examples there are, kept or not, in a file without a problem."""
        if self._has_ids:
            return len(self._marks)
        import numpy as np

        return len(np.unique(np.frombuffer(self._marks, np.uint64)))

    def examples(self) -> list[Example]:
        """The kept examples, in hash order."""
        return [self._kept[name] for _, name in sorted(self._last_first, reverse=True)]

    def _keep(self, rank: int, example: Example, place: str) -> None:
        is_full = len(self._kept) == self._most
        if is_full and -rank <= self._last_first[0][0]:
            return
        heapq.heappush(self._last_first, (-rank, example.id))
        self._kept[example.id] = example
        self.places[example.id] = place
        if is_full:
            _, name = heapq.heappop(self._last_first)
            del self._kept[name], self.places[name]


def _rank(seed: int, name: str) -> int:
    return int(digest("sample", str(seed), name), 16)


def _mark(rank: int) -> int:
    return rank >> 192
