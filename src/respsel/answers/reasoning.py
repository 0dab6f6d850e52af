"""A response without the reasoning that a model wrote before its answer.

Knows the tags that models use, and a further pair from the recipe. Invariant: what is in a pair of
tags is never part of an answer. A text whose reasoning has no end has no answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from respsel.text.tags import REASONING_PAIRS, TURN_ENDS

# gpt-oss: channels in place of tags, and what is left of them where special tokens were not
# decoded.
_CHANNEL = "<|channel|>"
_FINAL = "<|channel|>final"
_BARE_FINAL = "assistantfinal"
_MESSAGE = "<|message|>"


def without_reasoning(text: str, further: Sequence[str] | None) -> str | None:
    """What a response says after and between its reasoning.

    None if the reasoning has no end, or nothing follows it.
    """
    if _CHANNEL in text:
        _, found, text = text.rpartition(_FINAL)
        if not found:
            return None
        text = text.partition(_MESSAGE)[2] or text
    elif text.startswith("analysis") and _BARE_FINAL in text:
        text = text.rpartition(_BARE_FINAL)[2]
    tags, closing = _tags(tuple(further or ()))
    kept: list[str] = []
    start = 0
    opened = ""
    for match in tags.finditer(text):
        tag = match.group().casefold()
        if tag not in closing:
            if not opened:
                kept.append(text[start : match.start()])
                opened = tag
        elif not opened:
            # Chat templates often open the reasoning in the prompt: all before is reasoning.
            kept = []
        if tag in closing:
            start = match.end()
            opened = ""
    if opened:
        return None
    kept.append(text[start:])
    return _without_ends("\n".join(kept)) or None


def _without_ends(text: str) -> str:
    text = text.strip()
    stop = len(text)
    while end := next((end for end in TURN_ENDS if text.endswith(end, 0, stop)), ""):
        stop -= len(end)
        while stop and text[stop - 1].isspace():
            stop -= 1
    return text[:stop]


@lru_cache(maxsize=64)
def _tags(further: tuple[str, ...]) -> tuple[re.Pattern[str], frozenset[str]]:
    pairs = [*REASONING_PAIRS, *([(further[0], further[1])] if further else [])]
    names = sorted({tag for pair in pairs for tag in pair}, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(name) for name in names), re.IGNORECASE)
    return pattern, frozenset(closing.casefold() for _, closing in pairs)
