"""The transformers backend: where models come from, what is refused, what becomes of memory that
runs out.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from respsel.backends import registry
from respsel.backends.contract import Failure, GenerateCall, Generation, ScoreCall
from respsel.errors import PreflightError
from respsel.records import Message, Sampling, TokenScores
from tests.conftest import Bench, needs

pytestmark = needs("torch", "transformers", "gguf")
MakeGguf = Callable[..., Path]


def load(weights: Path, prepared: Path | None = None, **settings: Any) -> Any:
    from respsel.backends.transformers.files import Source
    from respsel.backends.transformers.model import Settings, open_model

    source = (
        Source(str(weights))
        if weights.is_dir()
        else Source(str(weights.parent), None, weights.name)
    )
    chosen = {
        "dtype": "float32",
        "device": "cpu",
        "context_tokens": None,
        "chat_template": None,
        "threads": 1,
    }
    return open_model(
        source, prepared, Settings(**{**chosen, "batch_tokens": 256, "rows": 8, **settings})
    )


@pytest.fixture(scope="module")
def directory(make_tiny_gguf: MakeGguf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a directory with safetensors."""
    target = tmp_path_factory.mktemp("weights") / "tiny"
    load(make_tiny_gguf(), target).close()
    return target


@pytest.fixture
def model(directory: Path) -> Iterator[Any]:
    made = load(directory)
    yield made
    made.close()


def calls_of(
    model: Any, texts: Sequence[str] = ("yes", "no, rather not", "a long response " * 6)
) -> list[ScoreCall]:
    prompt = model.text.prompt_ids([Message("user", "tell me")])
    return [ScoreCall(prompt, model.text.response_ids(text)) for text in texts]


def test_a_gguf_is_converted_once_and_scores_the_same(
    make_tiny_gguf: MakeGguf, tmp_path: Path
) -> None:
    """`prepare` writes a directory once, whole; the model in it gives the GGUF's scores."""
    target = tmp_path / "weights" / "x.safetensors"
    weights = make_tiny_gguf()
    direct = load(weights)
    load(weights, target).close()
    stamp = (target / "model.safetensors").stat().st_mtime_ns
    again = load(weights, target)
    assert (target / "model.safetensors").stat().st_mtime_ns == stamp
    assert [path.name for path in target.parent.iterdir()] == [target.name]
    for (_, a), (_, b) in zip(
        direct.score(calls_of(direct)), again.score(calls_of(again)), strict=True
    ):
        assert a.nll.tolist() == b.nll.tolist()


def test_a_gguf_without_key_heads_is_refused(make_tiny_gguf: MakeGguf) -> None:
    """transformers would read such a file's queries and keys in the wrong order without a word."""
    with pytest.raises(
        PreflightError, match=r"tiny\.gguf: transformers cannot load this model: .*head_count_kv"
    ):
        load(make_tiny_gguf(key_heads=False))


def test_a_model_without_a_template_is_refused(make_tiny_gguf: MakeGguf) -> None:
    """No chat template is an error with a remedy; a template of the user's own mends it."""
    path = make_tiny_gguf(template=None)
    with pytest.raises(
        PreflightError, match=r"this model has no chat template\. Set 'chat_template'"
    ):
        load(path)
    own = load(path, chat_template="{% for m in messages %}{{ m.content }}{% endfor %}")
    assert own.text.prompt_ids([Message("user", "hi")]) == own.text.response_ids("hi")


def test_half_precision_is_near_full_precision(directory: Path, model: Any) -> None:
    """bfloat16 weights give scores near float32's: the masks and positions are the same."""
    half = load(directory, dtype="bfloat16")
    for (_, a), (_, b) in zip(
        model.score(calls_of(model)), half.score(calls_of(model)), strict=True
    ):
        assert abs(a.nll - b.nll).mean() < 0.15


def test_a_device_that_is_not_there_is_refused(directory: Path) -> None:
    """A device that PyTorch does not find is an error with a remedy."""
    with pytest.raises(
        PreflightError, match=r"PyTorch finds no device 'cuda:7' here\. Set device = \"cpu\""
    ):
        load(directory, device="cuda:7")


def shrink_memory(model: Any, monkeypatch: pytest.MonkeyPatch, most: int) -> list[int]:
    """Let the model run out of memory wherever more than `most` tokens are evaluated at once."""
    import torch

    forward = model._branching.forward
    sizes = []

    def limited(ids: Sequence[int], positions: Sequence[int], attend: Any) -> Any:
        sizes.append(len(ids))
        if len(ids) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return forward(ids, positions, attend)

    monkeypatch.setattr(model._branching, "forward", limited)
    return sizes


def test_out_of_memory_halves_the_batch_and_goes_on(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores that were yielded stay, the rest are made in smaller batches, and all are as without
    the trouble.
    """
    calls = calls_of(model, [f"response number {i} of some more" for i in range(12)])
    expected = dict(model.score(calls))
    sizes = shrink_memory(model, monkeypatch, 100)
    found = dict(model.score(calls))
    assert max(sizes) > 100
    assert sizes[-1] <= 100
    assert sorted(found) == list(range(12))
    for index, scores in found.items():
        assert scores.nll == pytest.approx(expected[index].nll, abs=1e-4)


def test_a_call_that_never_fits_is_a_failure_of_that_call(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone and still out of memory: that call fails by name, the others are answered."""
    import torch

    calls = calls_of(model, ["yes", "a response of its own length " * 5, "no"])

    forward = model._branching.forward

    def limited(ids: Sequence[int], positions: Sequence[int], attend: Any) -> Any:
        if max(positions) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(ids, positions, attend)

    monkeypatch.setattr(model._branching, "forward", limited)
    found = dict(model.score(calls))
    assert isinstance(found[1], Failure)
    assert found[1].problem.startswith("out of memory at ")
    assert isinstance(found[0], TokenScores)
    assert isinstance(found[2], TokenScores)


def test_sampling_out_of_memory_goes_on_with_fewer_rows(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer rows, the same texts."""
    prompt = model.text.prompt_ids([Message("user", "one")])
    calls = [GenerateCall(prompt, Sampling(0.9, 1.0, 0, 0.0, 6), seed) for seed in range(10)]
    expected = dict(model.generate(calls))
    forward = model._branching.forward

    def few_rows(ids: Sequence[int], positions: Sequence[int], attend: Any) -> Any:
        if type(attend).__name__ == "_OverRows" and len(ids) > 3:
            raise MemoryError
        return forward(ids, positions, attend)

    monkeypatch.setattr(model._branching, "forward", few_rows)
    found = dict(model.generate(calls))
    assert all(isinstance(item, Generation) for item in found.values())
    assert found == expected


def test_another_error_is_no_lack_of_memory(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only running out of memory is answered with a smaller batch."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(model._branching, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        dict(model.score(calls_of(model)))


def entry(bench: Bench, fields: str) -> None:
    bench.edit(
        '[models.target]\nbackend = "fake"', f'[models.target]\nbackend = "transformers"\n{fields}'
    )


def test_a_recipe_runs_on_a_directory(bench: Bench, directory: Path) -> None:
    """A recipe whose target is a directory with safetensors runs to its verdict, and again without
    a call.
    """
    entry(bench, f'path = "{directory}"\nsampling = {{ max_tokens = 8 }}\nbatch_tokens = 512')
    bench.edit("k = 2", "k = 1")
    bench.edit("sample = 6", "sample = 4")
    assert bench.run()["verdicts"][0]["winner"]
    again = bench.run()
    assert (again["calls_made"], again["models_opened"]) == (0, [])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ["config.json", "pytorch_model.bin"],
            r"holds no \.safetensors file\. Convert the weights",
        ),
        (["model.safetensors"], r"holds no config\.json"),
    ],
)
def test_a_directory_that_is_no_safe_model_is_refused(
    bench: Bench, files: list[str], message: str
) -> None:
    """Pickled weights are not read, and half a model is named as one, with the recipe's place."""
    for name in files:
        bench.write(f"model/{name}", "{}")
    entry(bench, 'path = "model"')
    done = bench.respsel("plan", "a.toml")
    assert done.code == 2
    assert "a.toml: line 8, model 'target'" in done.err
    assert re.search(message, done.err), done.err


def test_a_branch_is_no_revision(bench: Bench) -> None:
    """A hub repository is pinned by its commit: a branch would be another model tomorrow under the
    same key.
    """
    entry(bench, 'repo = "some/model"\nrevision = "main"')
    done = bench.respsel("plan", "a.toml")
    assert done.code == 2
    assert "model 'target', revision: revision 'main' is not a commit" in done.err


def test_a_model_that_is_not_in_the_hub_cache_says_how_to_get_it(bench: Bench) -> None:
    """Offline and not downloaded: one error with the command that downloads it; nothing is lost."""
    entry(bench, f'repo = "some/model"\nrevision = "{"a" * 40}"')
    done = bench.respsel(
        "run", "a.toml", env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(bench.folder / "hub")}
    )
    assert done.code == 3, done.err
    assert "some/model at aaaa" in done.err
    assert "hf download" in done.err
    assert "Traceback" not in done.err


def test_the_key_holds_the_dtype_and_not_the_device(bench: Bench, directory: Path) -> None:
    """Another dtype is another model; the same dtype on another device is not."""
    entry(bench, f'path = "{directory}"')
    key = target_key(bench)
    bench.edit(
        'backend = "transformers"',
        'backend = "transformers"\ndevice = "cpu"\nbatch_tokens = 99\nparallel = 3',
    )
    assert target_key(bench) == key
    bench.edit('device = "cpu"', 'device = "cuda"')
    assert target_key(bench) != key  # auto is bfloat16 there
    bench.edit('device = "cuda"', 'device = "cuda"\ndtype = "float32"')
    assert target_key(bench) == key


def target_key(bench: Bench) -> str:
    from respsel.store.store import Store
    from respsel.workspace.loading import load_recipe

    loaded = load_recipe(bench.recipe)
    with Store(bench.folder / "cache") as store:
        return registry.identify(loaded.models["target"], store).identity


def test_a_changed_weight_file_is_another_model(bench: Bench, directory: Path) -> None:
    """Every file of the directory that changes answers is in the key; a README is not."""
    shutil.copytree(directory, bench.folder / "model")
    entry(bench, 'path = "model"')
    key = target_key(bench)
    bench.write("model/README.md", "words")
    assert target_key(bench) == key
    config = json.loads((bench.folder / "model" / "config.json").read_text())
    bench.write("model/config.json", json.dumps({**config, "rms_norm_eps": 1e-3}))
    assert target_key(bench) != key


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ('path = "x"\nprepare = "bf16"', "prepare 'bf16' is not for backend 'transformers'"),
        ('path = "x"\ndevice = "gpu"', "device"),
        ('base_url = "http://x"', "'base_url' is not for backend 'transformers'"),
    ],
)
def test_keys_of_other_backends_are_refused(bench: Bench, fields: str, message: str) -> None:
    """What another engine takes is an error in the recipe."""
    entry(bench, fields)
    done = bench.respsel("plan", "a.toml")
    assert done.code == 2
    assert message in done.err
