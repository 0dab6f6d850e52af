"""Standard output and standard error as they are: any encoding, closed early, any colours.

Characters that the encoding lacks are replaced, so a terminal or a log that is not UTF-8 ends no
command. Knows nothing of files: respsel writes them as UTF-8. Invariant: JSON and HTML lose nothing
by it.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import sys
from typing import Any, TextIO

from respsel.text.characters import escape, one_line, visible, visible_json
from respsel.text.wrapping import wrapped

# By this variable a shell asks for completions.
ASKS = "RESPSEL_COMPLETE"
# The error handler by which a stream replaces what it cannot show.
READABLE = "respsel-readable"
# What the messages and the report have beyond ASCII, and how it is written without.
_ASCII = {
    "–": "-",
    "—": "-",
    "−": "-",
    "…": "...",
    "×": "x",
    "·": "*",
    "•": "*",
    "±": "+/-",
    "≈": "~",
    "≤": "<=",
    "≥": ">=",
    "→": "->",
    "←": "<-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "\xa0": " ",
    "\u202f": " ",
    "\u2011": "-",
}
# A narrower terminal is taken for one that does not say how wide it is.
_FEWEST_COLUMNS = 20
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def prepare_streams() -> None:
    """Have standard output and error replace what they cannot show.

    Called once, before anything is printed.
    """
    codecs.register_error(READABLE, _readable)
    for stream in (sys.stdout, sys.stderr):
        # A stream may be missing (closed by the caller) or be another program's object.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=READABLE)


def restart_in_utf8() -> None:
    """Start Python again in its UTF-8 mode where it could not name a file beyond ASCII.

    That is so in the locales C and POSIX with that mode and the coercion of the locale switched
    off. The terminal keeps its encoding. Does not return if it starts again.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name != "ascii" or not sys.executable:
        return
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    environment = {**os.environ, "PYTHONIOENCODING": os.environ.get("PYTHONIOENCODING", encoding)}
    os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)


def end_streams() -> None:
    """Write out what is left; a reader that has gone (`| head`) is not an error."""
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


def say(text: str, as_is: bool = False, **how: Any) -> int:
    """Print text that may hold what users' data and servers say.

    All plain output goes through here. On a terminal its lines are broken between words.
    as_is: they are not, since they are commands to copy. Returns how many lines were printed.
    """
    shown = visible(text) if as_is else shown_lines(text, how.get("file"))
    print(shown, **how)
    return shown.count("\n") + 1


def shown_lines(text: str, stream: TextIO | None = None) -> str:
    """Visible text, with its lines broken where a stream is a terminal; by default stdout."""
    shown = visible(text)
    columns = width(stream or sys.stdout)
    if columns is None:
        return shown
    return "\n".join(part for line in shown.split("\n") for part in wrapped(line, columns))


def stdout() -> TextIO | None:
    """Standard output; None where the caller closed it."""
    return sys.stdout


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that moves its cursor and shows styles."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def shows_colours(stream: TextIO | None) -> bool:
    """Whether a stream is given colours: by NO_COLOR, FORCE_COLOR and TERM, in this order."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)


def width(stream: TextIO | None) -> int | None:
    """How many columns a terminal has; None for a file or a pipe, whose lines are not broken."""
    try:
        if stream is None or not stream.isatty():
            return None
        named = os.environ.get("COLUMNS", "")
        columns = int(named) if named.isdigit() else os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return None
    # A terminal of no width is one that does not say.
    return columns if columns >= _FEWEST_COLUMNS else None


def tell(kind: str, what: object) -> None:
    """Print an error or a warning on standard error, in one line of its own."""
    say(f"{kind}: {one_line(what)}", file=sys.stderr)


def json_text(text: str) -> str:
    """The same JSON as standard output can show it.

    It has no control characters, and is in escapes where the stream is not UTF-8.
    """
    text = visible_json(text)
    # Hazard: a replacement may be no JSON, and would say something else.
    return (
        text
        if _is_utf8(sys.stdout)
        else _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
    )


def html_text(text: str) -> str:
    """HTML as standard output can show it: what it lacks as references to characters."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "xmlcharrefreplace").decode(encoding)


def styled(text: str, stream: TextIO | None = None, **style: Any) -> str:
    """Text in a style, on a terminal that shows colours; stream: standard output by default."""
    import typer

    return typer.style(text, **style) if shows_colours(stream or sys.stdout) else text


def _is_utf8(stream: TextIO | None) -> bool:
    name = getattr(stream, "encoding", None) or "utf-8"
    return codecs.lookup(name).name == "utf-8"


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_ASCII.get(char) or escape(char) for char in text), error.end
