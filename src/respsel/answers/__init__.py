"""Answers: found in responses, and compared with labels.

`checking` does it, with one module for each kind. It is loaded with the first text, since compiling
its grammar takes longer than a cached run.

Knows nothing of datasets. Invariant: importing this package loads no grammar.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from respsel.answers.limits import PatternTimeoutError
from respsel.recipe.schema import AnswerEntry

__all__ = [
    "VERSION",
    "PatternTimeoutError",
    "check_fields",
    "find_answer",
    "is_correct",
    "is_same",
    "label_problem",
]

# Raised when is_correct would judge the same text differently.
VERSION = 3


def is_correct(check: AnswerEntry, text: str, label: str) -> bool:
    """Whether the text's answer equals the label; a text without an answer is wrong."""
    from respsel.answers import checking

    return checking.is_correct(check, text, label)


def is_same(check: AnswerEntry, found: str, right: str) -> bool:
    """Whether two answers, as `find_answer` gives them, are the same."""
    from respsel.answers import checking

    return checking.is_same(check, found, right)


def find_answer(check: AnswerEntry, text: str) -> str | None:
    """Return the answer in a text, or None; docs/answers.md says where each kind looks for it."""
    from respsel.answers import checking

    return checking.find_answer(check, text)


def label_problem(check: AnswerEntry, label: str) -> tuple[str, str] | None:
    """What is wrong with a label, and what to do; None if nothing.

    A wrong label would make every response wrong, or a wrong one right.
    """
    from respsel.answers import checking

    return checking.label_problem(check, label)


def check_fields(check: AnswerEntry | None) -> Mapping[str, Any] | None:
    """The part of an answer check that is in keys: everything that changes its results."""
    if check is None:
        return None
    package: Mapping[str, str] = {}
    if check.kind == "math":
        from respsel.answers.mathematics import package_version

        package = {"math-verify": package_version()}
    return {**check.model_dump(exclude_none=True), **package, "version": VERSION}
