"""A conversation as a row of each format, in that trainer's words.

Knows nothing of files and of what a format cannot say; see limits. Invariant: what the trainer
makes of a row is what the target's chat template was given, with the same turns trained.

What was looked up: TRL 1.16's `SFTTrainer` and `DPOTrainer` read a column `tools` of JSON text.
axolotl's chat_template strategy reads `arguments` and `parameters` of JSON text, and takes what it
trains from a field of each turn. LLaMA-Factory's data/README.md has calls as turns of
`function_call`, whose text is JSON, and the tools as JSON text. OpenAI's and Fireworks' assistant
messages have a `weight` of 0 or 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from respsel.records import ASSISTANT, Message, trained_places
from respsel.text.transcript import REASONING_KEYS, fields_of
from respsel.training.conversations import (
    TRAIN,
    as_dict,
    said,
    split_at_trained,
    told,
    tools_of,
)

# What the messages of OpenAI's fine-tuning files may have.
OPENAI_FIELDS = {"name", "tool_calls", "tool_call_id", "function_call", "refusal"}


def with_tools(record: dict[str, Any], turns: Sequence[Message]) -> dict[str, Any]:
    """A row with the conversation's tools, if there are any, as JSON text."""
    tools = tools_of(turns)
    return record if tools is None else {**record, "tools": tools}


def messages(turns: Sequence[Message]) -> Mapping[str, Any]:
    """TRL's conversational language modeling."""
    return with_tools({"messages": told(said(turns))}, turns)


def prompt_completion(turns: Sequence[Message]) -> Mapping[str, Any]:
    """TRL's prompt-completion: the completion begins at the first trained turn."""
    prompt, completion = split_at_trained(said(turns))
    return with_tools({"prompt": told(prompt), "completion": told(completion)}, turns)


def sdft(turns: Sequence[Message], response: str) -> Mapping[str, Any]:
    """TRL's self-distillation: the response is shown to the teacher alone."""
    prompt, _ = split_at_trained(said(turns))
    return {"prompt": told(prompt), "privileged_context": response}


def preference(
    shared: Sequence[Message], chosen: Sequence[Message], rejected: Sequence[Message]
) -> Mapping[str, Any]:
    """TRL's preference: what both begin with, and the turns of each behind it."""
    record = {"prompt": told(said(shared)), "chosen": told(chosen), "rejected": told(rejected)}
    return with_tools(record, shared)


def axolotl(turns: Sequence[Message]) -> Mapping[str, Any]:
    """With JSON text where axolotl reads it, which `datasets` keeps as it is."""
    rows = [{**_texts_in_calls(as_dict(turn)), TRAIN: bool(turn.trained)} for turn in said(turns)]
    tools = tools_of(turns)
    if tools is None:
        return {"messages": rows}
    return {"messages": rows, "tools": [_text_in_tool(tool) for tool in json.loads(tools)]}


def _texts_in_calls(turn: dict[str, Any]) -> dict[str, Any]:
    """A turn whose calls have their arguments as JSON text."""
    calls = turn.get("tool_calls")
    return {**turn, "tool_calls": list(map(_text_in_call, calls))} if calls else turn


def _text_in_call(call: Any) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or isinstance(function.get("arguments", ""), str):
        return call
    return {**call, "function": {**function, "arguments": _json(function["arguments"])}}


def _text_in_tool(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or isinstance(function.get("parameters", ""), str):
        return tool
    return {**tool, "function": {**function, "parameters": _json(function["parameters"])}}


def openai(turns: Sequence[Message]) -> dict[str, Any]:
    """With the weight of each assistant's turn, its calls' arguments as JSON text, and no nulls."""
    rows = list(_openai_turns(said(turns)))
    tools = tools_of(turns)
    return {"messages": rows} if tools is None else {"messages": rows, "tools": json.loads(tools)}


def _openai_turns(turns: Iterable[Message]) -> Iterable[dict[str, Any]]:
    """Calls without an id get one, and so do their results, in order: the format asks for it."""
    waiting: list[str] = []
    count = 0
    for turn in turns:
        fields = {name: value for name, value in fields_of(turn).items() if name in OPENAI_FIELDS}
        row = {"role": turn.role, "content": turn.content, **fields}
        if "content" in fields_of(turn):
            del row["content"]
        if calls := row.get("tool_calls"):
            row["tool_calls"] = []
            for call in map(_text_in_call, calls):
                count += 1
                known = call.get("id") or f"call_{count}"
                waiting.append(known)
                row["tool_calls"].append({"type": "function", **call, "id": known})
        if turn.role == "tool":
            known = row.get("tool_call_id") or (waiting[0] if waiting else f"call_{count}")
            row["tool_call_id"] = known
            waiting = [name for name in waiting if name != known]
        if turn.role == ASSISTANT:
            row["weight"] = int(turn.trained)
        yield {name: value for name, value in row.items() if value is not None}


def llama_factory(turns: Sequence[Message]) -> Mapping[str, Any]:
    """In its sharegpt form: calls and results as turns of their own roles, thinking in its tags."""
    rows = []
    for turn in said(turns):
        fields = fields_of(turn)
        thinking = next((fields[name] for name in REASONING_KEYS if fields.get(name)), "")
        before = f"<think>\n{thinking.strip()}\n</think>\n\n" if thinking else ""
        role = "observation" if turn.role == "tool" else turn.role
        text = turn.content
        if calls := fields.get("tool_calls"):
            role = "function_call"
            text = _json([_called(call["function"]) for call in calls])
        rows.append({"role": role, "content": before + text})
    return with_tools({"messages": rows}, turns)


def _called(function: Mapping[str, Any]) -> dict[str, Any]:
    arguments = function.get("arguments", {})
    parsed = json.loads(arguments) if isinstance(arguments, str) else arguments
    return {"name": function["name"], "arguments": parsed}


def table(turns: Sequence[Message]) -> dict[str, Any]:
    """The columns of a conversation: JSON text, and the places of the trained turns."""
    chat = said(turns)
    if not chat:
        return {"messages": None, "tools": None, "trained": None}
    return {
        "messages": _json(told(chat)),
        "tools": tools_of(turns),
        "trained": trained_places(chat),
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
