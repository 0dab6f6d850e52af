"""How much texts or token sequences have in common at their beginning.

Knows nothing of what they mean. Invariant: a common beginning is found in slices, which are
compared as a whole, so a long one takes no loop over its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def common_prefix(one: Sequence[Any], other: Sequence[Any], known: int = 0) -> int:
    """How many characters or tokens two sequences of one type begin with alike.

    known: so many are known to be alike.
    """
    low = known
    high = min(len(one), len(other))
    if one[low:high] == other[low:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def distinct_tokens(paths: Iterable[tuple[int, ...]]) -> int:
    """How many tokens some sequences have, where each beginning that they share counts once."""
    count = 0
    before: tuple[int, ...] = ()
    for path in sorted(set(paths)):
        count += len(path) - common_prefix(before, path)
        before = path
    return count
