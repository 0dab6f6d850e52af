"""How the answers in responses may be checked against a column of labels.

Knows nothing of recipes. Invariant: a kind is proposed only if it can read every label that was
looked at, and finds right answers where there are responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import islice

from respsel.answers import is_correct, label_problem
from respsel.draft.columns import Column, count_words
from respsel.errors import RespselError
from respsel.recipe.schema import AnswerEntry, AnswerKind

_MOST_CHECKED = 60
# Less often than this, the check does not find the answers.
LEAST_RIGHT = 0.25
_FORMULA = re.compile(r"[\\^_{}]|\d/\d|sqrt")
_OPTION = re.compile(r"\(?[A-Ja-j]\)?\.?")
_TRUTHS = ("yes", "no", "true", "false")


def kind_by_responses(
    label: Column, responses: Sequence[Column]
) -> tuple[AnswerKind | None, float]:
    """The kind by which the most answers of some column are right, and their share."""
    best: AnswerKind | None = None
    share = 0.0
    for kind in _readable_by(label):
        for column in responses:
            right = _right_share(kind, label, column)
            if right > share:
                best = kind
                share = right
    return best, share


def kind_by_labels(label: Column) -> AnswerKind:
    """The kind that the labels look like."""
    readable = list(_readable_by(label))
    if "number" in readable:
        return "number"
    if "choice" in readable and all(_is_option(text) for text in label.texts):
        return "choice"
    return "math" if "math" in readable else "exact"


def _readable_by(label: Column) -> Iterator[AnswerKind]:
    """The kinds that can read all labels, the more special ones first."""
    texts = set(label.texts)
    kinds: list[AnswerKind] = ["number", "choice"]
    formulas = sum(_FORMULA.search(text) is not None for text in texts)
    if find_spec("math_verify") is not None and formulas > len(texts) / 4:
        kinds.append("math")
    for kind in kinds:
        check = AnswerEntry(kind=kind)
        if not any(label_problem(check, text) for text in texts):
            yield kind
    if all(count_words(text) <= 12 for text in texts):
        yield "exact"


def _right_share(kind: AnswerKind, label: Column, column: Column) -> float:
    check = AnswerEntry(kind=kind)
    pairs = list(islice(zip(column.texts, label.texts, strict=False), _MOST_CHECKED))
    try:
        return sum(is_correct(check, text, right) for text, right in pairs) / max(1, len(pairs))
    except RespselError:
        return 0


def _is_option(text: str) -> bool:
    return _OPTION.fullmatch(text.strip()) is not None or text.strip().casefold() in _TRUTHS
