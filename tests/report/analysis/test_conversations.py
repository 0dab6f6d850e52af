"""What a report says of conversations: their sizes, and scored tokens against trained ones."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import polars as pl

from respsel.records import TOOLS, Example, Message, Response, TokenKind
from respsel.report.analysis.conversations import MaskRow, conversation_facts

ASKED = Message("user", "Two?")
CALLING = Message("assistant", "", '{"tool_calls":[{"function":{"name":"f"}}]}', trained=True)
RESULT = Message("tool", "4")
ANSWER = Message("assistant", "Four.", trained=True)
LONG = (Message(TOOLS, "[]"), ASKED, CALLING, RESULT, ANSWER)
SHORT = (ASKED, ANSWER)
ANSWERED = TokenKind.ANSWER
ENDED = TokenKind.END


def facts(kinds: list[list[int]], turns: list[list[int]], problems: list[str]) -> Any:
    """The facts of two strategies with one response each, one of them scored so."""
    recipe = SimpleNamespace(has_chats=lambda _: True, scores_turns=lambda _: True)
    loaded = SimpleNamespace(recipe=recipe, dataset=lambda _: None)
    responses = {
        "long": [Response("e", "f()", turns=LONG)],
        "short": [Response("e", "Four.", turns=SHORT)],
    }
    tokens = [9] * len(problems)
    columns = {"problem": problems, "response_tokens": tokens, "kinds": kinds, "turns": turns}
    table = pl.DataFrame(columns)

    def rows(step: str) -> Any:
        strategy = step.partition("/")[2]
        return responses[strategy] if strategy else [Example("e", "Two?", turns=SHORT)]

    result: Any = SimpleNamespace(
        graph=SimpleNamespace(loaded=loaded), rows=rows, frame=lambda *_: table
    )
    return conversation_facts(result, "d", ["long", "short"], "plain")


def test_strategies_are_told_apart_by_their_turns() -> None:
    """The tools of a chat are no turn."""
    found = facts([[ANSWERED]], [[1]], [""])
    assert [(row.turns, row.trained, row.calls) for row in found.rows] == [(4, 2, 1), (2, 1, 0)]
    assert found.lengths == (
        "On average a conversation has 2 (short) to 4 (long) turns, 1 (short) to 2 (long) trained "
        "turns, 0 (short) to 1 (long) tool calls."
    )


def test_a_turn_without_a_trained_end_is_counted() -> None:
    """The first turn ends with its answer; the second has an end and a line end behind it."""
    first = [TokenKind.EMPTY_THINKING, ANSWERED, ANSWERED]
    second = [TokenKind.THINKING, ANSWERED, ENDED, TokenKind.BEHIND]
    found = facts([[*first, *second]], [[1, 1, 1, 3, 3, 3, 3]], [""])
    assert found.masks[0] == MaskRow(
        "long", turns=2, ended=1, thinking=1, answer=3, end=1, template=2
    )
    assert found.unended == ["long", "short"]
    (axolotl,) = [t for t in found.trainers if (t.strategy, t.trainer) == ("long", "axolotl")]
    # All but the line end and the block without thinking.
    assert (axolotl.both, axolotl.only_scored, axolotl.only_trained) == (5, 2, 0)


def test_where_every_turn_ends_nothing_is_told() -> None:
    """And a response without scores is trained all the same."""
    found = facts([[ANSWERED, ENDED], []], [[1, 1], []], ["", "longer than the context"])
    assert found.unended == []
    assert {trainer.only_trained for trainer in found.trainers} == {9}
