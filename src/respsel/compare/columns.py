"""What is compared: recipes, targets and values, each combination a column with its own changes.

Knows nothing of runs. Invariants: no two columns are the same variant of a recipe or have the same
label, and there are at most MOST_COLUMNS.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from respsel.errors import InputError, Problem
from respsel.recipe.dotted_keys import NotThereError, Parts, join_key, split_key
from respsel.recipe.typed_values import typed_value, value_of
from respsel.workspace.changes import changes_of
from respsel.workspace.loaded_recipe import readable
from respsel.workspace.variant import Changes

# Between the parts of a label.
PLUS = " + "
# More are more runs than anybody reads.
MOST_COLUMNS = 64
_TARGET: Parts = ("target", "model")
_LONGEST_VALUE = 24
_CLOSING = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class Wanted:
    """What a user asks to compare; see docs/compare.md.

    recipes: their paths.
    targets: names of models; none to leave each recipe its own.
    sweeps: texts KEY=VALUE,VALUE.
    settings: texts KEY=VALUE, for all columns.
    limit: the most examples of each dataset.
    """

    recipes: Sequence[Path]
    targets: Sequence[str] = ()
    sweeps: Sequence[str] = ()
    settings: Sequence[str] = ()
    limit: int | None = None


@dataclass(frozen=True)
class Column:
    """One recipe as it is compared.

    label: what it is called among the others.
    recipe: the recipe's path.
    changes: what is changed of it.
    options: by key that varies, the option that gave it, for messages.
    """

    label: str
    recipe: Path
    changes: Changes
    options: Mapping[str, str]

    def named(self, problem: Problem) -> Problem:
        """A problem with the recipe, and with the option that gave a value."""
        if problem.file:
            return problem
        where = problem.where
        option = self.options.get(where.partition(" ")[2])
        where = where if option is None else where.replace("--set", option, 1)
        return replace(problem, file=readable(self.recipe), where=where)


@dataclass(frozen=True)
class Columns:
    """The columns, and what makes them different.

    varies: what that is, in a word: recipe, target, a key, or variant.
    shared: what all of them were changed by, in words.
    """

    varies: str
    shared: str
    columns: tuple[Column, ...]


def plural(varies: str) -> str:
    """Several of what varies, as one counts it."""
    return f"{varies}s" if is_word(varies) else f"values of {varies}"


def is_word(varies: str) -> bool:
    """Whether what varies has a word, and is not called by its key."""
    return varies in ("target", "recipe", "variant")


@dataclass(frozen=True)
class _Axis:
    """One thing that varies: its name, and its values by their labels.

    values: by label, the path of a recipe, or a key with a value.
    option: what gave it, for messages.
    """

    name: str
    values: Mapping[str, Any]
    option: str = "--sweep"


def columns_of(wanted: Wanted) -> Columns:
    """The columns of all combinations. Raises InputError for wishes that make none, or too many."""
    settings = changes_of(wanted.settings, limit=wanted.limit)
    recipes = _Axis("recipe", _labelled_recipes(wanted.recipes))
    swept = [_swept(text) for text in wanted.sweeps]
    names = _short_names([parts for parts, _ in swept])
    changed = [*_target_axis(wanted)]
    changed += [_sweep_axis(*one, name) for one, name in zip(swept, names, strict=True)]
    _refuse_twice(changed, settings)
    axes = [_Axis(one.name, _in_one_part(one.values), one.option) for one in (recipes, *changed)]
    _refuse_count([len(axis.values) for axis in axes])
    varying = [axis for axis in axes if len(axis.values) > 1]
    options = {_key(axis): axis.option for axis in changed}
    columns = []
    for chosen in product(*(axis.values.items() for axis in axes)):
        (_, recipe), *pairs = chosen
        labels = [label for axis, (label, _) in zip(axes, chosen, strict=True) if axis in varying]
        values = [pair for _, pair in pairs]
        changes = Changes((*settings.settings, *values), settings.limit)
        columns.append(Column(PLUS.join(labels), recipe, changes, options))
    varies = varying[0].name if len(varying) == 1 else "variant"
    return Columns(varies, _shared(settings, changed), tuple(columns))


def _shared(settings: Changes, changed: Sequence[_Axis]) -> str:
    """In words, what all columns were changed by."""
    pairs = [*settings.settings]
    pairs += [next(iter(axis.values.values())) for axis in changed if len(axis.values) == 1]
    words = [f"{key.strip()}={typed_value(value)}" for key, value in pairs]
    words += [f"limit {settings.limit}"] if settings.limit is not None else []
    return ", ".join(words)


def _labelled_recipes(paths: Sequence[Path]) -> Mapping[str, Path]:
    """By label, the recipes; their names, where these tell them apart."""
    distinct = {os.path.realpath(path): path for path in paths}
    names = Counter(path.stem for path in distinct.values())
    return {
        readable(path.stem if names[path.stem] == 1 else path): path for path in distinct.values()
    }


def _in_one_part(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with labels that hold no PLUS, so that a column's label tells its parts."""
    found: dict[str, Any] = {}
    for i, (label, value) in enumerate(values.items(), 1):
        plain = label.replace(PLUS, PLUS.strip())
        # Numbered where another one is called so.
        clashes = plain in found or (plain != label and plain in values)
        found[f"{plain} ({i})" if clashes else plain] = value
    return found


def _target_axis(wanted: Wanted) -> list[_Axis]:
    if not wanted.targets:
        return []
    if not all(name.strip() for name in wanted.targets):
        raise InputError(
            Problem("", "--targets", "a name is empty", "Write for instance --targets small,big")
        )
    names = dict.fromkeys(name.strip() for name in wanted.targets)
    return [_Axis("target", {name: (join_key(_TARGET), name) for name in names}, "--targets")]


def _swept(text: str) -> tuple[Parts, list[Any]]:
    """A sweep's key and values. Raises InputError for a text of another shape."""
    try:
        parts, rest = split_key(text)
    except NotThereError as error:
        raise InputError(Problem("", f"--sweep {text}", error.what, error.remedy)) from error
    values = [value_of(item) for item in _items(rest[1:])]
    if not rest.startswith("=") or "" in values:
        what = "is not KEY=VALUE,VALUE"
        remedy = "Write for instance strategies.terse.sampling.temperature=0.2,0.7"
        raise InputError(Problem("", f"--sweep {text}", what, remedy))
    return parts, values


def _short_names(keys: Sequence[Parts]) -> list[str]:
    """The ends of keys, as short as they can be and no two the same."""
    names = []
    for i, parts in enumerate(keys):
        others = [*keys[:i], *keys[i + 1 :]]
        lengths = range(1, len(parts))
        free = (n for n in lengths if all(parts[-n:] != other[-n:] for other in others))
        names.append(join_key(parts[-next(free, len(parts)) :]))
    return names


def _sweep_axis(parts: Parts, values: Sequence[Any], name: str) -> _Axis:
    """The values of a sweep; name: the key as labels have it."""
    key = join_key(parts)
    labelled: dict[str, Any] = {}
    for i, value in enumerate(values):
        shown = typed_value(value)
        if len(shown) > _LONGEST_VALUE:
            shown = f"{' '.join(shown.split())[:_LONGEST_VALUE]}… ({i + 1})"
        labelled.setdefault(f"{name}={shown}", (key, value))
    return _Axis("target" if parts == _TARGET else key, labelled)


def _items(text: str) -> list[str]:
    """A list's items: text between commas that are in no quotes and no brackets."""
    items = [""]
    quote = ""
    open_brackets: list[str] = []
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            # Within a word it is an apostrophe.
            quote = "" if items[-1].strip() and not open_brackets else letter
        elif letter in _CLOSING:
            open_brackets.append(_CLOSING[letter])
        elif open_brackets and letter == open_brackets[-1]:
            open_brackets.pop()
        elif letter == "," and not open_brackets:
            items.append("")
            continue
        items[-1] += letter
    return items


def _refuse_twice(axes: Sequence[_Axis], settings: Changes) -> None:
    """Raise InputError if a key is swept twice, or swept and set."""
    keys = [_key(axis) for axis in axes]
    given = [join_key(split_key(key)[0]) for key, _ in settings.settings]
    for i, key in enumerate(keys):
        if key in keys[:i] or key in given:
            what = f"'{key}' is given a second time"
            remedy = "Give all its values in one place"
            raise InputError(Problem("", axes[i].option, what, remedy))


def _key(axis: _Axis) -> str:
    """The key that an axis varies."""
    return str(next(iter(axis.values.values()))[0])


def _refuse_count(counts: Sequence[int]) -> None:
    """Raise InputError for a comparison of one, and for too many."""
    count = prod(counts)
    if count < 2:
        what = "there is only one thing to compare"
        remedy = "Give another recipe, --targets a,b or --sweep key=v1,v2"
        raise InputError(Problem("", "compare", what, remedy))
    if count > MOST_COLUMNS:
        product_of = " x ".join(str(number) for number in counts if number > 1)
        what = f"{product_of} are {count:,} combinations, and {MOST_COLUMNS} is the most"
        raise InputError(Problem("", "compare", what, "Give fewer recipes, targets or values"))
