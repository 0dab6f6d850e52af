"""Turns of a chat as text that people, judges and other models can read.

Knows nothing of chat templates and files. Invariants: the text of a turn says all that the turn
says: its reasoning, its text and its tool calls. The fields of a turn keep the order in which the
file has the parts of each, since a template may write them in that order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from respsel.records import ASSISTANT, SYSTEMS, TOOLS, Message, trained_places

# The keys under which data sets and servers keep what a model thought before its answer, in the
# order in which transformers looks for them.
REASONING_KEYS = ("reasoning_content", "thinking", "reasoning")
# The role of a turn that gives a tool's result.
RESULT = "tool"


def fields_text(fields: Mapping[str, Any]) -> str:
    """The fields of a turn as Message keeps them; empty for none."""
    named = {key: fields[key] for key in sorted(fields)}
    return json.dumps(named, separators=(",", ":"), allow_nan=False) if named else ""


def fields_of(turn: Message) -> Mapping[str, Any]:
    """The fields that `fields_text` wrote."""
    return json.loads(turn.fields) if turn.fields else {}


def tool_calls_of(turn: Message) -> Sequence[Mapping[str, Any]]:
    """The tools that a turn calls."""
    calls = fields_of(turn).get("tool_calls") if turn.fields else None
    return calls if isinstance(calls, list) else ()


def turn_text(turn: Message) -> str:
    """All that a turn says: reasoning between tags, text, and tool calls as name(arguments)."""
    fields = fields_of(turn)
    thoughts = [fields[key] for key in REASONING_KEYS if isinstance(fields.get(key), str)]
    thought = next((text for text in thoughts if text.strip()), "")
    said = [turn.content] if turn.content.strip() else []
    said += [_call_text(call) for call in tool_calls_of(turn)]
    body = "\n\n".join(said)
    return f"<think>\n{thought}\n</think>\n\n{body}" if thought else body


def trained_text(turns: Iterable[Message]) -> str:
    """What the trained turns say, with a blank line between two of them."""
    return "\n\n".join(turn_text(turn) for turn in turns if turn.trained)


def last_trained_text(turns: Sequence[Message]) -> str:
    """What the last trained turn says; empty if there is none."""
    return next((turn_text(turn) for turn in reversed(turns) if turn.trained), "")


def answer_text(turns: Sequence[Message]) -> str:
    """Where the answer of a conversation's trained turns stands; empty if none is trained.

    It is the last one's text. Where it has none, it is the last tool's result behind the first
    trained turn: one before it is part of what was asked. Without such a result it is the call.
    """
    places = trained_places(turns)
    if not places or turns[places[-1]].content.strip():
        return turns[places[-1]].content if places else ""
    behind = [turn.content for turn in turns[places[0] :] if turn.role == RESULT]
    results = [text for text in behind if text.strip()]
    return results[-1] if results else last_trained_text(turns)


def dialogue(turns: Iterable[Message]) -> list[Message]:
    """What is said in a chat: its turns without the system's, and without its tools."""
    return [turn for turn in turns if turn.role not in (TOOLS, *SYSTEMS)]


def transcript(turns: Iterable[Message]) -> str:
    """A chat as text, each turn behind its speaker's name; the tools of the chat are left out."""
    return "\n\n".join(
        f"{_speaker(turn)}: {turn_text(turn)}" for turn in turns if turn.role != TOOLS
    )


def untrained(turns: Iterable[Message]) -> tuple[Message, ...]:
    """The turns as a model is asked with them: none is trained."""
    return tuple(replace(turn, trained=False) if turn.trained else turn for turn in turns)


def is_answerable(turn: Message) -> bool:
    """Whether a turn is an assistant's that calls no tool, so that a text can stand for it."""
    return turn.role == ASSISTANT and not tool_calls_of(turn)


def _speaker(turn: Message) -> str:
    name = fields_of(turn).get("name") if turn.role == RESULT else None
    return f"Tool {name}" if isinstance(name, str) else turn.role.capitalize()


def _call_text(call: Mapping[str, Any]) -> str:
    inner = call.get("function", call)
    arguments = inner.get("arguments", {})
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return f"{inner.get('name', '')}({arguments})"
