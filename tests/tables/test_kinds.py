"""Tables: rows come back as they were, and a digest is their content's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.records import (
    Example,
    Message,
    OwnOutput,
    Response,
    Score,
    ScoredResponse,
    TokenScores,
)
from respsel.tables.kinds import EXAMPLES, OWN_OUTPUTS, RESPONSES, SCORES, TOKEN_SCORES
from respsel.tables.table import Table

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.lists(
        st.builds(
            Response,
            id=TEXT,
            text=TEXT,
            problem=TEXT,
            correct=st.none() | st.booleans(),
            attempts=st.integers(0, 9),
        )
    )
)
def test_responses_survive_parquet(rows: list[Response]) -> None:
    """A table of responses comes back as it was."""
    assert RESPONSES.decode(RESPONSES.pack(rows).data) == rows


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (EXAMPLES, [Example("a", "q", "r", "l", {"x": [1, None, {"y": "ä"}]}), Example("b", "q")]),
        (
            OWN_OUTPUTS,
            [OwnOutput("a", 0, "t", correct=True), OwnOutput("a", 1, "", problem="empty")],
        ),
        (SCORES, [Score("a", 1.5), Score("b", None, "why")]),
    ],
)
def test_all_tables_survive_parquet(table: Table[Any], rows: list[Any]) -> None:
    """Each kind of table comes back as it was, with and without values, and empty."""
    assert table.decode(table.pack(rows).data) == rows
    assert table.decode(table.pack([]).data) == []


def test_token_scores_survive_parquet() -> None:
    """Arrays come back bit for bit; a response without scores stays without."""
    arrays = TokenScores(
        np.array([5, 6], np.int32),
        np.array([0.1, 2.5], np.float32),
        np.array([1, 9], np.int32),
        np.zeros(2, np.float32),
    )
    first, second = TOKEN_SCORES.decode(
        TOKEN_SCORES.pack(
            [ScoredResponse("a", 7, 2, arrays), ScoredResponse("b", 0, 0, None, "empty")]
        ).data
    )
    assert first.scores is not None
    np.testing.assert_array_equal(first.scores.nll, arrays.nll)
    np.testing.assert_array_equal(first.scores.rank, arrays.rank)
    assert (second.scores, second.problem) == (None, "empty")


def test_a_tables_digest_is_its_contents() -> None:
    """Equal rows have one digest; another value, order or kind of rows has another."""
    rows = [Score("a", 1.0), Score("b", 2.0)]
    assert SCORES.digest(rows) == SCORES.digest(list(rows))
    assert (
        len(
            {
                SCORES.digest(r)
                for r in (rows, rows[::-1], rows[:1], [Score("a", 1.0), Score("b", 2.5)])
            }
        )
        == 4
    )


def test_a_table_of_nothing_but_unscored_responses_survives() -> None:
    """Where no response is scored there are rows all the same, with their reasons."""
    rows = [ScoredResponse("a", 0, 0, None, "empty"), ScoredResponse("b", 3, 2, None, "not finite")]
    assert TOKEN_SCORES.decode(TOKEN_SCORES.pack(rows).data) == rows


def test_the_order_of_keys_is_content_where_an_example_is_a_conversation() -> None:
    """A chat template writes a call's arguments in their own order, whichever column they are in.
    Elsewhere a digest is as in earlier versions, which sorted keys.
    """
    one = {"path": [{"arguments": {"x": 1, "y": 2}}]}
    other = {"path": [{"arguments": {"y": 2, "x": 1}}]}
    chat = (Message("user", "q"), Message("assistant", "a", trained=True))

    def digest(columns: dict[str, Any], turns: tuple[Message, ...]) -> str:
        return EXAMPLES.digest([Example("e", "q", columns=columns, turns=turns)])

    assert digest(one, chat) != digest(other, chat)
    assert digest(one, ()) == digest(other, ())
    row = Example("e", "q", columns=other, turns=chat)
    (read,) = EXAMPLES.decode(EXAMPLES.pack([row]).data)
    assert list(read.columns["path"][0]["arguments"]) == ["y", "x"]
    assert read == row
