"""Where a recipe names a column that the data has not.

The data's reader knows rows, not the recipe. Invariant: a problem of a column says where to change
its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from respsel.errors import InputError, Problem
from respsel.recipe.places import Place
from respsel.recipe.schema import DatasetEntry
from respsel.workspace.loaded_recipe import LoadedRecipe

# The keys of a dataset that name a column.
_KEYS = ("input", "reference", "label", "id", "messages", "history", "system", "tools", "train")


@contextmanager
def says_who_names(places: Mapping[str, Place]) -> Iterator[None]:
    """Add to each problem of an absent column where the recipe names it.

    places: by column, its key in the recipe.
    """
    try:
        yield
    except InputError as error:
        raise InputError([_placed(problem, places) for problem in error.problems]) from error


def columns_of(loaded: LoadedRecipe, dataset: DatasetEntry) -> Mapping[str, Place]:
    """By column, the first key of a dataset that names it."""
    number = loaded.recipe.datasets.index(dataset)
    named = {key: getattr(dataset, key) for key in reversed(_KEYS)}
    return {
        column: loaded.at("datasets", number, key)
        for key, column in named.items()
        if isinstance(column, str)
    }


def _placed(problem: Problem, places: Mapping[str, Place]) -> Problem:
    absent = {f"has no column '{column}'": place for column, place in places.items()}
    if (place := absent.get(problem.what)) is None:
        return problem
    here = place.problem("")
    named = ": ".join(part for part in (here.file, here.where) if part)
    return replace(problem, what=f"{problem.what}, which {named} names")
