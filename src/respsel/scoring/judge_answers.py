"""What a judge's answer says: a score on its scale, or which of two responses is better.

Knows nothing of prompts. Invariants: nothing is guessed; and what the answer only quotes from the
judged texts is not the judge's own word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from respsel.answers.reasoning import without_reasoning
from respsel.backends.contract import Generation
from respsel.scoring.judge import finite_number, read_rating
from respsel.tables.problems import SILENT

# Raised when an answer to the recipe's judge would be read differently.
VERSION = 1
Choice = Literal["A", "B", "tie"]
NO_NUMBER = "the judge gave no number"
NO_CHOICE = "the judge did not say which is better"
CUT_SHORT = "the judge was cut short at max_tokens"
ONLY_QUOTED = "the judge only repeated the response"
OFF_THE_SCALE = "the judge's number is not on the scale"

# Hazard: a hostile endpoint's answer is long, so each pattern takes time linear in it.
_QUOTED = re.compile(
    r'"([^"\n]+)"|\u201c([^\u201c\u201d\n]+)\u201d|\u00ab([^\u00ab\u00bb\n]+)\u00bb|`([^`\n]+)`'
)
_LABELLED = re.compile(r"(?:score|reward|rating|better)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+(?:\.\d+)?")
# "Score: 8/10" and "Better: response A" have as many.
_BARE_WORDS = 3
_BETTER = re.compile(
    r"(?:better|winner)(?: response)?[*_]{0,3}\s{0,3}(?:is\b|=|:)[\s*_\[(\"']{0,9}"
    r"(?:response[\s-]{0,3})?(?P<choice>(?-i:[AB])|tie|neither|both|equal)\b"
    r"(?P<more>[\s*_,/]{1,9}(?:(?:or|and)\b)?[\s*_]{0,9}(?:response[\s-]{0,3})?"
    r"(?:(?-i:[AB])|tie)\b)?",
    re.IGNORECASE,
)
_ALONE = re.compile(r"[\W_]*(?:response[\s-]*)?(?P<choice>A|B|tie)[\W_]*", re.IGNORECASE)


def read_score(
    answer: Generation, judged: Sequence[str], scale: tuple[float, float]
) -> tuple[float | None, str]:
    """Return (score, "") or (None, why there is none); judged: the texts that were shown."""
    own, problem = _own_words(answer, judged)
    rating = None if problem else read_rating(own)
    if answer.truncated and not (rating and rating.marked and rating.rest.strip()):
        return None, problem or CUT_SHORT
    if rating is None:
        return None, problem or NO_NUMBER
    low, high = scale
    if not low <= rating.value <= high or rating.out_of not in (None, high):
        return None, OFF_THE_SCALE
    return rating.value, ""


def read_choice(answer: Generation, judged: Sequence[str]) -> tuple[Choice | None, str]:
    """Return ("A", "B" or "tie", "") or (None, why it says nothing)."""
    own, problem = _own_words(answer, judged)
    marked = [] if problem else list(_BETTER.finditer(own))
    alone = None if problem else _ALONE.fullmatch(own)
    if marked:
        found = None if marked[-1]["more"] else marked[-1]["choice"]
    else:
        found = alone["choice"] if alone else None
    if found is None:
        return None, problem or (CUT_SHORT if answer.truncated else NO_CHOICE)
    return {"a": "A", "b": "B"}.get(found.casefold(), "tie"), ""  # type: ignore[return-value]


def _own_words(answer: Generation, judged: Sequence[str]) -> tuple[str, str]:
    """Return an answer without its thinking and what it quotes, and why nothing is left of it."""
    if answer.problem or not answer.text.strip():
        return "", answer.problem or SILENT
    text = without_reasoning(answer.text, None)
    if text is None:
        return "", CUT_SHORT if answer.truncated else NO_NUMBER
    shown = "\n".join(map(_folded, judged))
    if _LABELLED.search(text) and _folded(text) in shown:
        return "", ONLY_QUOTED

    def kept(match: re.Match[str]) -> str:
        quoted = next(group for group in match.groups() if group)
        is_theirs = finite_number(quoted) is None and _folded(quoted) in shown
        return " " if is_theirs else match.group()

    lines = [line for line in _QUOTED.sub(kept, text).splitlines() if line.strip()]
    before = ["", *lines]
    own = [
        line
        for line, last in zip(lines, before, strict=False)
        if not _is_their_line(line, last, shown)
    ]
    return "\n".join(own), ""


def _is_their_line(line: str, before: str, shown: str) -> bool:
    """Whether a line is the judged texts', not the judge's own.

    A bare number or "Score: 8" may be the judge's, whatever the texts say; but not "Score: 8"
    together with the line before it.
    """
    if len(_WORD.findall(line)) > _BARE_WORDS:
        return _folded(line) in shown
    return bool(before) and bool(_LABELLED.search(line)) and _folded(f"{before} {line}") in shown


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
