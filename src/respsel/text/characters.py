"""Text of others made safe to show, without the characters that a terminal or page would obey.

This is the one place that says which characters those are. Knows nothing of where the text is
shown. Invariant: plain characters stay as they are, and none of the others is left.
"""

from __future__ import annotations

import json
import re

# C0 except tab and line end, DEL, C1, marks that turn text around or break lines, and tags, which
# nobody sees.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Text with escapes for control characters and for marks that turn its direction.

    Line ends and tabs stay.
    """
    return _CONTROLS.sub(lambda found: _control_escape(found[0]), text)


def one_line(text: object) -> str:
    """Visible text in one line: a line break in a name could forge a message of ours."""
    return visible(str(text)).replace("\n", "\\n")


def visible_json(text: str) -> str:
    """JSON with JSON's own escapes for these characters. They can only be in strings."""
    return _CONTROLS.sub(lambda found: _json_escape(found[0]), text)


def told(text: object) -> str:
    """Text for a sentence or cell of Markdown: it begins no line, no HTML markup and no link."""
    return one_line(text).replace("<", "&lt;").replace("](", "]\\(").replace("|", "\\|")


def escape(char: str) -> str:
    """A character as an escape of a fixed width: "\\xe91" could be one character or two."""
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _control_escape(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else escape(char)


def _json_escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1]


def columns_of(text: str) -> int:
    """How many columns of a terminal text takes: East Asian characters take two."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    marks = sum(unicodedata.category(char) in ("Mn", "Me", "Cf") for char in text)
    return len(text) + wide - marks
