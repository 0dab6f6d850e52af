"""Sequences whose items are made when they are looked at.

Knows nothing of requests. Invariant: no item is kept, so a long sequence takes a few bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TypeVar, overload

Item = TypeVar("Item")


class Lazy(Sequence[Item]):
    """Items that are made when they are looked at, and not kept.

    Prompts and answers take more memory than rows.
    """

    def __init__(self, count: int, make: Callable[[int], Item]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._make(index)


def joined(parts: Sequence[Sequence[Item]]) -> Lazy[Item]:
    """Several sequences as one."""
    starts = [0, *accumulate(len(part) for part in parts)]

    def make(index: int) -> Item:
        place = bisect_right(starts, index) - 1
        return parts[place][index - starts[place]]

    return Lazy(starts[-1], make)


def part(items: Sequence[Item], start: int, count: int) -> Lazy[Item]:
    """Some of a sequence's items."""
    return Lazy(count, lambda index: items[start + index])
