"""Columns to outcomes: each is run as a study of its own, one after the other.

Calls are shared by the store, and one model is loaded at a time. Knows nothing of how it is shown.
Invariant: a column that fails ends no other one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from respsel.compare.columns import Column
from respsel.compare.outcome import Failure, Outcome, outcome_of
from respsel.errors import InputError, Problem, RespselError
from respsel.study import Progress, open_study
from respsel.workspace.loaded_recipe import LoadedRecipe
from respsel.workspace.loading import load_recipe

# Opens the progress of a column, given the column, its place from 1 and how many there are.
Shows = Callable[[Column, int, int], AbstractContextManager[Progress]]


def load_columns(columns: Sequence[Column]) -> list[LoadedRecipe]:
    """All columns' recipes, so that what is wrong with any is known before the first runs.

    Raises InputError with each problem once, and for two columns that come to the same.
    """
    loaded: list[LoadedRecipe] = []
    problems: dict[str, Problem] = {}
    for column in columns:
        try:
            loaded.append(load_recipe(column.recipe, column.changes))
        except InputError as error:
            for problem in error.problems:
                known = column.named(problem)
                problems.setdefault(str(known), known)
    if problems:
        raise InputError(problems.values())
    _refuse_alike(columns, loaded)
    return loaded


def _refuse_alike(columns: Sequence[Column], loaded: Sequence[LoadedRecipe]) -> None:
    """Raise InputError for values that are spelt differently and mean the same, as 1 and 1.0."""
    for i, one in enumerate(loaded):
        for j, other in enumerate(loaded[:i]):
            if one.path == other.path and one.recipe == other.recipe:
                what = f"'{columns[j].label}' and '{columns[i].label}' come to the same recipe"
                raise InputError(Problem("", "compare", what, "Give each value once"))


def run_columns(
    columns: Sequence[Column],
    shows: Shows,
    warn: Callable[[Problem], None],
    tell: Callable[[Failure], None],
    offline: bool = False,
) -> tuple[list[Outcome], list[Failure]]:
    """Run what is missing.

    warn: is told of damage, and once of each tracker that does not take the verdicts.
    tell: is told of each failure when it happens.
    offline: download nothing.
    """
    outcomes = []
    failures = []
    untracked: dict[Problem, None] = {}
    for i, column in enumerate(columns, 1):
        try:
            with open_study(
                column.recipe, changes=column.changes, offline=offline, warn=warn
            ) as study:
                with shows(column, i, len(columns)) as progress:
                    result = study.run(progress)
                outcomes.append(outcome_of(column.label, result))
                fresh = [problem for problem in study.untracked if problem not in untracked]
                for problem in (*study.damage, *fresh):
                    warn(problem)
                untracked |= dict.fromkeys(fresh)
        except RespselError as error:
            why = tuple(str(column.named(problem)) for problem in error.problems)
            failure = Failure(column.label, why)
            failures.append(failure)
            tell(failure)
    return outcomes, failures
