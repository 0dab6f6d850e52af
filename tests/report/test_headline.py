"""The first screen's answers, on scores that are in columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from respsel.data.prompts import shows_label
from respsel.recipe.schema import DatasetEntry, ModelStrategy
from respsel.report.headline import _has, _how_to_add
from respsel.selection.race_rule import FIRST
from tests.conftest import Bench, jsonl

HEAD = """\
format = 1
target = { model = "target" }

[models.target]
backend = "fake"

[[metrics]]
name = "reward"
column = "{strategy}_reward"

[selection]
resamples = 500
"""
STRATEGY = '\n[[strategies]]\nname = "{0}"\nfrom = "column"\ncolumn = "{0}"\n'
DATASET = '\n[[datasets]]\nname = "{0}"\npath = "{0}.jsonl"\n'

# By strategy: its rewards, and how long its responses are.
Columns = Mapping[str, tuple[Sequence[float | None], int]]


def headline(bench: Bench, datasets: Mapping[str, Columns]) -> Any:
    """What the first screen says of a recipe with these datasets."""
    strategies = list(next(iter(datasets.values())))
    bench.write(
        "a.toml",
        HEAD + "".join(map(STRATEGY.format, strategies)) + "".join(map(DATASET.format, datasets)),
    )
    for name, columns in datasets.items():
        count = len(next(iter(columns.values()))[0])
        made: list[dict[str, Any]] = [
            {"id": f"{name}{i}", "input": f"What is {i}?"} for i in range(count)
        ]
        for strategy, (rewards, length) in columns.items():
            for row, value in zip(made, rewards, strict=True):
                row |= {strategy: "x" * length, f"{strategy}_reward": value}
        bench.write(f"{name}.jsonl", jsonl(made))
    bench.run()
    return json.loads((bench.folder / "runs/a/report.json").read_text())["headline"]


def about(mean: float, count: int) -> list[float | None]:
    """Rewards around a mean that differ from example to example."""
    return [mean + (i * 7 % 5 - 2) / 10 for i in range(count)]


def test_several_datasets_ask_for_examples_in_each(bench: Bench) -> None:
    """`sample` is each dataset's own, so numbers of examples are given for each, and none is
    compared with a total.
    """
    few: Columns = {"s0": (about(1.0, 8), 9), "s1": (about(0.0, 8)[::-1], 9)}
    said = headline(bench, {"d": few, "e": few})
    assert "over 16 examples of 2 datasets" in said["how_sure"]
    assert "fewer than 12 examples of a dataset decide nothing" in said["how_sure"]
    assert said["next_step"].startswith(
        "Take at least 12 examples in each dataset, and d and e have only 8 and 8: add examples to "
        "d and e and run again."
    )


def test_a_number_of_examples_that_would_decide_is_each_datasets(bench: Bench) -> None:
    """Twice the examples of two datasets of 30 are 60 in each, not 120."""
    close: Columns = {
        "s0": ([(i % 4) / 10 for i in range(30)], 9),
        "s1": ([((i + 2) % 4) / 10 - 0.05 for i in range(30)], 9),
    }
    said = headline(bench, {"d": close, "e": close})
    alone = headline(
        bench,
        {"d": {name: (list(rewards) * 2, length) for name, (rewards, length) in close.items()}},
    )
    each, all_of_one = (
        int(item["next_step"].split("About ")[1].split()[0]) for item in (said, alone)
    )
    assert "examples in each dataset" in said["next_step"]
    assert each == pytest.approx(all_of_one / 2, rel=0.1)


def test_a_dataset_that_decides_for_another_is_named(bench: Bench) -> None:
    """An overall winner that a single dataset decides against carries a caution; what is longest is
    judged for it alone.
    """
    one: Columns = {"s0": (about(2.0, 30), 9), "s1": (about(0.0, 30)[::-1], 40)}
    other: Columns = {"s0": (about(0.0, 30), 40), "s1": (about(1.0, 30)[::-1], 9)}
    said = headline(bench, {"d": one, "e": other})
    assert said["which"] == "Fine-tune on s0"
    assert any("On its own, e decides for s1." in caution for caution in said["cautions"])
    assert not any("shortest" in caution or "longest" in caution for caution in said["cautions"])


def test_a_leader_that_is_the_shortest_everywhere_is_told(bench: Bench) -> None:
    """Whoever leads in a dataset of its own: the caution is about the one that is recommended."""
    one: Columns = {"s0": (about(2.0, 30), 9), "s1": (about(0.0, 30)[::-1], 40)}
    other: Columns = {"s0": (about(0.0, 30), 9), "s1": (about(0.1, 30)[::-1], 40)}
    said = headline(bench, {"d": one, "e": other})
    assert any("s0 is also the shortest of both" in caution for caution in said["cautions"])


def test_the_dataset_that_compares_nothing_is_named(bench: Bench) -> None:
    """Where only one dataset has no common example, the first screen says which."""
    whole: Columns = {"s0": (about(1.0, 20), 9), "s1": (about(0.0, 20)[::-1], 9)}
    none: Columns = {"s0": ([1.0, None] * 10, 9), "s1": ([None, 1.0] * 10, 9)}
    said = headline(bench, {"d": whole, "e": none})
    assert said["which"] == "No strategy can be ranked"
    assert said["how_sure"].startswith("No example of e has a score for every strategy")
    assert (
        "A dataset has no example with a score for every strategy."
        in (bench.folder / "runs/a/report.html").read_text()
    )


def test_one_example_tells_nothing(bench: Bench) -> None:
    """No interval of no width, and no advice that follows from one."""
    said = headline(bench, {"d": {"s0": ([1.0], 9), "s1": ([0.5], 9)}})
    assert said["next_step"].startswith("Take 24 examples or more: from 1 it cannot be told")
    # There may be no more examples: a second command goes on with the leader.
    assert said["next_step"].endswith("apply the leader, undecided.")
    assert said["command"].splitlines() == [
        "respsel run a.toml",
        "respsel apply a.toml --accept-undecided",
    ]
    (_, line, *_) = bench.respsel("run", "a.toml").out.splitlines()[1:]
    assert "1.00" in line
    assert "1.00 – 1.00" not in line


@pytest.mark.parametrize("close", [False, True])
def test_one_command_applies_all_datasets(bench: Bench, close: bool) -> None:
    """Where strategies are for some datasets only, no command overrides what a dataset has decided,
    and none is refused.
    """
    clear: Columns = {"s0": (about(1.0, 30), 9), "s1": (about(0.0, 30)[::-1], 9)}
    tied: Columns = {"s0": (about(0.06 * close, 30), 9), "s1": (about(0.0, 30)[::-1], 9)}
    headline(bench, {"d": clear, "e": tied})
    third = STRATEGY.format("s2").replace('column = "s2"', 'column = "s1"\ndatasets = ["d"]')
    bench.write("a.toml", bench.recipe.read_text() + third)
    data = [json.loads(line) for line in (bench.folder / "d.jsonl").read_text().splitlines()]
    bench.write("d.jsonl", jsonl([{**row, "s2_reward": 0.0} for row in data]))
    bench.run()
    said = json.loads((bench.folder / "runs/a/report.json").read_text())["headline"]
    assert said["which"].startswith("d: Fine-tune on s0; e: No clear winner yet")
    if close:
        assert said["next_step"].startswith("d: It waits for the others. e: About ")
        assert said["command"] == "respsel run a.toml"
        return
    assert said["next_step"].startswith("d: It is applied with the others. e: Choose between")
    assert said["command"] == "respsel apply a.toml --accept-undecided"
    assert bench.respsel(*said["command"].split()[1:]).code == 0


def test_commands_are_quoted(bench: Bench) -> None:
    """A recipe in a folder with a space is one word of the command."""
    headline(bench, {"d": {"s0": (about(1.0, 30), 9), "s1": (about(0.0, 30)[::-1], 9)}})
    for name in ("a.toml", "d.jsonl"):
        bench.write(f"my recipes/{name}", (bench.folder / name).read_bytes())
    done = bench.respsel("run", "my recipes/a.toml")
    assert "respsel apply 'my recipes/a.toml'" in done.out


@pytest.mark.parametrize(
    ("prompt", "system", "shows"),
    [
        ("Solve {{ input }}", None, False),
        ("Solve {{ input }}: {{ label }}", None, True),
        ("{{ right }}", None, True),
        ("{{ input }}", "It is {{ right }}", True),
        ("{{ reference }}", None, False),
    ],
)
def test_a_prompt_shows_the_label_however_it_is_named(
    prompt: str, system: str | None, shows: bool
) -> None:
    """By the row's own column and in the system prompt, too; as the reference, if that is the same
    column.
    """
    entry = ModelStrategy.model_validate(
        {"name": "told", "from": "model", "model": "m", "prompt": prompt, "system": system}
    )
    dataset = DatasetEntry(name="d", path="d.jsonl", label="right", reference="rationale")
    assert shows_label(entry, dataset) is shows
    assert shows_label(entry, dataset.model_copy(update={"reference": "right"})) is (
        shows or "reference" in prompt
    )
    assert not shows_label(entry, dataset.model_copy(update={"label": None, "reference": None}))


@pytest.mark.parametrize(
    ("prompt", "fields", "shows"),
    [
        ("{{ answers.text[0] }}", {"label": "answers.text"}, True),
        ("{{ input }}", {"label": "right", "input": "{{ question }} ({{ right }})"}, True),
        ("{{ input }}", {"label": "right", "input": "{{ question }}\n{{ hint }}"}, False),
        ("{{ reference }}", {"label": "right", "reference": "It is {{ right }}"}, True),
        ("{{ input }}", {"label": "messages.1.content", "input": "messages.0.content"}, False),
        ("{{ reference }}", {"label": "answers", "reference": "answers.0"}, True),
    ],
)
def test_a_prompt_shows_a_label_that_a_path_or_a_template_takes(
    prompt: str, fields: dict[str, str], shows: bool
) -> None:
    """A part of a column, and a template that has the label's column in it, show it too; another
    part does not.
    """
    entry = ModelStrategy.model_validate(
        {"name": "told", "from": "model", "model": "m", "prompt": prompt}
    )
    assert (
        shows_label(entry, DatasetEntry.model_validate({"name": "d", "path": "d.jsonl", **fields}))
        is shows
    )


def test_a_race_that_ended_early_is_not_sent_for_more_examples(bench: Bench) -> None:
    """More examples begin with the same laps: what helps is to score all."""
    bench.write(
        "a.toml",
        HEAD.replace(
            'name = "reward"\ncolumn = "{strategy}_reward"', 'name = "perplexity"'
        ).replace("resamples", 'budget = "race"\nconfidence = 0.9999\nresamples')
        + "".join(map(STRATEGY.format, ("s0", "s1")))
        + DATASET.format("d"),
    )
    made = [
        {
            "id": f"d{i}",
            "input": f"What is {i}?",
            "s0": f"{i} and {i}",
            "s1": f"{i} or {i * 7 % 13}",
        }
        for i in range(40)
    ]
    bench.write("d.jsonl", jsonl(made))
    bench.run()
    data = json.loads((bench.folder / "runs/a/report.json").read_text())
    assert data["datasets"][0]["race"]["laps"][-1]["examples"] == FIRST
    assert not data["headline"]["decided"]
    assert 'set selection.budget = "all"' in data["headline"]["next_step"]


@pytest.mark.parametrize(
    ("sizes", "samples", "has", "how"),
    [
        ([500], [30], "the dataset has 500", "raise 'sample' to 140 and run again."),
        ([30], [None], "the dataset has only 30", "add examples to it and run again."),
        ([1], [9], "the dataset has only 1", "add examples to it, raise 'sample' to 140 and"),
        ([500, 500], [30, 40], "each has so many", "raise 'sample' of d0 and d1 to 140 and"),
        ([500, 9], [30, None], "d1 has only 9", "add examples to d1, raise 'sample' of d0 to 140"),
        ([140], [140], "the dataset has 140", "fix what was not scored, or add examples and"),
    ],
)
def test_needed_examples_are_compared_with_the_datasets(
    sizes: list[int], samples: list[int | None], has: str, how: str
) -> None:
    """What is asked for is possible: more of what is there, or more examples."""
    entries = [
        DatasetEntry(name=f"d{i}", path="d.jsonl", sample=sample)
        for i, sample in enumerate(samples)
    ]
    by_name = {entry.name: size for entry, size in zip(entries, sizes, strict=True)}
    loaded = SimpleNamespace(variant=SimpleNamespace(limit=None))
    result = SimpleNamespace(graph=SimpleNamespace(loaded=loaded))
    facts: Any = SimpleNamespace(datasets=entries, size=by_name.__getitem__, result=result)
    assert _has(facts, 140) == has
    assert _how_to_add(facts, 140).startswith(how)
