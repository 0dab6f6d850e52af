"""Every error that respsel reports to a user, and the exit code each one maps to.

    RespselError                 (exit 1)
    |-- InputError               2   the recipe, respsel.toml or a data file is wrong
    |-- PreflightError           3   the machine lacks something: a package, weights, context
    |-- StoreError               4   the store is damaged or cannot be used
    `-- RunError                 1   a run failed; what was done before is kept

Exit 0 is success, 70 a bug in respsel (any other exception), 130 Ctrl-C.

An error holds one or more problems, each in the shape `file: where: what is wrong. what to do`.
Knows nothing of how they are shown. Invariant: a user sees everything that is wrong at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

EXIT_BUG = 70
EXIT_INTERRUPTED = 130
MOST_PROBLEMS = 20
# Reading stops at this many: the file is of another kind than the recipe takes it for.
_ENOUGH_PROBLEMS = 1000
# What a message shows of a name or text from a file, and of names that it lists.
_LONGEST_PART = 1000
_MOST_NAMES = 30
_LONGEST_WORD = 200
_MOST_WORDS = 2000


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    file: the file, or what else is wrong.
    where: the place in it, if there is one.
    what: the fault.
    remedy: what to do about it, if anything.
    """

    file: str
    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.file, self.where) if part)
        text = " ".join(
            part
            for part in (_sentence(_clipped(self.what)), _sentence(_clipped(self.remedy)))
            if part
        )
        return f"{place}: {text}" if place else text


def first_line(error: BaseException) -> str:
    """The first line of a library's error; the name of its type where it has no words."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class RespselError(Exception):
    """The root of the tree; `problems` is never empty."""

    exit_code = 1

    def __init__(self, problems: Iterable[Problem] | Problem) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InputError(RespselError):
    """The recipe, the workspace file or a data file is wrong."""

    exit_code = 2


class PreflightError(RespselError):
    """Something that the run needs is not on this machine or does not fit the model."""

    exit_code = 3


class StoreError(RespselError):
    """The store cannot be opened, read or written."""

    exit_code = 4


class RunError(RespselError):
    """A model call failed. Everything acknowledged before it is in the store."""

    exit_code = 1


def raise_problems(problems: Iterable[Problem], at_least: str = "") -> None:
    """Raise InputError if there are any problems: the first 20, each fault with its first place.

    at_least: comes before the numbers of problems, where the caller did not look for all.
    """
    alike: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        alike.setdefault((problem.file, problem.what), []).append(problem)
    merged = []
    for first, *others in alike.values():
        where = f"{first.where} and {at_least}{len(others)} more" if others else first.where
        merged.append(Problem(first.file, where, first.what, first.remedy))
    if merged:
        raise InputError(first_problems(merged, "problems like these", at_least))


def first_problems(problems: Sequence[Problem], kind: str, at_least: str = "") -> list[Problem]:
    """The first 20 problems, and one that counts the rest.

    kind: what the rest are, after "and 7 more". at_least: see `raise_problems`.
    """
    rest = len(problems) - MOST_PROBLEMS
    if rest <= 0:
        return list(problems)
    counted = Problem(problems[0].file, "", f"and {at_least}{rest} more {kind}", "")
    return [*problems[:MOST_PROBLEMS], counted]


def stop_at_many(problems: Sequence[Problem]) -> None:
    """Raise InputError if there are so many problems that no more need be looked for."""
    if len(problems) >= _ENOUGH_PROBLEMS:
        raise_problems(problems, "at least ")


def suggest(word: str, known: Iterable[str]) -> str:
    """Return "Did you mean 'x'?" for the nearest known word, else the list of known words."""
    names = sorted(known)
    return close_match(word, names) or (f"Known here: {name_list(names)}" if names else "")


def name_list(names: Sequence[str], most: int = _MOST_NAMES) -> str:
    """Names in a sentence: the first of them, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def close_match(word: str, known: Iterable[str]) -> str:
    """Return "Did you mean 'x'?" for the nearest known word, or nothing."""
    # Comparing long texts, or a word with a million others, takes minutes. Nobody mistypes those.
    if len(word) > _LONGEST_WORD:
        return ""
    short = (name for name in known if len(name) <= _LONGEST_WORD)
    close = get_close_matches(word, list(islice(short, _MOST_WORDS)), n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else ""


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".?!" else text + "."


def _clipped(text: str) -> str:
    """A message without most of a text from a file, which may be as long as the file."""
    if len(text) <= 2 * _LONGEST_PART:
        return text
    return (
        f"{text[:_LONGEST_PART]} [{len(text) - 2 * _LONGEST_PART:,} characters left out] "
        f"{text[-_LONGEST_PART:]}"
    )
