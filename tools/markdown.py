"""Texts as Markdown says them. Knows nothing of what they say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_\[\]])")


def plain(text: str) -> str:
    """A text in which nothing is a sign of Markdown or HTML."""
    shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", shown).replace("|", "&#124;").replace("\n", " ")


def prose(text: str) -> str:
    """A text that has Markdown's `code` in it, and else nothing of Markdown."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return plain(text)
    return "".join(code(part) if i % 2 else plain(part) for i, part in enumerate(parts))


def code(text: str) -> str:
    """A text as code, also in a table."""
    if "|" in text:
        shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"<code>{shown.replace('|', '&#124;')}</code>"
    fence = "``" if "`" in text else "`"
    return fence + text.replace("\n", " ") + fence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def sentence(text: str) -> str:
    """A text with an end."""
    return text if not text or text[-1] in ".?!:" else text + "."
