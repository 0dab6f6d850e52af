"""Where a transformers model's files are, what identifies them, and how they are loaded.

Local directories (safetensors only), hub repositories at a pinned commit, and GGUF files. Knows
nothing of scoring. Invariant: no code that comes with a model is run, and no pickle is read.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from respsel.backends.gguf.tokenizer import UnverifiedTokenizerError, load_gguf_tokenizer
from respsel.errors import InputError, PreflightError, Problem, RespselError, first_line
from respsel.hashing import DigestMemo, canonical_json, digest, file_digest
from respsel.recipe.places import Place
from respsel.store.folder import make_own
from respsel.system.parts import part_for, remove_dead_parts

# The files of a model's directory that change its answers.
_MEANINGFUL = re.compile(
    r".*\.safetensors|.*\.safetensors\.index\.json|config\.json|generation_config\.json"
    r"|added_tokens\.json|special_tokens_map\.json|tokenizer.*\.json|tokenizer.*\.model"
    r"|spiece\.model|vocab\..*|merges\.txt|chat_template\..*"
)
_GGUF_HEAD_BYTES = 64 << 20
# What configs call the number of layers. The largest models have a few hundred.
_LAYERS = (
    "num_hidden_layers",
    "num_layers",
    "n_layer",
    "n_layers",
    "encoder_layers",
    "decoder_layers",
)
_MOST_LAYERS = 10_000
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Source:
    """What from_pretrained is given.

    A directory or a repository, and a commit or a GGUF file in it.
    """

    name: str
    revision: str | None = None
    gguf_file: str | None = None

    @property
    def shown(self) -> str:
        """For errors and the doctor."""
        return (
            f"{self.name} at {self.revision}"
            if self.revision
            else str(Path(self.name, self.gguf_file or ""))
        )


def digest_directory(folder: Path, memo: DigestMemo, place: Place) -> str:
    """The digest of all files of a model's directory that change its answers.

    place: where the directory is named. Raises InputError if it holds no weights.
    """
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and _MEANINGFUL.fullmatch(path.name)
    )
    if not any(path.suffix == ".safetensors" for path in files):
        what = f"{folder} holds no .safetensors file"
        remedy = "Convert the weights: files of other kinds can run code when they are read"
        raise InputError(place.problem(what, remedy, near="path"))
    if not (folder / "config.json").is_file():
        what = f"{folder} holds no config.json"
        raise InputError(place.problem(what, "Give the directory of a whole model", near="path"))
    return digest(
        "model-directory", canonical_json([[path.name, file_digest(path, memo)] for path in files])
    )


def digest_tokenizer(folder: Path, memo: DigestMemo) -> str:
    """The digest of a model's directory without its weights, where only the tokenizer is used."""
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and _MEANINGFUL.fullmatch(path.name)
    )
    kept = [path for path in files if ".safetensors" not in path.name]
    return digest(
        "tokenizer-directory",
        canonical_json([[path.name, file_digest(path, memo)] for path in kept]),
    )


def check_commit(revision: str, place: Place) -> None:
    """Raise InputError unless a revision is a commit: a branch or tag may change.

    place: where it is named.
    """
    if not _COMMIT.fullmatch(revision):
        what = f"revision '{revision}' is not a commit, and a branch or tag may change"
        raise InputError(place.problem(what, "Give the commit's 40 hexadecimal digits"))


def load(source: Source, dtype: str, prepared: Path | None) -> tuple[Any, Any]:
    """Return (model, tokenizer), on the CPU.

    A GGUF is converted to `prepared` first, if that is given and does not exist. Raises
    PreflightError where transformers cannot load it, or not with the tokenizer it was trained
    with.
    """
    remedy = "Are the files whole, and is the architecture one that transformers knows?"
    if source.revision:
        remedy = "Download it where there is a network: hf download REPO --revision COMMIT"
    with _told(source, "model", remedy):
        if prepared is not None:
            if not prepared.is_dir():
                _convert(source, dtype, prepared)
            return _load_weights(Source(str(prepared)), dtype), _load_tokenizer(source)
        if source.revision and (found := _find_in_cache(source, dtype)):
            return found
        return _load(source, dtype)


def load_tokenizer(source: Source) -> Any:
    """The tokenizer alone. Raises PreflightError where transformers cannot load it."""
    with _told(source, "tokenizer", "Are its files there? Is transformers installed?"):
        return _load_tokenizer(source)


@contextmanager
def _told(source: Source, what: str, remedy: str) -> Iterator[None]:
    """Turn what transformers raises over a model's files into a PreflightError."""
    try:
        yield
    except RespselError:
        raise
    except UnverifiedTokenizerError as error:
        raise PreflightError(Problem(source.shown, "", str(error), error.remedy)) from error
    # Hazard: a damaged or hostile config.json makes transformers raise anything, an AttributeError
    # too.
    except Exception as error:
        told = f"transformers cannot load this {what}: {first_line(error)}"
        raise PreflightError(Problem(source.shown, "", told, remedy)) from error


def _find_in_cache(source: Source, dtype: str) -> tuple[Any, Any] | None:
    """A commit that was downloaded before asks no network."""
    try:
        return _load(source, dtype, local_files_only=True)
    except OSError:
        return None


def _load(source: Source, dtype: str, **how: Any) -> tuple[Any, Any]:
    # The tokenizer first: one that is refused costs no minutes of reading weights.
    tokenizer = _load_tokenizer(source, **how)
    return _load_weights(source, dtype, **how), tokenizer


def _load_tokenizer(source: Source, **how: Any) -> Any:
    if source.gguf_file:
        return load_gguf_tokenizer(Path(source.name, source.gguf_file))
    from transformers import AutoTokenizer

    with _quiet():
        return AutoTokenizer.from_pretrained(source.name, **_where(source), **how)


def _load_weights(source: Source, dtype: str, **how: Any) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    more: dict[str, Any] = {"use_safetensors": True}
    if source.gguf_file:
        _check_gguf(Path(source.name, source.gguf_file))
        # Hazard: without dequantize, weights may stay in blocks, and which kernels then compute
        # depends on the machine.
        more = {"gguf_file": source.gguf_file, "quantization_config": GgufConfig(dequantize=True)}
    _check_layers(Path(source.name))
    with _quiet():
        return AutoModelForCausalLM.from_pretrained(
            source.name, dtype=getattr(torch, dtype), **_where(source), **more, **how
        )


def _check_layers(folder: Path) -> None:
    """Raise an error for more layers than weights can be there for.

    Hazard: transformers makes as many layers as a config.json says, and takes hours before it
    looks at the weights.
    """
    try:
        found = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        # Transformers says what is wrong with it; of a repository's name there is no such folder.
        return
    for part in (found, *(found.values() if isinstance(found, dict) else ())):
        for name in _LAYERS if isinstance(part, dict) else ():
            if isinstance(count := part.get(name), int) and count > _MOST_LAYERS:
                raise ValueError(f"its config.json says {name} = {count:,}")


def _where(source: Source) -> dict[str, Any]:
    where: dict[str, Any] = {"trust_remote_code": False}
    return {**where, "revision": source.revision} if source.revision else where


def _check_gguf(path: Path) -> None:
    """Raise an error for a GGUF whose weights transformers would read in a wrong order.

    Hazard: without this field transformers 5.24 silently leaves the rows of Llama's queries and
    keys in llama.cpp's order, and every score is wrong by nats. Fields come before the tensors.
    """
    with path.open("rb") as file:
        head = file.read(_GGUF_HEAD_BYTES)
    if b".attention.head_count_kv" not in head:
        raise ValueError(
            "this GGUF does not say how many key heads it has (attention.head_count_kv)"
        )


def _convert(source: Source, dtype: str, target: Path) -> None:
    """Dequantise a GGUF once: reading one takes transformers many seconds."""
    model, tokenizer = _load(source, dtype)
    make_own(target.parent)
    remove_dead_parts(target.parent)
    with part_for(target, folder=True) as part:
        with _quiet():
            model.save_pretrained(part, safe_serialization=True)
            tokenizer.save_pretrained(part)
        if not target.is_dir():
            os.replace(part, target)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress bars and advice off the user's terminal; errors are raised."""
    with redirect_stderr(io.StringIO()):
        yield
