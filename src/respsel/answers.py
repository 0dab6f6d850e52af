"""Finding the answer in a response and comparing it with the label.

Knows nothing of datasets or models. Invariant: `is_correct` is a pure function of its arguments, and
VERSION is raised when its meaning changes.
"""

from __future__ import annotations

import re
from fractions import Fraction

from respsel.recipe import AnswerEntry

VERSION = 1
_MARKER = re.compile(r"(?:final\s+answer|the\s+answer\s+is|####)\s*(?:is)?\s*:?", re.IGNORECASE)
_DIGITS = r"(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
_NUMBER = re.compile(rf"[-+]?{_DIGITS}(?:[eE][-+]?\d{{1,3}}(?!\d)|\s?/\s?{_DIGITS})?")
# "I" and "A" are also words: bare, they count only where no word follows.
_CHOICE = re.compile(r"\(([A-Za-z]|\d{1,2})\)|(?<![A-Za-z0-9])([B-HJ-Z]|\d{1,2}|[AI](?! [a-z])|[a-z](?=\)))(?![A-Za-z0-9'])")
_FIRST_WORD = re.compile(r"\W*([A-Za-z]|\d{1,2})(?![A-Za-z0-9'])(?! [a-z])")


def is_correct(check: AnswerEntry, text: str, label: str) -> bool:
    """Whether the text's answer equals the label; a text without an answer is wrong."""
    found = find_answer(check, text)
    if found is None:
        return False
    right = label.strip() if check.kind in ("exact", "regex") else find_answer(check, label)
    return right is not None and is_same(check, found, right)


def is_same(check: AnswerEntry, found: str, right: str) -> bool:
    """Whether two answers, as `find_answer` gives them, are the same."""
    if check.kind == "number":
        return _as_number(found) == _as_number(right) is not None
    if check.kind == "choice":
        return found.casefold() == right.casefold()
    return found.strip() == right.strip()


def find_answer(check: AnswerEntry, text: str) -> str | None:
    """Return the answer in a text, or None.

    number (1,200.50, 1/2, 1e3), choice (B, (b), 2): the first one after the last "Final Answer", "the
    answer is" or "####"; without such words the last one in the text. exact: what follows those words on
    that line, or the whole text. regex: the last match's first group, or the match where the pattern has none.
    """
    if check.kind == "regex":
        matches = list(re.finditer(check.pattern or "", text))
        return _first(matches[-1]) if matches else None
    marks = list(_MARKER.finditer(text))
    tail = text[marks[-1].end() :] if marks else ""
    if check.kind == "exact":
        return tail.strip().splitlines()[0].strip() if tail.strip() else text.strip()
    if check.kind == "choice" and (word := _FIRST_WORD.fullmatch(text.strip()) or _FIRST_WORD.match(tail)):
        return word.group(1)
    pattern = _NUMBER if check.kind == "number" else _CHOICE
    if after := pattern.search(tail):
        return _first(after)
    everywhere = list(pattern.finditer(text))
    return _first(everywhere[-1]) if everywhere else None


def _first(match: re.Match[str]) -> str:
    return next((group for group in match.groups() if group), match.group())


def _as_number(text: str) -> Fraction | None:
    match = _NUMBER.search(text)
    if match is None:
        return None
    above, _, below = match.group().replace(",", "").partition("/")
    try:
        return Fraction(above.strip()) / (Fraction(below.strip()) if below else 1)
    except ZeroDivisionError:
        return None
