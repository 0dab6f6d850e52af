"""Standard output and standard error as they are: any encoding, closed early, with or without colours.

Characters that the encoding lacks are replaced, so a terminal or a log that is not UTF-8 ends no command. Files
are not concerned: respsel writes them as UTF-8. Invariant: JSON and HTML lose nothing by it.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from typing import Any, TextIO

# The error handler by which a stream replaces what it cannot show.
READABLE = "respsel-readable"
# What the messages and the report have beyond ASCII, and how it is written without.
_ASCII = {
    "–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "·": "*", "•": "*", "±": "+/-", "≈": "~", "≤": "<=", "≥": ">=",
    "→": "->", "←": "<-", "‘": "'", "’": "'", "“": '"', "”": '"', "\xa0": " ", "\u202f": " ", "\u2011": "-",
}  # fmt: skip
# C0 but tab and line end, DEL, C1, and the marks that turn text around or break its lines.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def prepare_streams() -> None:
    """Have standard output and error replace what they cannot show. Called once, before anything is printed."""
    codecs.register_error(READABLE, _readable)
    for stream in (sys.stdout, sys.stderr):
        # A stream may be missing (closed by the caller) or be another program's object.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=READABLE)


def restart_in_utf8() -> None:
    """Start Python again in its UTF-8 mode where it could not name a file beyond ASCII.

    That is so in the locales C and POSIX with that mode and the coercion of the locale switched off. The terminal
    keeps its encoding. Does not return if it starts again.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != "ascii" or not sys.executable:
        return
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    environment = {**os.environ, "PYTHONIOENCODING": os.environ.get("PYTHONIOENCODING", encoding)}
    os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)


def end_streams() -> None:
    """Write out what is left; a reader that has gone (`| head`) is no error."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            # Hazard: Python flushes once more when it ends, and would complain then.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_json(value: object) -> None:
    """Print a value as one line of JSON; in escapes where the stream is not UTF-8."""
    print(json_text(json.dumps(value, ensure_ascii=False)))


def say(text: str, **how: Any) -> None:
    """Print text that may hold what users' data and servers say. All plain output goes through here."""
    print(visible(text), **how)


def visible(text: str) -> str:
    """Text without what a terminal would obey: control characters and those that turn the direction of text are shown
    as escapes; line ends and tabs stay."""
    return _CONTROLS.sub(lambda found: _control_escape(found[0]), text)


def one_line(text: object) -> str:
    """The same in one line: a line break in a name could forge a message of ours."""
    return visible(str(text)).replace("\n", "\\n")


def json_text(text: str) -> str:
    """JSON as standard output can show it: the same JSON, in escapes where the stream is not UTF-8."""
    # Hazard: a replacement may be no JSON, and would say something else.
    return text if _is_utf8(sys.stdout) else _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)


def html_text(text: str) -> str:
    """HTML as standard output can show it: what it lacks as references to characters."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "xmlcharrefreplace").decode(encoding)


def styled(text: str, **style: Any) -> str:
    """Text in a style, on a terminal that shows colours."""
    import typer

    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return typer.style(text, **style) if sys.stdout is not None and sys.stdout.isatty() and not plain else text


def _is_utf8(stream: TextIO | None) -> bool:
    name = getattr(stream, "encoding", None) or "utf-8"
    return codecs.lookup(name).name == "utf-8"


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = error.object[error.start : error.end]
    return "".join(_ASCII.get(char) or _escape(char) for char in found), error.end


def _control_escape(char: str) -> str:
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else _escape(char)


def _escape(char: str) -> str:
    # Of a fixed width: "\\xe91" could be one character or two.
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
