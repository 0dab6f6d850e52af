"""One spelling for what Unicode and LaTeX write in many ways.

These are minus signs, digits, blanks, superscripts and commands. Knows characters only, not what
they mean together. Invariant: it takes time linear in the text's length, and the text keeps its
order.
"""

from __future__ import annotations

import re

# The zeros of other scripts' digits; full-width and mathematical ones among them.
_ZEROS = (0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0xFF10, *range(0x1D7CE, 0x1D7FF, 10))
_SIGNS = {
    "-": "\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d\u2796",
    " ": "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f"
    "\u205f\u3000\t\r",
    "'": "\u2019\u02bc\u2032\u00b4",
    "/": "\u2044\u2215\uff0f",
    "*": "\u00d7\u2715\u2a2f\u22c5\u00b7\u2219\u2217",
    "=": "\uff1d\u2248\u2243\u2245\u2192\u21d2\u27f9",
    ".": "\u066b\uff0e\u3002",
    ",": "\u066c\uff0c",
    ":": "\uff1a\u2236",
    ";": "\uff1b\u3001",
    "+": "\uff0b\u2795",
    "%": "\uff05\u066a",
    "(": "\uff08",
    ")": "\uff09",
    "[": "\uff3b\u3010",
    "]": "\uff3d\u3011",
    "$": "\uff04\ufe69",
    "!": "\uff01",
    "?": "\uff1f",
    " - ": "\u2014\u2015",
    "": "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad",
}
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+", strict=True))
_SUPERSCRIPT = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
_TABLE = str.maketrans(
    {char: plain for plain, chars in _SIGNS.items() for char in chars}
    | {chr(zero + digit): str(digit) for zero in _ZEROS for digit in range(10)}
    | {chr(0xFF21 + i + shift): chr(0x41 + i + shift) for i in range(26) for shift in (0, 32)}
    | {chr(0x2080 + digit): f"_{digit}" for digit in range(10)}
)
# Commands that only space or size. They are not part of what is written.
_SPACING = (
    (",\\!", ","),
    ("{,}", ","),
    ("{.}", "."),
    ("\\!", ""),
    ("\\%", "%"),
    ("\\$", "$"),
    ("\\left", ""),
    ("\\right", ""),
    *(
        (space, " ")
        for space in (
            "\\,",
            "\\;",
            "\\:",
            "\\ ",
            "~",
            "\\quad",
            "\\qquad",
            "\\(",
            "\\)",
            "\\[",
            "\\]",
        )
    ),
)
# \rightarrow and \leftarrow are other commands than \right and \left.
_ARROW = re.compile(
    r"\\(?:[Rr]ight|[Ll]ong[Rr]ight)arrow|\\implies|\\iff|\\to(?![a-zA-Z])|"
    r"\\approx|\\simeq|\\cong|\\equiv"
)
_OTHER_ARROW = re.compile(r"\\[Ll]eft(?:right)?arrow|\\left(?=[a-zA-Z])|\\right(?=[a-zA-Z])")
_DRAWN_ARROW = re.compile(r"[-=]{1,2}>")
_SUM = re.compile(r"<<[^<>\n]{0,200}>>(?=\s?[-$]?\d)")
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]{0,15}/?>")
_MOST = 20_000
# Only the beginning and the end of a longer text are read.
_EACH_END = 100_000


def plain(text: str) -> str:
    """The text in plain spelling."""
    text = _TAG.sub(" ", _SUM.sub(" ", text.translate(_TABLE)))
    text = _DRAWN_ARROW.sub("=", text) if ">" in text else text
    text = _SUPERSCRIPT.sub(
        lambda found: "^{" + "".join(_SUPERSCRIPTS[char] for char in found.group()) + "}", text
    )
    if "\\" in text or "{" in text:
        text = _OTHER_ARROW.sub(" ", _ARROW.sub("=", text.replace("\\\\", "\n")))
        for command, instead in _SPACING:
            text = text.replace(command, instead)
    return text.replace("~", " ")


def both_ends(text: str) -> str:
    """A text, or of a very long one its beginning and its end."""
    return text if len(text) <= 2 * _EACH_END else f"{text[:_EACH_END]}\n{text[-_EACH_END:]}"


def last_part(text: str, most: int = _MOST) -> str:
    """The end of a text, in which an answer is looked for where none is stated."""
    return text if len(text) <= most else text[-most:]
