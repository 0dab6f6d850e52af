"""The first of several responses that passes, and who is asked for one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from respsel.records import Example, Response
from respsel.strategies.first import first_responses, where_needed
from respsel.tables.problems import EMPTY, FAILED, NOT_ASKED, WRONG

RIGHT = Response("e", "right", correct=True)
UNCHECKED = Response("e", "unchecked")
WRONG_ONE = Response("e", "wrong", correct=False)
DROPPED = Response("e", "wrong", WRONG, correct=False)
CUT = Response("e", "right, but", correct=True, truncated=True)
REFUSAL = Response("e", "I'm sorry, but I cannot help with that.")
LOOP = Response("e", "and then we go on to the next one " * 20)
NOTHING = Response("e", "", EMPTY, attempts=1)
BROKEN = Response("e", "", f"{FAILED}refused")


@pytest.mark.parametrize(
    ("candidates", "place"),
    [
        ([RIGHT, RIGHT], 1),
        ([UNCHECKED, RIGHT], 1),
        ([WRONG_ONE, RIGHT], 2),
        ([DROPPED, UNCHECKED], 2),
        ([CUT, RIGHT], 2),
        ([REFUSAL, UNCHECKED], 2),
        ([LOOP, UNCHECKED], 2),
        ([LOOP, WRONG_ONE], 1),
        ([NOTHING, UNCHECKED], 2),
        ([NOTHING, WRONG_ONE, RIGHT], 3),
        # None passes: the least bad stands, of equal ones the last.
        ([WRONG_ONE, WRONG_ONE], 2),
        ([CUT, WRONG_ONE], 1),
        ([WRONG_ONE, CUT], 2),
        ([WRONG_ONE, NOTHING], 1),
        ([NOTHING, NOTHING], 2),
        # What a failed call would have given is not known, so no later one steps in for it.
        ([BROKEN, RIGHT], 1),
        ([WRONG_ONE, BROKEN, RIGHT], 2),
    ],
)
def test_the_first_that_passes_is_taken(candidates: list[Response], place: int) -> None:
    """It is whole and not wrong; the row says which member it is of."""
    (taken,) = first_responses([Example("e", "q")], [[response] for response in candidates])
    assert taken.member == place
    assert taken.text == candidates[place - 1].text
    assert taken.problem == candidates[place - 1].problem


def test_a_later_member_is_asked_only_where_it_is_needed() -> None:
    """Of four examples two have an earlier response that stands; the others are asked for."""
    examples = [Example(f"e{i}", f"q{i}") for i in range(4)]
    first = [
        Response("e0", "a", correct=True),
        Response("e1", "b", correct=False),
        Response("e2", "c", correct=False),
        Response("e3", "d", correct=False),
    ]
    second = [*first[:3], Response("e3", "d", correct=True)]
    asked: list[str] = []

    def texts(some: Sequence[Example]) -> Iterator[Response]:
        asked.extend(example.id for example in some)
        return iter([Response(example.id, "made") for example in some])

    making = where_needed(texts, examples, [first, second])
    with pytest.raises(StopIteration) as done:
        next(making)
    assert asked == ["e1", "e2"]
    rows = list(done.value.value)
    assert [(row.id, row.text, row.problem) for row in rows] == [
        ("e0", "", NOT_ASKED),
        ("e1", "made", ""),
        ("e2", "made", ""),
        ("e3", "", NOT_ASKED),
    ]
