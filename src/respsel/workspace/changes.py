"""Changing a recipe's data: values by their keys, and a limit.

Knows nothing of files and of what the values mean. Invariant: the same changes in another order or
spelling come to the same variant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from respsel.errors import InputError, Problem
from respsel.recipe.dotted_keys import NotThereError, Parts, put, resolve, split_key
from respsel.recipe.toml import parse_toml
from respsel.recipe.toml_text import value_text
from respsel.recipe.typed_values import value_of
from respsel.workspace.variant import Changes, Setting, Variant

# What only a file can say, since it is about files.
_OF_FILES = ("extends", "without", "format")


def changes_of(
    settings: Sequence[str] = (),
    values: Mapping[str, Any] | None = None,
    limit: int | None = None,
) -> Changes:
    """Changes from texts `KEY=VALUE`, or from values by their keys.

    Raises InputError for a text of another shape, and for a limit that is no number from 1 on.
    """
    problems = []
    pairs: list[tuple[str, Any]] = []
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        what = f"{limit!r} is not a number of examples"
        problems.append(Problem("", "--limit", what, "Give a number from 1 on"))
    for text in settings:
        try:
            pairs.append(_split(text))
        except NotThereError as error:
            problems.append(Problem("", f"--set {text}", error.what, error.remedy))
    if problems:
        raise InputError(problems)
    if values is None:
        return Changes(tuple(pairs), limit)
    if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
        what = "are not values by their keys, which are texts"
        remedy = 'Write for instance {"strategies.terse.sampling.temperature": 0.2}'
        raise InputError(Problem("", "changes", what, remedy))
    return Changes((*pairs, *values.items()), limit, "changes:")


def change(
    data: dict[str, Any], changes: Changes, declared: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], Variant]:
    """A recipe's data with changes, and what they came to; the data given stays as it is.

    declared: by name, the models of the workspace, which may be changed too.
    Raises InputError for keys that lead nowhere and values that TOML has no word for.
    """
    data = deepcopy(data)
    settings: dict[Parts, Any] = {}
    problems = []
    # A key comes before those that lead into it, and of one key the last one counts.
    for text, given in sorted(changes.settings, key=lambda pair: _roughly(pair[0])):
        try:
            value = _plain(given)
            parts = _place(data, text, declared)
            put(data, parts, deepcopy(value))
        except NotThereError as error:
            problems.append(Problem("", f"{changes.option} {text}", error.what, error.remedy))
        else:
            settings[parts] = value
    if problems:
        raise InputError(problems)
    if changes.limit is not None:
        _limit(data, changes.limit)
    found = tuple(Setting(parts, settings[parts]) for parts in sorted(settings))
    return data, Variant(found, changes.limit, changes.option)


def _split(text: str) -> tuple[str, Any]:
    _, rest = split_key(text)
    if not rest.startswith("="):
        raise NotThereError("is not KEY=VALUE", "Write for instance target.model=small")
    return text[: len(text) - len(rest)], value_of(rest[1:])


def _roughly(key: str) -> Parts:
    try:
        return split_key(key)[0]
    except NotThereError:
        return ()


def _place(data: dict[str, Any], key: str, declared: Mapping[str, Mapping[str, Any]]) -> Parts:
    """Where a key leads. A model that only the workspace declares is taken into the data."""
    parts, rest = split_key(key)
    if rest:
        raise NotThereError("is not a key", "Quote parts that have other characters in them")
    if parts[0] in _OF_FILES:
        raise NotThereError("is about the file, which is not changed", "Write it in the recipe")
    own = data.get("models", {})
    if parts[0] == "models" and isinstance(own, dict):
        found = resolve({**data, "models": {**declared, **own}}, parts)
        if len(found) > 2 and found[1] in declared and found[1] not in own:
            data["models"] = {**own, found[1]: deepcopy(dict(declared[found[1]]))}
        return found
    return resolve(data, parts)


def _plain(value: Any) -> Any:
    """A value as TOML has it. Raises NotThereError where TOML has no word for it."""
    try:
        return parse_toml(f"value = {value_text(value)}".encode(), "")["value"]
    except TypeError as error:
        raise NotThereError(str(error), "Give a text, a number, true or false, or these") from error
    except UnicodeEncodeError as error:
        raise NotThereError("is not UTF-8", "Give it in UTF-8") from error
    except InputError as error:
        problem = error.problems[0]
        raise NotThereError(problem.what, problem.remedy) from error


def _limit(data: Mapping[str, Any], limit: int) -> None:
    """Set the sample of each dataset to at most so many examples."""
    entries = data.get("datasets")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            sample = entry.get("sample")
            fewer = isinstance(sample, int) and not isinstance(sample, bool) and sample < limit
            entry["sample"] = sample if fewer else limit
