"""Values to checked objects: what pydantic finds wrong, in words that a user can act on.

Knows nothing of what the objects are for. Invariant: every problem is reported, each with its place
in the user's file, and none in the words of Python.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, Tag, ValidationError

from respsel.errors import Problem, close_match, suggest
from respsel.recipe.key_paths import KeyPath
from respsel.recipe.places import Place, plain_place

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
# What people write beside `sampling`, and belongs into it.
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "seed")
# By the beginning of pydantic's name of a fault, what the value should be.
_TYPES = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a table",
    "mapping": "a table",
    "model": "a table",
    "list": "a list",
    "tuple": "a list",
    "union_tag": "a table",
}
_TYPE_FAULT = re.compile(
    r"(string|int|float|bool|dict|mapping|model|list|tuple|union_tag)"
    r"_(type|parsing|parsing_size|from_float|attributes_type|not_found)"
)
# By the name of a fault, how a bound is said; pydantic gives the bound under the key.
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
_LENGTHS = {
    "string_too_short": ("min_length", "at least", "character"),
    "string_too_long": ("max_length", "at most", "character"),
    "too_short": ("min_length", "at least", "item"),
    "too_long": ("max_length", "at most", "item"),
}
# By key, what its texts look like. Hazard: a key of an endpoint is not shown.
_PATTERNS = {
    "api_key_env": "is not the name of an environment variable: letters, digits and '_'",
    "currency": "{given} is not a currency of three capital letters, such as USD",
    "device": "{given} is not auto, cpu, mps, cuda or cuda:N",
    "written_by": "{given} is not a name: it has no blanks at its ends",
}
_NAME = "{given} is not a name: use letters, digits, '.', '_' and '-'"
_LONGEST_SHOWN = 60


def check_shape(
    kind: type[BaseModel],
    data: Mapping[str, Any],
    place: Place | str,
    known: Sequence[str] = (),
) -> tuple[Any, list[Problem]]:
    """Return (object, []) or (None, problems), one problem for each place that is wrong.

    place: where the data stands, or the name of the file that it is from.
    known: further keys that its table may have, for remedies.
    """
    try:
        return kind.model_validate(data), []
    except ValidationError as error:
        at = plain_place(place) if isinstance(place, str) else place
        faults = [
            _fault(kind, data, detail, known)
            for detail in error.errors(include_url=False)
            # A list whose items are all wrong is also "too short" to pydantic; to the user it is
            # not.
            if not (detail["type"] == "too_short" and detail["input"])
        ]
        return None, list(_problems(_without_misspelt(faults), at))


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


@dataclass(frozen=True)
class _Fault:
    """What is wrong with one value.

    wanted: what it should be, where it is of the wrong kind; then `what` is empty.
    near: the key in it that has the line.
    is_ours: whether a check of ours found it; one place may have several.
    """

    path: KeyPath
    given: Any
    what: str
    remedy: str = ""
    wanted: str = ""
    near: str = ""
    is_ours: bool = False


def _without_misspelt(faults: Sequence[_Fault]) -> list[_Fault]:
    """The faults, without missing keys that stand there misspelt."""
    meant = {(fault.path[:-1], fault.remedy) for fault in faults if fault.what == "unknown key"}
    return [
        fault
        for fault in faults
        if fault.what != "is missing"
        or (fault.path[:-1], f"Did you mean '{fault.path[-1]}'?") not in meant
    ]


def _problems(faults: Sequence[_Fault], at: Place) -> Iterator[Problem]:
    """One problem for each place, and each fault of a table as a whole.

    Where a value may be of several kinds, pydantic says of each why it is not that one.
    """
    paths = {fault.path for fault in faults}
    by_place: dict[tuple[KeyPath, str], list[_Fault]] = {}
    for fault in faults:
        is_of_other_kind = fault.wanted and any(
            len(path) > len(fault.path) and path[: len(fault.path)] == fault.path for path in paths
        )
        if not is_of_other_kind:
            by_place.setdefault((fault.path, fault.what if fault.is_ours else ""), []).append(fault)
    for (path, _), group in by_place.items():
        # A wrong word is plainer than that it is no table either.
        first = next((fault for fault in group if fault.what), group[0])
        what = first.what
        if not what:
            wanted = " or ".join(dict.fromkeys(fault.wanted for fault in group))
            what = f"should be {wanted}, and is {_described(first.given)}"
        yield at.at(*path).problem(what, first.remedy, first.near)


def _fault(kind: type[BaseModel], data: Any, detail: Any, more: Sequence[str]) -> _Fault:
    path, known = _walk(kind, data, detail)
    fault = detail["type"]
    given = detail["input"]
    key = str(path[-1]) if path else ""
    context = detail.get("ctx", {})
    match fault:
        case "extra_forbidden":
            known += more if len(path) == 1 else ()
            return _Fault(path, given, "unknown key", _other_key(key, given, known))
        case "missing" if path and isinstance(path[-1], int):
            return _Fault(path[:-1], given, "has too few items")
        case "missing":
            return _Fault(path, given, "is missing", f"Add '{key}'")
        case "union_tag_invalid" | "union_tag_not_found" if isinstance(given, Mapping):
            return _wrong_source(path, given)
        case "literal_error":
            return _wrong_word(path, given, str(context["expected"]))
        case "finite_number":
            return _Fault(path, given, f"{given} is not a finite number", "Give one that is")
        case "value_error":
            return _wrong_table(path, given, detail["msg"].removeprefix("Value error, "))
        case "string_pattern_mismatch":
            what = _PATTERNS.get(key, _NAME).format(given=_quoted(given))
            return _Fault(path, given, what)
    if _TYPE_FAULT.fullmatch(fault):
        return _wrong_kind(path, given, fault)
    return _Fault(path, given, _out_of_bounds(fault, given, context) or _reworded(detail))


def _other_key(key: str, given: Any, known: Sequence[str]) -> str:
    """What an unknown key should have been."""
    if (habit := _HABITS.get(key)) in known:
        return f"Did you mean '{habit}'?"
    if close_match(key, known) or "sampling" not in known or key not in _SAMPLING:
        return suggest(key, known)
    value = given if isinstance(given, (int, float)) and not isinstance(given, bool) else "..."
    return f"Write sampling = {{ {key} = {value} }}"


def _wrong_source(path: KeyPath, given: Mapping[str, Any]) -> _Fault:
    words = ("column", "file", "model", "first", "best", "plugin")
    listed = ", ".join(f'"{word}"' for word in words)
    word = given.get("from")
    if not isinstance(word, str):
        what = "'from' says where responses come from"
        return _Fault(path, given, what, f"Write from = {listed}", near="from" if word else "")
    remedy = close_match(word, words) or f"Write one of {listed}"
    return _Fault((*path, "from"), given, f"{_quoted(word)} is not a source of responses", remedy)


def _wrong_word(path: KeyPath, given: Any, expected: str) -> _Fault:
    words = re.findall(r"'([^']*)'", expected)
    if not words:
        return _Fault(path, given, f"should be {expected}, and is {_described(given)}")
    if isinstance(given, str):
        what = f"'{_clipped(given)}' is not one of {', '.join(words)}"
        return _Fault(path, given, what, close_match(given, words))
    *others, last = [f'"{word}"' for word in words]
    return _Fault(path, given, "", wanted=f"{', '.join(others)} or {last}" if others else last)


def _wrong_table(path: KeyPath, given: Any, what: str) -> _Fault:
    """A fault that a check of ours found; the first key that it names has the line."""
    keys = re.findall(r"'([^']+)'", what) if isinstance(given, Mapping) else []
    near = next((key for key in keys if key in given), "")
    return _Fault(path, given, what, near=near, is_ours=True)


def _wrong_kind(path: KeyPath, given: Any, fault: str) -> _Fault:
    stem = next(stem for stem in _TYPES if fault.startswith(stem))
    remedy = ""
    if stem == "string" and not isinstance(given, (Mapping, list)):
        remedy = "Write it in quotes"
    elif stem == "bool" and isinstance(given, str) and given.lower() in ("true", "false"):
        remedy = "Write it without quotes"
    return _Fault(path, given, "", remedy, wanted=_TYPES[stem])


def _out_of_bounds(fault: str, given: Any, context: Mapping[str, Any]) -> str:
    """What is wrong with a number or a length; empty if that is not it."""
    if fault in _BOUNDS:
        key, word = _BOUNDS[fault]
        shown = str(given).lower() if isinstance(given, bool) else given
        return f"should be {word} {context[key]:,.15g}, and is {shown}"
    if fault in _LENGTHS:
        key, word, unit = _LENGTHS[fault]
        has = len(given) if hasattr(given, "__len__") else context.get("actual_length", 0)
        return f"should have {word} {_counted(context[key], unit)}, and has {has:,}"
    return ""


def _reworded(detail: Any) -> str:
    """Of a fault that only a plug-in's parameters can have, pydantic's words without its names."""
    text = re.sub(r"^(Input|Value) ", "", detail["msg"])
    if re.search(r"\b[A-Z]\w*[a-z]\w*[A-Z]|instance of", text):
        text = "is not a value that it can have"
    return f"{text}, and is {_described(detail['input'])}"


def _described(value: Any) -> str:
    """A value as a user wrote it, in a few words."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {_quoted(value)}"
        case Mapping():
            return "a table"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case int() | float():
            return f"the number {_clipped(_number(value))}"
    return _clipped(str(value))


def _number(value: float) -> str:
    try:
        return str(value)
    except ValueError:
        # Python writes no whole number of more than 4,300 digits.
        return "of thousands of digits"


def _quoted(text: Any) -> str:
    return f"'{_clipped(str(text))}'"


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _walk(kind: type[BaseModel], data: Any, detail: Any) -> tuple[KeyPath, list[str]]:
    """Return the path as in the user's file, and the keys that are right at its end.

    pydantic's locations also name the arm of a union. No file has that, so it is left out.
    """
    loc = detail["loc"]
    current: Any = kind
    value = data
    path: KeyPath = ()
    for i, part in enumerate(loc):
        fields = current.model_fields if _is_model(current) else {}
        name = next((n for n, field in fields.items() if part in (n, field.alias)), None)
        if name is not None:
            current = fields[name].annotation
        elif isinstance(part, str) and part in (arms := _arms(current)):
            current = arms[part]
            continue
        elif not (_holds(value, part) or (detail["type"] == "missing" and i == len(loc) - 1)):
            continue
        elif len(models := list(_arms(current).values())) == 1:
            current = models[0]
        value = value[part] if _holds(value, part) else None
        path = (*path, part)
    fields = current.model_fields if _is_model(current) else {}
    return path, [field.alias or name for name, field in fields.items()]


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, Mapping):
        return part in value
    return isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value)


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
