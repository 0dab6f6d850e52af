"""Conversations: every shape in every file format gives the same turns."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respsel.data.conversations import ChatReader, ChatRules, question_of
from respsel.data.examples import load_examples
from respsel.data.rows import FileRow
from respsel.data.turn_shapes import read_turns
from respsel.errors import InputError, Problem
from respsel.recipe.schema import DatasetEntry
from respsel.records import TOOLS, Example, Message
from respsel.text.transcript import fields_of, trained_text, transcript, turn_text

Rows = list[dict[str, Any]]
Write = Callable[[Path, Rows], Path]
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {"type": "object", "properties": {"b": {"type": "integer"}}},
    },
}
# The arguments are not in the order of the alphabet, and must stay in theirs.
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"b":1,"a":2}'}}
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "1 + 2?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "content": "3", "tool_call_id": "c1"},
    {"role": "assistant", "content": "It is 3.", "reasoning_content": "The tool says so."},
]


def read(path: Path, rules: ChatRules | None = None, **more: Any) -> list[Example]:
    entry = DatasetEntry.model_validate({"name": "d", "path": path.name, **more})
    return load_examples(entry, path, path.name, rules=rules or ChatRules())


def one(tmp_path: Path, row: dict[str, Any], **more: Any) -> Example:
    return read(lines(tmp_path, [row]), **more)[0]


def lines(folder: Path, rows: Rows) -> Path:
    path = folder / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def whole(folder: Path, rows: Rows) -> Path:
    path = folder / "d.json"
    path.write_text(json.dumps(rows))
    return path


def table(folder: Path, rows: Rows) -> Path:
    """A CSV whose cells that are no text are JSON."""
    path = folder / "d.csv"
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(
            {k: v if isinstance(v, str) else json.dumps(v) for k, v in row.items()} for row in rows
        )
    return path


def parquet(folder: Path, rows: Rows) -> Path:
    path = folder / "d.parquet"
    pl.DataFrame(rows).write_parquet(path)
    return path


def sharegpt(mark: str) -> Rows:
    return [
        {"from": "human", "value": f"{mark}?"},
        {"from": "gpt", "value": f"{mark}."},
        {"from": "human", "value": "And?"},
        {"from": "gpt", "value": "No more."},
    ]


SHAPES: dict[str, Callable[[str], Any]] = {
    "openai": lambda mark: [
        {"role": "user", "content": f"{mark}?"},
        {"role": "assistant", "content": f"{mark}."},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "No more."},
    ],
    "parts": lambda mark: [
        {
            "role": "user",
            "content": [{"type": "text", "text": mark}, {"type": "text", "text": "?"}],
        },
        {"role": "assistant", "content": [{"type": "text", "text": f"{mark}."}]},
        {"role": "user", "content": [{"type": "text", "text": "And?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "No more."}]},
    ],
    "sharegpt": sharegpt,
    "gemini": lambda mark: [
        {"role": "user", "parts": [{"text": mark}, {"text": "?"}]},
        {"role": "model", "parts": [{"text": f"{mark}."}]},
        {"role": "user", "parts": [{"text": "And?"}]},
        {"role": "model", "parts": [{"text": "No more."}]},
    ],
    "pairs": lambda mark: [[f"{mark}?", f"{mark}."], ["And?", "No more."]],
    "lists": lambda mark: {
        "role": ["user", "assistant", "user", "assistant"],
        "content": [f"{mark}?", f"{mark}.", "And?", "No more."],
    },
    "text": lambda mark: json.dumps(sharegpt(mark)),
}


@pytest.mark.parametrize("write", [lines, whole, table, parquet])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_in_every_format_gives_the_same_turns(
    tmp_path: Path, shape: str, write: Write
) -> None:
    """A conversation is the same whatever its file looks like."""
    rows = [{"id": mark, "chat": SHAPES[shape](mark)} for mark in ("Ada", "Bo")]
    examples = sorted(read(write(tmp_path, rows), messages="chat"), key=lambda e: e.id)
    assert [example.turns for example in examples] == [
        (
            Message("user", f"{mark}?"),
            Message("assistant", f"{mark}."),
            Message("user", "And?"),
            Message("assistant", "No more.", trained=True),
        )
        for mark in ("Ada", "Bo")
    ]
    assert [example.input for example in examples] == ["And?", "And?"]


@pytest.mark.parametrize("write", [lines, whole, table, parquet])
def test_tools_calls_and_thinking_are_kept(tmp_path: Path, write: Write) -> None:
    """What a chat template reads of a turn stays as the file has it, without a table's nulls."""
    other: dict[str, Any] = {"id": "b", "chat": CHAT[1:2], "tools": None}
    rows = [{"id": "a", "chat": CHAT, "tools": [TOOL]}, other]
    path = write(tmp_path, rows)
    example = next(e for e in read(path, messages="chat", tools="tools") if e.id == "a")
    tools, system, user, call, result, answer = example.turns
    assert tools.role == TOOLS
    assert json.loads(tools.content) == [TOOL]
    assert (system.role, user.content, system.fields) == ("system", "1 + 2?", "")
    assert fields_of(call) == {"content": None, "tool_calls": [CALL]}
    assert call.fields.index(r"\"b\"") < call.fields.index(r"\"a\"")
    assert fields_of(result) == {"tool_call_id": "c1"}
    assert fields_of(answer) == {"reasoning_content": "The tool says so."}
    assert [turn.trained for turn in example.turns] == [False] * 5 + [True]
    assert example.asked == example.turns[:5]


def test_the_order_of_keys_in_arguments_stays(tmp_path: Path) -> None:
    """A template writes arguments in the order of the file, so that is kept."""
    call = {"function": {"name": "f", "arguments": {"z": 1, "a": 2}}}
    chat = [CHAT[1], {"role": "assistant", "tool_calls": [call]}]
    last = one(tmp_path, {"m": chat}, messages="m").turns[-1]
    assert '"arguments":{"z":1,"a":2}' in last.fields


def test_nulls_that_parquet_fills_in_are_no_arguments(tmp_path: Path) -> None:
    """A column of structs has every row's keys; those of other rows are not this row's."""
    rows = []
    for arguments in ({"city": "Rome"}, {"day": 3}):
        calls = [{"function": {"name": "f", "arguments": arguments}}]
        rows.append({"m": [CHAT[1], {"role": "assistant", "tool_calls": calls}]})
    found = [
        fields_of(e.turns[-1])["tool_calls"][0]["function"]["arguments"]
        for e in read(parquet(tmp_path, rows), messages="m")
    ]
    assert {"city": "Rome"} in found
    assert {"day": 3} in found


def test_sharegpt_with_tools(tmp_path: Path) -> None:
    """function_call becomes the assistant's tool calls, observation the tool's result."""
    chat = [
        {"from": "human", "value": "1 + 2?"},
        {"from": "function_call", "value": '{"name": "add", "arguments": {"b": 1, "a": 2}}'},
        {"from": "observation", "value": "3"},
        {"from": "gpt", "value": "3."},
    ]
    row = {"conversations": chat, "system": "Add.", "tools": json.dumps([{"name": "add"}])}
    example = one(
        tmp_path, row, messages="conversations", system="system", tools="tools", train="every"
    )
    roles = [turn.role for turn in example.turns]
    assert roles == ["tools", "system", "user", "assistant", "tool", "assistant"]
    assert turn_text(example.turns[3]) == 'add({"b": 1, "a": 2})'
    assert trained_text(example.turns) == 'add({"b": 1, "a": 2})\n\n3.'
    assert example.context == example.turns[:3]


def test_calls_may_be_written_as_text(tmp_path: Path) -> None:
    """Some sets write the call into the text; its result then stands behind that turn."""
    chat = [
        {"from": "human", "value": "1 + 2?"},
        {"from": "gpt", "value": '<tool_call>\n{"name": "add"}\n</tool_call>'},
        {"from": "tool", "value": "<tool_response>3</tool_response>"},
        {"from": "gpt", "value": "3."},
    ]
    turns = one(tmp_path, {"m": chat}, messages="m", train="every").turns
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "assistant"]
    assert not any(turn.fields for turn in turns)


def test_the_older_function_call_becomes_a_tool_call(tmp_path: Path) -> None:
    """OpenAI's key before tool_calls, and the role of its result."""
    call = {"name": "add", "arguments": '{"a": 1}'}
    chat = [
        {"role": "user", "content": "1 + 2?", "function_call": None},
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "add", "content": "3"},
        {"role": "assistant", "content": "3."},
    ]
    turns = one(tmp_path, {"m": chat}, messages="m").turns
    assert fields_of(turns[1])["tool_calls"] == [{"type": "function", "function": call}]
    assert turns[2] == Message("tool", "3", '{"name":"add"}')


def test_gemini_functions(tmp_path: Path) -> None:
    """functionCall and functionResponse are a call and its result, whatever role they have."""
    chat = [
        {"role": "user", "parts": [{"text": "1 + 2?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "add", "args": {"a": 1}}}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "add", "response": {"r": 3}}}]},
        {"role": "model", "parts": [{"text": "3."}]},
    ]
    turns = one(tmp_path, {"contents": chat}, messages="contents").turns
    assert [turn.role for turn in turns] == ["user", "assistant", "tool", "assistant"]
    assert turns[2] == Message("tool", '{"r": 3}', '{"name":"add"}')


@pytest.mark.parametrize(
    ("train", "row", "expected"),
    [
        ("last", {}, [3]),
        ("every", {}, [1, 3]),
        ("mask", {"mask": [0, 1, 0, 0]}, [1]),
        ("mask", {"mask": [False, True, False, True]}, [1, 3]),
        ("mask", {"mask": "[0, 1, 0, 1]"}, [1, 3]),
    ],
)
def test_train_says_which_turns_are_trained(
    tmp_path: Path, train: str, row: dict[str, Any], expected: list[int]
) -> None:
    """The last, every one, or those that a column marks."""
    example = one(tmp_path, {"m": SHAPES["openai"]("A"), **row}, messages="m", train=train)
    assert [i for i, turn in enumerate(example.turns) if turn.trained] == expected


def test_turns_may_mark_themselves(tmp_path: Path) -> None:
    """As with OpenAI's weight, an assistant turn without a mark is trained; no mark is a field."""
    chat = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "weight": 0},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d", "weight": 1},
        {"role": "user", "content": "e"},
        {"role": "assistant", "content": "f"},
    ]
    example = one(tmp_path, {"m": chat}, messages="m", train="weight")
    assert [i for i, turn in enumerate(example.turns) if turn.trained] == [3, 5]
    assert not any(turn.fields for turn in example.turns)
    assert example.input == "c"


def test_a_conversation_may_end_with_the_question(tmp_path: Path) -> None:
    """Then nothing is trained by the dataset, and a strategy answers it."""
    example = one(tmp_path, {"m": SHAPES["openai"]("A")[:3]}, messages="m")
    assert example.asked == example.turns
    assert example.input == "And?"


def test_a_greeting_is_no_question(tmp_path: Path) -> None:
    """An assistant may begin, where a user's turn follows."""
    chat = [{"role": "assistant", "content": "Hello!"}, *SHAPES["openai"]("A")[:2]]
    example = one(tmp_path, {"m": chat}, messages="m", train="every")
    assert (example.input, example.context) == ("A?", ())


def test_a_single_input_may_have_system_tools_and_history(tmp_path: Path) -> None:
    """Alpaca's rows: instruction and input, system, and LLaMA-Factory's history."""
    row = {
        "instruction": "Add.",
        "input": "1, 2",
        "output": "3",
        "system": "Be brief.",
        "history": [["Hi", "Hello"]],
    }
    example = one(
        tmp_path,
        row,
        input="{{ instruction }}\n{{ input }}",
        system="system",
        history="history",
        tools=[{"name": "add"}],
    )
    assert [(turn.role, turn.content) for turn in example.turns] == [
        ("tools", '[{"name":"add"}]'),
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Add.\n1, 2"),
    ]
    assert example.input == "Add.\n1, 2"
    assert example.asked == example.turns


def test_rows_of_a_table_may_have_no_history_tools_or_system(tmp_path: Path) -> None:
    """What says nothing, in a CSV's cell too, is not there."""
    rows: Rows = [
        {"id": "a", "input": "q", "h": [], "t": [], "s": ""},
        {"id": "b", "input": "q", "h": [["x", "y"]], "t": [TOOL], "s": "S"},
    ]
    for write in (lines, table):
        found = read(write(tmp_path, rows), history="h", tools="t", system="s")
        assert {e.id: len(e.turns) for e in found} == {"a": 0, "b": 5}


def test_the_nearest_system_turn_counts(tmp_path: Path) -> None:
    """The conversation's own, then the dataset's, then the target's."""
    chat = SHAPES["openai"]("A")
    rules = ChatRules("target's")
    rows = [
        {"id": "own", "m": [{"role": "system", "content": "own"}, *chat], "s": "set"},
        {"id": "set", "m": chat, "s": "set"},
        {"id": "target's", "m": chat, "s": None},
    ]
    found = read(lines(tmp_path, rows), rules, messages="m", system="s")
    assert {e.id: e.turns[0].content for e in found} == {e.id: e.id for e in found}
    single = read(lines(tmp_path, [{"input": "q"}]), rules)[0]
    assert single.turns == (Message("system", "target's"), Message("user", "q"))


def test_an_input_alone_has_no_turns(tmp_path: Path) -> None:
    """What recipes without conversations read stays what it was."""
    assert one(tmp_path, {"input": "q"}).turns == ()


def test_a_sample_reads_only_the_chats_columns(tmp_path: Path) -> None:
    """A sample of a parquet file has its turns, and all columns of its rows."""
    rows = [
        {"id": f"e{i}", "m": SHAPES["openai"](f"{i}"), "w": [0, 1, 0, 0], "x": i} for i in range(9)
    ]
    (example,) = read(parquet(tmp_path, rows), messages="m", train="w", sample=1)
    assert [turn.trained for turn in example.turns] == [False, True, False, False]
    assert set(example.columns) == {"id", "m", "w", "x"}


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: text.strip() != ""
)
FIELDS = st.dictionaries(
    TEXT.filter(lambda key: key not in ("role", "content", "tool_calls", "weight", "train")),
    st.integers() | TEXT | st.lists(st.booleans()),
    max_size=2,
).filter(lambda fields: not {"function_call", "training"} & fields.keys())


@given(st.lists(st.tuples(TEXT, FIELDS, TEXT, FIELDS), min_size=1, max_size=3))
def test_messages_are_what_the_file_says(pairs: list[tuple[str, Any, str, Any]]) -> None:
    """Role, content and every other key of a turn can be had back, and JSON text says the same."""
    chat = [
        turn
        for question, more, answer, others in pairs
        for turn in (
            {"role": "user", "content": question, **more},
            {"role": "assistant", "content": answer, **others},
        )
    ]
    turns = read_turns(chat)
    back = [{"role": m.role, "content": m.content, **fields_of(m)} for m in map(_message, turns)]
    assert back == chat
    assert read_turns(json.dumps(chat)) == turns


def _message(turn: Any) -> Message:
    return turn.message  # type: ignore[no-any-return]


def test_a_transcript_is_readable() -> None:
    """Each turn stands behind its speaker, with its thoughts and calls."""
    turns = [turn.message for turn in read_turns(CHAT)]
    assert transcript([Message(TOOLS, "[]"), *turns]) == (
        'System: Be brief.\n\nUser: 1 + 2?\n\nAssistant: add({"b":1,"a":2})\n\nTool: 3\n\n'
        "Assistant: <think>\nThe tool says so.\n</think>\n\nIt is 3."
    )


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"messages": "m", "input": "q"}, "keep one of them"),
        ({"messages": "m", "history": "h"}, "keep one of them"),
        ({"input": "q", "train": "every"}, "there are no messages"),
        ({"messages": "{{ m }}"}, "are templates"),
        ({"tools": [{"parameters": {}}]}, "tools[0] has no name"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(more: dict[str, Any], what: str) -> None:
    """A recipe says in one way only what is asked."""
    with pytest.raises(ValueError, match=re.escape(what)):
        DatasetEntry.model_validate({"name": "d", "path": "d.jsonl", **more})


def test_a_column_that_no_row_has_is_an_error(tmp_path: Path) -> None:
    """System, tools and marks may be absent in some rows, and not in all."""
    path = lines(tmp_path, [{"m": SHAPES["openai"]("A")}])
    for key in ("system", "tools", "train"):
        more: dict[str, Any] = {key: "nope"}
        with pytest.raises(InputError, match=r"has no column 'nope'"):
            read(path, None, messages="m", **more)


def test_the_shapes_of_the_documentation_are_read() -> None:
    """Each example in docs/data.md is a conversation."""
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    rows = re.findall(r"^\| [^|]+ \| `([\[{]\S* ?\{?\"?.*)` \|$", page, re.MULTILINE)
    shapes = [json.loads(row) for row in rows if "1 + 2?" in row]
    assert len(shapes) == 6
    assert {read_turns(shape)[0].message for shape in shapes} == {Message("user", "1 + 2?")}


_KEYS = (
    "role content from value parts tool_calls function name arguments id tool_call_id type text "
    "function_call functionCall functionResponse"
)
_WORDS = st.sampled_from(f"{_KEYS} user assistant tool system gpt human image {{}} []".split())
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _WORDS | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)
_TURNS = st.fixed_dictionaries(
    {"role": _WORDS | _VALUES, "content": _VALUES},
    optional={"tool_calls": _VALUES, "function_call": _VALUES, "weight": _VALUES, "name": _VALUES},
)


@given(
    st.lists(_TURNS | _VALUES, max_size=5) | _VALUES, st.booleans(), _VALUES, st.sampled_from("mw")
)
@settings(max_examples=400)
def test_whatever_a_row_holds_is_a_chat_or_one_problem(
    chat: Any, is_filled: bool, marks: Any, train: str
) -> None:
    """No value of a row is a bug."""
    entry = DatasetEntry(
        name="d",
        path="d.jsonl",
        messages="m",
        tools="t",
        system="s",
        train={"m": "marks", "w": "weight"}[train],
    )
    reader = ChatReader(entry, ChatRules(), "d.jsonl")
    row = FileRow("line 1", {"m": chat, "marks": marks, "t": marks, "s": marks}, True, is_filled)
    found = reader.read(row, None)
    if isinstance(found, Problem):
        assert found.what
        assert found.remedy
    else:
        assert any(turn.trained for turn in found)
        assert transcript(found)
        assert question_of(found)
