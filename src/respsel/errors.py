"""Every error that respsel reports to a user, and the exit code each one maps to.

    RespselError                 (exit 1)
    |-- InputError               2   the recipe, respsel.toml or a data file is wrong
    |-- PreflightError           3   the machine lacks something: a package, weights, a template, context
    |-- StoreError               4   the store is damaged or cannot be used
    `-- RunError                 1   a run failed; what was done before is kept

Exit 0 is success, 70 a bug in respsel (any other exception), 130 Ctrl-C.

An error holds one or more problems, each in the shape `file: where: what is wrong. what to do`, so
that a user sees everything that is wrong at once. This module knows nothing of how they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

EXIT_BUG = 70
EXIT_INTERRUPTED = 130
MOST_PROBLEMS = 20


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: the file, the place in it, the fault, and the remedy."""

    file: str
    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.file, self.where) if part)
        text = " ".join(part for part in (_sentence(self.what), _sentence(self.remedy)) if part)
        return f"{place}: {text}" if place else text


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


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise InputError if there are any problems: each fault once with its first place, the first 20."""
    alike: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        alike.setdefault((problem.file, problem.what), []).append(problem)
    shown = []
    for first, *others in alike.values():
        where = f"{first.where} and {len(others)} more" if others else first.where
        shown.append(Problem(first.file, where, first.what, first.remedy))
    if len(shown) > MOST_PROBLEMS:
        rest = len(shown) - MOST_PROBLEMS
        shown = [*shown[:MOST_PROBLEMS], Problem(shown[0].file, "", f"and {rest} more problems like these", "")]
    if shown:
        raise InputError(shown)


def suggest(word: str, known: Iterable[str]) -> str:
    """Return "Did you mean 'x'?" for the nearest known word, else the list of known words."""
    names = sorted(known)
    return close_match(word, names) or (f"Known here: {', '.join(names)}" if names else "")


def close_match(word: str, known: Iterable[str]) -> str:
    """Return "Did you mean 'x'?" for the nearest known word, or nothing."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else ""


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".?!" else text + "."
