"""TOML to checked objects: what pydantic finds wrong, in words that a user can act on.

Knows nothing of what the objects are for. Invariant: every problem is reported, each with the place
as it stands in the user's file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import tomli
from pydantic import BaseModel, Tag, ValidationError

from respsel.errors import InputError, Problem, close_match, suggest
from respsel.system.disk import UnreadableError, read_small

# Far below Python's own limit, so that what is read can be written again. A recipe needs six.
_DEEPEST = 50
# What people write who know other tools.
_HABITS = {
    "extra_body": "request",
    "extra_params": "request",
    "parameters": "request",
    "model_kwargs": "request",
    "generation_config": "sampling",
    "api_key": "api_key_env",
    "api_base": "base_url",
}


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
    """What a TOML file with this content says.

    Raises InputError with line and column for what is not TOML.
    """
    try:
        found = tomli.loads(text_of(content))
    except UnicodeDecodeError as error:
        raise InputError(
            Problem(shown, f"byte {error.start}", "is not UTF-8", "Save the file as UTF-8")
        ) from error
    except tomli.TOMLDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise InputError(
            Problem(shown, where, f"is not TOML: {error.msg}", "Fix the line")
        ) from error
    except RecursionError as error:
        raise InputError(_too_deep(shown)) from error
    except ValueError as error:
        # A number that Python does not take.
        said = str(error).split(";")[0]
        raise InputError(Problem(shown, "", f"is not TOML: {said}", "Fix the number")) from error
    if _nests_deeply(found):
        raise InputError(_too_deep(shown))
    if places := list(_holding_nul(found, "")):
        what = "holds the character U+0000, which no path, name or prompt can have"
        raise InputError([Problem(shown, place, what, "Take it out") for place in places])
    return found


def _nests_deeply(found: Mapping[str, Any]) -> bool:
    level: list[Any] = [found]
    for _ in range(_DEEPEST):
        # As a loop over levels: recursion would be the fault that this looks for.
        inner = [
            item
            for value in level
            for item in (value.values() if isinstance(value, Mapping) else value)
        ]
        level = [item for item in inner if isinstance(item, (dict, list))]
        if not level:
            return False
    return True


def _holding_nul(value: Any, place: str) -> Iterator[str]:
    """The places of texts and keys with a NUL; the nesting was looked at before."""
    if isinstance(value, str) and "\0" in value:
        yield place
    elif isinstance(value, Mapping):
        for key, item in value.items():
            inner = f"{place}.{key}" if place else key
            yield from (
                [inner.replace("\0", "\\u0000")] if "\0" in key else _holding_nul(item, inner)
            )
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _holding_nul(item, f"{place}[{index}]")


def _too_deep(shown: str) -> Problem:
    return Problem(
        shown,
        "",
        f"nests more than {_DEEPEST} levels deep",
        "Take the brackets or dots out that are too many",
    )


def text_of(content: bytes) -> str:
    """A file's text, the same whichever editor saved it: without a byte order mark, lines end with
    LF.
    """
    return content.decode("utf-8-sig").replace("\r\n", "\n")


def check_shape(
    kind: type[BaseModel], data: Mapping[str, Any], shown: str
) -> tuple[Any, list[Problem]]:
    """Return (object, []) or (None, problems), one problem for each place that is wrong."""
    try:
        return kind.model_validate(data), []
    except ValidationError as error:
        # A list whose items are all wrong is also "too short" to pydantic; to the user it is not.
        details = [
            d
            for d in error.errors(include_url=False)
            if not (d["type"] == "too_short" and d["input"])
        ]
        problems: dict[str, Problem] = {}
        for detail in details:
            problem = _problem(kind, detail, shown)
            # Where a union failed, each arm has its say; the first is the plain one.
            problems.setdefault(
                problem.where if detail["type"] != "value_error" else str(problem), problem
            )
        return None, list(problems.values())


def json_only(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values. Raises ValueError naming those that no key and no report can hold: TOML
    has dates and infinity.
    """
    if found := list(_not_json(values, "")):
        raise ValueError(f"no JSON value: {', '.join(found)}. Write it as text, in quotes")
    return values


def _not_json(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _not_json(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _not_json(item, f"{place}[{i}]")
    elif not (
        value is None
        or isinstance(value, (str, int))
        or (isinstance(value, float) and math.isfinite(value))
    ):
        yield f"{place} = {value}"


def _problem(kind: type[BaseModel], detail: Any, shown: str) -> Problem:
    loc, beside = _walk(kind, detail["loc"])
    where = _place(loc)
    last = str(loc[-1]) if loc else ""
    fault = detail["type"]
    if fault == "extra_forbidden":
        known_as = _HABITS.get(last)
        return Problem(
            shown,
            where,
            "unknown key",
            f"Did you mean '{known_as}'?" if known_as in beside else suggest(last, beside),
        )
    if fault == "missing":
        return Problem(shown, where, "is missing", f"Add '{last}'")
    if fault in ("union_tag_invalid", "union_tag_not_found"):
        return Problem(
            shown,
            where,
            "'from' says where responses come from",
            'Write from = "column", "file", "model" or "plugin"',
        )
    if fault == "literal_error" and isinstance(detail["input"], str):
        words = re.findall(r"'([^']*)'", str(detail["ctx"]["expected"]))
        return Problem(
            shown,
            where,
            f"'{detail['input']}' is none of {', '.join(words)}",
            close_match(detail["input"], words),
        )
    if fault == "finite_number":
        return Problem(shown, where, f"{detail['input']} is no finite number", "Give one that is")
    text = detail["msg"].removeprefix("Value error, ")
    if fault == "value_error":
        return Problem(shown, where, text, "")
    if fault == "string_pattern_mismatch":
        text = f"{detail['input']!r} is no name: use letters, digits, '.', '_' and '-'"
        return Problem(shown, where, text, "")
    return Problem(shown, where, f"{text}, got {detail['input']!r}", "")


def _place(loc: list[Any]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _walk(kind: type[BaseModel], loc: tuple[Any, ...]) -> tuple[list[Any], list[str]]:
    """Return the location as in the user's file, and the keys that are right at its end.

    pydantic names the arm of a union in its locations, which stands in no file: it is left out.
    """
    current: Any = kind
    found: list[Any] = []
    for part in loc:
        fields = current.model_fields if _is_model(current) else {}
        name = next((n for n, field in fields.items() if part in (n, field.alias)), None)
        if name is not None:
            current = fields[name].annotation
        elif isinstance(part, str) and part in (arms := _arms(current)):
            current = arms[part]
            continue
        elif isinstance(part, str) and part.startswith(("literal[", "function-")):
            continue
        elif len(models := list(_arms(current).values())) == 1:
            current = models[0]
        found.append(part)
    parent = current if _is_model(current) else None
    return found, [] if parent is None else [
        field.alias or name for name, field in parent.model_fields.items()
    ]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _arms(annotation: Any) -> dict[str, Any]:
    """The models inside an annotation by the name that pydantic's locations give them: tag or
    class.
    """
    if _is_model(annotation):
        return {annotation.__name__: annotation}
    arms: dict[str, Any] = {}
    tags = [item.tag for item in getattr(annotation, "__metadata__", ()) if isinstance(item, Tag)]
    for part in get_args(annotation):
        inner = _arms(part)
        arms |= dict.fromkeys(tags, next(iter(inner.values()))) if tags and inner else inner
    return arms
