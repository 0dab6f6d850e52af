"""Text of others as it may be shown: without the characters that a terminal, a page or a document
would obey.

Knows nothing of where it is shown. The one place that says which characters those are. Invariant:
what is plain stays as it is, and nothing of what is not is left.
"""

from __future__ import annotations

import json
import re

# C0 but tab and line end, DEL, C1, the marks that turn text around or break its lines, and tags,
# which nobody sees.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """Text without what a terminal would obey: control characters and those that turn the direction
    of text are shown as escapes; line ends and tabs stay."""
    return _CONTROLS.sub(lambda found: _control_escape(found[0]), text)


def one_line(text: object) -> str:
    """The same in one line: a line break in a name could forge a message of ours."""
    return visible(str(text)).replace("\n", "\\n")


def visible_json(text: str) -> str:
    """The same JSON, with those characters as JSON's own escapes.

    They stand within strings, where these are legal.
    """
    return _CONTROLS.sub(lambda found: _json_escape(found[0]), text)


def told(text: object) -> str:
    """Text within a sentence or a cell of Markdown: it begins no line, no markup of HTML and no
    link.
    """
    return one_line(text).replace("<", "&lt;").replace("](", "]\\(").replace("|", "\\|")


def escape(char: str) -> str:
    """A character as an escape of a fixed width: "\\xe91" could be one character or two."""
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _control_escape(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else escape(char)


def _json_escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1]
