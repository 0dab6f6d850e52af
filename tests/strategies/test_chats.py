"""Responses to conversations: texts, trajectories, and turns that a model writes in context."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from respsel.backends.contract import Generation
from respsel.calls.requests import GenerateRequest
from respsel.data.examples import load_examples
from respsel.errors import InputError, RunError
from respsel.recipe.places import plain_place
from respsel.recipe.schema import (
    AnswerEntry,
    ColumnStrategy,
    DatasetEntry,
    FileStrategy,
    ModelStrategy,
    PluginStrategy,
)
from respsel.records import Example, Message, Response, Sampling
from respsel.strategies.column import column_responses
from respsel.strategies.file import file_responses
from respsel.strategies.model import model_responses
from respsel.strategies.plugin import StrategyPlugin, plugin_responses
from respsel.tables.kinds import EXAMPLES
from respsel.text.transcript import REASONING_KEYS

U1 = {"role": "user", "content": "1 + 1?"}
A1 = {"role": "assistant", "content": "2."}
U2 = {"role": "user", "content": "And + 1?"}
A2 = {"role": "assistant", "content": "3."}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "function": {"name": "add", "arguments": '{"a": 1}'}}],
}
RESULT = {"role": "tool", "content": "2", "tool_call_id": "c"}
CHAT = [U1, A1, U2, A2]
PLACE = plain_place("r.toml", "strategies", 0)
SAMPLING = Sampling(0.0, 1.0, 0, 0.0, 9)


def dataset(**more: Any) -> DatasetEntry:
    return DatasetEntry.model_validate(
        {"name": "d", "path": "d.jsonl", "messages": "messages", **more}
    )


def examples(tmp_path: Path, entry: DatasetEntry, **row: Any) -> list[Example]:
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps({"id": "e", "messages": CHAT, **row}) + "\n")
    return load_examples(entry, path, "d.jsonl")


def column(tmp_path: Path, value: Any, check: AnswerEntry | None = None, **more: Any) -> Response:
    """The response that a column's value is."""
    row = more.pop("row", {})
    entry = dataset(**more)
    found = examples(tmp_path, entry, r=value, **row)
    strategy = ColumnStrategy(name="s", column="r")
    return column_responses(strategy, found, check, "d.jsonl", dataset=entry)[0]


def in_file(tmp_path: Path, value: Any) -> Response:
    """The response that a file's value is."""
    found = examples(tmp_path, dataset())
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"id": "e", "response": value}) + "\n")
    strategy = FileStrategy(name="s", path="r.jsonl")
    return file_responses(strategy, path, "r.jsonl", found, None, train="last")[0]


def from_plugin(tmp_path: Path, value: Any) -> Response:
    entry = PluginStrategy.model_validate({"name": "s", "from": "plugin", "plugin": "p"})
    given = StrategyPlugin(1, lambda *_: [value], "package 1")
    return plugin_responses(given, entry, examples(tmp_path, dataset()), None, PLACE)[0]


def own(tmp_path: Path, **more: Any) -> Response:
    row = more.pop("row", {})
    entry = dataset(**more)
    strategy = ColumnStrategy(name="s", column="messages")
    found = examples(tmp_path, entry, **row)
    return column_responses(strategy, found, entry.check, "d.jsonl", dataset=entry)[0]


def trained(response: Response) -> list[int]:
    return [i for i, turn in enumerate(response.turns) if turn.trained]


def test_the_datasets_own_last_turn_is_a_text(tmp_path: Path) -> None:
    """One plain turn behind the example's chat needs no more than its text."""
    assert own(tmp_path) == Response("e", "3.")


def test_the_datasets_own_turns_are_a_trajectory(tmp_path: Path) -> None:
    """With train = "every" all of them are the response, in one conversation."""
    response = own(tmp_path, train="every")
    assert (response.text, trained(response)) == ("2.\n\n3.", [1, 3])


def test_a_last_turn_with_reasoning_keeps_it(tmp_path: Path) -> None:
    """What is more than a text stays a turn."""
    chat = [U1, {**A1, "reasoning_content": "easy"}]
    response = own(tmp_path, row={"messages": chat})
    assert response.text == "<think>\neasy\n</think>\n\n2."
    assert response.turns[-1].fields == '{"reasoning_content":"easy"}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Three.", Response("e", "Three.")),
        ([{"role": "assistant", "content": "Three."}], Response("e", "Three.")),
        ({"from": "gpt", "value": "Three."}, Response("e", "Three.")),
        ([*CHAT[:3], {"role": "assistant", "content": "Three."}], Response("e", "Three.")),
        (json.dumps([*CHAT[:3], {"from": "gpt", "value": "Three."}]), Response("e", "Three.")),
    ],
)
def test_the_same_response_however_it_is_brought(
    tmp_path: Path, value: Any, expected: Response
) -> None:
    """A text, a turn, the turns behind the chat and the whole conversation are one response."""
    assert column(tmp_path, value) == expected


def test_a_trajectory_may_part_from_the_examples(tmp_path: Path) -> None:
    """Its assistant and tool turns are its own; the system turn and the tools are the example's."""
    entry: dict[str, Any] = {"tools": [{"name": "add"}]}
    system = {"role": "system", "content": "dataset's"}
    other = {"role": "system", "content": "other"}
    row = {"messages": [system, *CHAT]}
    value = [other, U1, CALL, RESULT, A1, U2, {"role": "assistant", "content": "Three."}]
    response = column(tmp_path, value, row=row, train="every", **entry)
    assert [turn.role for turn in response.turns] == [
        "tools",
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
    ]
    assert response.turns[1].content == "dataset's"
    assert trained(response) == [3, 5, 7]
    assert response.text == 'add({"a": 1})\n\n2.\n\nThree.'


def test_turns_behind_the_context(tmp_path: Path) -> None:
    """With train = "every" the context is what comes before the first assistant turn."""
    response = column(tmp_path, [CALL, RESULT, A1, U2, A2], train="every")
    assert response.turns[0] == Message("user", "1 + 1?")
    assert trained(response) == [1, 3, 5]


def test_marks_of_a_trajectory(tmp_path: Path) -> None:
    """The same places if the turns are as many, or else its own marks."""
    row = {"messages": [U1, {**A1, "weight": 0}, U2, {**A2, "weight": 1}]}
    same = column(tmp_path, [U1, A1, U2, {**A2, "reasoning": "x"}], row=row, train="weight")
    assert trained(same) == [3]
    longer = [U1, {**CALL, "weight": 0}, RESULT, A1, U2, {**A2, "weight": 0}]
    assert trained(column(tmp_path, longer, row=row, train="weight")) == [3]


@pytest.mark.parametrize(
    ("value", "more", "what"),
    [
        ([{**U1, "content": "2 + 2?"}, A1, U2, A2], {}, "example 'e', turn 1: asks otherwise"),
        ([*CHAT, U1, A1], {}, "example 'e', turn 5: asks otherwise than example 'e'"),
        ([U1, A1], {}, "has 1 of the 2 user turns of example 'e'"),
        (CHAT[:3], {}, "turn 3: ends the conversation with role 'user'"),
        ([U1, CALL, A1, U2, A2], {}, "turn 2: calls a tool, and its tool call has no result"),
        ([A1, A2], {}, "turn 2: is the second assistant turn in a row"),
        ([{"role": "system", "content": "x"}], {}, "is a conversation without a response"),
        ("Three.", {"train": "every"}, "is one text, and the example has 2 turns that are trained"),
        (
            [U1, CALL, RESULT, A1, U2, A2],
            {"train": "m", "row": {"m": [0, 1, 0, 1]}},
            "has 6 turns, the example has 4, and none is marked as trained",
        ),
    ],
)
def test_a_bad_trajectory_is_named(
    tmp_path: Path, value: Any, more: dict[str, Any], what: str
) -> None:
    """The error has the example, the turn and a remedy."""
    with pytest.raises(InputError) as caught:
        column(tmp_path, value, **more)
    assert len(caught.value.problems) == 1
    assert what in str(caught.value)
    assert caught.value.problems[0].remedy


@pytest.mark.parametrize("key", REASONING_KEYS)
@pytest.mark.parametrize("value", [["a"], 5, {"a": 1}, True])
def test_reasoning_that_is_no_text_is_named(tmp_path: Path, key: str, value: Any) -> None:
    """A trajectory's too, wherever it is from."""
    turns = [*CHAT[:3], {**A2, key: value}]
    with pytest.raises(InputError, match=f"example 'e', turn 4: has .* as its '{key}', not text"):
        column(tmp_path, turns)
    with pytest.raises(InputError, match=f"line 1, turn 4: has .* as its '{key}', not text"):
        in_file(tmp_path, turns)
    with pytest.raises(RunError, match=f"example 'e', turn 4 what has .* as its '{key}'"):
        from_plugin(tmp_path, turns)


@pytest.mark.parametrize("key", REASONING_KEYS)
def test_reasoning_that_is_null_is_none(tmp_path: Path, key: str) -> None:
    """As every key of a turn that is null."""
    turns = [*CHAT[:3], {**A2, key: None}]
    plain = Response("e", "3.")
    assert column(tmp_path, turns) == plain
    assert in_file(tmp_path, turns) == plain
    assert from_plugin(tmp_path, turns) == plain


def test_a_file_has_texts_and_trajectories(tmp_path: Path) -> None:
    """A row is a text or a conversation, and an error has the row and the turn."""
    entry = dataset(train="every")
    found = examples(tmp_path, entry)
    path = tmp_path / "r.jsonl"
    strategy = FileStrategy(name="s", path="r.jsonl")
    path.write_text(json.dumps({"id": "e", "response": [U1, CALL, RESULT, A1, U2, A2]}) + "\n")
    (response,) = file_responses(strategy, path, "r.jsonl", found, None, train="every")
    assert trained(response) == [1, 3, 5]
    path.write_text(json.dumps({"id": "e", "response": [U1, U2, A2]}) + "\n")
    with pytest.raises(InputError, match=r"^r.jsonl: line 1, turn 2: is the second user turn"):
        file_responses(strategy, path, "r.jsonl", found, None, train="every")
    path.write_text(json.dumps({"id": "e", "response": "Three."}) + "\n")
    with pytest.raises(InputError, match=r"^r.jsonl: line 1: is one text, and the example has 2"):
        file_responses(strategy, path, "r.jsonl", found, None, train="every")


def test_a_file_may_mark_its_turns(tmp_path: Path) -> None:
    """The dataset's word for marks is looked for in the file's rows, too."""
    found = examples(tmp_path, dataset(train="m"), m=[0, 1, 0, 0])
    path = tmp_path / "r.jsonl"
    turns = [U1, CALL, RESULT, A1, U2, A2]
    path.write_text(json.dumps({"id": "e", "response": turns, "m": [0, 1, 0, 1, 0, 0]}) + "\n")
    strategy = FileStrategy(name="s", path="r.jsonl")
    (response,) = file_responses(strategy, path, "r.jsonl", found, None, train="m")
    assert trained(response) == [1, 3]


def test_white_space_of_trained_turns_only(tmp_path: Path) -> None:
    """The rule is for what strategies bring; the chat that they answer stays."""
    chat = [{**U1, "content": " 1 + 1? "}, {**A1, "content": " 2.\r\n"}, U2, A2]
    response = own(tmp_path, row={"messages": chat}, train="every")
    assert [turn.content for turn in response.turns] == [" 1 + 1? ", "2.", "And + 1?", "3."]
    assert (response.text, response.changed) == ("2.\n\n3.", "outer blanks")


@pytest.mark.parametrize(
    ("chat", "correct"),
    [
        ([U1, CALL, RESULT, {**A1, "content": "It is 7."}], False),
        ([U1, {**A1, "content": "7"}, U2, {**A2, "content": "It is 2."}], True),
        ([U1, CALL, RESULT, {**CALL}], True),
    ],
)
def test_the_answer_is_in_the_last_turn(
    tmp_path: Path, chat: list[dict[str, Any]], correct: bool
) -> None:
    """Or in the last tool's result, where the last turn has no text."""
    row = {"messages": chat, "label": 2}
    assert own(tmp_path, row=row, train="every", label="label", answer="number").correct is correct


G = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "g", "function": {"name": "g", "arguments": '{"a": 5}'}}],
}
FOUND = {"role": "tool", "content": "42", "tool_call_id": "c"}
GOT = {"role": "tool", "content": "42", "tool_call_id": "g"}


@pytest.mark.parametrize(
    ("chat", "train", "label", "correct"),
    [
        # The result is in what was asked; the response is the call alone.
        ([U1, CALL, FOUND, G], "last", 42, False),
        ([U1, CALL, FOUND, G], "last", 5, True),
        ([U1, {**CALL, "weight": 0}, FOUND, G], "weight", 42, False),
        ([U1, {**CALL, "weight": 0}, FOUND, G], "weight", 5, True),
        # The response caused it.
        ([U1, CALL, FOUND, G], "every", 42, True),
        ([U1, G, GOT], "every", 42, True),
        ([U1, CALL, FOUND, {**G, "weight": 1}, {**GOT, "content": "7"}], "every", 7, True),
        # It has no text, so it says nothing.
        ([U1, CALL, {**FOUND, "content": ""}, G], "every", 5, True),
        # The result of an earlier question's call, and a later call.
        ([U1, CALL, FOUND, A1, U2, G], "last", 42, False),
        ([U1, CALL, FOUND, A1, U2, G], "last", 5, True),
    ],
)
def test_a_result_is_the_answer_if_the_response_caused_it(
    tmp_path: Path, chat: list[dict[str, Any]], train: str, label: int, correct: bool
) -> None:
    """One in the context is every strategy's alike; then the call itself is what is checked."""
    row = {"messages": chat, "label": label}
    more: dict[str, Any] = {"train": train, "label": "label", "answer": "number"}
    assert own(tmp_path, row=row, **more).correct is correct
    assert column(tmp_path, chat, dataset(**more).check, row=row, **more).correct is correct


Answers = Callable[[tuple[Message, ...], int], str]


def asked(
    found: Sequence[Example], prompt: str, answer: Answers, **more: Any
) -> tuple[list[Response], list[GenerateRequest]]:
    """Run a model strategy; answer: from the messages and the attempt to the text."""
    train = more.pop("train", "last")
    check = more.pop("check", None)
    entry = ModelStrategy.model_validate(
        {"name": "s", "from": "model", "model": "m", "prompt": prompt, **more}
    )
    steps = model_responses(entry, SAMPLING, 0, found, check, PLACE, train=train)
    seen: list[GenerateRequest] = []
    requests = next(steps)
    while True:
        batch = [requests[i] for i in range(len(requests))]
        assert all(isinstance(request, GenerateRequest) for request in batch)
        seen += batch  # type: ignore[arg-type]  # asserted above
        answers = [
            Generation(answer(request.messages, request.sample), 3, False)  # type: ignore[union-attr]
            for request in batch
        ]
        try:
            requests = steps.send(answers)
        except StopIteration as stop:
            return stop.value, seen


def said(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in messages]


def test_a_model_is_asked_in_the_chat(tmp_path: Path) -> None:
    """Its prompt takes the last user turn's place, so {{ input }} leaves the chat as it is."""
    found = examples(tmp_path, dataset(), messages=[{"role": "system", "content": "S"}, *CHAT])
    (response,), (request,) = asked(found, "{{ input }}", lambda *_: "Three.")
    assert response == Response("e", "Three.", attempts=1)
    assert said(request.messages) == [
        ("system", "S"),
        ("user", "1 + 1?"),
        ("assistant", "2."),
        ("user", "And + 1?"),
    ]
    assert not any(message.trained for message in request.messages)
    _, (other,) = asked(found, "Kindly: {{ input }}", lambda *_: "x", system="T")
    assert said(other.messages)[0] == ("system", "T")
    assert said(other.messages)[-1] == ("user", "Kindly: And + 1?")


def test_a_prompt_may_hold_the_conversation(tmp_path: Path) -> None:
    """It is then sent alone, and `reference` is what the dataset says there."""
    prompt = "{{ conversation }}\n--\n{{ reference }}"
    _, (request,) = asked(examples(tmp_path, dataset()), prompt, lambda *_: "x")
    text = "User: 1 + 1?\n\nAssistant: 2.\n\nUser: And + 1?\n--\n3."
    assert said(request.messages) == [("user", text)]


def test_every_turn_is_written_in_its_own_context(tmp_path: Path) -> None:
    """One call a turn, given the dataset's turns before it; turns that call tools stay."""
    chat = [U1, CALL, RESULT, A1, U2, A2]
    found = examples(tmp_path, dataset(train="every"), messages=chat)
    (response,), requests = asked(
        found, "Say: {{ input }} {{ reference }}", lambda m, _: f"of {len(m)}", train="every"
    )
    assert [said(request.messages)[-1] for request in requests] == [
        ("tool", "2"),
        ("user", "Say: And + 1? 3."),
    ]
    assert said(requests[0].messages)[0] == ("user", "Say: 1 + 1? 2.")
    assert trained(response) == [1, 3, 5]
    assert response.text == 'add({"a": 1})\n\nof 3\n\nof 5'
    assert response.turns[1].fields == found[0].turns[1].fields


def test_only_the_last_turn_is_tried_again_for_its_answer(tmp_path: Path) -> None:
    """Attempts are for the turn that has the answer, and for turns without a text."""
    entry = dataset(train="every", label="label", answer="number")
    found = examples(tmp_path, entry, label=3)
    (response,), requests = asked(
        found,
        "{{ input }}",
        lambda m, attempt: "It is 3." if attempt == 2 else "It is 4.",
        train="every",
        attempts=4,
        check=entry.check,
    )
    assert [(len(r.messages), r.sample) for r in requests] == [(1, 0), (3, 0), (3, 1), (3, 2)]
    assert (response.correct, response.attempts) == (True, 3)
    assert response.text == "It is 4.\n\nIt is 3."


def test_a_turn_that_stays_empty_is_a_problem(tmp_path: Path) -> None:
    """No conversation has a hole."""
    found = examples(tmp_path, dataset(train="every"))
    (response,), _ = asked(
        found, "{{ input }}", lambda m, _: "" if len(m) == 1 else "x", train="every"
    )
    assert (response.text, response.turns) == ("", ())
    assert response.problem


def plugin(give: Callable[[Mapping[str, Any], Sequence[Example]], Sequence[Any]]) -> StrategyPlugin:
    return StrategyPlugin(1, give, "package 1")


def test_a_plugin_may_bring_turns(tmp_path: Path) -> None:
    """A list of turns is a trajectory; a bad one names the example and the turn."""
    found = examples(tmp_path, dataset(train="every"))
    entry = PluginStrategy.model_validate({"name": "s", "from": "plugin", "plugin": "p"})
    (response,) = plugin_responses(
        plugin(lambda *_: [CHAT]), entry, found, None, PLACE, train="every"
    )
    assert trained(response) == [1, 3]
    with pytest.raises(RunError, match=r"example 'e', turn 2"):
        plugin_responses(plugin(lambda *_: [[U1, U2]]), entry, found, None, PLACE, train="every")


def test_a_stored_example_keeps_the_order_of_keys(tmp_path: Path) -> None:
    """A conversation in another column is read from the store, with its arguments in order."""
    function = {"name": "f", "arguments": {"z": 1, "a": 2}}
    call = {"role": "assistant", "tool_calls": [{"function": function}]}
    found = examples(tmp_path, dataset(), r=[*CHAT[:3], call])
    stored = EXAMPLES.decode(EXAMPLES.pack(found).data)
    strategy = ColumnStrategy(name="s", column="r")
    (response,) = column_responses(strategy, stored, None, "d.jsonl", dataset=dataset())
    assert '"arguments":{"z":1,"a":2}' in response.turns[-1].fields
