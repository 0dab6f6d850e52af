"""Finding the answer in a response and comparing it with the label.

Knows nothing of datasets or models. Invariant: `is_correct` is a pure function of its arguments, and
VERSION is raised when its meaning changes.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import islice

from respsel.recipe import AnswerEntry

VERSION = 2
# Models write "**Final Answer:** 7" and "**Final Answer**: 7": those marks belong to the words.
_MARKER = re.compile(
    r"(?:final\s+answer|the\s+answer\s+is|####)(?:[*_]+(?=[\s:]|$))?\s*(?:is\b)?\s*(?::(?:[*_]+(?=\s|$))?)?", re.IGNORECASE
)
# What is opened before a marker, and how far before its end.
_OPENED, _NEAR = re.compile(r"(?:^|\s)(\*\*|__|\*|_)\w[\w ]*[:\s]*$"), 80
_DIGITS = r"(?:\d[\d,]*(?:\.\d+)?|\.\d+)"
_NUMBER = re.compile(rf"[-+]?(?:\d+ \d+/\d+|{_DIGITS}(?:[eE][-+]?\d{{1,3}}(?!\d)|\s?/\s?{_DIGITS})?)")
_FRACTION = re.compile(rf"(?P<whole>(?<=\d))?\\[dt]?frac\s*{{\s*([-+]?{_DIGITS})\s*}}\s*{{\s*({_DIGITS})\s*}}")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_LETTER = re.compile(r"[^\W\d_]")
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
        return _unwrapped(found) == _unwrapped(right)
    return found.strip() == right.strip()


def find_answer(check: AnswerEntry, text: str) -> str | None:
    """Return the answer in a text, or None.

    number (1,200.50, 1/2, 2 1/2, 1e3, \\frac{1}{2}), choice (B, (b), 2): the first one after the last "Final
    Answer", "the answer is" or "####"; without such words the last one in the text. exact: what follows those
    words on that line, or the whole text. regex: the last match's first group, or the match where the pattern
    has none.
    """
    if check.kind == "regex":
        matches = list(re.finditer(check.pattern or "", text))
        return _first(matches[-1]) if matches else None
    if check.kind == "number":
        text = _plain(text)
    tail = _tail(text)
    if check.kind == "exact":
        return _closed(tail.strip().splitlines()[0].strip(), text.removesuffix(tail)) if tail.strip() else text.strip()
    if check.kind == "choice" and (word := _FIRST_WORD.fullmatch(text.strip()) or _FIRST_WORD.match(tail)):
        return word.group(1)
    found = _matches(_NUMBER if check.kind == "number" else _CHOICE, text, 1)
    return _first(found[0]) if found else None


def _tail(text: str) -> str:
    """What follows the last marker; nothing where there is none."""
    marks = list(_MARKER.finditer(text))
    return text[marks[-1].end() :] if marks else ""


def _closed(line: str, before: str) -> str:
    """What follows a marker, without the mark that closes what was opened before the marker: "**Final Answer: yes**"."""
    opened = _OPENED.search(before.rpartition("\n")[2][-_NEAR:])
    return line.removesuffix(opened[1]).rstrip() if opened and line != opened[1] else line


def _unwrapped(text: str) -> str:
    """A text without the marks around it that make all of it bold or code."""
    text = text.strip()
    for mark in ("**", "*", "`"):
        inner = text.removeprefix(mark).removesuffix(mark)
        if len(inner) == len(text) - 2 * len(mark) and inner.strip("*` "):
            return inner.strip()
    return text


def _plain(text: str) -> str:
    """A text with numbers as the pattern knows them: the minus sign as "-", LaTeX's fractions and commas resolved."""

    def resolved(match: re.Match[str]) -> str:
        # 1\frac{1}{2} is one and a half.
        return f"{'' if match['whole'] is None else ' '}{match[2]}/{match[3]}"

    return _FRACTION.sub(resolved, text.replace("\N{MINUS SIGN}", "-").replace("{,}", ","))


def _numbers_of_label(label: str) -> list[Fraction | None]:
    """What a right answer must hold: the label's number, or all that a label without words is made of (3:45, 10^5)."""
    plain = _plain(label)
    # Of "5 + 7 = 12" the result.
    result = re.split(r"=|>>", plain)[-1]
    if not _tail(plain) and not _LETTER.search(_COMMAND.sub("", plain)) and _NUMBER.search(result):
        return [_as_number(match.group()) for match in _NUMBER.finditer(result)]
    return _numbers(label, 1)


def _numbers(text: str, count: int) -> list[Fraction | None]:
    """So many numbers, as _matches finds them."""
    return [_as_number(match.group()) for match in _matches(_NUMBER, _plain(text), count)]


def _matches(pattern: re.Pattern[str], text: str, count: int) -> list[re.Match[str]]:
    """The first after the last marker; without one after it the last in the text."""
    after = list(islice(pattern.finditer(_tail(text)), count))
    return after or list(pattern.finditer(text))[-count:]


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
    except (ZeroDivisionError, ValueError):
        # Division by zero; or a model that wrote digits without end, more than Python reads.
        return None
