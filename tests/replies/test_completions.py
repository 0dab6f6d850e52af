"""Bodies of answers: what is taken for the text, and what is a problem by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from respsel.replies.completions import (
    EMPTY_TEXT,
    NO_TEXT,
    NOTHING_YET,
    STILL_REASONING,
    Written,
    written_in,
)

THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "so many"}]}


def chat(content: Any, ended: Any = "stop", message: Any = None, **choice: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": content, **(message or {})}
    return {"choices": [{"index": 0, "message": said, "finish_reason": ended, **choice}]}


def response(*items: Any, **more: Any) -> dict[str, Any]:
    return {
        "object": "response",
        "output": list(items),
        "status": "completed",
        "error": None,
        **more,
    }


def said(text: str, kind: str = "output_text") -> dict[str, Any]:
    return {
        "type": "message",
        "status": "completed",
        "content": [{"type": kind, kind.removeprefix("output_"): text}],
    }


def anthropic(*parts: Any, ended: Any = "end_turn") -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": list(parts), "stop_reason": ended}


@pytest.mark.parametrize(
    "body",
    [
        chat(" It is 8.\n"),
        chat([{"type": "text", "text": "It is "}, {"type": "text", "text": "8."}]),
        chat([THOUGHT, {"type": "text", "text": "It is 8."}]),
        chat(["It is ", "8."]),
        chat([{"text": "It is 8."}]),
        chat(
            "It is 8.",
            message={
                "reasoning_content": "let me see",
                "tool_calls": [],
                "function_call": None,
                "refusal": None,
            },
        ),
        chat("It is 8.", native_finish_reason="end_turn", error=None),
        {"choices": [{"text": "It is 8. ", "finish_reason": "stop"}]},
        {"choices": [{"text": "It is 8. ", "finish_reason": {"type": "stop", "matched": 2}}]},
        response({"type": "reasoning", "summary": []}, said("It is 8.")),
        anthropic({"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "It is 8."}),
    ],
)
def test_a_whole_text(body: Any) -> None:
    """Text alone, parts joined, reasoning left out, in every kind of body; white space stays as it
    was written.
    """
    (found,) = written_in(body)
    assert replace(found, text=found.text.strip()) == Written("It is 8.")


@pytest.mark.parametrize(
    "body",
    [
        chat("It is", "model_length"),
        chat("It is", "stop", native_finish_reason="MAX_TOKENS"),
        {"choices": [{"text": "It is", "finish_reason": {"type": "length", "length": 4}}]},
        response(
            said("It is"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}
        ),
        response(said("It is"), status="incomplete"),
        anthropic({"type": "text", "text": "It is"}, ended="max_tokens"),
    ],
)
def test_a_text_that_was_cut_short(body: Any) -> None:
    """It is handed on, as one that was cut short."""
    assert written_in(body) == [Written("It is", truncated=True)]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (chat("It is", "abort"), "'abort'"),
        (chat("It is", None), "does not say how the answer ended"),
        (
            chat("It is", "error", error={"code": 502, "message": "the line\nwent dead"}),
            "the line went dead",
        ),
        (chat("It is", "stop", error="gone"), "gone"),
        ({**chat("It is"), "error": {"message": "half way"}}, "half way"),
        (chat("Let me look.", "tool_calls", {"tool_calls": [{"id": "c"}]}), "tool"),
        (chat("Let me look.", "stop", {"tool_calls": [{"id": "c"}]}), "tool"),
        (chat("Let me look.", "stop", {"function_call": {"name": "f"}}), "tool"),
        (
            chat([{"type": "text", "text": "See"}, {"type": "image_url", "image_url": {}}]),
            "image_url",
        ),
        (chat(None, "length", {"reasoning_content": "first of all"}), STILL_REASONING),
        (chat("", "MAX_TOKENS", {"reasoning": "first of all"}), STILL_REASONING),
        (chat([THOUGHT], "length"), STILL_REASONING),
        (chat("", "length"), NOTHING_YET),
        (chat([THOUGHT], "stop"), "reasoning and no answer"),
        (chat(None), NO_TEXT),
        (chat([]), NO_TEXT),
        (chat(" \n"), EMPTY_TEXT),
        (chat([{"type": "text", "text": ""}]), EMPTY_TEXT),
        (chat({"a": 1}, None), NO_TEXT),
        (
            response(
                said("It is"), status="failed", error={"code": "server_error", "message": "sorry"}
            ),
            "sorry",
        ),
        (response(said("It is"), status="cancelled"), "'cancelled'"),
        (response(said("It is"), status=None), "does not say how"),
        (response({"type": "function_call", "name": "f"}, said("It is")), "tool"),
        (response({"type": "reasoning"}, status="incomplete"), STILL_REASONING),
        (anthropic({"type": "text", "text": "It is"}, ended="pause_turn"), "'pause_turn'"),
        (anthropic({"type": "tool_use"}, {"type": "text", "text": "It is"}), "tool"),
    ],
)
def test_what_is_no_answer_is_a_problem(body: Any, told: str) -> None:
    """A half text beside an error or a call of a tool is no text, and the reason is named."""
    (found,) = written_in(body)
    assert not found.text
    assert told in found.problem
    assert not found.about_input


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (chat("It", "content_filter"), "content filter"),
        (chat("It", "SAFETY"), "'SAFETY'"),
        (chat(None, "stop", {"refusal": "I do not sum"}), "I do not sum"),
        (chat([{"type": "refusal", "refusal": "I do not sum"}]), "I do not sum"),
        (response(said("I do not sum", "refusal")), "I do not sum"),
        (
            response(status="incomplete", incomplete_details={"reason": "content_filter"}),
            "content filter",
        ),
        (anthropic(ended="refusal"), "refused"),
    ],
)
def test_a_refusal_is_about_the_input(body: Any, told: str) -> None:
    """It is a problem of this input, not of the server."""
    (found,) = written_in(body)
    assert not found.text
    assert told in found.problem
    assert found.about_input


@pytest.mark.parametrize(
    "body",
    [{}, {"choices": 3}, {"choices": ["x"]}, {"content": "x"}, {"data": []}, {"output": "x"}],
)
def test_another_body_has_no_texts(body: Any) -> None:
    """What is none of these bodies is not guessed at."""
    assert written_in(body) == []
