"""What a chat template leaves out of conversations, in the audit and on the first screen."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from respsel.backends.placement import (
    LEFT_OUT,
    LEFT_OUT_RESULTS,
    LEFT_OUT_SYSTEM,
    LEFT_OUT_TOOLS,
)
from respsel.backends.training_text import TrainingText, training_lines
from respsel.backends.turn_places import LEFT_OUT_THINKING
from respsel.report.analysis.summaries import AuditRow, places_told
from respsel.report.cautions import _without_what_it_reads

BOTH = f"{LEFT_OUT_THINKING}; {LEFT_OUT_TOOLS}"


def row(strategy: str, places: Mapping[str, int], view: str = "plain") -> AuditRow:
    return AuditRow(strategy, view, 4, 4, 9, 9, 0, 0, places, 5.0)


@pytest.mark.parametrize(
    ("rows", "sentences"),
    [
        ([row("own", {})], ()),
        (
            [row("own", {LEFT_OUT_THINKING: 3, BOTH: 1}), row("old", {LEFT_OUT_TOOLS: 2})],
            (
                "The chat template leaves out its thinking in 4 of own: the target is not "
                "trained on it.",
                "The chat template leaves out the tools in 1 of own, 2 of old: the target is "
                "trained without seeing them. Give a template of your own with 'chat_template'.",
            ),
        ),
        (
            [row("own", {LEFT_OUT_SYSTEM: 4}), row("own", {LEFT_OUT_SYSTEM: 3}, "other")],
            (
                "The chat template leaves out the system turn in all responses: the target is "
                "trained without seeing it. Give a template of your own with 'chat_template'.",
            ),
        ),
        (
            [row("own", {f"{LEFT_OUT}; behind 'a; b', which the prompt lacks": 4})],
            (
                "Scored where training has them, which is not where the prompt ends: all "
                f"responses ({LEFT_OUT}; behind 'a; b', which the prompt lacks).",
            ),
        ),
        (
            [row("own", {LEFT_OUT: 1, "in yet another place": 1})],
            (
                f"Scored where training has them, which is not where the prompt ends: 1 of own "
                f"({LEFT_OUT}).",
                "Scored where training has them, which is not where the prompt ends: 1 of own "
                "(in yet another place).",
            ),
        ),
    ],
)
def test_the_audit_says_what_becomes_of_it(
    rows: list[AuditRow], sentences: tuple[str, ...]
) -> None:
    """What is left out is no other place; each part has one sentence, with all strategies in it."""
    assert places_told(rows) == sentences


def facts(*places: str) -> Any:
    audits = {"d": [row("own", dict.fromkeys(places, 1))], "e": [row("own", {})]}
    return SimpleNamespace(datasets=[SimpleNamespace(name=name) for name in audits], audits=audits)


@pytest.mark.parametrize(
    ("places", "what"),
    [
        ([], ""),
        ([LEFT_OUT_THINKING, LEFT_OUT], ""),
        ([BOTH], "the tools"),
        ([LEFT_OUT_SYSTEM, BOTH], "the tools and the system turn"),
        (
            [f"{LEFT_OUT_TOOLS}; {LEFT_OUT_RESULTS}; {LEFT_OUT_SYSTEM}"],
            "the tools, the tools' results and the system turn",
        ),
    ],
)
def test_the_first_screen_warns_of_what_the_target_will_not_read(
    places: list[str], what: str
) -> None:
    """One sentence, with what to do. Thinking that is left out is no such fault."""
    expected = (
        f"The target's chat template leaves out {what}, so the target is scored and trained "
        "without: give a template of your own with 'chat_template'."
    )
    assert list(_without_what_it_reads(facts(*places))) == ([expected] if what else [])


def test_the_doctor_says_the_same() -> None:
    """The place of a conversation's turns is where the prompt ends."""
    lines = list(training_lines(TrainingText("example 'e'", (("a", True),), BOTH, "")))
    assert lines[-2:] == [
        "    The chat template leaves out its thinking: the target is not trained on it.",
        "    The chat template leaves out the tools: the target is trained without seeing them. "
        "Give a template of your own with 'chat_template'.",
    ]
