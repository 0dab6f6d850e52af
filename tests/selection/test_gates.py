"""Gates: what a strategy must pass before it may be recommended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from respsel.selection.gates import GateRule, mcnemar, pass_gates
from respsel.selection.standing import Held, Standing, barred_in, standing_from_json

RULE = GateRule()


def answers(right: int, wrong: int) -> Mapping[str, bool]:
    return {f"e{i}": i < right for i in range(right + wrong)}


def held(right: int = 20, wrong: int = 4, **more: object) -> Held:
    fields = {"texts": 24, "whole": 1.0, "distinct": 1.0, "sound": 1.0, **more}
    return Held(correct=answers(right, wrong), **fields)  # type: ignore[arg-type]


def why(strategies: Mapping[str, Held], rule: GateRule = RULE) -> Mapping[str, str]:
    return barred_in(pass_gates(strategies, rule))


def test_a_strategy_without_faults_passes() -> None:
    """Right answers, whole, different and sound texts by somebody else bar nobody."""
    assert why({"a": held(), "b": held(right=21, wrong=3)}) == {}


def test_mostly_wrong_answers_bar() -> None:
    """Fewer than half of the answers, where others show that more can be right."""
    best = held(right=23, wrong=1)
    told = why({"a": held(right=11, wrong=13), "best": best})["a"]
    assert told.startswith("most of its answers are wrong (11 of 24 answers are right); ")
    assert why({"a": held(right=0, wrong=24)}).keys() == {"a"}
    # Of few answers nothing is known.
    assert why({"a": held(right=1, wrong=2), "best": best}) == {}


def test_a_hard_task_bars_nobody() -> None:
    """With 10 and 8 of 24 right, both are about as good as the task allows."""
    assert why({"a": held(right=10, wrong=14), "b": held(right=8, wrong=16)}) == {}


def test_what_was_chosen_to_be_right_is_not_what_others_are_held_against() -> None:
    """A strategy whose wrong answers were dropped has only right ones left."""
    kept = held(right=24, wrong=0, dropped=24)
    assert why({"kept": kept, "a": held(right=16, wrong=8), "b": held(right=16, wrong=8)}) == {}


def test_the_test_of_right_answers_is_mcnemars() -> None:
    """Of ten examples that only one of two has right, the other has nine: p = 2 (1 + 10) / 1024."""
    one = {f"e{i}": i == 0 for i in range(10)}
    other = {f"e{i}": i != 0 for i in range(10)}
    assert mcnemar(one, other) == pytest.approx(2 * 11 / 1024)
    assert mcnemar(other, one) == 1.0
    assert mcnemar(one, one) == 1.0
    # What only one of them has says nothing.
    assert mcnemar({**one, "x": False}, {**other, "y": True}) == mcnemar(one, other)


def test_surely_fewer_right_answers_bar() -> None:
    """14 of 24 right against 24 of 24 is beyond chance; 21 of 24 is not."""
    best = held(right=24, wrong=0)
    assert why({"best": best, "a": held(right=14, wrong=10)}) == {
        "a": "its answers are less often right than those of best (14 of 24 against 24 of 24)"
    }
    assert why({"best": best, "a": held(right=21, wrong=3)}) == {}


def test_a_limit_in_the_recipe_replaces_the_default() -> None:
    """With right = 0.8 only that counts, and with 0 nothing does."""
    two = {"best": held(right=24, wrong=0), "a": held(right=14, wrong=10)}
    assert why(two, GateRule(right=0.5)) == {}
    assert why(two, GateRule(right=0.8)) == {
        "a": "14 of 24 answers are right, and selection.require.right asks for 80%"
    }
    assert why({"a": held(right=0, wrong=24)}, GateRule(right=0)) == {}


@pytest.mark.parametrize(
    ("share", "told"),
    [
        ("whole", "14 of 24 texts were cut short"),
        ("distinct", "it has 2 different texts for 24 inputs"),
        ("sound", "14 of 24 texts are unfit to train on (copies of the input)"),
    ],
)
def test_what_most_texts_have_bars_unless_all_strategies_share_it(share: str, told: str) -> None:
    """Ten of 24 texts, or two, are right. It bars beside a strategy without the fault only."""
    kept = 2 if share == "distinct" else 10
    more: dict[str, Any] = {share: kept / 24, "faults": "copies of the input"}
    bad = Held(**{"texts": 24, "whole": 1.0, "distinct": 1.0, "sound": 1.0, **more})
    assert why({"bad": bad, "good": held()}) == {"bad": told}
    assert why({"bad": bad, "bad too": bad}) == {}
    rule = GateRule(**{share: 0.9})  # type: ignore[arg-type]
    assert why({"bad": bad, "bad too": bad}, rule).keys() == {"bad", "bad too"}
    off = GateRule(**{share: 0.0})  # type: ignore[arg-type]
    assert why({"bad": bad, "good": held()}, off) == {}


def test_rewards_bar_only_where_the_recipe_asks() -> None:
    """A mean below the limit bars; so do texts of which none has a reward."""
    low = held(rewards={"e0": 4.0, "e1": 5.0})
    assert why({"a": low}) == {}
    assert why({"a": low, "b": held()}, GateRule(reward=6)) == {
        "a": "its mean reward is 4.50, and selection.require.reward asks for 6.00",
        "b": "the reward that selection.require.reward asks for is not known",
    }


OWN = "the target wrote it and finds its own text likely, and nothing else speaks for it"


def test_the_targets_own_text_needs_an_advocate() -> None:
    """Unchecked text of the target is barred by a likelihood metric, and by no other."""
    own = Held(texts=24, whole=1.0, distinct=1.0, sound=1.0, by_target=True)
    other = Held(texts=24, whole=1.0, distinct=1.0, sound=1.0)
    assert why({"own": own, "other": other}) == {"own": OWN}
    assert why({"own": own, "other": other}, GateRule(favours_own_text=False)) == {}


def test_right_answers_speak_for_the_targets_text() -> None:
    """20 of 24 right: it may be recommended, with the reason."""
    (own, _) = pass_gates({"own": held(by_target=True), "other": held()}, RULE)
    assert not own.is_barred
    assert own.advocate == "20 of 24 answers are right"


@pytest.mark.parametrize(
    "more",
    [
        {"shows_label": True},
        {"right": 8, "wrong": 3},
        {"right": 16, "wrong": 8},
    ],
    ids=["the prompt gives the answer away", "too few were checked", "others are more often right"],
)
def test_answers_that_say_little_speak_for_nobody(more: Mapping[str, int]) -> None:
    """A label in the prompt, fewer than 12 checked answers, or others that are more often right."""
    (own,) = why({"own": held(by_target=True, **more), "other": held()}).values()
    few = "fewer than 12 checked answers speak for it"
    assert own == (
        OWN.replace("nothing else speaks for it", few) if more.get("wrong") == 3 else OWN
    )


def test_texts_that_were_chosen_to_be_likely_need_an_advocate_too() -> None:
    """The best of several by a likelihood is likely by construction, whoever wrote it."""
    unchecked = Held(texts=24, whole=1.0, distinct=1.0, sound=1.0, chosen_by="perplexity")
    other = Held(texts=24, whole=1.0, distinct=1.0, sound=1.0)
    (told,) = why({"best": unchecked, "other": other}).values()
    assert told == (
        "its texts were chosen by perplexity, which makes them likely, and nothing else speaks "
        "for it"
    )
    assert why({"best": held(chosen_by="perplexity"), "other": held()}) == {}


def test_wrong_answers_speak_for_nobody_where_the_gate_is_off() -> None:
    """right = 0 lets wrong answers pass, but makes no advocate of them."""
    own = held(right=2, wrong=22, by_target=True)
    assert why({"own": own, "other": held()}, GateRule(right=0)) == {"own": OWN}


def rewards(mean: float) -> Mapping[str, float]:
    return {f"e{i}": mean + (i % 3 - 1) for i in range(24)}


def test_rewards_speak_for_the_targets_text() -> None:
    """Rewards as high as others'; not of the target as its own judge, nor the same for all."""
    other = Held(texts=24, rewards=rewards(7))
    good = Held(texts=24, rewards=rewards(7.5), by_target=True)
    same = Held(texts=24, rewards=rewards(7), by_target=True)
    poor = Held(texts=24, rewards=rewards(5), by_target=True)
    (own, _) = pass_gates({"own": good, "other": other}, RULE)
    assert own.advocate == "its mean reward is 7.50, and no other strategy's is higher"
    assert why({"own": same, "other": other}) == {"own": OWN}
    assert why({"own": poor, "other": other}) == {"own": OWN}
    assert why({"own": good, "other": other}, GateRule(judge_is_target=True)) == {"own": OWN}
    # Compared with its own texts alone it is not known to be good.
    assert why({"own": good, "own too": good}).keys() == {"own", "own too"}


def test_standings_survive_the_store() -> None:
    """What JSON makes of a standing is read back as it was."""
    from dataclasses import asdict

    standings = pass_gates({"a": held(right=2, wrong=22), "b": held(by_target=True)}, RULE)
    assert [standing_from_json(asdict(one)) for one in standings] == standings
    assert all(isinstance(one, Standing) for one in standings)
