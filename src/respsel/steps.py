"""A response to its reasoning steps. One splitter for every metric that speaks of steps.

A step is a line; in a line of prose, a sentence. Kept whole: a fenced code block, a display formula
($$...$$, \\[...\\], \\begin{...}...\\end{...}), and what stands in inline mathematics (not sums of money: "$5
and $7") or inline code. No sentence ends behind the number at a line's beginning ("2.", "Step 2."), a single
capital ("J."), a common abbreviation, or inside a number. Blanks and line ends belong to the step before
them. Invariant: the steps joined are the text, and each holds something other than white space (unless the
text does not).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

# Raised when a text would be split otherwise, or a step would have another first token.
VERSION = 2
UNKNOWN_PLACES = "the tokens' places in the text are not known"
_WHOLE = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|\$\$.*?\$\$|\\\[.*?\\\]|\\begin\{(\w+\*?)\}.*?\\end\{\1\}|\\\(.*?\\\)|\$(?!\s)[^$\n]+(?<!\s)\$(?!\d)|`[^`\n]+`",
    re.DOTALL,
)
# Full-width marks end a sentence without a blank behind them.
_SENTENCE_END = re.compile(r"[.!?][\"')\]*]*(?=\s+\S)|[。！？]+[”’」』）]*(?=\s*\S)")
_NO_END = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|e\.g|i\.e|etc|vs|cf|approx|resp|[Ff]ig|[Ee]q|[Nn]o|Mr|Mrs|Ms|Dr|St|Prof)\.$"
    r"|^\(?(?:[Ss]tep )?\d{1,3}\)?\.$"
)


def split_steps(text: str) -> list[str]:
    """Return a text's steps; a text of nothing but white space is one step."""
    ends = sorted({*_line_ends(text), *_sentence_ends(text)})
    steps: list[str] = []
    start = 0
    for end in [*ends, len(text)]:
        piece = text[start:end]
        if not piece:
            continue
        if steps and (not piece.strip() or not steps[-1].strip()):
            steps[-1] += piece
        else:
            steps.append(piece)
        start = end
    return steps or [text]


def _line_ends(text: str) -> Iterator[int]:
    """Positions behind line ends, with the white space after them up to the next line's first word."""
    whole = _spans(text)
    for match in re.finditer(r"[ \t]*\n", text):
        if not any(start < match.end() and match.start() < end for start, end in whole):
            yield match.end()


def _sentence_ends(text: str) -> Iterator[int]:
    """Positions behind the blanks that follow a sentence's end."""
    whole = _spans(text)
    for match in _SENTENCE_END.finditer(text):
        place = match.start()
        if any(start <= place < end for start, end in whole):
            continue
        line = text[text.rfind("\n", 0, place) + 1 : place + 1]
        if _NO_END.search(line.lstrip(" \t*#>-")):
            continue
        behind = re.compile(r"[ \t]*").match(text, match.end())
        assert behind is not None
        yield behind.end()


def _spans(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _WHOLE.finditer(text)]


def first_tokens(steps: list[str], lengths: list[int]) -> list[int]:
    """Return, for each step, the index of its first token, given how many UTF-8 bytes each token spells.

    That is the first token which spells something of the step's words: in most vocabularies a word's token
    begins with the blank before the word, which split_steps gives to the step before. Steps that begin inside
    one token share it, and it is returned once. Raises ValueError where the tokens do not spell the steps.
    """
    ends = list(accumulate(lengths))
    places = word_places(steps)
    if (ends[-1] if ends else 0) != places[-1]:
        raise ValueError(UNKNOWN_PLACES)
    return list(dict.fromkeys(first for place in places[:-1] if (first := bisect_right(ends, place)) < len(ends)))


def word_places(steps: list[str]) -> list[int]:
    """The place in the text, in UTF-8 bytes, of each step's first word; and behind them the text's length."""
    places, start = [], 0
    for step in steps:
        blanks = len(step) - len(step.lstrip())
        places.append(start + len(step[:blanks].encode()) if step.strip() else start)
        start += len(step.encode())
    return [*places, start]
