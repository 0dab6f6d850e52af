"""A turn of a chat as a template gets it: its role, its text and its other fields.

Knows no template. Invariant: a turn without fields is its role and text alone, as ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from respsel.records import TOOLS, Message
from respsel.text.transcript import REASONING_KEYS, fields_of


def split_tools(messages: Sequence[Message]) -> tuple[Any, Sequence[Message]]:
    """The tools of a chat, None if it has none, and its turns."""
    if messages and messages[0].role == TOOLS:
        return json.loads(messages[0].content), messages[1:]
    return None, messages


def as_turn(message: Message, nulls: bool = False) -> dict[str, Any]:
    """A turn as transformers gives it to a template.

    Its reasoning has all the names that templates look for. Keys without a value are left out.

    nulls: whether these stay, for templates that were written before transformers left them out.
    """
    if not message.fields:
        return {"role": message.role, "content": message.content}
    turn = {"role": message.role, "content": message.content, **fields_of(message)}
    if not nulls:
        turn = {name: value for name, value in turn.items() if value is not None}
    reasoning = next((turn[name] for name in REASONING_KEYS if turn.get(name) is not None), None)
    if reasoning is None:
        return turn
    return {"thinking": reasoning, **turn, "reasoning_content": reasoning}


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with each of its texts changed, keys too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): map_texts(item, change) for key, item in value.items()}
    return [map_texts(item, change) for item in value] if isinstance(value, list) else value


def map_message(message: Message, change: Callable[[str], str]) -> Message:
    """A message with each text that a user or a model wrote changed."""
    if message.role == TOOLS:
        return replace(message, content=_mapped_json(message.content, change))
    return replace(
        message,
        role=change(message.role),
        content=change(message.content),
        fields=_mapped_json(message.fields, change) if message.fields else "",
    )


def texts_in(message: Message) -> list[str]:
    """All texts of a message that a user or a model wrote."""
    found: list[str] = []

    def keep(text: str) -> str:
        found.append(text)
        return text

    map_message(message, keep)
    return found


def _mapped_json(text: str, change: Callable[[str], str]) -> str:
    return json.dumps(map_texts(json.loads(text), change), ensure_ascii=False)
