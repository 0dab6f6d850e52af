"""A response to its reasoning steps. One splitter for every metric that speaks of steps.

A step is a line; in a line of prose, a sentence. Kept whole: a fenced code block, a display formula
($$...$$, \\[...\\], \\begin{...}...\\end{...}), and what stands in inline mathematics or inline code. No
sentence ends behind a list's number ("2."), a single capital ("J."), a common abbreviation, or inside a
number. Blanks and line ends belong to the step before them. Invariant: the steps joined are the text, and
each holds something other than white space (unless the text does not).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Raised when a text would be split otherwise.
VERSION = 1
_WHOLE = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|\$\$.*?\$\$|\\\[.*?\\\]|\\begin\{(\w+\*?)\}.*?\\end\{\1\}|\\\(.*?\\\)|\$[^$\n]+\$|`[^`\n]+`",
    re.DOTALL,
)
_SENTENCE_END = re.compile(r"[.!?][\"')\]*]*(?=\s+\S)")
_NO_END = re.compile(
    r"(?:^|[\s(])(?:[A-Z]|\(?\d{1,3}|e\.g|i\.e|etc|vs|cf|approx|resp|[Ff]ig|[Ee]q|[Nn]o|Mr|Mrs|Ms|Dr|St|Prof)\.$"
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

    A token that reaches over a step's beginning belongs to the step before; a step without a token of its
    own is left out. Raises ValueError where the tokens do not spell the steps.
    """
    if sum(lengths) != sum(len(step.encode()) for step in steps):
        raise ValueError("the tokens' places in the text are not known")
    firsts: list[int] = []
    token = at = edge = 0
    for step in steps:
        while token < len(lengths) and at < edge:
            at += lengths[token]
            token += 1
        if token < len(lengths) and token not in firsts:
            firsts.append(token)
        edge += len(step.encode())
    return firsts
