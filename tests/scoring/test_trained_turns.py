"""The trained turns of conversations: which calls they take, and what their rows are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from respsel.backends.contract import PlacedTurns, ScoreCall, TrainedTurn
from respsel.backends.fake import FakeModel, FakeText
from respsel.calls.keys import call_key, request_key
from respsel.calls.model_answers import answers_of
from respsel.calls.requests import Resolved, Scored, ScoreRequest
from respsel.calls.tokens import Resolver
from respsel.metrics.contract import PLAIN, ChosenMetric, View
from respsel.metrics.registry import choose
from respsel.recipe.places import plain_place
from respsel.recipe.schema import MetricEntry
from respsel.records import (
    TOOLS,
    Example,
    Message,
    OwnOutput,
    Response,
    ScoredResponse,
    TokenKind,
    TokenScores,
)
from respsel.scoring.evidence import Sources, measure
from respsel.scoring.judged_text import request_text, response_text
from respsel.scoring.response_parts import NO_THINKING, NoPartError, part_of
from respsel.scoring.token_scores import score_responses
from respsel.scoring.trained_turns import last_turn

SYSTEM = Message("system", "Be kind.")
ASKED = Message("user", "Two?")
FIRST = Message("assistant", "Four.", trained=True)
MORE = Message("user", "And three?")
LAST = Message("assistant", "Nine.", trained=True)
CHAT = (SYSTEM, ASKED, FIRST, MORE, LAST)
EVERY = Example("e", "Two?", turns=CHAT)


def resolved(
    example: Example, response: Response, view: View = PLAIN, shown: Sequence[str] = ()
) -> tuple[list[ScoreRequest], list[Resolved], ScoredResponse]:
    """The requests of one response, what they become, and its row."""
    model = FakeModel("", 4096)
    operation = score_responses(
        "m", view, [example], [response], {"e": shown}, "about", "fail", in_turns=True
    )
    requests = [request for request in next(operation) if isinstance(request, ScoreRequest)]
    found = [Resolver(model.text).resolve(request) for request in requests]
    answers: list[Scored] = [Scored(0, 0, None)] * len(found)
    for place, answer in answers_of(model, found):
        assert isinstance(answer, Scored)
        answers[place] = answer
    with pytest.raises(StopIteration) as done:
        operation.send(answers)
    (row,) = done.value.value
    return requests, found, row


def test_each_trained_turn_is_one_call_behind_all_before_it() -> None:
    """A fake token is a byte, and a turn has one sign before it and one behind it.

    "Be kind." has 8 + 2 tokens, "Two?" 4 + 2, "Four." 5 + 2, "And three?" 10 + 2, "Nine." 5 + 2.
    The first trained turn begins at 10 + 6 + 1 = 17 and has 5 + 1 tokens with its end; the second
    begins at 16 + 7 + 12 + 1 = 36. What is before the first is counted once, with the second.
    """
    response = Response("e", "Four.\n\nNine.", turns=CHAT)

    requests, found, row = resolved(EVERY, response)

    calls = [item.call for item in found]
    assert [request.turn for request in requests] == [2, 4]
    assert [len(call.prompt_ids) for call in calls] == [17, 36]
    assert [len(item.kinds) for item in found] == [6, 6]
    assert [call.cuts for call in calls if isinstance(call, ScoreCall)] == [(), (17, 22)]
    assert row.scores is not None
    assert row.scores.kinds is not None
    assert row.scores.turns is not None
    assert row.scores.lengths is not None
    assert row.text == "Four.Nine."
    assert (row.prompt_tokens, row.response_tokens) == (36, 12)
    assert row.scores.kinds.tolist() == [TokenKind.ANSWER] * 5 + [TokenKind.END] + [
        TokenKind.ANSWER
    ] * 5 + [TokenKind.END]
    assert row.scores.turns.tolist() == [2] * 6 + [4] * 6
    assert row.scores.lengths.tolist() == [1, 1, 1, 1, 1, 0] * 2


def test_a_text_is_the_last_turn_behind_what_the_example_asks() -> None:
    """The dataset's own earlier turns stand before it and are not scored."""
    last = replace(EVERY, turns=(SYSTEM, ASKED, replace(FIRST, trained=False), MORE, LAST))

    requests, found, row = resolved(last, Response("e", "27."))

    assert [request.turn for request in requests] == [4]
    assert len(found[0].call.prompt_ids) == 36
    assert row.text == "27."


def test_equal_turns_are_one_call_and_others_are_not() -> None:
    """Two trajectories share the turns up to the one where they part."""
    other = (*CHAT[:4], replace(LAST, content="27."))

    _, one, _ = resolved(EVERY, Response("e", "a", turns=CHAT))
    _, two, _ = resolved(EVERY, Response("e", "b", turns=other))

    def keys(found: Sequence[Resolved]) -> list[str]:
        request = ScoreRequest("m", (), "", "", "")
        return [call_key("model", item.call, request) for item in found]

    assert keys(one)[0] == keys(two)[0]
    assert keys(one)[1] != keys(two)[1]


@pytest.mark.parametrize(
    "changed",
    [
        (Message(TOOLS, "[]"), *CHAT),
        (*CHAT[:4], replace(LAST, fields='{"reasoning_content":"3 times 3"}')),
        (replace(SYSTEM, content="Be brief."), *CHAT[1:]),
        (SYSTEM, replace(ASKED, fields='{"name":"Ann"}'), *CHAT[2:]),
    ],
    ids=["tools", "fields", "system", "name"],
)
def test_whatever_a_template_may_write_is_in_the_key(changed: tuple[Message, ...]) -> None:
    """Two conversations that a template can tell apart are two requests."""
    request = ScoreRequest("m", CHAT, "", "", "", turn=4)
    other = replace(request, messages=changed, turn=len(changed) - 1)

    assert request_key("model", request) != request_key("model", other)
    assert request_key("model", request) != request_key("model", replace(request, turn=2))


def test_the_trained_flags_are_in_no_key() -> None:
    """A turn has the same tokens whichever other turns are trained."""
    request = ScoreRequest("m", CHAT, "", "", "", turn=4)
    bare = tuple(replace(turn, trained=turn is LAST) for turn in CHAT)

    assert request_key("model", request) == request_key("model", replace(request, messages=bare))


def test_a_view_that_shows_more_turns_scores_the_same_ones() -> None:
    """Held-out examples stand behind the system turn; the places are those of the conversation."""
    view = View("validation", k=1)

    requests, _, row = resolved(
        EVERY,
        Response("e", "x", turns=CHAT),
        view,
        [("One?", "One.")],  # type: ignore[list-item]
    )

    assert [turn.content for turn in requests[0].messages][:4] == [
        "Be kind.",
        "One?",
        "One.",
        "Two?",
    ]
    assert [request.turn for request in requests] == [4, 6]
    assert row.scores is not None
    assert row.scores.turns is not None
    assert set(row.scores.turns.tolist()) == {2, 4}


def test_own_outputs_are_shown_in_the_question_before_the_first_trained_turn() -> None:
    """Later questions stay as they are."""
    requests, _, _ = resolved(
        EVERY, Response("e", "x", turns=CHAT), View("self-aligned", k=1), ["Own."]
    )

    shown = requests[0].messages
    assert "inference example: Own." in shown[1].content
    assert shown[1].content.startswith("Question: Two?")
    assert shown[3] == MORE
    assert len(shown) == len(CHAT)


class Stretches(FakeText):
    """A template that writes the trained turn in two stretches, with two tokens between them."""

    def placed_turns(self, messages: Sequence[Message]) -> PlacedTurns:
        """See ModelText.placed_turns."""
        first = TrainedTurn(1, 3, 5, "ab", (1, 1), (TokenKind.ANSWER, TokenKind.ANSWER))
        second = TrainedTurn(1, 7, 9, "cd", (1, 1), (TokenKind.ANSWER, TokenKind.END))
        return PlacedTurns(tuple(range(1, 11)), (first, second))


def test_what_is_untrained_between_two_stretches_is_in_no_row() -> None:
    """One call evaluates tokens 4 to 9; the row has those that are trained: 4, 5, 8 and 9."""
    model = FakeModel("", 4096)
    model.text = Stretches()
    example = Example("e", "q", turns=(ASKED, FIRST))
    operation = score_responses(
        "m", PLAIN, [example], [Response("e", "abcd")], {}, "", "fail", in_turns=True
    )
    found = [Resolver(model.text).resolve(request) for request in next(operation)]
    ((_, answer),) = answers_of(model, found)

    with pytest.raises(StopIteration) as done:
        operation.send([answer])
    (row,) = done.value.value

    assert found[0].call.prompt_ids == (1, 2, 3)
    assert row.scores.token_ids.tolist() == [4, 5, 8, 9]
    assert row.response_tokens == 4
    assert row.text == "abcd"


def test_steps_of_a_conversation_are_those_of_the_text_that_was_scored() -> None:
    """Token lengths are of what the template wrote, and so are the steps.

    "We add.\nIt is 7." is two steps of 8 and 8 tokens with the line end and the end of the turn:
    8 + 8 + 1 = 17 tokens over 2 steps are 8.5 a step.
    """
    text = "We add.\nIt is 7."
    example = Example("e", "q", turns=(ASKED, replace(FIRST, content=text)))
    response = Response("e", text)
    _, _, row = resolved(example, response)
    metric, _ = choose(MetricEntry(name="mean-step-length"), plain_place(""))
    assert isinstance(metric, ChosenMetric)

    (score,) = measure(metric, Sources([response], views={"plain": [row]}), None, "s")

    assert score.value == pytest.approx(8.5)


def test_alone_a_turn_has_the_same_tokens_behind_nothing() -> None:
    """A ratio of both losses is about one text, its end of turn included."""
    response = Response("e", "Four.\n\nNine.", turns=CHAT)

    requests, alone, row = resolved(EVERY, response, View("unconditional"))
    _, given, _ = resolved(EVERY, response)

    assert all(request.alone for request in requests)
    assert [len(item.call.prompt_ids) for item in alone] == [1, 1]
    assert [getattr(item.call, "response_ids", ()) for item in alone] == [
        getattr(item.call, "response_ids", None) for item in given
    ]
    assert row.text == "Four.Nine."
    request = requests[0]
    assert request_key("m", request) != request_key("m", replace(request, alone=False))


def test_the_parts_of_a_conversation_are_those_of_each_turn() -> None:
    """Each turn's thinking is no part of the answers, whether its tokens or its text is read."""
    chat = (
        ASKED,
        replace(FIRST, content="<think>two twos</think>Four."),
        MORE,
        replace(LAST, fields='{"reasoning_content":"three threes"}'),
    )
    example = Example("e", "q", turns=chat)
    response = Response("e", "all of it", turns=chat)
    _, _, row = resolved(example, response)

    def value(name: str, part: str, of: Response = response) -> float | None:
        metric, _ = choose(
            MetricEntry.model_validate({"name": name, "part": part}), plain_place("")
        )
        assert metric is not None
        views = {"plain": [row]} if metric.needs.views else {}
        (score,) = measure(metric, Sources([of], views=views), None, "s")
        return score.value

    # "Four." and "Nine.", each with an end of turn.
    assert value("response-tokens", "answer") == 5 + 1 + 5 + 1
    answers = Response("e", "Four.\n\nNine.")
    assert value("compression-ratio", "answer") == value("compression-ratio", "all", answers)


CALL = '{"tool_calls":[{"function":{"arguments":{"of":2},"name":"double"}}]}'


def test_a_last_turn_that_only_calls_tools_is_its_calls() -> None:
    """What was said before it stands in its prompt, and is not scored or compared again."""
    calling = Message("assistant", "", CALL, trained=True)
    chat = (ASKED, FIRST, MORE, calling)
    response = Response("e", "Four.\n\ndouble", turns=chat)

    before, text = last_turn(Example("e", "Two?", turns=chat), response)

    assert before == chat[:3]
    assert text == 'double({"of": 2})'


def test_alignment_compares_what_the_last_turn_says() -> None:
    """Own outputs answer the last question, so earlier turns are not held against them."""
    response = Response("e", "Four.\n\nNine.", turns=CHAT)
    metric, _ = choose(
        MetricEntry.model_validate({"name": "alignment", "kernel": "chrf"}), plain_place("")
    )
    assert metric is not None

    sources = Sources([response], own_outputs=[OwnOutput("e", 0, "Nine.")])
    (score,) = measure(metric, sources, None, "s")

    assert score.value == pytest.approx(1)


def test_an_empty_block_for_thinking_is_in_neither_part() -> None:
    """The template writes it for every strategy alike."""
    kinds = [TokenKind.EMPTY_THINKING] * 3 + [TokenKind.ANSWER, TokenKind.END]
    numbers = np.arange(5)
    scores = TokenScores(
        token_ids=numbers.astype(np.int32),
        nll=numbers.astype(np.float32),
        rank=(numbers + 1).astype(np.int32),
        entropy=numbers.astype(np.float32),
        kinds=np.array(kinds, np.int32),
    )

    _, answered = part_of(["Four."], {"plain": scores}, "answer")

    assert answered["plain"].nll.tolist() == [3, 4]
    with pytest.raises(NoPartError, match=NO_THINKING):
        part_of(["Four."], {"plain": scores}, "thinking")


def test_a_trajectory_is_judged_from_the_question_on() -> None:
    """However many turns it has before its trained one; the request is the same for all."""
    calling = Message("assistant", "", CALL)
    own = (SYSTEM, ASKED, calling, Message("tool", "4"), replace(FIRST, content="It is 4."))
    example = Example("e", "Two?", turns=own)
    shorter = (SYSTEM, ASKED, replace(FIRST, content="It is 5."))
    longer = (*own[:4], calling, Message("tool", "8"), replace(FIRST, content="It is 8."))

    assert request_text(example) == "Two?"
    assert response_text(example, Response("e", "It is 5.", turns=shorter)) == "It is 5."
    assert response_text(example, Response("e", "It is 4.")) == (
        'Assistant: double({"of": 2})\n\nTool: 4\n\nAssistant: It is 4.'
    )
    assert response_text(example, Response("e", "It is 8.", turns=longer)) == (
        'Assistant: double({"of": 2})\n\nTool: 4\n\n'
        'Assistant: double({"of": 2})\n\nTool: 8\n\nAssistant: It is 8.'
    )


def test_a_judge_reads_the_conversation_before_the_question() -> None:
    """A later question means little without it."""
    last = Example("e", "And three?", turns=(*CHAT[:2], replace(FIRST, trained=False), MORE, LAST))

    assert request_text(last) == (
        "System: Be kind.\n\nUser: Two?\n\nAssistant: Four.\n\nUser: And three?"
    )
    assert response_text(last, Response("e", "Nine.")) == "Nine."
