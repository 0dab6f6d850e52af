"""A response to its reasoning steps. One splitter for every metric that speaks of steps.

A step is a line; in a line of prose, a sentence. Kept whole are:
- a fenced code block, and inline code;
- a display formula ($$...$$, \\[...\\], \\begin{...}...\\end{...});
- inline mathematics, but not sums of money ("$5 and $7").
No sentence ends behind the number at a line's beginning ("2.", "Step 2."), a single capital ("J.")
or a common abbreviation, or inside a number. Blanks and line ends belong to the step before them.

Knows nothing of tokens' scores. Invariant: the steps joined are the text, and each has something
other than white space (unless the text has not).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate, pairwise

_LINE_MARKS = re.compile(r"[ \t*#>-]*")
# Raised when a text would be split differently, or a step would have another first token.
VERSION = 2
UNKNOWN_PLACES = "the tokens' places in the text are not known"
# What may open a whole stretch, and how stretches end that are known by one text.
_OPENERS = re.compile(r"```|~~~|\$\$|\\\[|\\begin\{(\w+\*?)\}|\\\(|\$|`")
_CLOSERS = {"$$": "$$", "\\[": "\\]", "\\(": "\\)"}
_INLINE = re.compile(r"\$(?!\s)[^$\n]+(?<!\s)\$(?!\d)|`[^`\n]+`")
_END = re.compile(r"\\end\{(\w+\*?)\}")
# Longer than all that _NO_END looks at.
_TAIL = 20
# With the blanks behind it. Full-width marks end a sentence without a blank behind them.
_SENTENCE_END = re.compile(r"(?:[.!?][\"')\]*]*(?=\s+\S)|[。！？]+[”’」』）]*(?=\s*\S))[ \t]*")
_NO_END = re.compile(
    r"(?:^|[\s(])"
    r"(?:[A-Z]|e\.g|i\.e|etc|vs|cf|approx|resp|[Ff]ig|[Ee]q|[Nn]o|Mr|Mrs|Ms|Dr|St|Prof)\.$"
    r"|^\(?(?:[Ss]tep )?\d{1,3}\)?\.$"
)
# The last character before the point of an abbreviation or a single capital.
_LAST_OF_NO_END = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZgecsfxpqort")


def split_steps(text: str) -> list[str]:
    """Return a text's steps; a text of nothing but white space is one step.

    Takes time linear in the text's length.
    """
    whole = _spans(text)
    ends = sorted([*_line_ends(text, whole), *_sentence_ends(text, whole)])
    starts: list[int] = []
    # Hazard: steps are joined as places, since a string that grows by pieces is copied each time.
    start = 0
    blank = True
    for end in [*ends, len(text)]:
        if start == end:
            continue
        empty = text[start:end].isspace()
        if not starts or not (empty or blank):
            starts.append(start)
            blank = empty
        else:
            blank = blank and empty
        start = end
    return [text[one:other] for one, other in pairwise([*starts, len(text)])] or [text]


def _line_ends(text: str, whole: _Spans) -> Iterator[int]:
    """Positions behind line ends and the white space up to the next line's first word."""
    at = text.find("\n")
    while at >= 0:
        begin = at
        while begin and text[begin - 1] in " \t":
            begin -= 1
        if not whole.overlap(begin, at + 1):
            yield at + 1
        at = text.find("\n", at + 1)


def _sentence_ends(text: str, whole: _Spans) -> Iterator[int]:
    """Positions behind the blanks that follow a sentence's end."""
    line = 0
    word = -1
    seen = 0
    for match in _SENTENCE_END.finditer(text):
        place = match.start()
        if whole and whole.overlap(place, place + 1):
            continue
        if text[place] == ".":
            if (last := text.rfind("\n", seen, place)) >= 0:
                line = last + 1
                word = -1
            seen = place
            # Where the line's words begin, behind marks of lists and the like; the mark itself is
            # none of them.
            word = _word_behind(text, line) if word < 0 else word
            near = place - word < _TAIL
            # A quick look first, since a looping model writes millions of sentences.
            if text[place - 1] in _LAST_OF_NO_END or (
                near and (text[place - 1].isdigit() or text[place - 1] == ")")
            ):
                tail = text[word : place + 1] if near else f"x{text[place - _TAIL : place + 1]}"
                if _NO_END.search(tail):
                    continue
        yield match.end()


def _word_behind(text: str, line: int) -> int:
    found = _LINE_MARKS.match(text, line)
    assert found is not None
    return found.end()


class _Spans:
    """Stretches that are kept whole, in order and apart from each other."""

    def __init__(self, spans: list[tuple[int, int]]) -> None:
        self._starts = [start for start, _ in spans]
        self._ends = [end for _, end in spans]

    def __bool__(self) -> bool:
        return bool(self._starts)

    def overlap(self, begin: int, end: int) -> bool:
        """Whether one of them has a character from begin on and before end."""
        place = bisect_right(self._ends, begin)
        return place < len(self._starts) and self._starts[place] < end


def _spans(text: str) -> _Spans:
    """What is kept whole.

    A closer that is not found once is never looked for again, so that this takes linear time.
    """
    found: list[tuple[int, int]] = []
    lacking: set[str] = set()
    environments: dict[str, list[int]] = {}
    for match in _END.finditer(text):
        environments.setdefault(match[1], []).append(match.end())
    at = 0
    while (opener := _OPENERS.search(text, at)) is not None:
        end = _close(text, opener, environments, lacking)
        if end is None:
            at = opener.start() + 1
        else:
            found.append((opener.start(), end))
            at = end
    return _Spans(found)


def _close(
    text: str, opener: re.Match[str], environments: dict[str, list[int]], lacking: set[str]
) -> int | None:
    """Where the stretch ends that an opener begins; None if it begins none."""
    mark = opener.group()
    if mark in ("```", "~~~"):
        end = text.find(mark, opener.end())
        return end + len(mark) if end >= 0 else len(text)
    if opener[1] is not None:
        ends = environments.get(opener[1], [])
        # The environment's end is its name's end, so one that overlaps the opener cannot be.
        place = bisect_right(ends, opener.end() + len(mark) - len("begin") + len("end") - 1)
        return ends[place] if place < len(ends) else None
    if mark in _CLOSERS:
        closer = _CLOSERS[mark]
        end = -1 if closer in lacking else text.find(closer, opener.end())
        if end < 0:
            lacking.add(closer)
            return None
        return end + len(closer)
    inline = _INLINE.match(text, opener.start())
    return inline.end() if inline else None


def first_tokens(steps: list[str], lengths: list[int]) -> list[int]:
    """Return, for each step, the index of its first token.

    That is the first token which spells something of the step's words. In most vocabularies a
    word's token begins with the blank before the word, which split_steps gives to the step before.
    Steps that begin inside one token share it, and it is returned once.

    lengths: how many UTF-8 bytes each token spells.
    Raises ValueError where the tokens do not spell the steps.
    """
    ends = list(accumulate(lengths))
    places = word_places(steps)
    if (ends[-1] if ends else 0) != places[-1]:
        raise ValueError(UNKNOWN_PLACES)
    return list(
        dict.fromkeys(
            first for place in places[:-1] if (first := bisect_right(ends, place)) < len(ends)
        )
    )


def word_places(steps: list[str]) -> list[int]:
    """The place of each step's first word in the text, then the text's length, in UTF-8 bytes."""
    places = []
    start = 0
    for step in steps:
        blanks = len(step) - len(step.lstrip())
        places.append(start + len(step[:blanks].encode()) if step.strip() else start)
        start += len(step.encode())
    return [*places, start]
