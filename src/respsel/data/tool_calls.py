"""Tool calls and lists of tools, checked and otherwise left as the file has them.

Knows nothing of turns' order. Invariant: a call has a name, and arguments that are a JSON object or
its text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from respsel.data.turn_content import call_of
from respsel.data.turns import TurnFault, parsed, says_nothing, without_nulls
from respsel.errors import name_list

_CALL = 'Write {"name": ..., "arguments": {...}}'


def read_calls(value: Any, place: str) -> list[Mapping[str, Any]]:
    """The value of `tool_calls`, a list or its JSON text. Raises TurnFault."""
    calls = parsed(value, place, "its tool_calls") if isinstance(value, str) else value
    if not isinstance(calls, list):
        raise TurnFault(place, "has tool_calls that are not a list", f"{_CALL} in a list")
    return [_call(call, _spot(place, i, len(calls))) for i, call in enumerate(calls, 1)]


def written_calls(value: Any, place: str) -> list[Mapping[str, Any]]:
    """The calls of a ShareGPT turn `function_call`: one, or a list of them, or the JSON text."""
    found = parsed(value, place, "its function call") if isinstance(value, str) else value
    calls = found if isinstance(found, list) else [found]
    made = []
    for i, call in enumerate(calls, 1):
        spot = _spot(place, i, len(calls))
        if not isinstance(call, Mapping):
            raise TurnFault(spot, "is no function call", _CALL)
        is_whole = isinstance(call.get("function"), Mapping)
        made.append(
            _call(call if is_whole else call_of(call.get("name"), call.get("arguments")), spot)
        )
    if not made:
        raise TurnFault(place, "calls nothing", _CALL)
    return made


def read_tools(value: Any, is_filled: bool) -> str:
    """A list of tools, or its JSON text, as the JSON text of a TOOLS message.

    Empty where there are none. Raises TurnFault.

    is_filled: objects may have nulls for keys that only others have; in JSON text all are written.
    """
    if says_nothing(value):
        return ""
    if isinstance(value, str):
        value = parsed(value, "", "is text that")
        is_filled = False
    if isinstance(value, Mapping) or not isinstance(value, (list, tuple)):
        raise TurnFault("", "is not a list of tools", "Write a list of objects, each with a name")
    tools = []
    for i, item in enumerate(value, 1):
        if isinstance(item, str):
            tool = parsed(item, f"tool {i}", "it")
        else:
            tool = without_nulls(item) if is_filled else item
        inner = tool.get("function", tool) if isinstance(tool, Mapping) else None
        if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
            remedy = "Give it name, description and parameters"
            raise TurnFault(f"tool {i}", "is not a tool with a name", remedy)
        tools.append(tool)
    return json.dumps(tools, separators=(",", ":"), allow_nan=False)


def call_ids(calls: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids of calls that have some."""
    return [str(call["id"]) for call in calls if call.get("id") not in (None, "")]


def refuse_equal_ids(calls: Sequence[Mapping[str, Any]], place: str) -> None:
    """Raise TurnFault if two calls of a turn have one id."""
    ids = call_ids(calls)
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        what = f"has several tool calls with the id {name_list([repr(name) for name in twice])}"
        raise TurnFault(place, what, "Give each call its own id")


def _call(call: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(call, Mapping):
        raise TurnFault(place, "is no tool call", _CALL)
    bare = {key: value for key, value in call.items() if value is not None}
    inner = bare.get("function", bare)
    if not isinstance(inner, Mapping):
        raise TurnFault(place, "has a function that is not an object", _CALL)
    inner = {key: value for key, value in inner.items() if value is not None}
    name = inner.get("name")
    if not isinstance(name, str) or not name.strip():
        raise TurnFault(place, "calls a tool without a name", _CALL)
    _check_arguments(inner, name, place)
    return {**bare, "function": inner} if "function" in bare else inner


def _check_arguments(inner: Mapping[str, Any], name: str, place: str) -> None:
    remedy = "Write an object, or its JSON text; {} for none"
    if "arguments" not in inner:
        raise TurnFault(place, f"calls '{name}' without arguments", remedy)
    value = inner["arguments"]
    whose = f"the arguments of '{name}'"
    if isinstance(value, str):
        try:
            value = parsed(value, place, whose)
        except TurnFault as fault:
            if "levels deep" in fault.what:
                raise
            told = fault.what.removeprefix(whose)
            what = f"the arguments of '{name}' are no JSON object (the text{told})"
            raise TurnFault(place, what, remedy) from fault
    if not isinstance(value, Mapping):
        raise TurnFault(place, f"the arguments of '{name}' are no JSON object", remedy)


def _spot(place: str, number: int, count: int) -> str:
    return place if count == 1 else f"{place}, tool call {number}"
