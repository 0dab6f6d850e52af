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

from tools.markdown import code
from tools.reference import filled

_FENCE = re.compile(r"^\s*(```|~~~)")
_BARRED = re.compile(r"`([^`]*\\\|[^`]*)`")
_SHIM = re.compile(r'<script src="?https://unpkg\.com/iframe-worker/shim"?></script>')
_NESTED = re.compile(r"^(?: {2})+(?=[-*] |\d+\. )")


def on_config(config: Any) -> Any:
    """Anchors are GitHub's, so that a link to a heading works in both places."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = anchor
    return config


def on_page_markdown(markdown: str, page: Any, **_more: Any) -> str:
    """Fill in what is made from code, and indent lists within lists as mkdocs wants them."""
    if page.parent is None:
        # Its list of pages would be itself alone.
        page.meta.setdefault("hide", ["navigation"])
    return "\n".join(map(_barred, _indented(filled(markdown).splitlines())))


def on_post_page(output: str, page: Any, **_more: Any) -> str:
    """See `_local`."""
    return _local(output, "../" * page.url.count("/"))


def on_post_template(output_content: str, **_more: Any) -> str:
    """See `_local`."""
    return _local(output_content, "")


def _local(html: str, root: str) -> str:
    """The theme loads from the net what search needs in a page opened from a folder. We do not."""
    return _SHIM.sub(f'<script src="{root}search_worker.js"></script>', html)


def anchor(heading: str, _separator: str = "-") -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _barred(line: str) -> str:
    """A row of a table with its bars in code as mkdocs wants them."""
    if not line.startswith("|"):
        return line
    return _BARRED.sub(lambda found: code(found[1].replace("\\|", "|")), line)


def _indented(lines: list[str]) -> list[str]:
    fenced = False
    out = []
    for line in lines:
        if _FENCE.match(line):
            fenced = not fenced
        out.append(line if fenced else _NESTED.sub(lambda found: found[0] * 2, line))
    return out
