"""What a turn says, from the ways in which files write it: a text, or a list of parts.

Sources: OpenAI's content parts, Gemini's parts, Anthropic's content blocks. Knows nothing of roles'
order. Invariant: a part that is no text is a fault, never left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respsel.data.turns import TurnFault
from respsel.text.transcript import REASONING_KEYS

_MEDIA = ("image", "audio", "video", "file", "document", "inline", "media")
_GEMINI_CALL = ("functionCall", "function_call")
_GEMINI_RESULT = ("functionResponse", "function_response")


@dataclass(frozen=True)
class Content:
    """What a turn says.

    text: the text; None where the turn has none.
    calls: the tools that parts of it call, as OpenAI's tool_calls.
    result_of: the function whose result it is, where a part says so.
    """

    text: str | None
    calls: tuple[Mapping[str, Any], ...] = ()
    result_of: str = ""


def read_content(value: Any, place: str, is_result: bool) -> Content:
    """The content of a turn. Raises TurnFault.

    is_result: it is a tool's result, which may be any JSON value.
    """
    if value is None or isinstance(value, str):
        return Content(value)
    if isinstance(value, (bool, int, float)):
        return Content(json.dumps(value))
    if isinstance(value, Mapping) and (is_result or not _is_part(value)):
        if is_result:
            return Content(json.dumps(value, ensure_ascii=False))
        raise TurnFault(place, "has an object as its content, not text", "Write it as text")
    parts = [value] if isinstance(value, Mapping) else value
    if is_result and not all(isinstance(part, str) or _is_part(part) for part in parts):
        return Content(json.dumps(value, ensure_ascii=False))
    return _joined(parts, place)


def refuse_reasoning(fields: Mapping[str, Any], place: str) -> None:
    """Raise TurnFault if a turn's reasoning is no text: trainers and templates take it for one."""
    for key in REASONING_KEYS:
        value = fields.get(key)
        if value is None or isinstance(value, str):
            continue
        what = f"has {_kind(value)} as its '{key}', not text"
        raise TurnFault(place, what, "Write it as text, or leave it out")


def call_of(name: Any, arguments: Any, more: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """A call as an item of OpenAI's tool_calls; more: its further keys."""
    return {**(more or {}), "type": "function", "function": {"name": name, "arguments": arguments}}


def _kind(value: Any) -> str:
    """What JSON calls a value that is no text."""
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, Sequence) else "a number"


def _joined(parts: Sequence[Any], place: str) -> Content:
    """The texts of the parts, one behind another, and their calls."""
    texts: list[str] = []
    calls: list[Mapping[str, Any]] = []
    results: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif not isinstance(part, Mapping):
            raise TurnFault(place, "has a part that is not text", "Write it as text")
        elif call := _inner(part, _GEMINI_CALL):
            calls.append(call_of(call.get("name"), call.get("args") or {}))
        elif result := _inner(part, _GEMINI_RESULT):
            results.append(str(result.get("name", "")))
            texts.append(json.dumps(result.get("response"), ensure_ascii=False))
        else:
            texts.append(_text(part, place))
    if len(results) > 1 or (results and len(texts) > 1):
        raise TurnFault(place, "has several parts beside a result", "Give each its own turn")
    text = "".join(texts) if texts or not calls else None
    return Content(text, tuple(calls), "".join(results))


def _text(part: Mapping[str, Any], place: str) -> str:
    kind = str(part.get("type") or "")
    if kind in ("", "text", "input_text", "output_text") and not part.get("thought"):
        named = part.get("text", part.get("content"))
        if isinstance(named, str):
            return named
    media = next((word for word in _MEDIA for key in (kind, *part) if word in key.lower()), "")
    if media:
        word = {"inline": "media"}.get(media, media)
        article = "an" if word[0] in "aeiou" else "a"
        what = f"has {article} {word} part, and only text is read"
        raise TurnFault(place, what, "Take the row out, or write the part as text")
    if part.get("thought") or "thinking" in kind or "reasoning" in kind:
        what = "has its reasoning as a part of the content"
        raise TurnFault(place, what, "Write it as the key 'reasoning_content' of the turn")
    if "tool" in kind or "function" in kind:
        what = f"has a part of type '{kind}'"
        raise TurnFault(
            place,
            what,
            "Write calls as 'tool_calls' of the turn, and results as turns of role tool",
        )
    named = f"a part of type '{kind}'" if kind else "a part without text"
    raise TurnFault(place, f"has {named}", "Use parts of type text only")


def _inner(part: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any] | None:
    found = next((part[name] for name in names if isinstance(part.get(name), Mapping)), None)
    return found


def _is_part(value: Any) -> bool:
    """Whether a value is a part of a content, and not a result of a tool that is an object."""
    if not isinstance(value, Mapping):
        return False
    if {*_GEMINI_CALL, *_GEMINI_RESULT} & value.keys():
        return True
    kind = str(value.get("type") or "")
    is_named = kind in ("text", "input_text", "output_text") or any(w in kind for w in _MEDIA)
    return (is_named and len(value) > 1) or value.keys() == {"text"} or "thought" in value
