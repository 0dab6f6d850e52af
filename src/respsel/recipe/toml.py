"""Reading TOML: a file's bytes to nested values, or what is wrong with it and where.

Knows nothing of what the values are for. Invariant: what is returned can be written again, and
holds no text that no path, name or prompt can have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli

from respsel.errors import InputError, Problem
from respsel.system.disk import UnreadableError, read_small

# Far below Python's own limit, so that what is read can be written again. A recipe needs six.
_DEEPEST = 50
# How the names of data files end, which are given in a recipe's place now and then.
_DATA = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet")


def read_toml(path: Path, shown: str) -> dict[str, Any]:
    """Read a TOML file. Raises InputError with line and column for what is not TOML."""
    return parse_toml(read_file(path, shown), shown)


def read_file(path: Path, shown: str) -> bytes:
    """A file's content. Raises InputError if it cannot be read."""
    try:
        return read_small(path, "Give the path of a recipe, e.g. recipes/quickstart.toml")
    except UnreadableError as error:
        raise InputError(Problem(shown, "", str(error), error.remedy)) from error


def parse_toml(content: bytes, shown: str) -> dict[str, Any]:
    """The values in a TOML file's content. Raises InputError for what no recipe can hold."""
    document = _parse(content, shown)
    if _nests_deeply(document):
        raise InputError(_too_deep(shown))
    if paths := list(_holding_nul(document, ())):
        from respsel.recipe.places import Place, file_source

        source = file_source(shown, document, content)
        what = "holds the character U+0000, which no path, name or prompt can have"
        raise InputError([Place(source, path).problem(what, "Take it out") for path in paths])
    return document


def text_of(content: bytes) -> str:
    """A file's text, the same whichever editor saved it.

    It has no byte order mark, and its lines end with LF.
    """
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def _parse(content: bytes, shown: str) -> dict[str, Any]:
    try:
        return tomli.loads(text_of(content))
    except UnicodeDecodeError as error:
        where = f"byte {error.start}"
        remedy = _start_with(shown) or "Save the file as UTF-8"
        problem = Problem(shown, where, "is not UTF-8", remedy)
        raise InputError(problem) from error
    except tomli.TOMLDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        remedy = _start_with(shown) or "Fix the line"
        problem = Problem(shown, where, f"is not TOML: {error.msg}", remedy)
        raise InputError(problem) from error
    except RecursionError as error:
        raise InputError(_too_deep(shown)) from error
    except ValueError as error:
        # A number that Python does not take.
        why = str(error).split(";")[0]
        raise InputError(Problem(shown, "", f"is not TOML: {why}", "Fix the number")) from error


def _start_with(shown: str) -> str:
    """What to do with a data file in a recipe's place."""
    is_data = Path(shown).suffix.lower() in _DATA
    return f"For data there is: respsel init {shown}" if is_data else ""


def _nests_deeply(document: Mapping[str, Any]) -> bool:
    level: list[Any] = [document]
    # As a loop over levels: recursion could fail for the very reason that this looks for.
    for _ in range(_DEEPEST):
        inner = [
            item
            for value in level
            for item in (value.values() if isinstance(value, Mapping) else value)
        ]
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _holding_nul(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """The paths of texts and keys with a NUL; the caller has checked the nesting."""
    if isinstance(value, str) and "\0" in value:
        yield path
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from ([(*path, key)] if "\0" in key else _holding_nul(item, (*path, key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _holding_nul(item, (*path, index))


def _too_deep(shown: str) -> Problem:
    what = f"nests more than {_DEEPEST} levels deep"
    return Problem(shown, "", what, "Take the brackets or dots out that are too many")
