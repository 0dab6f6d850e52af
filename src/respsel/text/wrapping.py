"""Lines broken between words for a terminal.

Knows nothing of terminals. Invariants: no word is broken, and neither is a command to copy, so a
line may come out longer than was asked; nothing but blanks is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from respsel.text.characters import columns_of

# A command with its arguments: words that begin like an option, a path, a name in capitals or a
# number of things in quotes.
_COMMAND = re.compile(
    r"\b(?:respsel|pip install|uvx?|python -m)"
    r"(?: (?:run|plan|apply|report|export|explain|diff|doctor|metrics|schema|cache|status|init"
    r"|validate|compare|push|size|ls|verify|gc))?"
    r"(?: (?:--?[a-z][a-z-]*(?:=[^\s]+)?(?: (?!or\b|to\b|and\b|for\b)[\w-]+(?= --|$|[.;,)]| \())?"
    r"|'[^']*'|[A-Z][A-Z_]+\b|[^\s;,]*[./\[][^\s;,]*[^\s;,.]))*"
)
_GLUE = "\0"
# A row of a table: cells with two blanks or more between them.
_CELLS = re.compile(r"\S {2,}\S")
_INDENT = 2
# The last cell of a row goes on below itself where it has so many columns.
_LEAST_ROOM = 24


def wrapped(line: str, width: int) -> Iterator[str]:
    """The lines that a line comes to; those behind the first are indented a little more.

    Of a row of a table, the last cell is broken, and goes on below itself.
    """
    if columns_of(line) <= width:
        yield line
        return
    before = line[: len(line) - len(line.lstrip(" "))]
    hang = before + " " * _INDENT
    if cells := list(_CELLS.finditer(line)):
        last = columns_of(line[: cells[-1].end() - 1])
        # Where little room is left, it goes on at the left.
        hang = " " * (last if width - last >= _LEAST_ROOM else len(hang))
    glued = _COMMAND.sub(lambda found: found[0].replace(" ", _GLUE), line[len(before) :])
    parts = re.split(r"( +)", glued)
    now = before + parts[0]
    for blanks, word in zip(parts[1::2], parts[2::2], strict=True):
        if columns_of(now) + len(blanks) + columns_of(word) > width and now.strip():
            yield now.replace(_GLUE, " ")
            fits = columns_of(hang) + columns_of(word) <= width
            now = (hang if fits else before + " " * _INDENT) + word
        else:
            now += blanks + word
    yield now.replace(_GLUE, " ")
