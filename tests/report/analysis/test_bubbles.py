"""The turns of a conversation as a report shows them."""

from __future__ import annotations

import json

import numpy as np

from respsel.records import Example, Message, Response, ScoredResponse, TokenKind, TokenScores
from respsel.report.analysis.bubbles import shown_context, shown_turns

CALL = '{"tool_calls":[{"function":{"arguments":{"a":1},"name":"add"}}]}'
CHAT = (
    Message("system", "Be brief."),
    Message("user", "1 + 1?"),
    Message("assistant", "", CALL, trained=True),
    Message("tool", "2", '{"name":"add"}'),
    Message("assistant", "2.", trained=True),
)
EXAMPLE = Example("e", "1 + 1?", turns=CHAT)


def shown(tools: list[object]) -> str:
    """How a list of tools is shown."""
    example = Example("e", "", turns=(Message("tools", json.dumps(tools)), *CHAT))
    first = shown_context(example, 1000)[0]
    assert first.speaker == "tools that can be called"
    return "".join(piece.text for piece in first.pieces)


def test_tools_are_shown_as_a_caller_sees_them() -> None:
    """A line each, in the shapes that files have them in, also without parameters or any words."""
    parameters = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {}}}
    whole = {"name": "add", "description": "Adds two.", "parameters": parameters}
    assert shown([{"type": "function", "function": whole}]) == "add(a, b): Adds two."
    assert shown([{"name": "add", "input_schema": parameters}]) == "add(a, b)"
    assert shown([whole, {"name": "now"}]) == "add(a, b): Adds two.\nnow()"
    assert shown([{"name": "odd", "parameters": [1], "description": 3}]) == "odd()"


def test_the_turns_that_the_example_shows_come_once() -> None:
    """A response has what is behind them, each with its speaker and whether it is trained."""
    context = shown_context(EXAMPLE, 1000)
    assert [turn.speaker for turn in context] == ["system", "user"]
    turns = shown_turns(EXAMPLE, Response("e", "2.", turns=CHAT), None, 100, 1000)
    assert [(turn.speaker, turn.trained) for turn in turns] == [
        ("assistant", True),
        ("tool add", False),
        ("assistant", True),
    ]
    assert [piece.text for turn in turns for piece in turn.pieces] == ['add({"a": 1})', "2", "2."]


def test_a_scored_turn_shows_exactly_what_was_scored() -> None:
    """Its tokens with the end of the turn; the other turns show what they say."""
    text = "CALL<end>2é<end>"
    lengths = np.array([4, 5, 1, 2, 5], np.int32)
    nll = np.array([0.5, 3, 0, 8, 0], np.float32)
    kinds = np.array([TokenKind.ANSWER] * 5, np.int32)
    turns = np.array([2, 2, 4, 4, 4], np.int32)
    scores = TokenScores(kinds, nll, kinds, nll, lengths, None, kinds, turns)
    scored = ScoredResponse("e", 9, 5, scores, text=text)
    found = shown_turns(EXAMPLE, Response("e", "2.", turns=CHAT), scored, 100, 1000)
    assert ["".join(piece.text for piece in turn.pieces) for turn in found] == [
        "CALL<end>",
        "2",
        "2é<end>",
    ]
    assert [piece.text for piece in found[2].pieces if piece.level == 4] == ["é"]


def test_long_turns_are_cut_and_say_so() -> None:
    """Of the context the last turns are shown first, of a response the first ones."""
    long = (Message("user", "a" * 10), Message("assistant", "b" * 10), Message("user", "c" * 10))
    example = Example("e", "", turns=(*long, Message("assistant", "d", trained=True)))
    assert [turn.left_out for turn in shown_context(example, 15)] == [10, 5, 0]
    response = Response("e", "d" * 20)
    (turn,) = shown_turns(example, response, None, 100, 15)
    assert (turn.left_out, turn.pieces[0].text) == (5, "d" * 15)
