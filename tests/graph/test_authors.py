"""Who wrote a strategy's texts, and when that is the target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from respsel.backends.fingerprint import fingerprint, is_same
from respsel.graph.authors import _bare
from tests.conftest import Bench

pytest.importorskip("gguf")

OWN_FILE = """
[[strategies]]
name = "own"
from = "column"
column = "rationale"
written_by = "{who}"
"""


def authors(bench: Bench) -> dict[str, str]:
    """By strategy, what the report shows in its column."""
    bench.run()
    told = json.loads((bench.folder / "runs/a/report.json").read_text())["datasets"][0]["facts"]
    return {item["strategy"]: item["author"] for item in told}


def test_a_strategy_of_the_targets_model_is_the_targets(bench: Bench) -> None:
    """Also under another name of the same model."""
    bench.edit(
        '[models.teacher]\nbackend = "fake"\nvariant = "teacher"',
        '[models.teacher]\nbackend = "fake"',
    )
    assert authors(bench) == {"human": "–", "teacher": "teacher (the target)"}


@pytest.mark.parametrize(
    ("who", "shown"),
    [
        ("target", "target (the target)"),
        ("Target", "Target (the target)"),
        ("teacher", "teacher"),
        ("gpt-4o", "gpt-4o"),
    ],
)
def test_who_wrote_given_texts_is_what_the_user_says(bench: Bench, who: str, shown: str) -> None:
    """A name of models is that model; any other name is shown as it is."""
    bench.edit("[own_outputs]", OWN_FILE.format(who=who) + "\n[own_outputs]")
    assert authors(bench)["own"] == shown


def test_what_is_likely_to_be_a_typing_error_is_one(bench: Bench) -> None:
    """A name that is nearly the target's would hide who wrote the texts."""
    bench.edit("[own_outputs]", OWN_FILE.format(who="targt") + "\n[own_outputs]")
    done = bench.respsel("plan", "a.toml")
    assert done.code == 2
    assert "written_by: 'targt' is not a model" in done.err
    assert "Did you mean 'target'?" in done.err


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m-instruct-q4_k_m.gguf"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "unsloth/SmolLM2-135M-Instruct-bnb-4bit"),
        ("Qwen/Qwen2.5-7B-Instruct-AWQ", "Qwen2.5-7B-Instruct-GPTQ-Int4"),
        ("llama3.1:8b-instruct-q8_0", "llama3.1:8b-instruct-fp16"),
        ("Qwen3-4B-UD-Q4_K_XL.gguf", "/models/Qwen3-4B"),
        ("phi-3-mini.w4a16", "microsoft/Phi-3-mini"),
    ],
)
def test_a_name_tells_a_model_from_how_it_is_stored(one: str, other: str) -> None:
    """Quantisations of the same weights have the same name without their suffixes."""
    assert _bare(one) == _bare(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [("gpt-4o", "gpt-4o-mini"), ("Qwen3-4B", "Qwen3-8B"), ("llama3.1:8b", "llama3.1:70b")],
)
def test_other_models_have_other_names(one: str, other: str) -> None:
    """Sizes and versions are no suffixes of storage."""
    assert _bare(one) != _bare(other)


@pytest.mark.parametrize("name", ["model.gguf", "weights-f16.gguf", "teacher", "q4_0.gguf"])
def test_names_that_anyone_has_name_no_model(name: str) -> None:
    """A file called model.gguf says nothing of whose weights it holds."""
    assert _bare(name) == ""


def gguf_with(path: Path, norms: list[list[float]], kind: str = "f32") -> Path:
    """A GGUF that holds these norms, and a matrix of another type."""
    import gguf
    import numpy as np

    made = gguf.GGUFWriter(str(path), "llama")
    for i, values in enumerate(norms):
        made.add_tensor(f"blk.{i}.attn_norm.weight", np.array(values, np.float32))
    matrix = np.ones((2, 32), np.float32 if kind == "f32" else np.float16)
    made.add_tensor("blk.0.attn_q.weight", matrix)
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()
    return path


NORMS = [[1.0, 2.0, 0.5], [0.25, 3.0, 1.5]]


def test_norms_tell_whose_weights_a_file_holds(tmp_path: Path) -> None:
    """The same norms beside matrices of another type are the same weights; others are not."""
    one = fingerprint(gguf_with(tmp_path / "a.gguf", NORMS))
    other = fingerprint(gguf_with(tmp_path / "b.gguf", NORMS, "f16"))
    tuned = fingerprint(gguf_with(tmp_path / "c.gguf", [[1.0, 2.0, 0.75], [0.25, 3.0, 1.25]]))
    assert len(one) == 2
    assert is_same(one, other)
    assert not is_same(one, tuned)


def test_norms_that_say_nothing_are_nobodys(tmp_path: Path) -> None:
    """An untrained model's norms are all ones; a file that is none has no fingerprint."""
    blank = fingerprint(gguf_with(tmp_path / "a.gguf", [[1.0, 1.0], [1.0, 1.0]]))
    assert not is_same(blank, blank)
    damaged = tmp_path / "b.gguf"
    damaged.write_bytes((tmp_path / "a.gguf").read_bytes()[:60])
    assert fingerprint(damaged) == fingerprint(tmp_path / "none.gguf") == frozenset()


@pytest.mark.parametrize("model_type", ["llama", "gemma3_text"])
def test_safetensors_and_gguf_of_one_model_have_one_fingerprint(
    tmp_path: Path, model_type: str
) -> None:
    """Bfloat16 norms are the GGUF's in float32; a GGUF of Gemma holds them plus one."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(f'{{"model_type": "{model_type}"}}')
    more = 1.0 if model_type.startswith("gemma") else 0.0
    tensors = {
        f"model.layers.{i}.input_layernorm.weight": torch.tensor(values).bfloat16()
        for i, values in enumerate(NORMS)
    }
    save_file(tensors, str(folder / "model.safetensors"))
    stored = [[value + more for value in values] for values in NORMS]
    assert is_same(fingerprint(folder), fingerprint(gguf_with(tmp_path / "a.gguf", stored)))
