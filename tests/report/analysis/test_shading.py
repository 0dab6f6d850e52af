"""Shading: a response cut at its tokens without a tokeniser, and never through a character."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.records import TokenScores
from respsel.report.analysis.shading import LEVELS, Piece, pieces


def scores(lengths: list[int], nll: list[float], known: bool = True) -> TokenScores:
    n = len(lengths)
    return TokenScores(
        token_ids=np.zeros(n, np.int32),
        nll=np.array(nll, np.float32),
        rank=np.ones(n, np.int32),
        entropy=np.zeros(n, np.float32),
        lengths=np.array(lengths, np.int32) if known else None,
    )


def test_each_token_has_its_surprise() -> None:
    """Tokens keep their nats and level; neighbours of no surprise join."""
    found = pieces("ab cd!", scores([1, 1, 3, 1], [0.1, 0.2, 2.5, 9.0]), 99)
    assert [piece.text for piece in found] == ["ab", " cd", "!"]
    assert [piece.level for piece in found] == [0, 2, 4]
    assert found[0].nats == pytest.approx(0.3)


def test_a_character_of_several_tokens_stays_whole() -> None:
    """Tokens that share a character become one piece with their nats together."""
    text = "a🙂b"
    found = pieces(text, scores([1, 2, 2, 1], [0.0, 1.5, 3.0, 0.0]), 99)
    assert found[1] == Piece("🙂", 4.5, 3)
    assert "".join(piece.text for piece in found) == text


@given(st.text(min_size=1, max_size=40), st.data())
def test_the_pieces_are_the_text(text: str, data: st.DataObject) -> None:
    """However a text is cut into tokens, and wherever shading stops, the pieces joined are the
    text.
    """
    size = len(text.encode("utf-8"))
    cuts = sorted({0, size, *data.draw(st.lists(st.integers(0, size), max_size=12))})
    lengths = [b - a for a, b in itertools.pairwise(cuts)]
    nll = data.draw(
        st.lists(st.floats(0, 20, width=32), min_size=len(lengths), max_size=len(lengths))
    )
    most = data.draw(st.integers(0, 12))
    found = pieces(text, scores(lengths, nll), most)
    assert "".join(piece.text for piece in found) == text
    # Joined neighbours of no surprise have none, whatever their nats come to together.
    assert all(
        piece.level in (0, sum(piece.nats >= least for least in LEVELS))
        for piece in found
        if piece.nats is not None
    )


def test_what_is_not_known_is_not_shaded() -> None:
    """Without scores or lengths that spell the text it is shown plain; so is what is beyond the
    cap.
    """
    plain = (Piece("abc", None, 0),)
    assert pieces("abc", None, 9) == plain
    assert pieces("abc", scores([3], [5.0], known=False), 9) == plain
    assert pieces("abc", scores([2], [5.0]), 9) == plain
    assert pieces("abc", scores([1, 2], [5.0, 5.0]), 1) == (
        Piece("a", 5.0, 3),
        Piece("bc", None, 0),
    )
    assert pieces("", None, 9) == ()
