"""Rows of text as aligned lines.

Knows nothing of what is in them. Invariant: no line ends in blanks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines: the first cell to the left, the last as it is, all between to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells, last in rows:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=False)]
        yield "  ".join([f"  {name.ljust(widths[0])}", *padded, last]).rstrip()
