"""Rows of text as aligned lines.

Knows nothing of what is in them. Invariant: no line ends in blanks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from respsel.text.characters import columns_of
from respsel.text.wrapping import wrapped


def aligned(rows: Sequence[Sequence[str]], width: int | None = None) -> Iterator[str]:
    """Rows as lines: the first cell to the left, the last as it is, all between to the right.

    width: lines are to be no wider. Where they would be, each row's first cell gets a line of its
    own. Where that does not do, its other cells follow in words, each with its heading, which is in
    the first row.
    """
    lines = list(_lines(rows))
    if width is None or max(map(columns_of, lines), default=0) <= width:
        yield from lines
        return
    below = [f"  {line}" for line in _lines([("", *row[1:]) for row in rows])]
    if max(map(columns_of, below)) <= width:
        for row, line in zip(rows, below, strict=True):
            yield from ([f"  {row[0]}"] if row[0] else [])
            yield line
        return
    for name, *cells in rows[1:]:
        yield f"  {name}"
        told = [f"{heading} {cell}" if heading else cell for heading, cell in _told(rows, cells)]
        yield from wrapped(f"    {', '.join(told)}", width)


def _told(rows: Sequence[Sequence[str]], cells: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The cells that say something, each with its heading."""
    for heading, cell in zip(rows[0][1:], cells, strict=True):
        if cell and cell != "–":
            yield heading, cell


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(columns_of, column)) for column in zip(*rows, strict=True)]
    for name, *cells, last in rows:
        room = zip(cells, widths[1:], strict=False)
        padded = [" " * (width - columns_of(cell)) + cell for cell, width in room]
        first = name + " " * (widths[0] - columns_of(name))
        yield "  ".join([f"  {first}", *padded, last]).rstrip()
