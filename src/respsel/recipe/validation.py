"""Values to checked objects: what pydantic finds wrong, in words that a user can act on.

Knows nothing of what the objects are for. Invariant: every problem is reported, each with its place
in the user's file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, Tag, ValidationError

from respsel.errors import Problem, close_match, suggest

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


def check_shape(
    kind: type[BaseModel], data: Mapping[str, Any], shown: str
) -> tuple[Any, list[Problem]]:
    """Return (object, []) or (None, problems), one problem for each place that is wrong."""
    try:
        return kind.model_validate(data), []
    except ValidationError as error:
        # A list whose items are all wrong is also "too short" to pydantic; to the user it is not.
        details = [
            detail
            for detail in error.errors(include_url=False)
            if not (detail["type"] == "too_short" and detail["input"])
        ]
        problems: dict[str, Problem] = {}
        for detail in details:
            problem = _problem(kind, detail, shown)
            # Where a union failed, each arm has a problem; the first is the plainest.
            problems.setdefault(
                problem.where if detail["type"] != "value_error" else str(problem), problem
            )
        return None, list(problems.values())


def json_only(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values. Raises ValueError naming those that JSON has no word for.

    TOML has dates and infinity, which no key and no report can hold.
    """
    if found := list(_not_json(values, "")):
        raise ValueError(f"not a JSON value: {', '.join(found)}. Write it as text, in quotes")
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
    loc, known = _walk(kind, detail["loc"])
    what, remedy = _fault(detail, str(loc[-1]) if loc else "", known)
    return Problem(shown, _place(loc), what, remedy)


def _fault(detail: Any, key: str, known: Sequence[str]) -> tuple[str, str]:
    """What is wrong, and what to do.

    key: the last part of the place. known: the keys that are right there.
    """
    given = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            habit = _HABITS.get(key)
            hint = f"Did you mean '{habit}'?" if habit in known else suggest(key, known)
            return "unknown key", hint
        case "missing":
            return "is missing", f"Add '{key}'"
        case "union_tag_invalid" | "union_tag_not_found":
            what = "'from' says where responses come from"
            return what, 'Write from = "column", "file", "model", "first", "best" or "plugin"'
        case "literal_error" if isinstance(given, str):
            words = re.findall(r"'([^']*)'", str(detail["ctx"]["expected"]))
            return f"'{given}' is not one of {', '.join(words)}", close_match(given, words)
        case "finite_number":
            return f"{given} is not a finite number", "Give one that is"
        case "value_error":
            return detail["msg"].removeprefix("Value error, "), ""
        case "string_pattern_mismatch":
            return f"{given!r} is not a name: use letters, digits, '.', '_' and '-'", ""
    return f"{detail['msg'].removeprefix('Value error, ')}, got {given!r}", ""


def _place(loc: list[Any]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _walk(kind: type[BaseModel], loc: tuple[Any, ...]) -> tuple[list[Any], list[str]]:
    """Return the location as in the user's file, and the keys that are right at its end.

    pydantic's locations also name the arm of a union. No file has that, so it is left out.
    """
    current: Any = kind
    place: list[Any] = []
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
        place.append(part)
    fields = current.model_fields if _is_model(current) else {}
    return place, [field.alias or name for name, field in fields.items()]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _arms(annotation: Any) -> dict[str, Any]:
    """The models inside an annotation, by their name in pydantic's locations: tag or class."""
    if _is_model(annotation):
        return {annotation.__name__: annotation}
    arms: dict[str, Any] = {}
    tags = [item.tag for item in getattr(annotation, "__metadata__", ()) if isinstance(item, Tag)]
    for part in get_args(annotation):
        inner = _arms(part)
        arms |= dict.fromkeys(tags, next(iter(inner.values()))) if tags and inner else inner
    return arms
