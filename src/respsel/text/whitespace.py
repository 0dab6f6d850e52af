"""White space of responses and own outputs: one rule for the texts of every strategy.

Line ends become "\\n", and blanks at both ends are removed. Everything inside a text stays, also
double blanks and no-break spaces. Without the rule a final newline, a Windows file or a leading
blank would decide a verdict.

Knows nothing of strategies or files. Invariants: applying the rule twice is the same as once. It
takes linear time. The row names whatever it changes.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal, TypeVar

from respsel.records import OwnOutput, Response
from respsel.text.transcript import trained_text

WhiteSpace = Literal["normalise", "keep"]
LINE_ENDS = "line ends"
OUTER_BLANKS = "outer blanks"

# What str.isspace calls space, and three characters without width: U+200B, U+2060, U+FEFF (a byte
# order mark).
BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f "
    "\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\u200b\u2060\ufeff"
)
# U+0085, U+2028, \v and \f stay: no file format has them as line ends, and tokenizers tell them
# apart.
_RETURNS = re.compile(r"\r+\n?")

Row = TypeVar("Row", Response, OwnOutput)


def normalised(row: Row, rule: WhiteSpace) -> Row:
    """Return the row with its text by the rule, and with what the rule changed.

    Of a conversation these are the texts of the trained turns.
    """
    if rule == "keep":
        return row
    if isinstance(row, Response) and row.turns:
        return _normalised_turns(row)
    text, kinds = _changed(row.text)
    return replace(row, text=text, changed=_in_words(kinds)) if kinds else row


def _normalised_turns(row: Response) -> Response:
    turns = []
    kinds: set[str] = set()
    for turn in row.turns:
        text, found = _changed(turn.content) if turn.trained else (turn.content, set())
        kinds |= found
        turns.append(replace(turn, content=text) if found else turn)
    if not kinds:
        return row
    return replace(row, text=trained_text(turns), turns=tuple(turns), changed=_in_words(kinds))


def _changed(given: str) -> tuple[str, set[str]]:
    """A text by the rule, and what the rule changed in it."""
    text = _RETURNS.sub(_line_ends, given)
    bare = text.strip(BLANKS)
    # A line end that is stripped anyway counts as an outer blank only.
    kinds = {LINE_ENDS} if "\r" in given.strip(BLANKS) else set()
    return bare, kinds | ({OUTER_BLANKS} if bare != text else set())


def _in_words(kinds: set[str]) -> str:
    return ", ".join(kind for kind in (LINE_ENDS, OUTER_BLANKS) if kind in kinds)


def _line_ends(found: re.Match[str]) -> str:
    # "\r\r\n" is one line end that was translated twice; lone returns are one line end each.
    return "\n" if found[0].endswith("\n") else "\n" * len(found[0])
