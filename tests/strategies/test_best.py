"""The best of several responses by a metric."""

from __future__ import annotations

from typing import Literal

import pytest

from respsel.records import Example, Response, Score
from respsel.strategies.best import Candidate, best_responses

EXAMPLES = [Example("e", "q")]


def candidate(
    member: int,
    text: str,
    value: float | None,
    correct: bool | None = None,
    truncated: bool = False,
) -> Candidate:
    response = Response("e", text, correct=correct, truncated=truncated)
    return Candidate(member, [response], [Score("e", value)])


@pytest.mark.parametrize(("direction", "text"), [("lower", "b"), ("higher", "c")])
def test_the_best_score_is_taken(direction: Literal["lower", "higher"], text: str) -> None:
    """Of 3, 1 and 7 the lowest is 1 and the highest is 7; the row says whose it is."""
    candidates = [candidate(1, "a", 3.0), candidate(1, "b", 1.0), candidate(2, "c", 7.0)]
    (best,) = best_responses(EXAMPLES, candidates, direction)
    assert best.text == text
    assert best.member == {"b": 1, "c": 2}[text]


def test_what_does_not_pass_comes_after_what_does() -> None:
    """A score does not lift a wrong answer, a text cut short, an empty one, or one unscored."""
    wrong = candidate(1, "wrong", 1.0, correct=False)
    cut = candidate(2, "cut", 2.0, correct=True, truncated=True)
    empty = candidate(3, "", 3.0)
    unscored = candidate(4, "unscored", None, correct=True)
    right = candidate(5, "right", 9.0, correct=True)

    def taken(*candidates: Candidate) -> int:
        (best,) = best_responses(EXAMPLES, candidates, "lower")
        return best.member

    assert taken(wrong, cut, empty, unscored, right) == 5
    assert taken(wrong, cut, empty, unscored) == 4
    assert taken(wrong, cut, empty) == 2
    assert taken(wrong, empty) == 1


def test_of_equal_ones_the_first_is_taken() -> None:
    """So the same candidates always give the same response."""
    (best,) = best_responses(EXAMPLES, [candidate(1, "a", 2.0), candidate(2, "b", 2.0)], "higher")
    assert best.text == "a"
