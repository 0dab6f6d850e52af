"""The sentence that says whether the choice changes, for decided and undecided columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from respsel.compare.choice import choice_of
from respsel.compare.outcome import Failure, Outcome
from respsel.selection.rule import Rule
from respsel.selection.verdict import Ranked, Verdict

RULE = Rule("perplexity", "lower", "log", 0.95, 100, 0)


def column(
    label: str,
    *ranking: str,
    tied: tuple[str, ...] = (),
    decided: bool = False,
    barred: bool = False,
) -> Outcome:
    """A column with strategies in their order."""
    ranked = tuple(
        Ranked(name, 1.0 + i, None, None, None, None, None, None, None, i + 1.0, 20)
        for i, name in enumerate(ranking)
    )
    verdict = Verdict(
        dataset="d",
        metric="perplexity",
        direction="lower",
        scale="log",
        confidence=0.95,
        examples=20,
        winner=None if barred or not ranking else ranking[0],
        decided=decided,
        tied=tied,
        examples_needed=None,
        ranking=ranked,
        unscored={},
        barred=dict.fromkeys(ranking, "wrong answers") if barred else {},
    )
    return Outcome(
        label, label, label, "perplexity", Path("r"), {"d": verdict}, RULE, {}, {}, 0, 0, False
    )


SMALL = column("small", "short", "long", decided=True)
BIG = column("big", "long", "short", decided=True)
SAME = column("big", "short", "long", decided=True)
OPEN = column("mid", "short", "long", tied=("long",))
FEW = column("mid", "short", "long")
AGAINST = column("mid", "long", "other", "short", tied=("other",))
BARRED = replace(
    AGAINST, verdicts={"d": replace(AGAINST.deciding, barred={"short": "wrong answers"})}
)
FEW_AGAINST = replace(AGAINST, verdicts={"d": replace(AGAINST.deciding, examples=11, tied=())})
FAILED = Failure("lost", ("no weights",))


@pytest.mark.parametrize(
    ("outcomes", "failures", "changes", "sentence"),
    [
        (
            [SMALL, BIG],
            [],
            True,
            "The choice changes with the target: short for small, long for big.",
        ),
        ([SMALL, SAME], [], False, "The same strategy leads for both targets: short."),
        (
            [SMALL, SAME, column("x", "short", "long", decided=True)],
            [],
            False,
            "The same strategy leads for all 3 targets: short.",
        ),
        (
            [SMALL, OPEN],
            [],
            None,
            "short for small; undecided (short leads, tied with long) for mid.",
        ),
        (
            [SMALL, FEW],
            [],
            None,
            "short for small; undecided (short leads, over too few examples) for mid.",
        ),
        ([OPEN], [], None, "Nothing is decided: short leads, tied with long, for mid."),
        (
            [SMALL, BIG, OPEN],
            [FAILED],
            True,
            "The choice changes with the target: short for small, long for big; undecided (short "
            "leads, tied with long) for mid; no result for lost.",
        ),
        (
            [SMALL, AGAINST],
            [],
            True,
            "The choice changes with the target: short for small; undecided (long leads, tied with "
            "other) for mid; short is beaten for mid.",
        ),
        (
            [SMALL, BARRED],
            [],
            True,
            "The choice changes with the target: short for small; undecided (long leads, tied with "
            "other) for mid; short is barred for mid.",
        ),
        (
            [SMALL, FEW_AGAINST],
            [],
            None,
            "short for small; undecided (long leads, over too few examples) for mid.",
        ),
        ([SMALL], [FAILED], None, "short for small; no result for lost."),
        ([], [FAILED], None, "Nothing is decided: no result for lost."),
        (
            [SMALL, column("mid", "short", "long", barred=True)],
            [],
            None,
            "short for small; no strategy passes the gates for mid.",
        ),
        (
            [SMALL, column("mid", "short", decided=True)],
            [],
            None,
            "short for small; short has nothing to be compared with for mid.",
        ),
        ([SMALL, column("mid")], [], None, "short for small; nothing can be ranked for mid."),
    ],
)
def test_only_decided_verdicts_are_a_choice(
    outcomes: list[Outcome], failures: list[Failure], changes: bool | None, sentence: str
) -> None:
    """What is not decided, failed or was not compared is said to be so."""
    labels = {one.label: one for one in outcomes}
    choice = choice_of(list(labels.values()), failures, "target")
    assert (choice.changes, choice.sentence) == (changes, sentence)


def test_many_columns_are_counted() -> None:
    """More than three are not named one by one."""
    many = [column(f"t{i}", "short", "long", decided=True) for i in range(4)]
    assert choice_of([*many, BIG], [], "variant").sentence == (
        "The choice changes with the variant: short for 4 of 5 variants, long for big."
    )


def test_a_key_is_called_by_its_name() -> None:
    """It has no article."""
    assert choice_of([SMALL, BIG], [], "selection.metric").sentence == (
        "The choice changes with selection.metric: short for small, long for big."
    )
