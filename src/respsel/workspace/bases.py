"""A recipe put together from the ones that it extends.

`extends` names recipes whose tables are taken over; `without` names what is not. Knows nothing of
what the values mean, but for which of them are paths. Invariants: a path of a base leads to the
same file as in the base itself, and the step keys are those of the recipe written out whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from respsel.errors import InputError, Problem
from respsel.recipe.dotted_keys import (
    NAMED_LISTS,
    NotThereError,
    Parts,
    called,
    find,
    holds,
    join_key,
    resolve,
    split_key,
    take_out,
)
from respsel.recipe.key_paths import KeyPath
from respsel.recipe.toml import read_toml, text_of

# An entry of another kind than the base's has other keys, so it replaces the base's.
_KINDS = ("from", "backend", "kind")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_LONGEST_CHAIN = 50
# A problem with its place.
_Found = tuple[KeyPath, Problem]
# By table, the keys that hold a path.
PATH_KEYS = {
    "datasets": ("path",),
    "strategies": ("path",),
    "models": ("path", "chat_template"),
    "own_outputs": ("path",),
    "validation": ("path",),
}


@dataclass(frozen=True)
class Layer:
    """What one file says itself.

    shown: the file's path as messages show it.
    data: its values, with paths as the extending recipe would write them.
    file: where it lies; it is read again for the lines of a problem.
    gone: what its `without` took out of its bases.
    """

    shown: str
    data: Mapping[str, Any]
    file: Path
    gone: tuple[Parts, ...] = ()

    def took_out(self, parts: Parts) -> bool:
        """Whether a place is missing because of its `without`."""
        return any(parts[: len(one)] == one and not holds(self.data, one) for one in self.gone)

    def line_of(self, parts: Parts, path: KeyPath) -> int | None:
        """The line of what is at a place; path: the same with numbers of the merged recipe."""
        from respsel.recipe.toml_lines import key_lines, nearest_line

        if len(parts) > 1 and isinstance(path[1], int):
            entries = self.data.get(parts[0])
            names = [called(parts[0], entry) for entry in entries] if entries else []
            path = (parts[0], names.index(parts[1]), *path[2:]) if parts[1] in names else path[:1]
        try:
            return nearest_line(key_lines(text_of(self.file.read_bytes())), path)
        except (OSError, ValueError):
            return None


@dataclass(frozen=True)
class Composed:
    """A recipe with all that it extends: its data, and the files' own, the recipe's first."""

    data: dict[str, Any]
    layers: tuple[Layer, ...]


def compose(data: dict[str, Any], path: Path, shown: str) -> Composed:
    """Put a recipe together with what it extends.

    path: the recipe's file. Raises InputError for bases that are not there, are no TOML or go
    round in a circle, and for names in `without` that no base has.
    """
    if "extends" not in data and "without" not in data:
        return Composed(data, ())
    return _compose(data, path.resolve(), shown, ())


def moved(data: Mapping[str, Any], old: Path, new: Path) -> dict[str, Any]:
    """A recipe's data with its paths relative to another folder."""
    if old == new:
        return dict(data)
    return {kind: _moved_table(kind, value, old, new) for kind, value in data.items()}


def moved_entry(kind: str, entry: Any, old: Path, new: Path) -> Any:
    """An entry of a kind, such as a model, with its paths relative to another folder."""
    if not isinstance(entry, Mapping):
        return entry
    return {
        key: _moved_path(value, old, new) if key in PATH_KEYS[kind] else value
        for key, value in entry.items()
    }


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Two recipes' data as one: tables and entries of named lists merge, other values replace."""
    merged = dict(base)
    for key, value in own.items():
        known: Any = merged.get(key)
        if key in NAMED_LISTS and _all_named(key, known) and _all_named(key, value):
            merged[key] = _merged_list(key, known, value)
        else:
            merged[key] = _merged(known, value)
    return merged


def _compose(data: dict[str, Any], path: Path, shown: str, within: tuple[Path, ...]) -> Composed:
    """within: the files that extend this one, so that a circle is seen."""
    own = {key: value for key, value in data.items() if key not in ("extends", "without")}
    merged: dict[str, Any] = {}
    layers: list[Layer] = []
    for i, name in enumerate(_names(data, "extends", shown)):
        place = f"extends[{i}]" if isinstance(data["extends"], list) else "extends"
        if why := _unusable(name, (*within, path)):
            keys = ("extends", i) if "[" in place else ("extends",)
            raise InputError(_with_lines([(keys, Problem(shown, place, *why))], path))
        base = _base(path.parent / name, (*within, path))
        merged = merge(merged, base.data)
        # Of several bases the last one counts, so it comes first.
        layers[:0] = base.layers
    gone: list[Parts] = []
    problems = [*_taken_out(merged, data, shown, gone), *_named_twice(own, shown)]
    if problems:
        raise InputError(_with_lines(problems, path))
    return Composed(merge(merged, own), (Layer(shown, own, path, tuple(gone)), *layers))


def _with_lines(problems: Sequence[_Found], path: Path) -> list[Problem]:
    """Problems of a file with the lines of their places."""
    from respsel.recipe.toml_lines import key_lines, nearest_line

    try:
        lines = key_lines(text_of(path.read_bytes()))
    except (OSError, ValueError):
        return [problem for _, problem in problems]
    found = []
    for keys, problem in problems:
        line = nearest_line(lines, keys)
        where = problem.where if line is None else f"line {line}, {problem.where}"
        found.append(replace(problem, where=where))
    return found


def _base(file: Path, within: tuple[Path, ...]) -> Composed:
    """What the last one of `within` extends, with paths relative to that one's folder."""
    shown = _shown(file)
    target = file.resolve()
    base = _compose(read_toml(file, shown), target, shown, within)
    folders = (target.parent, within[-1].parent)
    layers = tuple(replace(layer, data=moved(layer.data, *folders)) for layer in base.layers)
    return Composed(moved(base.data, *folders), layers)


def _unusable(name: str, within: Sequence[Path]) -> tuple[str, str] | None:
    """Why a file cannot be extended by the last one of `within`, and what to do."""
    if _URL.match(name):
        # It may hold a login, so it is not repeated.
        return "is an address, and only a file can be extended", "Download it, and give its path"
    file = within[-1].parent / name
    try:
        is_there = file.is_file()
        target = file.resolve()
    except (OSError, RuntimeError, ValueError):
        # Longer than any name, or links in a circle.
        is_there = False
    if not is_there:
        return f"there is no file {_shown(file)}", "Give a path relative to the recipe's folder"
    if target == within[-1]:
        return "it extends itself", "Take it out"
    if target in within:
        return f"{_shown(file)} extends this one, in a circle", "Take one of them out"
    if len(within) > _LONGEST_CHAIN:
        return f"more than {_LONGEST_CHAIN} recipes extend each other", "Put some into one file"
    return None


def _names(data: Mapping[str, Any], key: str, shown: str) -> Sequence[str]:
    """The texts of a key that takes one or several. Raises InputError for other values."""
    value = data.get(key, [])
    names = [value] if isinstance(value, str) and key == "extends" else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        examples = {"extends": '"base.toml"', "without": '["strategies.terse"]'}
        what = f"{value!r} is not {'a path or a list of paths' if key == 'extends' else 'a list'}"
        raise InputError(Problem(shown, key, what, f"Write for instance {key} = {examples[key]}"))
    return names


def _taken_out(
    merged: dict[str, Any], data: Mapping[str, Any], shown: str, gone: list[Parts]
) -> Iterator[_Found]:
    """Take what `without` names out of what was inherited; the problems of names.

    gone: what was taken out is added to it.
    """
    for i, text in enumerate(_names(data, "without", shown)):
        try:
            parts, rest = split_key(text)
            if rest:
                raise NotThereError("is not a key", "Write for instance strategies.terse")
            if len(parts) == 1 and (kinds := _kinds_with(merged, parts[0])):
                whole = join_key((kinds[0], parts[0]))
                raise NotThereError("does not say of what kind", f"Did you mean '{whole}'?")
            found = resolve(merged, parts)
            find(merged, found)
        except NotThereError as error:
            what = f"'{text}': {error.what}"
            yield ("without", i), Problem(shown, f"without[{i}]", what, error.remedy)
        except LookupError:
            what = f"'{text}' is not in what this recipe extends"
            yield ("without", i), Problem(shown, f"without[{i}]", what, "Take it out")
        else:
            take_out(merged, found)
            gone.append(found)


def _named_twice(own: Mapping[str, Any], shown: str) -> Iterator[_Found]:
    for kind in NAMED_LISTS:
        entries = own.get(kind)
        names = [called(kind, entry) for entry in entries] if isinstance(entries, list) else []
        for i, name in enumerate(names):
            if name is not None and name in names[:i]:
                place = join_key((kind, name))
                twice = Problem(shown, place, f"'{name}' is used twice", "Give each its own name")
                yield (kind, i), twice


def _kinds_with(data: Mapping[str, Any], name: str) -> list[str]:
    """The kinds that have an entry with a name."""
    if name in data:
        return []
    lists = {kind: data.get(kind) for kind in (*NAMED_LISTS, "models")}
    return [
        kind
        for kind, entries in lists.items()
        if (isinstance(entries, Mapping) and name in entries)
        or (isinstance(entries, list) and name in [called(kind, entry) for entry in entries])
    ]


def _merged(base: Any, own: Any) -> Any:
    if not isinstance(base, Mapping) or not isinstance(own, Mapping):
        return own
    if any(key in base and key in own and base[key] != own[key] for key in _KINDS):
        return own
    return {**base, **{key: _merged(base.get(key), value) for key, value in own.items()}}


def _merged_list(kind: str, base: Sequence[Any], own: Sequence[Any]) -> list[Any]:
    """Entries by name: those of the base in its order, then the new ones."""
    entries = {called(kind, entry): entry for entry in base}
    merged = dict(entries)
    for entry in own:
        name = called(kind, entry)
        known: Any = entries.get(name, {})
        # A label may stand for another metric than in the base.
        other = kind == "metrics" and entry.get("name", known.get("name")) != known.get("name")
        merged[name] = entry if other else _merged(known, entry)
    return list(merged.values())


def _all_named(kind: str, entries: Any) -> bool:
    """Whether a list's entries have names, each its own."""
    if not isinstance(entries, list):
        return False
    names = [called(kind, entry) for entry in entries]
    return None not in names and len({*names}) == len(names)


def _moved_table(kind: str, value: Any, old: Path, new: Path) -> Any:
    if kind not in PATH_KEYS:
        return value
    if isinstance(value, list):
        return [moved_entry(kind, entry, old, new) for entry in value]
    if kind == "models" and isinstance(value, Mapping):
        return {name: moved_entry(kind, entry, old, new) for name, entry in value.items()}
    return moved_entry(kind, value, old, new)


def _moved_path(path: Any, old: Path, new: Path) -> Any:
    if not isinstance(path, str) or not path or os.path.isabs(path) or _URL.match(path):
        return path
    parts = Path(path).parts
    try:
        if any(part == ".." != before for before, part in pairwise(parts)):
            # What comes before the dots may be a link, and they lead up from where it leads.
            return Path(os.path.relpath(old, new), path).as_posix()
        return Path(os.path.relpath(old / path, new)).as_posix()
    except ValueError:
        # On another drive, or with a character that no path has.
        return str(old / path)


def _shown(file: Path) -> str:
    """A path from here, as messages show it."""
    path = os.path.normpath(file)
    here = os.path.relpath(path)
    shown = path if here.startswith(os.pardir) else here
    return shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
