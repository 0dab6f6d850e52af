"""Patterns of file names: `*`, `?`, `[abc]` and, for folders of any depth, `**`.

Knows nothing of files. Invariants: a local folder and a list of names are matched alike, and a
hidden name only by a part that begins with a dot.
"""

from __future__ import annotations

import re

# Browsers name files `data[1].csv`, so one character in brackets is no pattern.
_MAGIC = re.compile(r"[*?]|\[[^\]]{2,}\]")
_FOLDERS = r"(?:[^/.][^/]*/)*"
_ONE = re.compile(r"\[([^\]])\]")


def is_pattern(path: str) -> bool:
    """Whether a path may be a pattern; a file of that name comes first."""
    return _MAGIC.search(path) is not None


def for_glob(part: str) -> str:
    """A part of a pattern as the module glob takes it."""
    return _ONE.sub(r"[[]\1]", part)


def matcher(pattern: str) -> re.Pattern[str]:
    """The expression of a pattern, for paths with slashes in a list."""
    *folders, name = pattern.split("/")
    text = "".join(_FOLDERS if part == "**" else f"{_part(part)}/" for part in folders)
    return re.compile(text + (f"{_FOLDERS}[^/.][^/]*" if name == "**" else _part(name)))


def _part(part: str) -> str:
    hidden = "" if part.startswith(".") else r"(?!\.)"
    text = ""
    place = 0
    while place < len(part):
        char = part[place]
        place += 1
        if char == "*":
            text += "[^/]*"
        elif char == "?":
            text += "[^/]"
        elif char == "[" and (stop := part.find("]", place + 1)) > place + 1:
            inner = part[place:stop].replace("\\", "\\\\").replace("[", "\\[")
            text += f"[{'^/' + inner[1:] if inner.startswith('!') else inner}]"
            place = stop + 1
        else:
            text += re.escape(char)
    return hidden + text
