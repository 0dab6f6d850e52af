"""A file that is one JSON object, to rows: a wrapped list, and the shapes of pandas and `datasets`.

Knows nothing of JSON's syntax. Invariant: an object that can be read in two ways is an error, never
a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from respsel.errors import InputError, Problem

_ADVICE = (
    "Write a list of objects, or one object on each line: df.to_json(path, "
    'orient="records", lines=True)'
)
Named = Iterator[tuple[str, Any]]


def object_rows(value: Any, shown: str) -> Named:
    """Yield (place, row) for the rows of a single JSON value that is not a list.

    Raises InputError.
    """
    if not isinstance(value, dict):
        raise InputError(Problem(shown, "", "is not a list of objects", _ADVICE))
    if _is_split(value):
        yield from _split_rows(value, shown)
        return
    lists = {name: items for name, items in value.items() if isinstance(items, list)}
    objects = [
        name
        for name, items in lists.items()
        if items and all(isinstance(item, dict) for item in items)
    ]
    if len(value) > 1 and len(lists) == len(value) and len(objects) < len(lists):
        yield from _columns(lists, shown)
    elif len(objects) == 1:
        yield from (
            (f"{objects[0]}, row {number}", item)
            for number, item in enumerate(lists[objects[0]], 1)
        )
    elif objects:
        names = ", ".join(f"'{name}'" for name in objects)
        what = f"holds several lists of rows: {names}"
        remedy = "Save the one that you want as a file of its own"
        raise InputError(Problem(shown, "", what, remedy))
    elif value and all(isinstance(inner, dict) for inner in value.values()):
        yield from _objects_of_objects(value, shown)
    else:
        yield "row 1", value


def _is_split(value: Mapping[str, Any]) -> bool:
    data = value.get("data")
    shape = {"columns", "data"} <= value.keys() <= {"columns", "data", "index"}
    return shape and isinstance(data, list) and all(isinstance(row, list) for row in data)


def _split_rows(value: Mapping[str, Any], shown: str) -> Named:
    """pandas orient="split"."""
    names = value["columns"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(Problem(shown, "columns", "is not a list of names", _ADVICE))
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise InputError(
            Problem(shown, "columns", f"the name '{twice[0]}' comes twice", "Rename one of them")
        )
    for number, cells in enumerate(value["data"], 1):
        if len(cells) != len(names):
            what = f"has {len(cells)} values, and there are {len(names)} columns"
            raise InputError(Problem(shown, f"data, row {number}", what, _ADVICE))
        yield f"data, row {number}", dict(zip(names, cells, strict=True))


def _columns(lists: Mapping[str, list[Any]], shown: str) -> Named:
    """A list for each column, as `Dataset.to_dict` gives it."""
    if len({len(items) for items in lists.values()}) > 1:
        what = "is an object of lists that are not of one length"
        raise InputError(Problem(shown, "", what, _ADVICE))
    for number, cells in enumerate(zip(*lists.values(), strict=True), 1):
        yield f"row {number}", dict(zip(lists, cells, strict=True))


def _objects_of_objects(value: Mapping[str, Mapping[str, Any]], shown: str) -> Named:
    """pandas orient="columns" (its default) or "index".

    The labels of rows are numbers, and those of columns are not.
    """
    first, *others = value.values()
    outer = all(name.isdecimal() for name in value)
    inner = all(name.isdecimal() for column in value.values() for name in column)
    if outer and not inner:
        yield from ((f"row {number}", row) for number, row in enumerate(value.values(), 1))
    elif inner and not outer and all(other.keys() == first.keys() for other in others):
        for number, label in enumerate(first, 1):
            yield f"row {number}", {name: column[label] for name, column in value.items()}
    else:
        what = "is an object of objects, which may be columns or rows"
        raise InputError(Problem(shown, "", what, _ADVICE))
