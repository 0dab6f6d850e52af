"""Sequences whose items are made when they are looked at."""

from __future__ import annotations

import pytest

from respsel.calls.lazy import Lazy, joined, part


def test_sequences_that_are_made_when_looked_at() -> None:
    """Joined and cut sequences have the items of their parts, and end where they end."""
    made: list[int] = []
    lazy = Lazy(3, lambda i: made.append(i) or str(i))  # type: ignore[func-returns-value]
    both = joined([lazy, [], ["7"]])
    assert (len(both), made) == (4, [])
    assert list(both) == ["0", "1", "2", "7"]
    assert list(part(both, 1, 2)) == ["1", "2"]
    assert list(both[2:]) == ["2", "7"]
    with pytest.raises(IndexError):
        both[4]
