"""Promise: a conversation is the same from a column, from another one and from a file.

A null in a call's arguments is one if somebody wrote it. Parquet fills nulls into objects, for keys
that only other rows have.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from respsel.data.examples import load_examples
from respsel.recipe.places import plain_place
from respsel.recipe.schema import ColumnStrategy, DatasetEntry, FileStrategy, PluginStrategy
from respsel.records import Example, Response
from respsel.strategies.column import column_responses
from respsel.strategies.file import file_responses
from respsel.strategies.plugin import StrategyPlugin, plugin_responses
from respsel.text.transcript import tool_calls_of

Rows = list[dict[str, Any]]
Write = Callable[[Path, Rows], Path]
PLACE = plain_place("r.toml", "strategies", 0)


def lines(stem: Path, rows: Rows) -> Path:
    path = stem.with_suffix(".jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def whole(stem: Path, rows: Rows) -> Path:
    path = stem.with_suffix(".json")
    path.write_text(json.dumps(rows))
    return path


def in_text(rows: Rows) -> Rows:
    """Rows whose cells are texts, JSON where they say more."""
    return [{k: v if isinstance(v, str) else json.dumps(v) for k, v in r.items()} for r in rows]


def table(stem: Path, rows: Rows) -> Path:
    path = stem.with_suffix(".csv")
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(in_text(rows))
    return path


def parquet(stem: Path, rows: Rows) -> Path:
    path = stem.with_suffix(".parquet")
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    return path


def texts_in_parquet(stem: Path, rows: Rows) -> Path:
    return parquet(stem, in_text(rows))


def calling(arguments: dict[str, Any]) -> Rows:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return [
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "1", "tool_call_id": "c"},
        {"role": "assistant", "content": "I."},
    ]


def turned(turns: Rows) -> dict[str, Any]:
    """How `datasets` keeps a list of objects."""
    keys = ("role", "content", "tool_calls", "tool_call_id")
    return {key: [turn.get(key) for turn in turns] for key in keys}


def gemini(turns: Rows) -> Rows:
    function = turns[1]["tool_calls"][0]["function"]
    call = {"functionCall": {"name": "f", "args": function["arguments"]}}
    answer = {"functionResponse": {"name": "f", "response": {"value": 1}}}
    return [
        {"role": "user", "parts": [{"text": "Who?"}]},
        {"role": "model", "parts": [call]},
        {"role": "user", "parts": [answer]},
        {"role": "model", "parts": [{"text": "I."}]},
    ]


GIVEN: tuple[dict[str, Any], ...] = (
    {"x": 0, "round": None, "at": {"a": None, "b": 1}, "all": [{"c": None, "d": 2}, None]},
    {"y": 1, "at": {"e": 3}},
)
BARE: tuple[dict[str, Any], ...] = (
    {"x": 0, "at": {"b": 1}, "all": [{"d": 2}, None]},
    {"y": 1, "at": {"e": 3}},
)


def brought(
    folder: Path, write: Write, shape: Callable[[Rows], Any], **more: Any
) -> dict[str, list[Response]]:
    """The same conversations by each way that a strategy has to bring them."""
    chats = [shape(calling(arguments)) for arguments in GIVEN]
    rows = [
        {"id": f"e{i}", "messages": chat, "alt": chat, "more": {"alts": [chat]}}
        for i, chat in enumerate(chats)
    ]
    path = write(folder / "d", rows)
    entry = DatasetEntry.model_validate(
        {"name": "d", "path": path.name, "messages": "messages", "train": "every", **more}
    )
    examples = sorted(load_examples(entry, path, path.name), key=lambda example: example.id)
    is_text = write in (table, texts_in_parquet)
    # An object as text is an answer in JSON.
    is_read = not is_text or shape is not turned
    others = ["alt"] * is_read + ["more.alts.0"] * (not is_text)
    ways = {
        name: column_responses(
            ColumnStrategy(name="s", column=name), examples, None, path.name, dataset=entry
        )
        for name in ["messages", *others]
    }
    other = write(folder / "r", [{"id": r["id"], "response": r["messages"]} for r in rows])
    strategy = FileStrategy(name="s", path=other.name)
    if is_read:
        ways["a file"] = file_responses(strategy, other, other.name, examples, None, train="every")
    if isinstance(examples[0].columns["alt"], list):
        ways["a plug-in"] = by_plugin(examples)
    return ways


def by_plugin(examples: list[Example]) -> list[Response]:
    """The turns that a plug-in finds in the columns that it is given."""
    entry = PluginStrategy.model_validate({"name": "s", "from": "plugin", "plugin": "p"})
    given = StrategyPlugin(1, lambda _, rows: [row.columns["alt"] for row in rows], "package 1")
    return plugin_responses(given, entry, examples, None, PLACE, train="every")


def arguments_of(responses: list[Response]) -> list[Any]:
    calls = [tool_calls_of(response.turns[1])[0] for response in responses]
    return [call["function"]["arguments"] for call in calls]


@pytest.mark.parametrize("more", [{}, {"sample": 2}])
@pytest.mark.parametrize("shape", [list, turned, gemini])
@pytest.mark.parametrize(
    ("write", "kept"),
    [
        (lines, GIVEN),
        (whole, GIVEN),
        (table, GIVEN),
        (texts_in_parquet, GIVEN),
        (parquet, BARE),
    ],
)
def test_a_conversation_is_the_same_whatever_brings_it(
    tmp_path: Path,
    write: Write,
    kept: tuple[dict[str, Any], ...],
    shape: Callable[[Rows], Any],
    more: dict[str, Any],
) -> None:
    """Nulls that are written stay; parquet has them for keys of other rows, so none of its stay."""
    ways = brought(tmp_path, write, shape, **more)
    for way, responses in ways.items():
        assert arguments_of(responses) == list(kept), way
        assert responses == ways["messages"], way


@pytest.mark.parametrize("more", [{"input": "q", "system": "s"}, {"input": "q"}])
def test_what_is_no_chat_of_parquet_stays(tmp_path: Path, more: dict[str, str]) -> None:
    """Beside a single input a turn's nulls are left out only where it is asked in a chat."""
    rows = [
        {"id": f"e{i}", "q": "Who?", "s": "Be brief.", "alt": calling(given)}
        for i, given in enumerate(GIVEN)
    ]
    path = parquet(tmp_path / "d", rows)
    entry = DatasetEntry.model_validate({"name": "d", "path": path.name, **more})
    examples = sorted(load_examples(entry, path, path.name), key=lambda example: example.id)
    found = [e.columns["alt"][1]["tool_calls"][0]["function"]["arguments"] for e in examples]
    assert (found == list(BARE)) == ("system" in more)
    assert all("content" in turn for e in examples for turn in e.columns["alt"])


def test_nulls_of_a_tool_that_is_a_text_stay(tmp_path: Path) -> None:
    """A list of JSON texts in parquet has only the nulls that were written."""
    tool = {"name": "f", "parameters": {"type": "object", "default": None}}
    row = {"id": "e", "messages": calling({"x": 1}), "tools": [json.dumps(tool)]}
    path = parquet(tmp_path / "d", [row])
    entry = DatasetEntry(name="d", path=path.name, messages="messages", tools="tools")
    (example,) = load_examples(entry, path, path.name)
    assert json.loads(example.turns[0].content) == [tool]
