"""The texts in the body of an answer.

Bodies are chat completions, completions, the Responses API or Anthropic's messages. Endpoints and
batch files are read by the same rules.

Knows nothing of requests or files. Invariant: a text is a whole answer whose ending is known (see
endings), and nothing else: no reasoning, no call of a tool, no half text next to an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respsel.replies.endings import Ending, ending_of
from respsel.replies.server_words import words_of

STILL_REASONING = (
    "it reached its limit of tokens while it was still reasoning: raise max_tokens, "
    "or have it reason less"
)
NOTHING_YET = "it reached its limit of tokens before it wrote any text: raise max_tokens"
NO_TEXT = "no text"
# A model may well answer this; it is not the server's fault.
EMPTY_TEXT = "the text is empty"
_TEXTS = ("text", "output_text")
_REASONING = (
    "thinking",
    "redacted_thinking",
    "reasoning",
    "reasoning_content",
    "reasoning_text",
    "summary_text",
)
# Tools that the server runs itself leave these next to the text.
_ASIDE = ("reference", "server_tool_use", "web_search_tool_result", "tool_reference", "citations")
_CALLS = (
    "tool_use",
    "function_call",
    "custom_tool_call",
    "tool_call",
    "computer_call",
    "mcp_approval_request",
)


@dataclass(frozen=True)
class Written:
    """The text of one choice, or the problem with it.

    text: the text; empty where there is a problem.
    problem: why there is no text to use.
    truncated: it was cut short at a limit of tokens.
    about_input: the problem is what the input or the text says, not the server.
    """

    text: str
    problem: str = ""
    truncated: bool = False
    about_input: bool = False


@dataclass
class _Content:
    """What a message contains."""

    text: str = ""
    has_text: bool = False
    refusal: str = ""
    has_reasoning: bool = False
    calls_tool: bool = False
    odd_part: str = ""


def written_in(body: Mapping[str, Any]) -> list[Written]:
    """The text or problem of each choice of a body; empty if it is another kind of body."""
    if isinstance(body.get("output"), list):
        return [_response(body)]
    if isinstance(choices := body.get("choices"), list):
        return [
            _choice(choice, body.get("error")) for choice in choices if isinstance(choice, Mapping)
        ]
    if isinstance(content := body.get("content"), list) and (
        "stop_reason" in body or body.get("type") == "message"
    ):
        return [_written(_read(content), ending_of(body.get("stop_reason")))]
    return []


def _choice(choice: Mapping[str, Any], error: Any) -> Written:
    given = choice.get("message")
    message: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    if fault := choice.get("error") or message.get("error") or error:
        return Written("", f"the answer broke off: {words_of(fault)}")
    content = _read(message.get("content", choice.get("text")))
    content.refusal = content.refusal or (
        words_of(message["refusal"]) if message.get("refusal") else ""
    )
    content.calls_tool = content.calls_tool or bool(
        message.get("tool_calls") or message.get("function_call")
    )
    content.has_reasoning = content.has_reasoning or any(message.get(name) for name in _REASONING)
    return _written(
        content, ending_of(choice.get("finish_reason"), choice.get("native_finish_reason"))
    )


def _response(body: Mapping[str, Any]) -> Written:
    """A body of the Responses API: it has a status where others have finish reasons."""
    if error := body.get("error"):
        return Written("", words_of(error))
    items = [item for item in body["output"] if isinstance(item, Mapping)]
    contents = [
        item["content"]
        for item in items
        if item.get("type", "message") == "message" and "content" in item
    ]
    content = _read([part for parts in contents if isinstance(parts, list) for part in parts])
    content.calls_tool = any(item.get("type") in _CALLS for item in items)
    content.has_reasoning = any(item.get("type") == "reasoning" for item in items)
    status = body.get("status")
    details = body.get("incomplete_details")
    reason = (
        details.get("reason") if status == "incomplete" and isinstance(details, Mapping) else None
    )
    return _written(content, ending_of(reason or status))


def _read(content: Any) -> _Content:
    """A message's content: a text, or parts whose texts are joined without the reasoning."""
    if isinstance(content, str):
        return _Content(_or_nothing(content), has_text=True)
    found = _Content()
    texts = list[str]()
    for kind, text in _parts(content):
        if kind in _TEXTS:
            texts.append(text)
        elif kind == "refusal":
            found.refusal = found.refusal or text or "it does not say why"
        elif kind in _REASONING:
            found.has_reasoning = True
        elif kind in _CALLS:
            found.calls_tool = True
        elif kind not in _ASIDE:
            found.odd_part = kind
    found.text = _or_nothing("".join(texts))
    found.has_text = bool(texts)
    return found


def _or_nothing(text: str) -> str:
    """A text as it is, unless it is blank. The recipe decides about its white space."""
    return text if text.strip() else ""


def _parts(content: Any) -> Iterator[tuple[str, str]]:
    """(kind, text) of each part of a content."""
    for part in content if isinstance(content, Sequence) else ():
        if isinstance(part, str):
            yield "text", part
        elif isinstance(part, Mapping):
            kind = part.get("type", "text" if "text" in part else "part of no type")
            text = part.get("refusal") if kind == "refusal" else part.get("text")
            yield str(kind), text if isinstance(text, str) else ""


def _written(content: _Content, ending: Ending) -> Written:
    if content.refusal:
        return Written("", f"the model refused: {content.refusal}", about_input=True)
    if ending.problem and (ending.is_said or content.text):
        return Written("", ending.problem, about_input=ending.about_input)
    if content.calls_tool:
        return Written("", "it calls a tool where none was given")
    if content.odd_part:
        return Written("", f"the answer has a part that is no text ({content.odd_part!r})")
    if content.text:
        return Written(content.text, truncated=ending.truncated)
    if ending.truncated:
        return Written("", STILL_REASONING if content.has_reasoning else NOTHING_YET)
    if content.has_reasoning:
        return Written("", "it wrote its reasoning and no answer")
    return Written("", EMPTY_TEXT if content.has_text and ending.is_said else NO_TEXT)
