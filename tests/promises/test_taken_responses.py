"""Promise: a strategy that takes from others takes no wrong answer where it has a right one, says
whose each response is, and hides nothing about its members.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.records import Example, Response, Score
from respsel.strategies.best import Candidate, best_responses
from respsel.strategies.first import first_responses
from respsel.tables.kinds import RESPONSES
from respsel.tables.problems import WRONG
from tests.conftest import Bench, jsonl, rows

RESPONSE = st.builds(
    Response,
    st.just("e"),
    st.sampled_from(["", "a", "b"]),
    problem=st.sampled_from(["", WRONG]),
    correct=st.sampled_from([None, True, False]),
    truncated=st.booleans(),
)
EXAMPLES = [Example("e", "q")]
VALUE = st.none() | st.floats(-9, 9)


def is_good(response: Response) -> bool:
    return bool(response.text) and not response.problem and response.correct is not False


@given(st.lists(RESPONSE, min_size=1, max_size=4))
def test_the_first_is_never_wrong_where_one_is_right(candidates: list[Response]) -> None:
    """What is taken has a text and is not wrong wherever a member has such a response."""
    (taken,) = first_responses(EXAMPLES, [[response] for response in candidates])
    assert is_good(taken) or not any(map(is_good, candidates))
    assert taken.text == candidates[taken.member - 1].text


@given(
    st.lists(st.tuples(RESPONSE, VALUE), min_size=1, max_size=4),
    st.sampled_from(["lower", "higher"]),
)
def test_the_best_is_never_wrong_where_one_is_right(
    scored: list[tuple[Response, float | None]], direction: Literal["lower", "higher"]
) -> None:
    """However good the score of a wrong answer is."""
    candidates = [
        Candidate(place, [response], [Score("e", value)])
        for place, (response, value) in enumerate(scored, 1)
    ]
    (taken,) = best_responses(EXAMPLES, candidates, direction)
    assert is_good(taken) or not any(is_good(response) for response, _ in scored)


def test_a_label_in_a_members_prompt_is_told(bench: Bench) -> None:
    """The label passes the check easily, also by way of a strategy that takes from others."""
    bench.edit('prompt = "Solve: {{ input }}"', 'prompt = "{{ input }} Final Answer: {{ label }}"')
    bench.edit('column = "rationale"', 'column = "rationale"\ncompare = false')
    bench.edit('model = "teacher"\nprompt', 'model = "teacher"\ncompare = false\nprompt')
    bench.edit(
        "[own_outputs]",
        '[[strategies]]\nname = "mixed"\nfrom = "first"\nof = ["teacher", "human"]\n'
        'if_wrong = "drop"\n\n[own_outputs]',
    )
    bench.run()
    report = json.loads((bench.folder / "runs/a/report.json").read_text())
    (summary,) = report["datasets"][0]["strategies"]
    assert sum(summary["members"].values()) == 6
    told = "The prompt of mixed contains the label"
    assert told in (bench.folder / "runs/a/report.md").read_text()
    bench.respsel("apply", "a.toml", "--strategy", "mixed")
    card = (bench.folder / "runs/a/training/parquet/README.md").read_text()
    assert "The prompt of teacher contains the label" in card


def test_the_report_and_the_card_count_the_members(bench: Bench) -> None:
    """Four own answers are right, one is cut out of the data: the human's stand for the rest."""
    ours = [
        {**row, "mine": f"It is {row['answer'] if i < 4 else -1}."} for i, row in enumerate(rows(6))
    ]
    bench.write("sums.jsonl", jsonl(ours))
    bench.edit(
        "[own_outputs]",
        '[[strategies]]\nname = "own"\nfrom = "column"\ncolumn = "mine"\ncompare = false\n\n'
        '[[strategies]]\nname = "mixed"\nfrom = "first"\nof = ["own", "human"]\n\n[own_outputs]',
    )
    bench.run()
    page = (bench.folder / "runs/a/report.md").read_text()
    assert "the first that passes of own, human: 4 own, 2 human" in page
    done = bench.respsel("apply", "a.toml", "--strategy", "mixed")
    assert done.code == 0, done.err
    card = (bench.folder / "runs/a/training/parquet/README.md").read_text()
    assert "4 own, 2 human" in card
    table = pl.read_parquet(bench.folder / "runs/a/training/parquet/train.parquet")
    assert sorted(table["member"].to_list()) == ["human"] * 2 + ["own"] * 4


def test_an_earlier_table_has_the_digest_that_it_had() -> None:
    """A response that was taken from no member is digested without the column."""
    row = Response("e", "text", correct=True, attempts=2)
    assert b"member" not in RESPONSES.digest_row(row)
    taken = Response("e", "text", correct=True, attempts=2, member=2)
    assert b'"member":2' in RESPONSES.digest_row(taken)


@pytest.mark.parametrize("kept", ["keep", "drop", "fail"])
def test_what_becomes_of_a_wrong_answer_is_said(bench: Bench, kept: str) -> None:
    """Where no member is right, if_wrong decides as for all strategies."""
    ours: list[dict[str, Any]] = [{**row, "rationale": "It is -1."} for row in rows(6)]
    bench.write("sums.jsonl", jsonl(ours))
    bench.edit('variant = "teacher"', 'variant = "never right"\nsampling = { max_tokens = 3 }')
    bench.edit(
        "[own_outputs]",
        '[[strategies]]\nname = "mixed"\nfrom = "first"\nof = ["teacher", "human"]\n'
        f'if_wrong = "{kept}"\n\n[own_outputs]',
    )
    done = bench.respsel("run", "a.toml")
    if kept == "fail":
        assert done.code == 1
        assert "strategy 'mixed': no right answer for 6 of 6 examples" in done.err
        return
    assert done.code == 0, done.err
    table = pl.read_parquet(bench.folder / "runs/a/responses.parquet")
    mixed = table.filter(pl.col("strategy") == "mixed")
    assert set(mixed["problem"]) == ({""} if kept == "keep" else {WRONG})
    assert set(mixed["member"]) == {"human"}
