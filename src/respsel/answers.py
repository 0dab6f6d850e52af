"""Finding the answer in a response and comparing it with the label.

Knows nothing of datasets or models. Invariant: `is_correct` is a pure function of its arguments, and
VERSION is raised when its meaning changes.
"""

from __future__ import annotations

import re
from fractions import Fraction

from respsel.recipe import AnswerEntry

VERSION = 2
# Models write "**Final Answer:** 7": the marks around the words belong to them.
_MARKER = re.compile(r"(?:final\s+answer|the\s+answer\s+is|####)[*_\s]*(?:is\b)?[*_\s]*:?[*_]*", re.IGNORECASE)
_DIGITS = r"(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
_NUMBER = re.compile(rf"[-+]?(?:\d+ \d+/\d+|{_DIGITS}(?:[eE][-+]?\d{{1,3}}(?!\d)|\s?/\s?{_DIGITS})?)")
_FRACTION = re.compile(rf"(?P<whole>(?<=\d))?\\[dt]?frac\s*{{\s*([-+]?{_DIGITS})\s*}}\s*{{\s*({_DIGITS})\s*}}")
_WORD = re.compile(r"(?<!\\)\b[A-Za-z]{2,}")
# "I" and "A" are also words: bare, they count only where no word follows.
_CHOICE = re.compile(r"\(([A-Za-z]|\d{1,2})\)|(?<![A-Za-z0-9])([B-HJ-Z]|\d{1,2}|[AI](?! [a-z])|[a-z](?=\)))(?![A-Za-z0-9'])")
_FIRST_WORD = re.compile(r"\W*([A-Za-z]|\d{1,2})(?![A-Za-z0-9'])(?! [a-z])")


def is_correct(check: AnswerEntry, text: str, label: str) -> bool:
    """Whether the text's answer equals the label; a text without an answer is wrong."""
    if check.kind == "number":
        wanted = _numbers_of_label(label)
        return bool(wanted) and None not in wanted and _numbers(text, len(wanted)) == wanted
    found = find_answer(check, text)
    if found is None:
        return False
    right = label if check.kind in ("exact", "regex") else find_answer(check, label)
    return right is not None and is_same(check, found, right)


def is_same(check: AnswerEntry, found: str, right: str) -> bool:
    """Whether two answers, as `find_answer` gives them, are the same."""
    if check.kind == "number":
        return _as_number(found) == _as_number(right) is not None
    if check.kind == "choice":
        return found.casefold() == right.casefold()
    if check.kind == "exact":
        return _bare(found) == _bare(right)
    return found.strip() == right.strip()


def find_answer(check: AnswerEntry, text: str) -> str | None:
    """Return the answer in a text, or None.

    number (1,200.50, 1/2, 2 1/2, 1e3, \\frac{1}{2}), choice (B, (b), 2): the first one after the last "Final
    Answer", "the answer is" or "####"; without such words the last one in the text. exact: what follows those
    words on that line, or the whole text, without Markdown's marks around it. regex: the last match's first
    group, or the match where the pattern has none.
    """
    if check.kind == "regex":
        matches = list(re.finditer(check.pattern or "", text))
        return _first(matches[-1]) if matches else None
    if check.kind == "number":
        text = _plain(text)
    tail = _tail(text)
    if check.kind == "exact":
        return _bare(tail.strip().splitlines()[0] if tail.strip() else text)
    if check.kind == "choice" and (word := _FIRST_WORD.fullmatch(text.strip()) or _FIRST_WORD.match(tail)):
        return word.group(1)
    pattern = _NUMBER if check.kind == "number" else _CHOICE
    if after := pattern.search(tail):
        return _first(after)
    everywhere = list(pattern.finditer(text))
    return _first(everywhere[-1]) if everywhere else None


def _tail(text: str) -> str:
    """What follows the last marker; nothing where there is none."""
    marks = list(_MARKER.finditer(text))
    return text[marks[-1].end() :] if marks else ""


def _bare(text: str) -> str:
    """A text without the marks that make it bold or code."""
    return text.strip().strip("*_`").strip()


def _plain(text: str) -> str:
    """A text with numbers as the pattern knows them: the minus sign as "-", LaTeX's fractions and commas resolved."""

    def resolved(match: re.Match[str]) -> str:
        # 1\frac{1}{2} is one and a half.
        return f"{'' if match['whole'] is None else ' '}{match[2]}/{match[3]}"

    return _FRACTION.sub(resolved, text.replace("\N{MINUS SIGN}", "-").replace("{,}", ","))


def _numbers_of_label(label: str) -> list[Fraction | None]:
    """What a right answer must hold. A label that is nothing but several numbers (3:45, 10^5) means all of them."""
    plain = _plain(label)
    if not _tail(plain) and not _WORD.search(plain):
        return [_as_number(match.group()) for match in _NUMBER.finditer(plain)]
    return _numbers(label, 1)


def _numbers(text: str, count: int) -> list[Fraction | None]:
    """The first numbers after the last marker; without one after it the last in the text."""
    plain = _plain(text)
    after = [match.group() for match in _NUMBER.finditer(_tail(plain))][:count]
    found = after or [match.group() for match in _NUMBER.finditer(plain)][-count:]
    return [_as_number(item) for item in found]


def _first(match: re.Match[str]) -> str:
    return next((group for group in match.groups() if group), match.group())


def _as_number(text: str) -> Fraction | None:
    match = _NUMBER.search(text)
    if match is None:
        return None
    above, _, below = match.group().replace(",", "").partition("/")
    whole, _, rest = above.strip().partition(" ")
    try:
        part = Fraction(rest or whole) / (Fraction(below.strip()) if below else 1)
        return part if not rest else Fraction(whole) + (-part if whole.startswith("-") else part)
    except ZeroDivisionError:
        return None
