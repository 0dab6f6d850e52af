"""Whether a judge sees what is right, on numbers worked out by hand."""

from __future__ import annotations

import pytest

from respsel.report.analysis.judge_agreement import (
    JudgeAgreement,
    JudgedAnswer,
    find_judge_agreement,
    wilson,
)


def answers(*pairs: tuple[float, float]) -> list[JudgedAnswer]:
    """An example for each pair: the score of its right answer, and that of its wrong one."""
    return [
        JudgedAnswer(f"e{i}", score, right)
        for i, pair in enumerate(pairs)
        for score, right in zip(pair, (True, False), strict=True)
    ]


def found(*pairs: tuple[float, float]) -> JudgeAgreement:
    agreement = find_judge_agreement(answers(*pairs), 0.95)
    assert agreement is not None
    return agreement


def test_wilsons_interval_by_hand() -> None:
    """Of 10, 8: z = 1.96, centre (0.8 + 0.1921) / 1.3841, half 1.96 sqrt(0.016 + 0.0096) / 1.3841.

    That is 0.7168 +- 0.2266: 0.4902 to 0.9433, as published tables have it.
    """
    assert wilson(0.8, 10, 0.95) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(1.0, 10, 0.95) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert wilson(0.0, 10, 0.95) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_pairs_within_examples_count_each_example_once() -> None:
    """6 examples won, 1 tied and 1 lost give (6 + 0.5) / 8; a second wrong answer that is beaten
    too, next to a tie, makes its example's share (0.5 + 1) / 2: (6 + 0.75) / 8.
    """
    pairs = [(9.0, 2.0)] * 6 + [(5.0, 5.0), (1.0, 3.0)]
    agreement = found(*pairs)
    assert agreement.within
    assert (agreement.pairs, agreement.examples) == (8, 8)
    assert agreement.share == 6.5 / 8
    more = find_judge_agreement([*answers(*pairs), JudgedAnswer("e6", 4.0, False)], 0.95)
    assert more is not None
    assert (more.pairs, more.share) == (9, 6.75 / 8)


def test_with_few_such_examples_pairs_are_made_across_them() -> None:
    """Right answers 9 and 5, wrong ones 2, 5 and 7: 9 beats 3; 5 beats 1 and ties 1. AUC 4.5 / 6.

    Two examples have a right answer, so the interval is that of 2.
    """
    rows = [JudgedAnswer("a", 9, True), JudgedAnswer("b", 5, True)]
    rows += [JudgedAnswer(name, score, False) for name, score in (("c", 2), ("d", 5), ("a", 7))]
    agreement = find_judge_agreement(rows, 0.95)
    assert agreement is not None
    assert not agreement.within
    assert (agreement.share, agreement.pairs, agreement.examples) == (4.5 / 6, 6, 2)
    assert (agreement.low, agreement.high) == wilson(0.75, 2, 0.95)
    assert agreement.sees == "unknown"


def test_a_judge_sees_what_is_right_if_the_interval_is_above_chance() -> None:
    """All of 20 are; half of 20 are not; all of 3 may be chance."""
    assert found(*[(9.0, 2.0)] * 20).sees == "yes"
    assert found(*[(9.0, 2.0), (2.0, 9.0)] * 10).sees == "no"
    assert found(*[(2.0, 9.0)] * 20).sees == "no"
    assert found(*[(9.0, 2.0)] * 3).sees == "unknown"


def test_without_both_kinds_there_is_nothing_to_compare() -> None:
    """Only right answers, or none at all, say nothing of a judge."""
    assert find_judge_agreement([], 0.95) is None
    assert find_judge_agreement([JudgedAnswer("a", 9, True)] * 3, 0.95) is None


def test_the_words_say_what_was_compared() -> None:
    """Share, pairs, interval and chance; and that the judge was told."""
    words = found(*[(9.0, 2.0)] * 15 + [(2.0, 9.0)] * 5).words
    assert "the higher score in 75% of 20 pairs" in words
    assert "to the same example" in words
    assert "chance would be 50%" in words
    shown = find_judge_agreement(answers((9.0, 2.0)), 0.95, shown=True)
    assert shown is not None
    assert "It was shown the right answer." in shown.words
