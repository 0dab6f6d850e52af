"""Small conversations, and chat templates that write them, for tests of what is trained.

The templates are written for these tests. They follow what Qwen3's and Llama 3's do with tools,
thinking and the ends of turns, and have the marks that TRL's `assistant_only_loss` asks for.
"""

from __future__ import annotations

import json
from typing import Any

from respsel.records import ASSISTANT, TOOLS, Message

QWEN3_LIKE = """\
{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}

{% endif %}# Tools
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}
{%- set ns = namespace(last=-1) %}
{%- for message in messages %}
{%- if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}
{%- endfor %}
{%- for message in messages %}
{%- if message.role == 'user' %}{{ '<|im_start|>user\\n' + message.content + '<|im_end|>\\n' }}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\\n<tool_response>\\n' + message.content }}
{{- '\\n</tool_response><|im_end|>\\n' }}
{%- elif message.role == 'assistant' %}
{{- '<|im_start|>assistant\\n' }}{% generation %}
{%- if message.reasoning_content and loop.index0 > ns.last %}
{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}
{%- endif %}
{{- message.content or '' }}
{%- for call in message.tool_calls or [] %}
{{- '\\n<tool_call>\\n' + call.function | tojson + '\\n</tool_call>' }}
{%- endfor %}
{{- '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

LLAMA3_LIKE = """\
{{- '<|begin_of_text|>' }}
{%- if tools %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nTools: ' + tools | tojson + '<|eot_id|>' }}
{%- endif %}
{%- for message in messages %}
{%- set role = 'ipython' if message.role == 'tool' else message.role %}
{{- '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' }}
{%- if message.role == 'assistant' %}{% generation %}
{%- if message.tool_calls %}
{%- set function = message.tool_calls[0].function %}
{{- '{"name": "' + function.name + '", "parameters": ' + function.arguments | tojson + '}' }}
{%- else %}{{ message.content | trim }}{% endif %}
{{- '<|eot_id|>' }}{% endgeneration %}
{%- else %}{{ message.content | trim + '<|eot_id|>' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}"""


def _tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": sorted(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def _call(name: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"arguments": arguments, "name": name}, **more}


MULTI: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "system", "content": f"Be brief, {name}."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello. \U0001f986 What is it?"},
            {"role": "user", "content": "2024-05-01"},
            {"role": "assistant", "content": "A Wednesday."},
        ]
    }
    for name in ("Ann", "Bob", "Cem")
]

# What makes readers of JSON guess: dates alone, whole and broken numbers, other keys, nulls.
TOOL_USE: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "user", "content": "How warm was it?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [_call("weather", {"day": "2024-05-01", "hour": 7}, id="a1")],
            },
            {"role": "tool", "name": "weather", "content": "12 C", "tool_call_id": "a1"},
            {"role": "assistant", "content": "12 degrees."},
        ],
        "tools": [
            _tool("weather", day={"type": "string"}, hour={"type": "integer", "default": None})
        ],
    },
    {
        "messages": [
            {"role": "user", "content": "Half of 5, twice of \u201cx\u201d?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [_call("half", {"of": 5, "round": None, "deep": [{}, {"a": "1"}]})],
            },
            {"role": "tool", "name": "half", "content": '{"value": 2.5}'},
            {"role": "assistant", "content": "2.5"},
        ],
        "tools": [_tool("half", of={"enum": [1, "2", 0.3]}), _tool("twice")],
    },
    {
        "messages": [
            {"role": "user", "content": "No tool is asked for."},
            {"role": "assistant", "content": "None was."},
        ]
    },
]

THOUGHTFUL: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "user", "content": f"{count} + 1?"},
            {"role": "assistant", "content": f"{count + 1}", "reasoning_content": "Add one."},
            {"role": "user", "content": "And one more?"},
            {"role": "assistant", "content": f"{count + 2}", "reasoning_content": "Again:\n+ 1"},
        ]
    }
    for count in range(3)
]

SETS = {"multi": MULTI, "tools": TOOL_USE, "thinking": THOUGHTFUL}


def as_turns(chat: dict[str, Any], train: str = "every") -> tuple[Message, ...]:
    """A conversation of a file as respsel has it, with the trained turns of the assistant."""
    messages = chat["messages"]
    answers = [i for i, turn in enumerate(messages) if turn["role"] == ASSISTANT]
    trained = answers if train == "every" else answers[-1:]
    turns = [_as_turn(turn, i in trained) for i, turn in enumerate(messages)]
    if "tools" in chat:
        return (Message(TOOLS, json.dumps(chat["tools"])), *turns)
    return tuple(turns)


def _as_turn(turn: dict[str, Any], trained: bool) -> Message:
    more = {name: value for name, value in turn.items() if name not in ("role", "content")}
    if turn.get("content") is None:
        more["content"] = None
    return Message(turn["role"], turn["content"] or "", json.dumps(more) if more else "", trained)
