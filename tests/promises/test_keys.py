"""Promise: every field that changes an answer changes a key, and nothing else does; planning asks
no model.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.backends.contract import ScoreCall
from respsel.calls.keys import request_key, score_key
from respsel.calls.requests import (
    GenerateRequest,
    RepresentCall,
    RepresentRequest,
    Request,
    ScoreRequest,
)
from respsel.data.sample import mark_of
from respsel.graph import Graph, build_graph
from respsel.metrics.contract import ChosenMetric, Direction
from respsel.metrics.likelihood import IfdParameters
from respsel.records import Message, Sampling
from respsel.store.store import Store
from respsel.study import open_study
from respsel.workspace.loading import load_recipe
from tests.conftest import TAKING, Bench, jsonl, needs, rows

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["user", "system"]), TEXT), min_size=1, max_size=3
).map(tuple)
SAMPLINGS = st.builds(
    Sampling,
    temperature=st.floats(0.01, 2),
    top_p=st.floats(0.01, 1),
    top_k=st.integers(0, 99),
    min_p=st.floats(0, 0.9),
    max_tokens=st.integers(1, 99),
)
MakeGguf = Callable[..., Path]
NUMBERS = st.integers(0, 3)
GENERATE = st.builds(
    GenerateRequest,
    st.just("m"),
    MESSAGES,
    SAMPLINGS,
    st.sampled_from("ab"),
    NUMBERS,
    NUMBERS,
    TEXT,
    TEXT,
)
SCORE = st.builds(
    ScoreRequest, st.just("m"), MESSAGES, TEXT, TEXT, TEXT, st.sampled_from(["fail", "drop"])
)
REPRESENT = st.builds(RepresentRequest, st.just("m"), MESSAGES, TEXT, TEXT, TEXT)
IDS = st.lists(st.integers(0, 300_000), max_size=6).map(tuple)


@given(GENERATE | SCORE | REPRESENT, GENERATE | SCORE | REPRESENT)
def test_requests_share_a_key_only_if_their_answers_are_the_same(
    one: Request, other: Request
) -> None:
    """Two requests have one key exactly if all but the words for errors is the same."""

    def matters(request: Request) -> object:
        if not isinstance(request, GenerateRequest):
            return type(request), request.messages, request.response
        return request.messages, request.sampling, request.stream, request.seed, request.sample

    assert (request_key("i", one) == request_key("i", other)) == (matters(one) == matters(other))


@given(
    GENERATE,
    GENERATE,
    st.sampled_from(["messages", "sampling", "stream", "seed", "sample", "about", "example"]),
)
def test_one_other_field_is_another_key_unless_it_is_words(
    one: GenerateRequest, other: GenerateRequest, field: str
) -> None:
    """With one field taken from another request, the key changes exactly if that field differs and
    matters.
    """
    varied = replace(one, **{field: getattr(other, field)})
    matters = field not in ("about", "example") and getattr(one, field) != getattr(other, field)
    assert (request_key("i", varied) != request_key("i", one)) == matters


@given(IDS, IDS, IDS, IDS)
def test_calls_share_a_key_only_if_their_tokens_are_the_same(
    a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...], d: tuple[int, ...]
) -> None:
    """Prompt and response ids are both in the key, and do not run together."""
    assert (score_key("i", ScoreCall(a, b)) == score_key("i", ScoreCall(c, d))) == (
        (a, b) == (c, d)
    )
    assert score_key("i", ScoreCall(a, b)) != score_key("i", RepresentCall(a, b))


def step_keys(graph: Graph) -> dict[str, str]:
    return {name: step.key(["input"] * len(step.inputs)) for name, step in graph.steps.items()}


def keys(bench: Bench) -> dict[str, str]:
    with Store(bench.folder / "cache") as store:
        return step_keys(build_graph(load_recipe(bench.recipe), store))


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("Solve:", "Solve", {"responses:sums/teacher"}),
        ('variant = "teacher"', 'variant = "t"', {"responses:sums/teacher"}),
        (
            'prompt = "Solve: {{ input }}"',
            'prompt = "Solve: {{ input }}"\nsystem = "s"',
            {"responses:sums/teacher"},
        ),
        (
            'prompt = "Solve: {{ input }}"',
            'prompt = "Solve: {{ input }}"\nattempts = 2',
            {"responses:sums/teacher"},
        ),
        (
            'prompt = "Solve: {{ input }}"',
            'prompt = "Solve: {{ input }}"\nif_wrong = "drop"',
            {"responses:sums/teacher"},
        ),
        (
            'prompt = "Solve: {{ input }}"',
            'prompt = "Solve: {{ input }}"\nsampling = { seed = 1 }',
            {"responses:sums/teacher"},
        ),
        ('column = "rationale"', 'column = "answer"', {"responses:sums/human"}),
        ("samples = 2", "samples = 3", {"own-outputs:sums"}),
        ("samples = 2", 'samples = 2\nkeep = "correct"', {"own-outputs:sums"}),
        ("sample = 6", "sample = 7", {"examples:sums"}),
        ("resamples = 500", "confidence = 0.9\nresamples = 500", {"gates:sums", "verdict:sums"}),
        (
            'variant = "teacher"',
            'variant = "teacher"\nthreads = 7\nparallel = 3\ncontext_tokens = 99',
            set(),
        ),
        ("format = 1", "format = 1 # a comment", set()),
    ],
)
def test_a_recipe_field_changes_the_keys_that_it_must_and_no_other(
    bench: Bench, old: str, new: str, changed: set[str]
) -> None:
    """Step keys, apart from their inputs, change exactly where the field changes the output."""
    before = keys(bench)
    bench.edit(old, new)
    after = keys(bench)
    assert {name for name in after if after[name] != before[name]} == changed


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("Solve:", "Solve", {"teacher", "teacher@1", "teacher@2"}),
        ('name = "mixed"', 'name = "mixed"\nif_wrong = "drop"', {"mixed"}),
        ('name = "chosen"', 'name = "chosen"\nif_wrong = "drop"', {"chosen"}),
        # Attempts and if_wrong are of the strategy itself, and draws have none.
        ('{{ input }}"', '{{ input }}"\nattempts = 2\nif_wrong = "drop"', {"teacher"}),
        # Gates know by what texts were chosen.
        ('by = "perplexity"', 'by = "alignment"', {"chosen", "gates:sums"}),
        ('of = ["teacher", "human"]\nn = 2', 'of = ["human", "teacher"]\nn = 2', {"chosen"}),
    ],
)
def test_what_is_taken_from_others_has_the_keys_that_it_must(
    bench: Bench, old: str, new: str, changed: set[str]
) -> None:
    """The first draw has the key of the strategy's only attempt, and no more is in the others."""
    bench.edit("[own_outputs]", TAKING)
    before = keys(bench)
    assert before["responses:sums/teacher@1"] == before["responses:sums/teacher"]
    assert before["responses:sums/teacher@2"] != before["responses:sums/teacher"]
    bench.edit(old, new)
    after = keys(bench)
    both = {*before} & {*after}
    assert {
        name.removeprefix("responses:sums/") for name in both if after[name] != before[name]
    } == (changed)


_READ = {"examples:sums", "dataset-size:sums"}
_CHATS = {*_READ, "responses:sums/human", "responses:sums/teacher"}


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ('messages = "m"', 'messages = "n"', _CHATS),
        ('messages = "m"', 'messages = "m"\ntrain = "every"', _CHATS),
        ('messages = "m"', 'messages = "m"\ntrain = "mask"', _CHATS),
        # What of a chat a response does not go by is in the examples alone.
        ('messages = "m"', 'messages = "m"\nsystem = "s"', _READ),
        ('messages = "m"', 'messages = "m"\ntools = "t"', _READ),
        ('messages = "m"', 'messages = "m"\ntools = [{ name = "f" }]', _READ),
        ('model = "target"', 'model = "target"\nsystem = "s"', _READ),
        ('column = "rationale"', 'column = "m"', {"examples:sums", "responses:sums/human"}),
    ],
)
def test_what_is_said_of_chats_is_in_the_keys_that_it_must(
    bench: Bench, old: str, new: str, changed: set[str]
) -> None:
    """Chats are the examples' own, and what is trained of a response is the responses', too."""
    bench.edit('input = "question"', 'messages = "m"')
    before = keys(bench)
    bench.edit(old, new)
    after = keys(bench)
    assert {name for name in after if after[name] != before[name]} == changed


def test_a_metrics_direction_is_in_every_key_that_goes_by_it(bench: Bench) -> None:
    """Of a metric that a recipe may turn round, the race, the choices and the verdict go by the
    direction, and no score does.
    """
    bench.edit("[selection]", '[selection]\nbudget = "race"\nmode = "per-example"')
    plain = keys(bench)
    loaded = load_recipe(bench.recipe)

    def turned(direction: Direction) -> dict[str, str]:
        metric, *others = loaded.metrics
        mine = ChosenMetric(
            metric.label,
            replace(metric.metric, parameters=IfdParameters),
            IfdParameters(direction=direction),
        )
        with Store(bench.folder / "cache") as store:
            return step_keys(build_graph(replace(loaded, metrics=[mine, *others]), store))

    assert turned("lower") == plain
    assert {name for name, key in turned("higher").items() if key != plain[name]} == {
        "race:sums",
        "choices:sums",
        "verdict:sums",
    }


def test_moving_the_folder_changes_nothing(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Paths are in no key."""
    bench.run()
    there = Bench(tmp_path_factory.mktemp("moved") / "x")
    shutil.copytree(bench.folder, there.folder)
    assert (there.run()["steps_run"], there.run()["calls_made"]) == (0, 0)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_hash_seed_is_in_no_key(bench: Bench, seed: str) -> None:
    """Python's hash randomisation changes no key, call or verdict."""
    first = bench.run()
    done = bench.respsel("run", "a.toml", "--json", env={"PYTHONHASHSEED": seed})
    assert (done.json["steps_run"], done.json["verdicts"]) == (0, first["verdicts"])


NO_MODEL = """
import sys
import respsel.backends.opening as opening
def refuse(*args):
    raise AssertionError("a model was opened")
opening.open_model = refuse
import respsel.backends.open_models
respsel.backends.open_models.open_model = refuse
from respsel.cli import app
sys.argv = ["respsel", *{args}]
app()
"""


@pytest.mark.parametrize(
    "args", [["plan", "a.toml"], ["explain", "a.toml"], ["run", "a.toml", "--json"]]
)
def test_planning_and_cached_runs_open_no_model(bench: Bench, args: list[str]) -> None:
    """plan and explain, of a new recipe too, and a fully cached run work with a backend that only
    raises.
    """

    def refused() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", NO_MODEL.format(args=args)]
        return subprocess.run(
            command,
            cwd=bench.folder,
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ),
        )

    if args[0] != "run":
        assert refused().returncode == 0, refused().stderr
    else:
        assert refused().returncode == 70
    bench.run()
    done = refused()
    assert done.returncode == 0, done.stderr


FAILING = """
import sys
import numpy as np
from respsel.backends import fake
from respsel.backends.contract import Failure, Generation
from respsel.records import TokenScores
generate, score = fake.FakeModel.generate, fake.FakeModel.score
def empty(self, calls):
    for index, made in generate(self, calls):
        odd = {0: Failure("out of memory"), 1: Generation("", 0, False)}
        yield index, odd.get(index % 4, made)
def infinite(self, calls):
    for index, made in score(self, calls):
        bad = TokenScores(made.token_ids, np.full_like(made.nll, np.nan), made.rank, made.entropy)
        yield index, Failure("out of memory") if index % 6 == 3 else bad if index % 6 == 0 else made
fake.FakeModel.generate, fake.FakeModel.score = empty, infinite
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml", "--json"]
app()
"""


def stored_calls(bench: Bench) -> list[Any]:
    """What the store holds as answers of calls."""
    with Store(bench.folder / "cache") as store:
        return [
            store.load_json(entry.key)
            for entry in store.entries()
            if entry.key and entry.key.startswith("call/")
        ]


def test_failures_empty_texts_and_infinite_scores_are_not_stored_as_answers(bench: Bench) -> None:
    """Of a backend that often fails, writes nothing or scores NaN, the store holds the good
    answers; the rest is named.
    """
    bench.edit("k = 2", "k = 1")
    done = subprocess.run(
        [sys.executable, "-c", FAILING],
        cwd=bench.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    records = stored_calls(bench)
    assert len(records) < 42
    assert all(record["text"] if "text" in record else record["nll"] for record in records)
    page = Path(bench.folder / "runs/a/report.json").read_text()
    assert "the model wrote nothing" in page
    assert "a score is not a finite number" in page
    assert "the call failed: out of memory" in page
    # A healthy backend is asked for what failed, and only for that.
    healthy = bench.run()
    assert healthy["calls_made"] > 0
    assert healthy["verdicts"][0]["unscored"] == {"human": 0, "teacher": 0}
    assert bench.run()["steps_run"] == 0


@needs("llama_cpp", "gguf")
@pytest.mark.parametrize("how", ["temperature = 0", "top_k = 5", "top_p = 0.9"])
def test_text_from_logits_that_are_no_numbers_is_never_stored(
    bench: Bench, make_tiny_gguf: MakeGguf, how: str
) -> None:
    """Where a prompt makes the logits NaN, whatever the sampling, the call fails by name and the
    store holds no text for it.
    """
    bench.write(
        "sums.jsonl",
        jsonl(
            [{**row, "question": "~" * (i % 2) + row["question"]} for i, row in enumerate(rows(12))]
        ),
    )
    sampling = f"sampling = {{ {how}, max_tokens = 2 }}"
    teacher = f'backend = "llama-cpp"\npath = "{make_tiny_gguf(broken=ord("~"))}"\n{sampling}'
    bench.edit('backend = "fake"\nvariant = "teacher"', teacher)
    bench.run()
    made = pl.read_parquet(bench.folder / "runs/a/responses.parquet").filter(strategy="teacher")
    broken = made.filter(pl.col("input").str.contains("~"))
    assert len(broken) > 1
    assert set(broken["text"]) == {""}
    assert set(broken["problem"]) == {"the call failed: the model's logits are not finite numbers"}
    texts = [record for record in stored_calls(bench) if "text" in record]
    assert len(texts) == len([text for text in made["text"] if text]) + 2 * len(made)


SILENT = """
import sys
from respsel.backends import fake
from respsel.backends.contract import Generation
generate = fake.FakeModel.generate
def silent(self, calls):
    for index, made in generate(self, calls):
        judges = calls[index].messages[0].content.startswith("Rate ")
        yield index, Generation("", 0, False) if judges and index % 2 else made
fake.FakeModel.generate = silent
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml", "--json"]
app()
"""


def test_a_judge_that_says_nothing_is_asked_again(bench: Bench) -> None:
    """An empty judgement is named and is no answer: the next run asks for it, and only for it, once
    more.
    """
    bench.edit(
        "[selection]",
        '[[metrics]]\nname = "reward"\nmodel = "teacher"\nprompt = "Rate {{ response '
        '}}"\n\n[selection]',
    )
    done = subprocess.run(
        [sys.executable, "-c", SILENT],
        cwd=bench.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    def silent() -> int:
        return list(pl.read_parquet(bench.folder / "runs/a/scores.parquet")["problem"]).count(
            "the judge wrote nothing"
        )

    assert silent() == 6
    assert bench.run()["calls_made"] == 6
    assert silent() == 0
    assert bench.run()["steps_run"] == 0


def test_rows_outside_the_sample_run_nothing_that_follows(bench: Bench) -> None:
    """A dataset that grows outside the sample is read once more, and its size is known: no call."""
    bench.run()
    last = max(mark_of(0, row["id"]) for row in rows(12))
    outside = [row for row in rows(99)[12:] if mark_of(0, row["id"]) > last]
    assert outside
    path = bench.folder / "sums.jsonl"
    path.write_text(path.read_text() + jsonl(outside))
    done = bench.run()
    assert (done["calls_made"], done["steps_run"]) == (0, 2)
    with Store(bench.folder / "cache") as store:
        graph = build_graph(load_recipe(bench.recipe), store)
        read = [name for name, step in graph.steps.items() if not step.inputs]
        assert read == ["examples:sums", "dataset-size:sums"]
        assert "dataset-size:sums" not in {
            name for step in graph.steps.values() for name in step.inputs.values()
        }


RAISING = """
import sys
from respsel.backends import fake
generate, made = fake.FakeModel.generate, 0
def failing(self, calls):
    global made
    for index, answer in generate(self, calls):
        if made == 3:
            raise OSError("the engine has crashed")
        made += 1
        yield index, answer
fake.FakeModel.generate = failing
from respsel.cli import app
sys.argv = ["respsel", "run", "a.toml", "--json"]
app()
"""


def test_a_call_that_fails_is_no_answer(bench: Bench) -> None:
    """A backend that crashes in its fourth call has three stored; the next run makes exactly the
    others.
    """
    done = subprocess.run(
        [sys.executable, "-c", RAISING],
        cwd=bench.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "the engine has crashed" in done.stderr
    with Store(bench.folder / "cache") as store:
        assert len(store.keys("call")) == 3
    assert bench.run()["calls_made"] == 42 - 3


# Of the recipe of tests/conftest.py, as they were before there were conversations. A raised version
# of a step changes its own and those behind it, and must be meant.
SINGLE_INPUTS = {
    "examples:sums": "5f23ab5cb6b18367",
    "own-outputs:sums": "af39f35961281abe",
    "responses:sums/human": "85133a597f00fd1e",
    "responses:sums/teacher": "ecb2dd2f7c365973",
    "token-scores:sums/human/plain": "19c01195c97fb296",
    "token-scores:sums/human/self-aligned-2": "5157ca53b64b0c7b",
    "token-scores:sums/teacher/plain": "13a6dc66ceef65f2",
    "token-scores:sums/teacher/self-aligned-2": "f8d12a766225dd8a",
}


def test_a_store_of_single_inputs_stays_good(bench: Bench) -> None:
    """Steps that ask a model, or are asked for, keep their keys bit for bit between versions."""
    bench.run()
    with open_study(bench.recipe) as study:
        result = study.stored_result()
        assert {name: result.key(name)[:16] for name in SINGLE_INPUTS} == SINGLE_INPUTS
