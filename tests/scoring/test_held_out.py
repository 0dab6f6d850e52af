"""Held-out examples: which ones go with an example, and which references are scored for it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.backends.contract import ScoreCall
from respsel.backends.fake import FakeModel
from respsel.calls.requests import Scored
from respsel.calls.tokens import Resolver
from respsel.errors import InputError
from respsel.metrics.contract import View
from respsel.records import Example, Message, Response
from respsel.scoring.held_out import HeldOut, shown_before, tries, with_groups
from respsel.scoring.token_scores import score_responses
from respsel.tables.problems import NOT_REACHED, TOO_FEW_LEFT, WITH_OTHERS

POOL = [Example(f"d{i}", f"held-out {i}", f"reference {i}") for i in range(9)]
EXAMPLES = [Example(f"e{i}", f"ask {i}") for i in range(5)]
RESPONSES = [Response(f"e{i}", f"say {i}") for i in range(5)]


def test_the_choice_is_of_the_ids_alone() -> None:
    """The same example is shown with the same ones among other examples; they keep their order, and
    none comes twice.
    """
    view = View("validation", 3)
    whole = shown_before(view, EXAMPLES, POOL, "a.toml")
    few = shown_before(view, EXAMPLES[3:1:-1], POOL, "a.toml")
    assert few == {name: whole[name] for name in few}
    order = [row.input for row in POOL]
    for shown in whole.values():
        places = [order.index(asked) for asked, _ in shown]
        assert places == sorted(set(places))
        assert all(
            answered == f"reference {i}" for i, (_, answered) in zip(places, shown, strict=True)
        )
    assert len({tuple(shown) for shown in whole.values()}) > 1


def test_the_choice_stays_as_it_is() -> None:
    """Another choice would score every example again, so it comes only with another VERSION."""
    pool = HeldOut(POOL)
    found = {name: [row.id for row in pool.chosen(name, 3)] for name in ("e0", "e1", "ü")}
    assert found == {
        "e0": ["d3", "d4", "d8"],
        "e1": ["d1", "d5", "d8"],
        "ü": ["d1", "d4", "d6"],
    }


@given(st.text(max_size=9), st.integers(1, 9))
def test_a_further_held_out_example_changes_one_choice_at_most(name: str, count: int) -> None:
    """With one more row to choose from, at most one of the chosen makes room for it."""
    before = {row.id for row in HeldOut(POOL).chosen(name, count)}
    after = {row.id for row in HeldOut([*POOL, Example("new", "n", "r")]).chosen(name, count)}
    assert len(before) == len(after) == count
    assert len(before - after) == ("new" in after)


def test_all_held_out_examples_are_used_alike() -> None:
    """Over 3,000 examples each of 9 is one of 3 about 1,000 times: within 6 standard deviations of
    a draw, which are 6 * sqrt(3000 * 1/3 * 2/3) = 155.
    """
    pool = HeldOut(POOL)
    used = Counter(row.id for i in range(3000) for row in pool.chosen(f"e{i}", 3))
    assert len(used) == 9
    assert all(abs(count - 1000) < 155 for count in used.values())


def test_too_few_are_told() -> None:
    """Fewer held-out examples than are shown, or fewer examples than are shown together, is an
    error that says both numbers.
    """
    with pytest.raises(InputError, match=r"a\.toml: validation: 4 held-out .* there are only 2"):
        shown_before(View("validation", 4), EXAMPLES, POOL[:2], "a.toml")
    view = View("demonstrations", 6, references=1)
    with pytest.raises(InputError, match=r"6 responses .* only 5 examples.*Lower k"):
        tries(view, EXAMPLES, RESPONSES, POOL, "a.toml")


def test_a_reference_stands_behind_the_responses_of_one_group() -> None:
    """With k = 2 the examples e0 and e1 are shown together, e0 nearest to the question; e4 is left.
    Behind its own input alone the same references are scored.
    """
    view = View("demonstrations", 2, references=2)
    found = tries(view, EXAMPLES, RESPONSES, POOL, "a.toml")
    assert list(found) == ["e0", "e2"]
    bare = tries(View("reference", 2, references=2), EXAMPLES, RESPONSES, POOL, "a.toml")
    for (messages, text), (alone, same) in zip(found["e0"], bare["e0"], strict=True):
        asked = text.replace("reference", "held-out")
        assert messages == (
            Message("user", "ask 1"),
            Message("assistant", "say 1"),
            Message("user", "ask 0"),
            Message("assistant", "say 0"),
            Message("user", asked),
        )
        assert (alone, same) == ((Message("user", asked),), text)


def test_a_group_has_one_value_and_only_if_it_is_whole() -> None:
    """The first of a group stands for it, with the group's first problem; a race that did not come
    to one of them leaves it out. What is left over has no value.
    """
    view = View("reference", 2, references=1)
    given = [
        Response("e0", "a"),
        Response("e1", "b"),
        Response("e2", "c", "wrong answer"),
        Response("e3", "d", NOT_REACHED),
        Response("e4", "e"),
        Response("e5", "f", "empty"),
        Response("e6", "g"),
    ]
    problems = [row.problem for row in with_groups(view, given)]
    assert problems == [
        "",
        WITH_OTHERS,
        NOT_REACHED,
        WITH_OTHERS,
        "empty",
        WITH_OTHERS,
        TOO_FEW_LEFT,
    ]
    # One by one, each has its own.
    alone = with_groups(View("reference", 1, references=1), given)
    assert alone == given


def test_a_row_joins_the_scores_of_its_references() -> None:
    """Two references are two calls, in their order, and one row of all their tokens: 11 bytes
    each.
    """
    model = FakeModel("", 4096)
    view = View("demonstrations", 1, references=2)
    shown = tries(view, EXAMPLES[:1], RESPONSES[:1], POOL, "a.toml")
    operation = score_responses("m", view, EXAMPLES[:1], RESPONSES[:1], shown, "about", "fail")
    requests: Any = next(operation)
    assert [request.response for request in requests] == [text for _, text in shown["e0"]]
    calls = [Resolver(model.text).resolve(request).call for request in requests]
    some = [call for call in calls if isinstance(call, ScoreCall)]
    scores = [score for _, score in model.score(some)]
    with pytest.raises(StopIteration) as done:
        operation.send(
            [
                Scored(len(call.prompt_ids), len(call.response_ids), one)
                for call, one in zip(some, scores, strict=True)
            ]
        )
    (row,) = done.value.value
    assert row.response_tokens == 22
    assert row.scores.nll.tolist() == [*scores[0].nll.tolist(), *scores[1].nll.tolist()]
