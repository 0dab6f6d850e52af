"""Texts from batch runs: matched by custom_id, each kind of body, failures named, mismatches told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from respsel.elsewhere import FAILED_THERE
from respsel.errors import InputError
from respsel.own_outputs import read_own_outputs
from respsel.recipe import AnswerEntry, FileStrategy, OwnOutputsEntry
from respsel.records import Example, Response
from respsel.strategies.file import MISSING, file_responses
from tests.conftest import Bench, jsonl

EXAMPLES = [Example(f"e{i}", f"What is {i} plus {i}?", label=str(2 * i)) for i in range(4)]


def line(name: str, body: Any, error: Any = None, status: int = 200) -> dict[str, Any]:
    """A line as OpenAI's Batch API writes it."""
    response = None if body is None else {"status_code": status, "request_id": "r", "body": body}
    return {"id": f"batch_req_{name}", "custom_id": name, "response": response, "error": error}


def chat(*texts: str | None, ended: str = "stop", **message: Any) -> dict[str, Any]:
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text, **message}, "finish_reason": ended}
        for i, text in enumerate(texts)
    ]
    return {"object": "chat.completion", "model": "m", "choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def read(tmp_path: Path, rows: list[Any], count: int = 4, **settings: Any) -> list[Response]:
    path = tmp_path / "batch.jsonl"
    path.write_text(jsonl(rows))
    entry = FileStrategy.model_validate({"name": "gpt", "from": "file", "path": "batch.jsonl", "format": "batch", **settings})
    return file_responses(entry, path, "batch.jsonl", EXAMPLES[:count], AnswerEntry(kind="number"))


def test_each_kind_of_body(tmp_path: Path) -> None:
    """Chat completions, completions, the Responses API, and vLLM's form without an envelope; in whatever order."""
    output = [{"type": "reasoning", "summary": []}, {"type": "message", "content": [{"type": "output_text", "text": "It is 4."}]}]
    rows = [
        line("e3", {"object": "text_completion", "choices": [{"index": 0, "text": " 6\n", "finish_reason": "stop"}]}),
        line("e0", chat("So it is 0.")),
        line("e2", {"object": "response", "status": "completed", "output": output}),
        {"id": "vllm-1", "custom_id": "e1", "response": chat("It is 3.", ended="length"), "error": None},
    ]
    assert read(tmp_path, rows) == [
        Response("e0", "So it is 0.", correct=True),
        Response("e1", "It is 3.", correct=False, truncated=True),
        Response("e2", "It is 4.", correct=True),
        Response("e3", "6", correct=True),
    ]


def test_what_failed_there_is_named(tmp_path: Path) -> None:
    """An error, another status, a refusal, a filtered answer: no text, and the reason."""
    rows = [
        line("e0", None, {"code": "batch_expired", "message": "This request could not be executed in time."}),
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
        "the content filter stopped it",
    ]


@pytest.mark.parametrize("choices", [[None], ["x"], 5, {"a": 1}])
def test_an_odd_body_is_told_and_never_a_bug(tmp_path: Path, choices: Any) -> None:
    """Whatever stands where choices should be: the line is named."""
    with pytest.raises(InputError, match="line 1: holds no chat completion"):
        read(tmp_path, [line("e0", {"choices": choices})], 1)


@pytest.mark.parametrize(
    "body",
    [{"choices": [{"message": "hi"}]}, {"output": [{"content": 5}, "x", {"content": [{"type": "output_text"}, 3]}]}],
)
def test_a_choice_without_text_is_a_problem_of_its_response(tmp_path: Path, body: Any) -> None:
    """It is no text, and said so."""
    (found,) = read(tmp_path, [line("e0", body)], 1)
    assert (found.text, found.problem) == ("", f"{FAILED_THERE}no text")


def test_what_is_missing_is_not_wrong(tmp_path: Path) -> None:
    """if_wrong = "fail" is about answers: an example that is left out for want of a row is none."""
    from respsel.strategies.base import Place, settled

    entry = FileStrategy.model_validate({"name": "gpt", "from": "file", "path": "b", "if_wrong": "fail"})
    rows = [Response("e0", "", MISSING), Response("e1", "2", correct=True)]
    assert settled(rows, entry, Place("a.toml", "x"), "") == rows


def test_mismatches_are_told(tmp_path: Path) -> None:
    """Examples without a row are named with ids that the file has; so are ids that stand twice, and rows of another kind."""
    rows = [line("task-e0", chat("0")), line("e1", chat("2")), line("e1", chat("two")), line("e2", {"data": []})]
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
    with pytest.raises(InputError, match=r'line 1: is a line of a batch run\'s output. Set format = "batch"'):
        read(tmp_path, [line("e0", chat("0")), line("e1", chat("2"))], format="rows")


def test_missing_ones_may_be_left_out(tmp_path: Path) -> None:
    """With if_missing = "drop" an example without a row has no response, and the reason."""
    found = read(tmp_path, [line("e1", chat("2"))], 2, if_missing="drop")
    assert found == [Response("e0", "", MISSING), Response("e1", "2", correct=True)]


def test_a_bad_row_that_no_example_has_matters_nothing(tmp_path: Path) -> None:
    """A file may hold more than the sample, also what could not be used."""
    assert read(tmp_path, [line("e0", chat("0")), line("other", {"data": []})], 1)[0].text == "0"


def test_own_outputs_of_a_batch(tmp_path: Path) -> None:
    """Several choices of a row are several own outputs, in order; a failed one counts as one without a text."""
    path = tmp_path / "own.jsonl"
    path.write_text(jsonl([line("e0", chat("a", "b")), line("e1", None, "boom"), line("e0", chat("c"))]))
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
    """In a run the failed one is counted in the report, the others are ranked, and nothing is asked of a model."""
    rows = [line(f"e{i}", chat(f"{i} and {i} is {2 * i}")) if i != 5 else line("e5", None, "boom") for i in range(12)]
    bench.write("batch.jsonl", jsonl(rows))
    old = 'from = "model"\nmodel = "teacher"\nprompt = "Solve: {{ input }}"'
    bench.edit(old, 'from = "file"\nformat = "batch"\npath = "batch.jsonl"')
    bench.edit("sample = 6\n", "")
    bench.run()
    data = json.loads((bench.folder / "runs/a/report.json").read_text())["datasets"][0]
    (teacher,) = [item for item in data["strategies"] if item["strategy"] == "teacher"]
    assert teacher["unusable"] == {f"{FAILED_THERE}boom": 1}
    assert (teacher["judged"], teacher["correct"]) == (11, 11)
