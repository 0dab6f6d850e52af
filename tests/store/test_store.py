"""The store: what is put comes back, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from respsel.errors import StoreError
from respsel.records import Example, OwnOutput, Response, Score, ScoredResponse, TokenScores
from respsel.store.store import Store
from respsel.tables.table import EXAMPLES, OWN_OUTPUTS, RESPONSES, SCORES, TOKEN_SCORES, Table

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(key=TEXT.filter(bool), body=st.binary(max_size=100_000))
def test_a_body_comes_back(tmp_path: Path, key: str, body: bytes) -> None:
    """Any bytes under any key, small (in SQLite) or large (in a file)."""
    with Store(tmp_path / "cache") as store:
        store.put(key, body)
        assert store.get(key) == body
    with Store(tmp_path / "cache") as store:
        assert store.get(key) == body
        assert not store.damage


def test_a_missing_key_is_none_and_no_damage(tmp_path: Path) -> None:
    """A miss is not a fault."""
    with Store(tmp_path) as store:
        assert store.get("x") is None
        assert not store.has("x")
        assert not store.damage


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
    assert RESPONSES.decode(RESPONSES.encode(rows)) == rows


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
    assert table.decode(table.encode(rows)) == rows
    assert table.decode(table.encode([])) == []


def test_token_scores_survive_parquet() -> None:
    """Arrays come back bit for bit; a response without scores stays without."""
    arrays = TokenScores(
        np.array([5, 6], np.int32),
        np.array([0.1, 2.5], np.float32),
        np.array([1, 9], np.int32),
        np.zeros(2, np.float32),
    )
    first, second = TOKEN_SCORES.decode(
        TOKEN_SCORES.encode(
            [ScoredResponse("a", 7, 2, arrays), ScoredResponse("b", 0, 0, None, "empty")]
        )
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


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A store where a file stands is an error with a remedy, exit code 4."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(
        StoreError, match=r"the store cannot be used.*is a file.*'store' in respsel\.toml"
    ) as caught:
        Store(tmp_path / "cache")
    assert caught.value.exit_code == 4


def test_a_table_of_nothing_but_unscored_responses_survives() -> None:
    """Where no response is scored there are rows all the same, with their reasons."""
    rows = [ScoredResponse("a", 0, 0, None, "empty"), ScoredResponse("b", 3, 2, None, "not finite")]
    assert TOKEN_SCORES.decode(TOKEN_SCORES.encode(rows)) == rows
