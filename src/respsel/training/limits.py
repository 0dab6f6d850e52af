"""What of a conversation a format cannot say.

Knows nothing of how it is written. Invariant: a row that a trainer would leave out, refuse, or
train other turns of has a reason here; so an export never loses a part in silence.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from respsel.records import ASSISTANT, Message, trained_places
from respsel.text.transcript import REASONING_KEYS, fields_of
from respsel.training.conversations import (
    Conversations,
    said,
    split_at_trained,
    tools_of,
)

_OPENAI_ROLES = {"system", "developer", "user", "assistant", "tool"}


def no_limit(_turns: Sequence[Message]) -> str:
    """A format that says all."""
    return ""


def _untrained(turns: Sequence[Message]) -> bool:
    return any(turn.role == ASSISTANT and not turn.trained for turn in turns)


def _thinks(turn: Message) -> bool:
    fields = fields_of(turn)
    return any(fields.get(name) for name in REASONING_KEYS)


def of_messages(turns: Sequence[Message]) -> str:
    """TRL's assistant_only_loss trains on each of the assistant's turns."""
    if _untrained(said(turns)):
        return "has an assistant's turn that is not trained, and its trainer trains on all of them"
    return ""


def of_prompt_completion(turns: Sequence[Message]) -> str:
    """TRL trains on the completion, which begins at one place."""
    prompt, completion = split_at_trained(said(turns))
    if not prompt:
        return "begins with a trained turn, so that there is no prompt"
    if _untrained(completion):
        return "has an assistant's turn that is not trained behind one that is"
    return ""


def of_sdft(turns: Sequence[Message]) -> str:
    """TRL's SDFTTrainer shows the teacher one text, and reads no tools."""
    if tools_of(turns) is not None:
        return "has tools, which its trainer does not read"
    places = trained_places(said(turns))
    if places != [len(said(turns)) - 1]:
        return "has other trained turns than its last"
    if fields_of(said(turns)[-1]):
        return "has a response with more than its text (calls, or thinking)"
    return "" if len(said(turns)) > 1 else "has no prompt"


def of_openai(turns: Sequence[Message]) -> str:
    """OpenAI's messages have calls and weights, and no thinking."""
    for turn in said(turns):
        if turn.role not in _OPENAI_ROLES:
            return f"has a turn of the role {turn.role}"
        if _thinks(turn):
            return "has thinking in a field, for which there is none"
        if not all(map(_is_call, fields_of(turn).get("tool_calls") or [])):
            return "has a tool call without a function's name"
    return _bad_tools(turns)


def _is_call(call: Any) -> bool:
    function = call.get("function") if isinstance(call, Mapping) else None
    return isinstance(function, Mapping) and isinstance(function.get("name"), str)


def _bad_tools(turns: Sequence[Message]) -> str:
    tools = json.loads(tools_of(turns) or "[]")
    if isinstance(tools, list) and all(map(_is_call, tools)):
        return ""
    return 'has tools of another form than {"type": "function", "function": {...}}'


def of_axolotl(turns: Sequence[Message]) -> str:
    """Axolotl takes a list of tools."""
    tools = json.loads(tools_of(turns) or "[]")
    listed = isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)
    return "" if listed else "has tools that are no list of objects"


def of_llama_factory(turns: Sequence[Message]) -> str:
    """LLaMA-Factory skips what does not alternate, and trains on all answers or on the last."""
    chat = said(turns)
    if chat and chat[0].role == "system":
        chat = chat[1:]
    for place, turn in enumerate(chat):
        allowed = (ASSISTANT,) if place % 2 else ("user", "tool")
        if turn.role not in allowed:
            return (
                f"has a turn of {turn.role} where its trainer takes {' or '.join(allowed)}, "
                "and would skip the conversation"
            )
        if reason := _not_in_text(turn):
            return reason
    if not chat or chat[-1].role != ASSISTANT:
        return "does not end with the assistant, and its trainer would skip it"
    places = trained_places(chat)
    if places == [len(chat) - 1] or not _untrained(chat):
        return ""
    return "has trained turns that are neither all of the assistant's nor the last alone"


def _not_in_text(turn: Message) -> str:
    """Why a turn of LLaMA-Factory's, which is a text, cannot say all of a turn."""
    fields = fields_of(turn)
    calls = fields.get("tool_calls") or []
    if calls and turn.content.strip():
        return "has a turn with a text and a tool call"
    if not all(map(_is_call, calls)):
        return "has a tool call without a function's name"
    if any(not _parsed(call["function"].get("arguments", {})) for call in calls):
        return "has a tool call whose arguments are no JSON"
    return "" if calls or "content" not in fields else "has a turn without a text"


def _parsed(arguments: object) -> bool:
    try:
        return not isinstance(arguments, str) or json.loads(arguments) is not None
    except ValueError:
        return False


def of_llama_factory_set(found: Conversations) -> str:
    """Its `mask_history` is one for all rows."""
    if found.rows in (found.every, found.last):
        return ""
    return (
        "some conversations train all of the assistant's turns and some the last alone, and its "
        "trainer has one setting for all"
    )
