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
    """Return the row with its text by the rule, and with what the rule changed."""
    if rule == "keep":
        return row
    text = _RETURNS.sub(_line_ends, row.text)
    bare = text.strip(BLANKS)
    # A line end that is stripped anyway counts as an outer blank only.
    kinds = [LINE_ENDS] if "\r" in row.text.strip(BLANKS) else []
    kinds += [OUTER_BLANKS] if bare != text else []
    return replace(row, text=bare, changed=", ".join(kinds)) if kinds else row


def _line_ends(found: re.Match[str]) -> str:
    # "\r\r\n" is one line end that was translated twice; lone returns are one line end each.
    return "\n" if found[0].endswith("\n") else "\n" * len(found[0])
