"""What a server says in an error, in its own words: JSON of many shapes, web pages, plain text.

Knows nothing of what the words mean. Invariants: the result is one line without control characters
and without markup. A secret is hidden before anything is cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from html import unescape
from typing import Any

# A page's words are at its beginning; the rest is not read.
_PAGE_CHARS = 8_000
_PAGE_WORDS = 160
_DEEPEST = 6
_NAMES = (
    "message",
    "error_description",
    "error_msg",
    "detail",
    "details",
    "msg",
    "Message",
    "title",
    "reason",
)
_PAGE = re.compile(
    r"\s*<(?:!doctype|\?xml|html|head|body|title|center|div|h1|p|pre|script)\b", re.IGNORECASE
)
_TITLE = re.compile(r"<title[^<>]*>([^<]*)", re.IGNORECASE)
_SILENT = re.compile(r"<(script|style|title)\b.*?</\1\s*>?", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")


def one_line(text: str) -> str:
    """A text in one line, without control characters, as it can be kept and shown."""
    line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return line if line.isprintable() else "".join(filter(str.isprintable, line))


def words_of(document: Any) -> str:
    """What an error says, in one line; `document` is JSON, or the text that came instead."""
    if isinstance(document, str):
        return page_words(document) if is_page(document) else one_line(document)
    said = _said(document, _DEEPEST)
    try:
        return one_line(said or json.dumps(document, ensure_ascii=False, default=str))
    except RecursionError:
        return "JSON that is nested too deeply"


def is_page(text: str) -> bool:
    """Whether a text is a web page."""
    return _PAGE.match(text) is not None


def page_words(page: str) -> str:
    """A web page's title and its first words."""
    start = page[:_PAGE_CHARS]
    title = one_line(unescape(found.group(1))) if (found := _TITLE.search(start)) else ""
    text = one_line(unescape(_TAG.sub(" ", _SILENT.sub(" ", start))))
    rest = text.removeprefix(title).strip()[:_PAGE_WORDS]
    return f"{title}: {rest}" if title and rest else title or rest


def _said(document: Any, depth: int) -> str:
    if isinstance(document, str):
        return page_words(document) if is_page(document) else document.strip()
    if isinstance(document, Sequence) and not isinstance(document, bytes) and depth:
        return "; ".join(filter(None, (_said(item, depth - 1) for item in document[:3])))
    if not isinstance(document, Mapping) or not depth:
        return ""
    if isinstance(document.get("loc"), Sequence) and isinstance(document.get("msg"), str):
        # A field that FastAPI refuses. Its "input" would repeat the whole request.
        place = ".".join(str(part) for part in document["loc"] if part != "body")
        return f"{place}: {document['msg']}"
    inner = next(
        (text for name in ("error", "errors") if (text := _said(document.get(name), depth - 1))), ""
    )
    own = next((text for name in _NAMES if (text := _said(document.get(name), depth - 1))), "")
    said = (
        own
        if not inner or inner in own
        else inner
        if not own or own in inner
        else f"{own}: {inner}"
    )
    metadata = document.get("metadata")
    # OpenRouter: what the server behind it said.
    raw = _raw(metadata.get("raw"), depth) if isinstance(metadata, Mapping) else ""
    if raw and raw not in said:
        return f"{said}: {raw}" if said else raw
    code = document.get("code") or document.get("type") or document.get("status")
    return said or (str(code) if isinstance(code, str | int) and not isinstance(code, bool) else "")


def _raw(raw: Any, depth: int) -> str:
    if isinstance(raw, str):
        with suppress(ValueError, RecursionError):
            raw = json.loads(raw)
    return _said(raw, depth - 1)
