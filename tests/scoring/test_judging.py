"""The recipe's judge: what it is asked, how its answers are read, and pairs in both orders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from respsel.backends.contract import Generation
from respsel.recipe.judge import JudgeEntry
from respsel.recipe.places import plain_place
from respsel.records import Example, Preference, Response, Score
from respsel.scoring.judge_answers import (
    CUT_SHORT,
    NO_CHOICE,
    NO_NUMBER,
    OFF_THE_SCALE,
    read_choice,
    read_score,
)
from respsel.scoring.judge_prompt import score_messages
from respsel.scoring.judging import compare_responses, score_responses
from respsel.tables.problems import SILENT

PLACE = plain_place("a.toml", "judge")
EXAMPLE = Example("e", "What is 2 + 2?", reference="It is 4.", label="4")


def judge(**more: Any) -> JudgeEntry:
    return JudgeEntry.model_validate({"model": "m", "rubric": "It is right.", **more})


def said(text: str, truncated: bool = False) -> Generation:
    return Generation(text, 9, truncated)


def finish(operation: Any, answers: Sequence[Generation]) -> Any:
    with pytest.raises(StopIteration) as done:
        operation.send(answers)
    return done.value.value


def test_a_judge_is_asked_for_a_reason_and_then_a_score() -> None:
    """The turn has the rubric, the texts between marked tags and the ends of the scale."""
    (turn,) = score_messages(judge(scale=[0, 5]), "It is right.", EXAMPLE, "4, of course")
    assert turn.role == "user"
    assert "What a good response is:\nIt is right." in turn.content
    assert turn.content.index("Reason: <") < turn.content.index("Score: <")
    assert "from 0 (worst) to 5 (best)" in turn.content
    assert "reference" not in turn.content


def test_references_and_labels_are_shown_on_request() -> None:
    """With `reference`, both are shown where the example has them."""
    entry = judge(reference=True)
    (turn,) = score_messages(entry, "r", EXAMPLE, "4")
    assert "\nIt is 4.\n" in turn.content
    assert "<right-answer " in turn.content
    (turn,) = score_messages(entry, "r", Example("f", "Well?"), "4")
    assert "<reference" not in turn.content
    assert "<right-answer" not in turn.content


def test_examples_are_earlier_turns() -> None:
    """Each is a turn with its request and response, and the answer that the judge would give."""
    known = {"input": "1 + 1?", "response": "3", "score": 1, "why": "It is 2."}
    turns = score_messages(judge(examples=[known]), "It is right.", EXAMPLE, "4")
    assert [turn.role for turn in turns] == ["user", "assistant", "user"]
    assert "1 + 1?" in turns[0].content
    assert turns[1].content == "Reason: It is 2.\nScore: 1"
    # The rubric may be about the example at hand, so it stands with that one.
    assert "It is right." not in turns[0].content


@pytest.mark.parametrize(
    ("text", "score", "problem"),
    [
        ("Reason: Right.\nScore: 8", 8, ""),
        ("**Score:** 8/10", 8, ""),
        ("8", 8, ""),
        ("Score: 4/5", None, OFF_THE_SCALE),
        ("Score: 0", None, OFF_THE_SCALE),
        ("Score: 11", None, OFF_THE_SCALE),
        ("Score: -3", None, OFF_THE_SCALE),
        ("I like it.", None, NO_NUMBER),
        ("Score: N", None, NO_NUMBER),
        ("Score: 7 or 8, since 3 of 4 hold", 7, ""),
        ("It is 7, or 8", None, NO_NUMBER),
        ("", None, SILENT),
        (" \n", None, SILENT),
        ("<think>Perhaps Score: 3</think>Reason: Right.\nScore: 9", 9, ""),
        ("<think>Perhaps Score: 3", None, NO_NUMBER),
    ],
)
def test_a_score_is_read_and_never_guessed(text: str, score: float | None, problem: str) -> None:
    """A number off the scale, or out of another one, is a problem with a name."""
    assert read_score(said(text), ["4, of course"], (1, 10)) == (score, problem)


def test_a_score_at_the_end_of_an_answer_that_was_cut_short_may_be_a_part_of_one() -> None:
    """ "Score: 1" may have been going to be 10. With words behind it, it is whole."""
    assert read_score(said("Right.\nScore: 1", True), [], (1, 10)) == (None, CUT_SHORT)
    assert read_score(said("Score: 1\nIt is", True), [], (1, 10)) == (1, "")
    assert read_score(said("It has 3 steps and", True), [], (1, 10)) == (None, CUT_SHORT)
    assert read_score(said("<think>Score: 3", True), [], (1, 10)) == (None, CUT_SHORT)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("Reason: It is right.\nBetter: A", "A"),
        ("**Better:** B.", "B"),
        ("Better: Response B", "B"),
        ("Better: tie", "tie"),
        ("better: Tie", "tie"),
        ("B", "B"),
        ("[[A]]", "A"),
        ("Better: A\nNo. Better: B", "B"),
        ("<think>Better: A</think>Better: B", "B"),
        ("Better: A or B", None),
        ("Better: <A, B or tie>", None),
        ("The better is a short one", None),
        ("Both are fine.", None),
    ],
)
def test_a_choice_is_read_and_never_guessed(text: str, choice: str | None) -> None:
    """The last "Better:" counts; what names both or neither is no choice."""
    expected = (choice, "") if choice else (None, NO_CHOICE)
    assert read_choice(said(text), ["It is 4."]) == expected


def test_every_usable_response_is_judged() -> None:
    """What has no text is not asked about; what fails is named; the order stays."""
    examples = [Example(f"e{i}", f"ask {i}") for i in range(4)]
    texts = [Response(e.id, f"text {i}") for i, e in enumerate(examples)]
    texts[1] = Response("e1", "", "empty")
    operation = score_responses(judge(rubric="For {{ id }}."), examples, texts, PLACE)
    asked = list(next(operation))
    assert [r.example for r in asked] == ["e0", "e2", "e3"]
    assert "What a good response is:\nFor e2." in asked[1].messages[-1].content
    failed = Generation("", 0, False, "the call failed: out of memory")
    assert finish(operation, [said("Score: 3"), said("well"), failed]) == [
        Score("e0", 3.0),
        Score("e1", None, "empty"),
        Score("e2", None, NO_NUMBER),
        Score("e3", None, "the call failed: out of memory"),
    ]


def test_pairs_are_judged_in_both_orders() -> None:
    """A preference is told from the strategy's side, whichever was shown first. Equal texts are a
    tie without a call.
    """
    examples = [Example(f"e{i}", "ask") for i in range(5)]
    mine = [Response(e.id, f"mine {e.id}") for e in examples]
    theirs = [Response(e.id, f"theirs {e.id}") for e in examples]
    theirs[3] = Response("e3", mine[3].text)
    theirs[4] = Response("e4", "", "empty")
    operation = compare_responses(judge(), examples, mine, theirs, PLACE)
    asked = list(next(operation))
    assert [request.example for request in asked] == ["e0", "e0", "e1", "e1", "e2", "e2"]
    first = asked[0].messages[0].content
    second = asked[1].messages[0].content
    assert first.index("mine e0") < first.index("theirs e0")
    assert second.index("theirs e0") < second.index("mine e0")
    # Both orders for the strategy; always the first; and no answer in one of the orders.
    answers = [f"Better: {choice}" for choice in "ABAA"] + ["Better: tie", "Well."]
    assert finish(operation, list(map(said, answers))) == [
        Preference("e0", "better", "better"),
        Preference("e1", "better", "worse"),
        Preference("e2", "", "", NO_CHOICE),
        Preference("e3", "tie", "tie"),
        Preference("e4", "", "", "empty"),
    ]
