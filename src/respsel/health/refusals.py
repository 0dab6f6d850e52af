"""Texts that refuse to answer: they begin with a phrase by which models do so.

Knows nothing of what was asked for, but whether it is about refusals. Invariants: only a text's
beginning is looked at. A text that quotes or reports a refusal is none.
"""

from __future__ import annotations

import re

from respsel.health.refusal_phrases import find_phrase

# So much of a text's beginning is looked at, and the phrase begins within so much of it.
_BEGINNING = 320
_LEAD = 110

_QUOTES = '"“”„«»「」『』:：`|'
_ABOUT_REFUSALS = re.compile(
    r"\brefus|\bdeclin|\bturn(?:ing)? down|\bsay(?:ing)? no\b|\bablehn|\babsage|\bweiger|\bdécliner"
    r"|\brechaz|\brifiut|\brecus|\bodmów|отказ|отклон|拒绝|拒絕|断り|거절",
    re.IGNORECASE,
)


def is_refusal(text: str, asked: str) -> bool:
    """Whether a text begins with a refusal, and its input is not about one.

    asked: the input.
    """
    start = _plain(text.lstrip(" \t\n*#_>-~")[:_BEGINNING])
    phrase = find_phrase(start)
    if phrase is None or phrase.start() > _LEAD:
        return False
    if any(mark in _QUOTES for mark in start[: phrase.start()]):
        return False
    about = asked[:20_000]
    return not (_ABOUT_REFUSALS.search(about) or find_phrase(_plain(about)))


def _plain(text: str) -> str:
    return text.casefold().replace("’", "'").replace("\n", " ").replace("，", ",")
