"""Promise: a text counts as whole only if its ending is known to be good, from an endpoint and from
a batch file alike.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tests.conftest import Bench, jsonl, needs
from tests.endpoints import Asked, Reply, chat, serving

# One for each example of the bench: how the answer ended, and what is to come of it.
ENDINGS: list[tuple[Any, str]] = [
    ("stop", "whole"),
    ("END_TURN", "whole"),
    ("eos_token", "whole"),
    ({"type": "stop", "matched": 2}, "whole"),
    ("length", "cut"),
    ("MAX_TOKENS", "cut"),
    ("model_length", "cut"),
    ({"type": "length", "length": 5}, "cut"),
    ("insufficient_system_resource", "failed"),
    ("tool_calls", "failed"),
    ("a_reason_of_next_year", "failed"),
    (None, "failed"),
]
TEXT = "The first step is to add them, so that"


def place_of(question: str) -> int:
    return int(question.split("is ")[1].split(" ")[0])


def check(bench: Bench) -> None:
    table = pl.read_parquet(bench.folder / "runs/a/responses.parquet").filter(
        pl.col("strategy") == "teacher"
    )
    found = {int(str(row["id"]).removeprefix("e")): row for row in table.iter_rows(named=True)}
    for place, (reason, expected) in enumerate(ENDINGS):
        row = found[place]
        assert (row["text"], row["truncated"]) == (
            "" if expected == "failed" else TEXT,
            expected == "cut",
        ), reason
        assert bool(row["problem"]) == (expected == "failed"), reason
        if isinstance(reason, str) and expected == "failed":
            assert repr(reason) in row["problem"]


@needs("openai")
@pytest.mark.parametrize("message", [{}, {"tool_calls": [], "reasoning_content": "hm"}])
def test_of_an_endpoint(bench: Bench, message: dict[str, Any]) -> None:
    """Each ending comes to what it is, in one run that goes on to its end."""

    def answer(asked: Asked) -> Reply:
        body = chat(TEXT).body
        body["choices"][0]["finish_reason"] = ENDINGS[
            place_of(asked.body["messages"][0]["content"])
        ][0]
        body["choices"][0]["message"] |= message
        return Reply(body)

    bench.edit("sample = 6\n", "")
    with serving(answer) as endpoint:
        entry = f'backend = "openai"\nbase_url = "{endpoint.url}"\nmodel = "m"\n'
        bench.edit('backend = "fake"\nvariant = "teacher"\n', entry)
        bench.run()
    check(bench)


@pytest.mark.parametrize("is_chat", [True, False])
def test_of_a_batch(bench: Bench, is_chat: bool) -> None:
    """The same endings in a file come to the same, in chats and in completions."""

    def line(place: int, reason: Any) -> dict[str, Any]:
        said = {"message": {"content": TEXT}} if is_chat else {"text": TEXT}
        body = {"choices": [{"index": 0, "finish_reason": reason, **said}]}
        return {
            "custom_id": f"e{place}",
            "response": {"status_code": 200, "body": body},
            "error": None,
        }

    bench.write(
        "batch.jsonl", jsonl([line(place, reason) for place, (reason, _) in enumerate(ENDINGS)])
    )
    old = 'from = "model"\nmodel = "teacher"\nprompt = "Solve: {{ input }}"'
    bench.edit(old, 'from = "file"\nformat = "batch"\npath = "batch.jsonl"')
    bench.edit("sample = 6\n", "")
    bench.run()
    check(bench)
