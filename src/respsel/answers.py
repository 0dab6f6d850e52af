"""Finding the answer in a response and comparing it with the label.

Knows nothing of datasets or models. Invariant: `is_correct` is a pure function of its arguments, and
VERSION is raised when its meaning changes.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from respsel.recipe import AnswerEntry

VERSION = 1
_MARKER = re.compile(r"(?:final\s+answer|the\s+answer\s+is|####)\s*(?:is)?\s*:?", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?")
_CHOICE = re.compile(r"(?<![A-Za-z0-9])\(?([A-Z]|[a-z](?=\))|\d{1,2})\)?(?![A-Za-z0-9])")


def is_correct(check: AnswerEntry, text: str, label: str) -> bool:
    """Whether the text's answer equals the label; a text without an answer is wrong."""
    found = find_answer(check, text)
    if found is None:
        return False
    if check.kind == "number":
        return _as_number(found) == _as_number(label) is not None
    if check.kind == "choice":
        return found.casefold() == label.strip().strip("()").casefold()
    return found.strip() == label.strip()


def find_answer(check: AnswerEntry, text: str) -> str | None:
    """Return the answer in a text, or None.

    number, choice: the first one after the last "Final Answer", "the answer is" or "####"; without such
    words the last one in the text. exact: what follows those words on that line, or the whole text.
    regex: the last match's first group, or the match where the pattern has no group.
    """
    if check.kind == "regex":
        matches = list(re.finditer(check.pattern or "", text))
        return (matches[-1].group(1) if matches[-1].re.groups else matches[-1].group()) if matches else None
    marks = list(_MARKER.finditer(text))
    tail = text[marks[-1].end() :] if marks else ""
    if check.kind == "exact":
        return tail.strip().splitlines()[0].strip() if tail.strip() else text.strip()
    pattern = _NUMBER if check.kind == "number" else _CHOICE
    if after := pattern.search(tail):
        return _first(after)
    everywhere = list(pattern.finditer(text))
    return _first(everywhere[-1]) if everywhere else None


def _first(match: re.Match[str]) -> str:
    return match.group(1) if match.re.groups else match.group()


def _as_number(text: str) -> Decimal | None:
    match = _NUMBER.search(text)
    try:
        return Decimal(match.group().replace(",", "")).normalize() if match else None
    except InvalidOperation:
        return None
