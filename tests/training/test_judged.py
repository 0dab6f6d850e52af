"""What the judge leaves out of a training set."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import respsel
from respsel.training.apply import Wish
from tests.conftest import Bench, jsonl, rows
from tests.judges import teach_the_fake, with_judge

LEAST = "[training]\nleast_reward = 5\n"


@pytest.fixture
def judged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Of the human's 12 responses, every third has no equals sign, so that the judge gives it 2."""
    teach_the_fake(monkeypatch)
    made = rows(12)
    for row in made[::3]:
        row["rationale"] = f"It is {row['answer']}"
    bench.write("sums.jsonl", jsonl(made))
    with_judge(bench, LEAST)
    with respsel.open_study(bench.recipe) as study:
        study.run()
    return bench


def counts(made: respsel.TrainingSet) -> Any:
    (only,) = made.counts
    return only.kept, dict(only.dropped)


def test_what_is_judged_below_is_left_out_of_the_whole_set(judged: Bench) -> None:
    """All 12 are judged, the 6 of the sample from the store; 4 are below, and the card says so."""
    with respsel.open_study(judged.recipe) as study:
        plan = study.plan(study.select(Wish(strategy="human")))
        assert {step.name: step.calls for step in plan.steps}["rewards:sums/human/judge"] == 6
        made = study.apply("human")
    assert made.run.calls_made == 6
    assert counts(made.training_set) == (8, {"judged below 5": 4})
    folder = made.training_set.folder
    assert all("=" in text for text in pl.read_parquet(folder / "train.parquet")["response"])
    assert "judged below 5 4" in (folder / "README.md").read_text()
    assert "judged the responses" in (folder / "README.md").read_text()


def test_without_a_least_reward_nothing_is_judged_for_a_set(judged: Bench) -> None:
    """Then the set is as large as without a judge, and takes no call."""
    judged.edit(LEAST, "")
    with respsel.open_study(judged.recipe) as study:
        made = study.apply("human")
    assert made.run.calls_made == 0
    assert counts(made.training_set) == (12, {})


def test_a_response_without_a_score_is_left_out_under_its_reason(
    judged: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows how good it is."""
    monkeypatch.setattr("tests.judges.verdict_on", lambda prompt: "It is fine.")
    judged.edit("It gives the right sum.", "It is fine.")
    with respsel.open_study(judged.recipe) as study:
        study.run()
        with pytest.raises(respsel.InputError, match="not judged: the judge gave no number 12"):
            study.apply("human")


def test_the_best_of_all_is_one_that_the_judge_keeps(judged: Bench) -> None:
    """In mixtures and pairs it is never chosen, but the worst of a pair may be judged below."""
    with respsel.open_study(judged.recipe) as study:
        study.apply(mode="per-example")
        mixed, pairs = study.export("messages", "dpo", mode="per-example")
    # The teacher never writes an equals sign, so only the human's 8 are above 5.
    kept, dropped = counts(mixed)
    assert (kept, dropped) == (8, {"judged below 5": 4})
    assert mixed.counts[0].by_strategy == {"human": 8}
    # A pair needs the human's text to be first by the metric as well.
    assert set(pairs.counts[0].by_strategy) == {"human"}
