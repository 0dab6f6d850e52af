"""A large run: what it holds in memory is bounded, or a few bytes a response."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from respsel.backends.fake import FakeModel
from respsel.calls.caller import Caller
from respsel.calls.lazy import Lazy
from respsel.calls.requests import GenerateRequest
from respsel.data.prompts import render
from respsel.recipe.places import plain_place
from respsel.recipe.schema import ModelStrategy
from respsel.records import Example, Message, Response, Sampling
from respsel.report.analysis.confounds import find_confounds
from respsel.report.analysis.score_matrix import Lengths
from respsel.selection.statistics import estimate
from respsel.store.store import Store
from respsel.strategies.model import model_responses
from respsel.tables.kinds import RESPONSES
from tests.conftest import RECIPE, Bench, jsonl, rows

SAMPLING = Sampling(0.0, 1.0, 0, 0.0, 50)


def peak_mib(work: Callable[[], object]) -> float:
    """The most memory that is allocated at once while work is done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def verdict(examples: int) -> object:
    scores = np.random.default_rng(1).normal(size=(examples, 4))
    return estimate(scores, np.ones_like(scores), 0, 200, np.random.default_rng(2))


def length(examples: int) -> object:
    stream = np.random.default_rng(1)
    scores = stream.normal(size=(examples, 4))
    sizes = np.exp(stream.normal(size=(examples, 4)))
    lengths = Lengths("tokens", sizes, np.ones_like(sizes))
    return find_confounds(
        "abcd", scores, lengths, (None,) * 4, log=False, lower=True, confidence=0.95
    )


@pytest.mark.parametrize("draws", [verdict, length])
def test_drawing_examples_anew_takes_no_memory_for_each_draw(
    draws: Callable[[int], object],
) -> None:
    """A verdict and the regression on length over 10,000 examples take a few MiB; all their draws
    at once took over 100.
    """
    assert peak_mib(lambda: draws(10_000)) < 25


def test_prompts_are_made_when_they_are_asked() -> None:
    """3,000 prompts of 10 kB, 30 MB together, are never in memory at once."""
    examples = [Example(f"e{i}", "q", "x" * 10_000) for i in range(3000)]
    entry = ModelStrategy.model_validate(
        {"name": "s", "from": "model", "model": "m", "prompt": "{{ id }}: {{ reference }}"}
    )

    def ask() -> None:
        requests = next(
            model_responses(
                entry, SAMPLING, 0, examples, None, plain_place("a.toml", "strategies", 0)
            )
        )
        assert len(requests) == len(examples)
        assert all(len(request.messages[0].content) > 10_000 for request in requests)

    assert peak_mib(ask) < 5


def test_a_template_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts of 100 examples compile their template once: that takes ten times as long as filling
    it in.
    """
    from jinja2 import Environment

    compiled = []
    compile_one = Environment.compile

    def count(self: Environment, source: str, *more: object) -> object:
        compiled.append(source)
        return compile_one(self, source, *more)  # type: ignore[call-overload]

    monkeypatch.setattr(Environment, "compile", count)
    texts = [
        render(
            "{% if input %}once {{ input }}{% endif %}",
            Example(f"e{i}", f"q{i}"),
            plain_place("a.toml", ""),
        )
        for i in range(100)
    ]
    assert texts[99] == "once q99"
    assert len(compiled) == 1


class _Models:
    """One fake model, which is also who watches the calls."""

    def identity(self, name: str) -> str:
        return "fake"

    def open(self, name: str) -> FakeModel:
        return FakeModel("", 4096)

    def calls_wanted(self, *told: object) -> None: ...
    def call_made(self, *told: object) -> None: ...
    def waits_for(self, *told: object) -> None: ...


def test_requests_that_are_open_take_a_few_bytes_each(tmp_path: Path) -> None:
    """What is noted of requests until they are answered is under 400 bytes each, a third of it for
    the store's `uses`.
    """
    seen = []

    def request(index: int) -> GenerateRequest:
        return GenerateRequest(
            "m", (Message("user", f"ask {index}"),), SAMPLING, "response", 0, 0, "", str(index)
        )

    def stop(*told: object) -> None:
        seen.append(tracemalloc.get_traced_memory()[0])
        raise InterruptedError

    models = _Models()
    models.calls_wanted = stop  # type: ignore[method-assign]
    with Store(tmp_path / "cache") as store:
        # What the first request loads is no cost of a request, and depends on the tests before.
        with pytest.raises(InterruptedError):
            Caller(store, models, models).look_up(Lazy(1, request)).answers()
        tracemalloc.start()
        try:
            with pytest.raises(InterruptedError):
                Caller(store, models, models).look_up(Lazy(4000, request)).answers()
        finally:
            tracemalloc.stop()
    assert seen[1] / 4000 < 400


def test_a_table_is_read_by_columns(tmp_path: Path) -> None:
    """Some columns of a table are read without the others; what an earlier version's table lacks is
    left out.
    """
    made = [Response(f"e{i}", f"text {i}") for i in range(5000)]
    data = RESPONSES.pack(made).data
    assert RESPONSES.read(data, ["text", "id", "later"]).columns == ["id", "text"]
    assert RESPONSES.read(data).columns == list(RESPONSES.column_types)
    assert list(RESPONSES.decode(data)) == made


def test_a_first_run_loads_no_library_for_a_few_lines(tmp_path: Path) -> None:
    """A run on the fake backend and its report load neither an engine nor scipy.stats, which takes
    50 MiB.
    """
    bench = Bench(tmp_path)
    # With three strategies the report also ranks the responses of each example.
    third = (
        '[[strategies]]\nname = "self"\nfrom = "model"\nmodel = "target"\nprompt = "Say {{ '
        'input }}"\n\n[own_outputs]'
    )
    bench.write(
        "a.toml", RECIPE.replace("sample = 6", "sample = 20").replace("[own_outputs]", third)
    )
    bench.write("sums.jsonl", jsonl(rows(24)))
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom respsel.cli import app\n"
        "assert CliRunner().invoke(app, ['run', 'a.toml']).exit_code == 0\n"
        "print([m for m in ('torch', 'llama_cpp', 'transformers', 'pyarrow', 'pandas', "
        "'scipy.stats') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"
