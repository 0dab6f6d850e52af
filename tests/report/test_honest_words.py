"""Sentences of the first screen that must not claim more than the numbers do."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from respsel.report.analysis.confounds import Controlled
from respsel.report.analysis.own_look import OwnLook
from respsel.report.cautions import _at_equal_length
from respsel.report.headline import _at_least
from tests.conftest import Bench


def facts(*others: tuple[str, float, float], direction: str = "lower", scale: str = "log") -> Any:
    """A verdict that "lead" wins, and the others' intervals at equal length."""
    controlled = [
        Controlled("lead", 2.0, None, None, None),
        *(Controlled(name, 2.0, 1.0, low, high) for name, low, high in others),
    ]
    confounds = SimpleNamespace(controlled=controlled, strategies=("lead", "a", "b"))
    verdict = SimpleNamespace(scale=scale, direction=direction, barred={"own": "why"})
    dataset = SimpleNamespace(name="d")
    return SimpleNamespace(
        winner="lead", verdict=verdict, datasets=[dataset], confounds={"d": confounds}, fewest=30
    )


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([("a", 1.1, 1.4), ("b", 1.2, 2.0)], "With length controlled it still comes first."),
        ([("a", 0.9, 1.4), ("b", 1.2, 2.0)], "At equal length it cannot be told apart from a."),
        ([("a", 0.9, 1.4), ("b", 0.8, 2.0)], "it cannot be told apart from a and b."),
        ([("a", 0.5, 0.9), ("b", 0.8, 2.0)], "At equal length a would beat it."),
        ([("own", 0.5, 0.9), ("b", 1.1, 2.0)], "With length controlled it still comes first."),
    ],
)
def test_equal_length_is_told_as_far_as_intervals_go(
    others: list[tuple[str, float, float]], told: str
) -> None:
    """It still comes first only where every interval says so; barred strategies do not count."""
    assert told in _at_equal_length(facts(*others))


def test_equal_length_knows_where_higher_is_better() -> None:
    """By a metric such as a reward, a difference below 0 is worse."""
    worse = facts(("a", -2.0, -1.0), direction="higher", scale="linear")
    better = facts(("a", 1.0, 2.0), direction="higher", scale="linear")
    assert _at_equal_length(worse) == "With length controlled it still comes first."
    assert _at_equal_length(better) == "At equal length a would beat it."


@pytest.mark.parametrize(("needed", "told"), [(5, 31), (99, 99), (137, 140), (1234, 1300)])
def test_needed_examples_have_two_digits(needed: int, told: int) -> None:
    """The number is an estimate, and never below what there already is."""
    assert _at_least(facts(), needed) == told


@pytest.mark.parametrize(
    ("below", "error", "responses", "own"),
    [
        (0.6, 0.07, 14, True),
        (1.0, 0.14, 14, True),
        (0.09, 0.02, 14, False),
        (0.3, 0.1, 14, False),
        (1.0, 0.1, 8, False),
        (-0.3, 0.04, 14, False),
    ],
)
def test_texts_look_like_the_targets_only_beyond_doubt(
    below: float, error: float, responses: int, own: bool
) -> None:
    """The interval of nats below the entropy is above 0.25, over a dozen responses."""
    assert OwnLook(below, error, responses, 0.9).is_own is own


def test_a_recipe_that_names_no_metric_is_told_which_decides(bench: Bench) -> None:
    """With several metrics the first decides, and the report says how to name it."""
    out = " ".join(bench.respsel("run", "a.toml").out.split())
    hint = 'write [selection] metric = "perplexity" into the recipe if that is meant.'
    assert f"perplexity decides since it is the first of 3 metrics: {hint}" in out
    bench.edit("[selection]", '[selection]\nmetric = "perplexity"')
    assert hint not in " ".join(bench.respsel("run", "a.toml").out.split())


def test_the_badge_says_that_no_answer_was_checked(bench: Bench) -> None:
    """Without an answer check or rewards, in the terminal and on the page; with one, not."""
    page = bench.folder / "runs/a/report.html"
    bench.run()
    assert "answers not checked" not in page.read_text().split("<h1>")[0]
    bench.edit('answer = "number"\n', "")
    assert "(answers not checked)" in bench.respsel("run", "a.toml").out
    assert '<span class="badge">undecided · answers not checked</span>' in page.read_text()


def test_the_ranking_says_what_a_strategy_gives_and_costs(bench: Bench) -> None:
    """Right answers, length, cut short, cost of 1,000 responses at the recipe's prices, author."""
    bench.edit('variant = "teacher"', 'variant = "teacher"\nprice = { input = 1, output = 2 }')
    bench.run()
    data = json.loads((bench.folder / "runs/a/report.json").read_text())
    teacher = next(f for f in data["datasets"][0]["facts"] if f["strategy"] == "teacher")
    (cost,) = [c for c in data["costs"] if c["model"] == "teacher"]
    assert teacher["money"] == pytest.approx(cost["money"] / 6 * 1000)
    assert teacher["tokens"] == round((cost["prompt_tokens"] + cost["output_tokens"]) / 6 * 1000)
    assert (teacher["judged"], teacher["author"], teacher["by_target"]) == (6, "teacher", False)
    assert teacher["length"] > 0
