"""What mkdocs asks while it builds the site: fill the reference in, read Markdown as GitHub does.

Knows the markers of `tools.reference` and nothing of what it makes. Invariant: a page without a
marker, without nested lists and without code is passed on as it is.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

# mkdocs loads a hook as a file, without the repository on the path.
sys.path.insert(0, str(Path(__file__).parents[1]))

from tools.reference import filled

_FENCE = re.compile(r"^\s*(```|~~~)")
_NESTED = re.compile(r"^(?: {2})+(?=[-*] |\d+\. )")


def on_config(config: Any) -> Any:
    """Anchors are GitHub's, so that a link to a heading works in both places."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = anchor
    return config


def on_page_markdown(markdown: str, **_more: Any) -> str:
    """Fill in what is made from code, and indent lists within lists as mkdocs wants them."""
    return "\n".join(_indented(filled(markdown).splitlines()))


def anchor(heading: str, _separator: str = "-") -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _indented(lines: list[str]) -> list[str]:
    fenced = False
    out = []
    for line in lines:
        if _FENCE.match(line):
            fenced = not fenced
        out.append(line if fenced else _NESTED.sub(lambda found: found[0] * 2, line))
    return out
