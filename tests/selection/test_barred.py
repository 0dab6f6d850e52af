"""Verdicts and races in which some strategies may not be recommended."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from respsel.selection.decide import decide
from respsel.selection.race_rule import BatchScores, race
from respsel.selection.rule import Rule
from respsel.selection.verdict import verdict_from_json

RULE = Rule("perplexity", "lower", "log", 0.95, 500, 0)


def scores(mean: float, seed: int, n: int = 40) -> dict[str, float | None]:
    noise = np.random.default_rng(seed).normal(0, 0.1, n)
    return {f"e{i}": float(np.exp(mean + noise[i])) for i in range(n)}


TABLE = {"own": scores(0.0, 1), "good": scores(1.0, 2), "bad": scores(2.0, 3)}
WHY = {"own": "the target wrote it"}


def test_a_barred_strategy_is_shown_and_cannot_lead() -> None:
    """With the best score barred, the next one leads and beats the rest; the barred one is last."""
    verdict = decide("d", [TABLE], RULE, barred=WHY)
    assert (verdict.winner, verdict.decided, verdict.tied) == ("good", True, ())
    assert [one.strategy for one in verdict.ranking] == ["good", "bad", "own"]
    own = verdict.ranking[-1]
    assert own.score < verdict.ranking[0].score
    assert own.p_best is None
    assert own.difference is not None
    assert own.difference < 1
    assert verdict.barred == WHY
    assert "that may be recommended" in verdict.outcome
    assert verdict_from_json(asdict(verdict)) == verdict


def test_a_barred_strategy_changes_nothing_between_the_others() -> None:
    """Leader, ties, P(best), levels and needed examples are those without it."""
    others = {name: TABLE[name] for name in ("good", "bad")}
    without = decide("d", [others], RULE)
    beside = decide("d", [TABLE], RULE, barred=WHY)
    assert beside.ranking[:2] == without.ranking
    assert beside.examples_needed == without.examples_needed


def test_a_barred_strategy_need_not_have_every_example() -> None:
    """Its missing scores take no example from the others; without any it is not ranked."""
    few = {
        **TABLE,
        "own": {key: value if key == "e3" else None for key, value in TABLE["own"].items()},
    }
    assert decide("d", [few], RULE, barred=WHY).examples == 40
    none = {**TABLE, "own": dict.fromkeys(TABLE["own"])}
    verdict = decide("d", [none], RULE, barred=WHY)
    assert (verdict.examples, verdict.winner) == (40, "good")
    assert [one.strategy for one in verdict.ranking] == ["good", "bad"]


def test_with_all_barred_nobody_wins() -> None:
    """They are ranked among themselves, and nothing is decided."""
    verdict = decide("d", [TABLE], RULE, barred=dict.fromkeys(TABLE, "wrong"))
    assert (verdict.winner, verdict.decided, verdict.tied) == (None, False, ())
    assert [one.strategy for one in verdict.ranking] == ["own", "good", "bad"]
    assert "none passes the gates" in verdict.outcome
    assert "own is barred: wrong." in str(verdict)


def test_the_only_open_strategy_is_not_called_decided() -> None:
    """Where one strategy is left, nothing was compared, and the verdict says so."""
    verdict = decide("d", [TABLE], RULE, barred={"own": "a", "bad": "b"})
    assert verdict.is_alone
    assert "good is the only strategy that may be recommended" in verdict.outcome
    assert "resamples" not in verdict.outcome


def test_over_several_datasets_barred_strategies_are_last_by_rank_too() -> None:
    """The best mean rank of a barred strategy names no other winner."""
    verdict = decide("overall", [TABLE, TABLE], RULE, barred=WHY)
    assert verdict.winner == "good"
    assert not verdict.datasets_disagree


def test_a_tie_says_what_it_rules_out() -> None:
    """The interval of the ratio is 0.9 to 1.2 or so: at most that far apart, and in words."""
    table = {"a": scores(1.0, 4), "b": scores(1.01, 5)}
    verdict = decide("d", [table], RULE)
    (tied,) = [one for one in verdict.ranking if one.strategy in verdict.tied]
    assert tied.difference_low is not None
    assert tied.difference_high is not None
    most = max(tied.difference_high, 1 / tied.difference_low) - 1
    assert f"(at most {100 * most:.2f} % apart)" in verdict.outcome


def laps_of(barred: tuple[str, ...]) -> list[tuple[int, str | None, tuple[str, ...]]]:
    running = race(tuple(TABLE), 40, RULE, barred)
    batch = next(running)
    while True:
        values = {
            name: {f"e{i}": TABLE[name][f"e{i}"] for i in range(batch.start, batch.stop)}
            for name in batch.strategies
        }
        try:
            batch = running.send(BatchScores(values))
        except StopIteration as done:
            return [(lap.examples, lap.leader, lap.dropped) for lap in done.value]


def test_a_barred_strategy_drops_nobody_from_a_race() -> None:
    """Its better scores would drop the others. It is out after the first lap instead."""
    assert laps_of(()) == [(12, "own", ("good", "bad"))]
    assert laps_of(("own",)) == [(12, "good", ("bad", "own"))]
    assert laps_of(tuple(TABLE)) == laps_of(())
