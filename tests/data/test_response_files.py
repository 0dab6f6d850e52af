"""Texts from batch runs: matched by custom_id, each kind of body, failures named,
mismatches told.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from respsel.data.response_files import FAILED_THERE
from respsel.data.rows import row_id
from respsel.errors import InputError
from respsel.recipe.schema import AnswerEntry, ColumnStrategy, FileStrategy, OwnOutputsEntry
from respsel.records import Example, Response
from respsel.replies.endings import NOT_SAID
from respsel.strategies.column import MISSING as NOT_IN_COLUMN
from respsel.strategies.column import column_responses
from respsel.strategies.file import MISSING, file_responses
from respsel.strategies.own_outputs import read_own_outputs
from tests.conftest import Bench, jsonl

EXAMPLES = [Example(f"e{i}", f"What is {i} plus {i}?", label=str(2 * i)) for i in range(4)]


def line(name: str, body: Any, error: Any = None, status: int = 200) -> dict[str, Any]:
    """A line as OpenAI's Batch API writes it."""
    response = None if body is None else {"status_code": status, "request_id": "r", "body": body}
    return {"id": f"batch_req_{name}", "custom_id": name, "response": response, "error": error}


def chat(*texts: str | None, ended: str = "stop", **message: Any) -> dict[str, Any]:
    choices = [
        {
            "index": i,
            "message": {"role": "assistant", "content": text, **message},
            "finish_reason": ended,
        }
        for i, text in enumerate(texts)
    ]
    return {
        "object": "chat.completion",
        "model": "m",
        "choices": choices,
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }


def read(tmp_path: Path, rows: list[Any], count: int = 4, **settings: Any) -> list[Response]:
    path = tmp_path / "batch.jsonl"
    path.write_text(jsonl(rows))
    entry = FileStrategy.model_validate(
        {"name": "gpt", "from": "file", "path": "batch.jsonl", "format": "batch", **settings}
    )
    return file_responses(entry, path, "batch.jsonl", EXAMPLES[:count], AnswerEntry(kind="number"))


def test_each_kind_of_body(tmp_path: Path) -> None:
    """Chat completions, completions, the Responses API, and vLLM's form without an envelope; in
    whatever order.
    """
    output = [
        {"type": "reasoning", "summary": []},
        {"type": "message", "content": [{"type": "output_text", "text": "It is 4."}]},
    ]
    rows = [
        line(
            "e3",
            {
                "object": "text_completion",
                "choices": [{"index": 0, "text": " 6\n", "finish_reason": "stop"}],
            },
        ),
        line("e0", chat("So it is 0.")),
        line("e2", {"object": "response", "status": "completed", "output": output}),
        {
            "id": "vllm-1",
            "custom_id": "e1",
            "response": chat("It is 3.", ended="length"),
            "error": None,
        },
    ]
    assert read(tmp_path, rows) == [
        Response("e0", "So it is 0.", correct=True),
        Response("e1", "It is 3.", correct=False, truncated=True),
        Response("e2", "It is 4.", correct=True),
        Response("e3", "6", correct=True, changed="outer blanks"),
    ]


def test_what_failed_there_is_named(tmp_path: Path) -> None:
    """An error, another status, a refusal, a filtered answer: no text, and the reason."""
    rows = [
        line(
            "e0",
            None,
            {"code": "batch_expired", "message": "This request could not be executed in time."},
        ),
        line("e1", {"error": {"message": "The prompt is\ntoo long"}}, status=400),
        line("e2", chat(None, refusal="I cannot do sums")),
        line("e3", chat("half", ended="content_filter")),
    ]
    found = read(tmp_path, rows)
    assert [response.text for response in found] == [""] * 4
    assert [response.problem.removeprefix(FAILED_THERE) for response in found] == [
        "This request could not be executed in time.",
        "The prompt is too long",
        "the model refused: I cannot do sums",
        "the content filter stopped it (finish_reason 'content_filter')",
    ]


@pytest.mark.parametrize(
    ("row", "text", "problem", "truncated"),
    [
        (line("e0", chat("It is", ended="model_length")), "It is", "", True),
        (
            line("e0", chat("It is", ended="network_error")),
            "",
            "the answer broke off (finish_reason 'network_error')",
            False,
        ),
        (line("e0", {"choices": [{"message": {"content": "It is"}}]}), "", NOT_SAID, False),
        (
            line("e0", {"object": "error", "message": "no\x1b room", "code": 500}),
            "",
            "no room",
            False,
        ),
        (
            line("e0", {"error": {"message": "upstream is gone", "code": 502}}),
            "",
            "upstream is gone",
            False,
        ),
        (
            line("e0", "<html><title>504 Gateway Time-out</title></html>", status=504),
            "",
            "504 Gateway Time-out",
            False,
        ),
        (line("e0", None, {"code": 400, "message": "x" * 900}), "", "x" * 300 + "…", False),
        (
            line("e0", {"output": [], "status": "failed", "error": {"message": "sorry"}}),
            "",
            "sorry",
            False,
        ),
    ],
)
def test_how_an_answer_ended_there(
    tmp_path: Path, row: Any, text: str, problem: str, truncated: bool
) -> None:
    """By the same names as at an endpoint: cut short, or failed with the reason in one line of
    bounded length.
    """
    (found,) = read(tmp_path, [row], 1)
    assert (found.text, found.problem.removeprefix(FAILED_THERE), found.truncated) == (
        text,
        problem,
        truncated,
    )


def test_message_batches_of_anthropic(tmp_path: Path) -> None:
    """A result has a message, or says why there is none."""

    def row(name: str, result: Any) -> dict[str, Any]:
        return {"custom_id": name, "result": result}

    message = {
        "type": "message",
        "content": [{"type": "text", "text": "It is 0."}],
        "stop_reason": "end_turn",
    }
    cut = {**message, "stop_reason": "max_tokens"}
    rows = [
        row("e0", {"type": "succeeded", "message": message}),
        row("e1", {"type": "succeeded", "message": cut}),
        row(
            "e2",
            {
                "type": "errored",
                "error": {"type": "error", "error": {"type": "api_error", "message": "sorry"}},
            },
        ),
        row("e3", {"type": "expired"}),
    ]
    assert [
        (found.text, found.problem.removeprefix(FAILED_THERE), found.truncated)
        for found in read(tmp_path, rows)
    ] == [
        ("It is 0.", "", False),
        ("It is 0.", "", True),
        ("", "sorry", False),
        ("", "expired", False),
    ]


@pytest.mark.parametrize("choices", [[None], ["x"], 5, {"a": 1}])
def test_an_odd_body_is_told_and_never_a_bug(tmp_path: Path, choices: Any) -> None:
    """Whatever stands where choices should be: the line is named."""
    with pytest.raises(InputError, match="line 1: holds no chat completion"):
        read(tmp_path, [line("e0", {"choices": choices})], 1)


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [{"message": "hi"}]},
        {"output": [{"content": 5}, "x", {"content": [{"type": "output_text"}, 3]}]},
    ],
)
def test_a_choice_without_text_is_a_problem_of_its_response(tmp_path: Path, body: Any) -> None:
    """It is no text, and said so."""
    (found,) = read(tmp_path, [line("e0", body)], 1)
    assert (found.text, found.problem) == ("", f"{FAILED_THERE}no text")


def test_what_is_missing_is_not_wrong(tmp_path: Path) -> None:
    """if_wrong = "fail" is about answers: an example that is left out for want of a row is none."""
    from respsel.recipe.places import plain_place
    from respsel.strategies.base import settled

    entry = FileStrategy.model_validate(
        {"name": "gpt", "from": "file", "path": "b", "if_wrong": "fail"}
    )
    rows = [Response("e0", "", MISSING), Response("e1", "2", correct=True)]
    assert settled(rows, entry, plain_place("a.toml", "x"), "") == rows


def test_mismatches_are_told(tmp_path: Path) -> None:
    """Examples without a row are named with ids that the file has; so are ids that stand twice, and
    rows of another kind.
    """
    rows = [
        line("task-e0", chat("0")),
        line("e1", chat("2")),
        line("e1", chat("two")),
        line("e2", {"data": []}),
    ]
    with pytest.raises(InputError) as caught:
        read(tmp_path, rows)
    told = str(caught.value)
    assert "has no response for example 'e0'" in told
    assert "'task-e0'" in told
    assert "line 3: id 'e1' stands twice: line 2 has another response" in told
    assert "line 4: holds no chat completion, completion or response" in told
    with pytest.raises(InputError, match="has no column 'custom_id'"):
        read(tmp_path, [{"id": "e0", "response": "0"}])


def test_a_batch_that_is_taken_for_rows_is_recognised(tmp_path: Path) -> None:
    """Without format = "batch" the message says to set it, once."""
    with pytest.raises(
        InputError, match=r'line 1: is a line of a batch run\'s output. Set format = "batch"'
    ):
        read(tmp_path, [line("e0", chat("0")), line("e1", chat("2"))], format="rows")


def test_missing_ones_may_be_left_out(tmp_path: Path) -> None:
    """With if_missing = "drop" an example without a row has no response, and the reason."""
    found = read(tmp_path, [line("e1", chat("2"))], 2, if_missing="drop")
    assert found == [Response("e0", "", MISSING), Response("e1", "2", correct=True)]


def test_a_bad_row_that_no_example_has_matters_nothing(tmp_path: Path) -> None:
    """A file may hold more than the sample, also what could not be used."""
    assert read(tmp_path, [line("e0", chat("0")), line("other", {"data": []})], 1)[0].text == "0"


def test_own_outputs_of_a_batch(tmp_path: Path) -> None:
    """Several choices of a row are several own outputs, in order; a failed one counts as one
    without a text.
    """
    path = tmp_path / "own.jsonl"
    path.write_text(
        jsonl([line("e0", chat("a", "b")), line("e1", None, "boom"), line("e0", chat("c"))])
    )
    entry = OwnOutputsEntry.model_validate({"path": "own.jsonl", "format": "batch"})
    found = read_own_outputs(entry, path, "own.jsonl", EXAMPLES[:2], None)
    assert [(output.id, output.sample, output.text) for output in found] == [
        ("e0", 0, "a"),
        ("e0", 1, "b"),
        ("e0", 2, "c"),
        ("e1", 0, ""),
    ]
    assert found[-1].problem == f"{FAILED_THERE}boom"
    with pytest.raises(InputError, match="has no own output for example 'e2'"):
        read_own_outputs(entry, path, "own.jsonl", EXAMPLES[:3], None)


def test_a_recipe_with_a_batch_as_a_strategy(bench: Bench) -> None:
    """In a run the failed one is counted in the report, the others are ranked, and nothing is asked
    of a model.
    """
    rows = [
        line(f"e{i}", chat(f"{i} and {i} is {2 * i}")) if i != 5 else line("e5", None, "boom")
        for i in range(12)
    ]
    bench.write("batch.jsonl", jsonl(rows))
    old = 'from = "model"\nmodel = "teacher"\nprompt = "Solve: {{ input }}"'
    bench.edit(old, 'from = "file"\nformat = "batch"\npath = "batch.jsonl"')
    bench.edit("sample = 6\n", "")
    bench.run()
    data = json.loads((bench.folder / "runs/a/report.json").read_text())["datasets"][0]
    (teacher,) = [item for item in data["strategies"] if item["strategy"] == "teacher"]
    assert teacher["unusable"] == {f"{FAILED_THERE}boom": 1}
    assert (teacher["judged"], teacher["correct"]) == (11, 11)


def given(tmp_path: Path, rows: list[Any], count: int = 2, **settings: Any) -> list[Response]:
    path = tmp_path / "r.jsonl"
    path.write_text(jsonl(rows))
    entry = FileStrategy.model_validate(
        {"name": "gpt", "from": "file", "path": "r.jsonl", **settings}
    )
    return file_responses(entry, path, "r.jsonl", EXAMPLES[:count], None)


def test_a_null_or_empty_text_is_a_missing_one(tmp_path: Path) -> None:
    """if_missing counts rows without a text like rows that are not there, and the default names
    them with the remedy.
    """
    rows = [
        {"id": "e0", "response": "It is 0."},
        {"id": "e1", "response": None},
        {"id": "e2", "response": " "},
        {"id": "e3"},
    ]
    assert given(tmp_path, rows, 4, if_missing="drop") == [
        Response("e0", "It is 0."),
        *(Response(name, "", MISSING) for name in ("e1", "e2", "e3")),
    ]
    with pytest.raises(InputError) as caught:
        given(tmp_path, rows, 4)
    assert str(caught.value) == (
        "r.jsonl: line 2 and 2 more: column 'response' is empty. Fill it in, or set if_missing = "
        '"drop".'
    )


def test_a_misspelt_column_is_not_missing_texts(tmp_path: Path) -> None:
    """if_missing = "drop" drops no whole file."""
    with pytest.raises(
        InputError, match=r"line 1: has no column 'respnse'\. Did you mean 'response'"
    ):
        given(
            tmp_path,
            [{"id": "e0", "response": "a"}, {"id": "e1", "response": "b"}],
            response="respnse",
            if_missing="drop",
        )


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("policy", ["fail", "drop"])
def test_a_retry_takes_the_place_of_a_failure(tmp_path: Path, order: int, policy: str) -> None:
    """Of rows with one id the one with a text counts; the same text twice is no conflict, another
    one is.
    """
    rows = [
        {"id": "e0", "response": None},
        {"id": "e0", "response": "whole"},
        {"id": "e0", "response": "whole "},
    ]
    assert given(tmp_path, rows[::order], 1, if_missing=policy)[0].text.strip() == "whole"
    failed = [line("e1", None, {"message": "boom"}), line("e1", chat("2")), line("e0", chat("0"))]
    assert [response.text for response in read(tmp_path, failed[::order], 2)] == ["0", "2"]
    with pytest.raises(InputError, match="id 'e0' stands twice: line 1 has another response"):
        given(
            tmp_path,
            [{"id": "e0", "response": "a"}, {"id": "e0", "response": "b"}],
            1,
            if_missing=policy,
        )


def test_a_list_of_samples(tmp_path: Path) -> None:
    """For a strategy a list of several texts takes a path to one; as own outputs all are taken, and
    nulls are not.
    """
    rows: list[dict[str, Any]] = [
        {"id": "e0", "response": ["one", "two", None]},
        {"id": "e1", "response": ["x"]},
    ]
    with pytest.raises(
        InputError,
        match=r"line 1: column 'response' holds several different texts. Name one .* 'response.0'",
    ):
        given(tmp_path, rows)
    assert [response.text for response in given(tmp_path, rows, response="response.0")] == [
        "one",
        "x",
    ]
    path = tmp_path / "own.jsonl"
    path.write_text(jsonl(rows))
    found = read_own_outputs(
        OwnOutputsEntry.model_validate({"path": "own.jsonl"}), path, "own.jsonl", EXAMPLES[:2], None
    )
    assert [(output.id, output.sample, output.text) for output in found] == [
        ("e0", 0, "one"),
        ("e0", 1, "two"),
        ("e1", 0, "x"),
    ]


def test_rows_without_ids_cannot_be_matched(tmp_path: Path) -> None:
    """Where a dataset's ids are digests of its rows, the remedy is to add ids, not a row of such a
    name.
    """
    made = Example(row_id({"input": "q"}), "q", columns={"input": "q"})
    path = tmp_path / "r.jsonl"
    path.write_text(jsonl([{"id": "1", "response": "a"}]))
    entry = FileStrategy.model_validate({"name": "gpt", "from": "file", "path": "r.jsonl"})
    with pytest.raises(
        InputError,
        match=r"the dataset has no ids, so that no row can name its . examples. Add an id",
    ):
        file_responses(entry, path, "r.jsonl", [made], None)
    path.write_text(jsonl([{"id": made.id, "response": "a"}]))
    assert file_responses(entry, path, "r.jsonl", [made], None)[0].text == "a"


def test_a_column_strategy_may_leave_out_what_is_missing() -> None:
    """As in a file: empty columns are named, or dropped where the recipe says so; a misspelt column
    is never dropped.
    """
    examples = [
        Example("a", "q", columns={"r": "yes"}),
        Example("b", "q", columns={"r": None}),
        Example("c", "q", columns={}),
    ]
    entry = ColumnStrategy.model_validate({"name": "x", "column": "r", "if_missing": "drop"})
    assert column_responses(entry, examples, None, "d") == [
        Response("a", "yes"),
        Response("b", "", NOT_IN_COLUMN),
        Response("c", "", NOT_IN_COLUMN),
    ]
    with pytest.raises(InputError, match=r"column 'r' is empty\. Fill it in, or set if_missing"):
        column_responses(
            ColumnStrategy.model_validate({"name": "x", "column": "r"}), examples, None, "d"
        )
    with pytest.raises(InputError, match="has no column 's'"):
        column_responses(entry.model_copy(update={"column": "s"}), examples, None, "d")
