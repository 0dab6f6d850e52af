"""Promise: a conversation that no trainer can take is one error, with its file, row and turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from respsel.data.conversations import ChatRules
from respsel.data.examples import load_examples
from respsel.errors import InputError
from respsel.recipe.schema import DatasetEntry
from tests.conftest import Bench

U = {"role": "user", "content": "Who?"}
A = {"role": "assistant", "content": "I."}
S = {"role": "system", "content": "Be brief."}
GOOD = {"m": [U, A], "mask": [0, 1]}


def call(*names: str, arguments: Any = "{}") -> dict[str, Any]:
    calls = [{"id": name, "function": {"name": "f", "arguments": arguments}} for name in names]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(name: str | None = None) -> dict[str, Any]:
    return {"role": "tool", "content": "1", **({"tool_call_id": name} if name else {})}


def told(tmp_path: Path, row: dict[str, Any], **more: Any) -> str:
    """The one problem of the second row."""
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(row) + "\n")
    rules = ChatRules(must_answer=more.pop("must_answer", False))
    entry = DatasetEntry.model_validate(
        {"name": "d", "path": "d.jsonl", "messages": "m", "train": "every", **more}
    )
    with pytest.raises(InputError) as caught:
        load_examples(entry, path, "d.jsonl", rules=rules)
    assert len(caught.value.problems) == 1
    problem = caught.value.problems[0]
    assert problem.remedy
    return str(problem)


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("chat", "turn", "what"),
    [
        ([U, U, A], 2, "is the second user turn in a row"),
        ([U, A, A], 3, "is the second assistant turn in a row"),
        ([A], 1, "is an assistant turn before any user turn"),
        ([S, A], 2, "is an assistant turn before any user turn"),
        ([call("c"), result("c"), A], 1, "is an assistant turn before any user turn"),
        ([U, A, S], 3, "is a system turn behind others"),
        ([S, S, U, A], 2, "is a system turn behind others"),
        ([U, result(), A], 2, "is a tool's result without a tool call before it"),
        ([U, A, result("c")], 3, "is a tool's result without a tool call before it"),
        ([U, call("c"), U, A], 2, "calls a tool, and its tool call has no result behind it"),
        ([U, call("c"), A], 2, "calls a tool, and its tool call has no result behind it"),
        ([U, call("c", "d"), result("c"), A], 2, "call 'd' has no result behind it"),
        ([U, call("c", "d"), result("c")], 2, "call 'd' has no result behind it"),
        ([U, call("c"), result("d"), A], 3, "is the result of call 'd', which no call before it"),
        ([U, call("c"), result("c"), result("c"), A], 4, "is a second result of call 'c'"),
        ([U, call("c", "c"), result("c"), A], 2, "several tool calls with the id 'c'"),
        ([U, call("c", arguments="[1]")], 2, "the arguments of 'f' are no JSON object"),
        ([U, call("c", arguments="{'a': 1}")], 2, "the arguments of 'f' are no JSON object"),
        ([U, call("c", arguments=[1])], 2, "the arguments of 'f' are no JSON object"),
        ([U, call("c", arguments=None)], 2, "calls 'f' without arguments"),
        ([U, {**A, "tool_calls": "x"}], 2, "its tool_calls is not JSON"),
        ([U, {**A, "tool_calls": {"a": 1}}], 2, "has tool_calls that are not a list"),
        ([U, {**A, "tool_calls": [{"id": "c"}]}], 2, "calls a tool without a name"),
        ([{**U, "tool_calls": call("c")["tool_calls"]}, A], 1, "that calls tools"),
        ([U, {"role": "narrator", "content": "x"}], 2, "has the unknown role 'narrator'"),
        ([U, {"content": "x"}], 2, "has no role"),
        ([U, {"role": 3, "content": "x"}], 2, "has the unknown role '3'"),
        ([U, {"role": "assistant", "content": " \n"}], 2, "is empty (role 'assistant')"),
        ([{"role": "user", "content": None}, A], 1, "is empty (role 'user')"),
        ([{"role": "user"}, A], 1, "is empty (role 'user')"),
        ([U, "text"], 2, "is a text without a role"),
        ([U, None], 2, "is no turn"),
        ([{**U, "content": [{"type": "image_url", "image_url": {}}]}, A], 1, "has an image part"),
        ([{**U, "content": [{"type": "image"}]}, A], 1, "has an image part"),
        ([{**U, "content": [{"type": "input_audio"}]}, A], 1, "has an audio part"),
        ([{**U, "content": [{"type": "file", "file": {}}]}, A], 1, "has a file part"),
        ([{"role": "user", "parts": [{"inlineData": {}}]}, A], 1, "has a media part"),
        ([U, {**A, "content": [{"type": "thinking", "thinking": "x"}]}], 2, "has its reasoning"),
        ([U, {**A, "content": [{"type": "tool_use", "id": "x"}]}], 2, "part of type 'tool_use'"),
        ([U, {**A, "content": {"a": 1}}], 2, "has an object as its content"),
        ([U, {**A, "reasoning_content": ["a", "b"]}], 2, "has a list as its 'reasoning_content'"),
        ([U, {**A, "thinking": 5}], 2, "has a number as its 'thinking'"),
        ([U, {**A, "reasoning": {"a": 1}}], 2, "has an object as its 'reasoning'"),
        ([U, {**A, "reasoning": []}], 2, "has a list as its 'reasoning'"),
        ([U, {**A, "thinking": False}], 2, "has a boolean as its 'thinking'"),
        ([U, {**A, "thinking": "x", "reasoning": 0}], 2, "has a number as its 'reasoning'"),
        ([U, {**A, "content": None, "reasoning_content": ["a"]}], 2, "has a list as its"),
        ([U, {**call("c"), "thinking": ["a"]}, result("c"), A], 2, "has a list as its"),
        ([{"from": "human", "value": "a"}, {"from": "function_call", "value": "f()"}], 2, "JSON"),
    ],
)
def test_a_bad_turn_is_named(tmp_path: Path, chat: list[Any], turn: int, what: str) -> None:
    """The error has the file, the line, the turn as the file counts it, and a remedy."""
    message = told(tmp_path, {"m": chat})
    assert message.startswith(f"d.jsonl: line 2, turn {turn}: ")
    assert what in message


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (None, "column 'm' is empty"),
        ([], "column 'm' is empty"),
        ("hello", "column 'm' is a text, not a conversation"),
        ("[{'role': 'user', 'content': 'a'}]", "write the column with json.dumps"),
        ("[['Who?', 'I.']]", "write the column with json.dumps"),
        ('[{"role": "user"', "column 'm' is text that is not JSON"),
        (json.dumps(deep(120)), "column 'm' is text that nests more than 100 levels deep"),
        ("[" * 5000 + "]" * 5000, "column 'm' is text that nests more than 100 levels deep"),
        ({"messages": [U, A]}, "column 'm' is an object, not a conversation"),
        ([[U, A], [U, A]], "column 'm' is a list of lists, not of turns"),
        (3, "column 'm' is not a conversation"),
        ([S, U], "has no assistant turn to train"),
        ([S], "is a conversation without a user turn"),
    ],
)
def test_a_bad_conversation_is_named(tmp_path: Path, value: Any, what: str) -> None:
    """What is wrong with the whole has the line and the column."""
    message = told(tmp_path, {"m": value})
    assert message.startswith("d.jsonl: line 2: ")
    assert what in message


@pytest.mark.parametrize(
    ("marks", "place", "what"),
    [
        ([0, 0], "line 2", "has no turn that 'mask' marks as trained"),
        ([1], "line 2", "column 'mask' has 1 marks for 2 turns"),
        ([0, 1, 0], "line 2", "column 'mask' has 3 marks for 2 turns"),
        (1, "line 2", "column 'mask' is not a list of marks"),
        ([1, 1], "line 2, turn 1", "is marked as trained by 'mask', and its role is 'user'"),
        ([0, 0.5], "line 2, turn 2", "has 'mask' '0.5', which is neither 0 nor 1"),
        ([0, "yes"], "line 2, turn 2", "has 'mask' 'yes', which is neither 0 nor 1"),
    ],
)
def test_bad_marks_are_named(tmp_path: Path, marks: Any, place: str, what: str) -> None:
    """Marks say of each turn whether it is trained, and of assistant turns only that it is."""
    message = told(tmp_path, {"m": [U, A], "mask": marks}, train="mask")
    assert message.startswith(f"d.jsonl: {place}: ")
    assert what in message


@pytest.mark.parametrize(
    ("chat", "what"),
    [
        ([U], "has no assistant turn, and a strategy takes its last one"),
        ([U, A, U], "ends the conversation with role 'user'"),
    ],
)
def test_a_conversation_without_the_answer_that_is_taken(
    tmp_path: Path, chat: list[Any], what: str
) -> None:
    """Where a strategy takes the last turn, it must be an assistant's."""
    message = told(tmp_path, {"m": chat}, train="last", must_answer=True)
    assert message.startswith(f"d.jsonl: line 2, turn {len(chat)}: ")
    assert what in message


@pytest.mark.parametrize(
    ("tools", "place", "what"),
    [
        ("nonsense", "line 2", "column 'tools' is text that is not JSON"),
        ({"name": "f"}, "line 2", "is not a list of tools"),
        ([{"name": "f"}, {}], "line 2, tool 2", "is not a tool with a name"),
        (["f"], "line 2, tool 1", "it is not JSON"),
    ],
)
def test_bad_tools_are_named(tmp_path: Path, tools: Any, place: str, what: str) -> None:
    """Tools are a list of objects with names."""
    message = told(tmp_path, {"m": [U, A], "tools": tools}, tools="tools")
    assert message.startswith(f"d.jsonl: {place}: ")
    assert what in message


def test_at_most_twenty_are_shown(tmp_path: Path) -> None:
    """Of many bad rows the first twenty faults are named, and the rest counted."""
    path = tmp_path / "d.jsonl"
    rows = [{"m": [{"role": f"r{i}", "content": "x"}]} for i in range(30)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = DatasetEntry(name="d", path="d.jsonl", messages="m")
    with pytest.raises(InputError) as caught:
        load_examples(entry, path, "d.jsonl")
    assert len(caught.value.problems) == 21


def test_held_out_examples_go_with_no_chats(held_out: Bench) -> None:
    """They are single inputs, so a recipe with both says which to take out."""
    held_out.edit('model = "target"', 'model = "target"\nsystem = "Be brief."')
    done = held_out.respsel("plan", "a.toml")
    assert done.code == 2
    assert "validation: holds out single inputs" in done.err
    assert "Take [validation] and the metrics that need it out" in done.err
