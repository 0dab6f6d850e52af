"""From a model entry to the identity of its model, without opening it.

Knows nothing of calls or keys. Invariant: an identity holds everything that changes a model's
answers and nothing else: no path, thread count, batch size or context length. Two entries that give
the same answers share their cached calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from respsel.backends.contract import Model
from respsel.backends.fingerprint import fingerprint
from respsel.backends.transformers.device import choose_device, choose_dtype
from respsel.errors import InputError, PreflightError
from respsel.hashing import DigestMemo, canonical_json, digest, file_digest
from respsel.plugins import find_plugin
from respsel.recipe.model import NamedModel
from respsel.recipe.request_parameters import identity_of
from respsel.system.disk import UnreadableError, read_small

# In a model's identity: the version of the code that makes a tokenizer of a GGUF's fields, where
# transformers runs it.
TOKENIZER_READING = "tokenizer_reading"


@dataclass(frozen=True)
class BackendPlugin:
    """A backend of another package (entry points `respsel.backends`).

    Both functions are given the entry's options and the folder of the file that declares it.

    identify: what of the model changes its answers, as JSON, found without loading it.
    open_model: returns the loaded model (contract.Model).
    """

    identify: Callable[[Mapping[str, Any], Path], Mapping[str, Any]]
    open_model: Callable[[Mapping[str, Any], Path], Model]
    origin: str = ""


@dataclass(frozen=True)
class KnownModel:
    """A model whose weights were found.

    identity: names it in every key.
    fields: what the identity is the digest of.
    weights: its file or directory; None for a repository, an endpoint without a tokenizer, ...
    chat_template: the recipe's own, if it gives one.
    """

    named: NamedModel
    fields: Mapping[str, Any]
    identity: str
    weights: Path | None
    chat_template: str | None

    @cached_property
    def fingerprint(self) -> frozenset[str]:
        """What tells its weights however they are stored; empty where they cannot be read."""
        return frozenset() if self.weights is None else fingerprint(self.weights)

    @property
    def prepared(self) -> Path | None:
        """Where weights prepared for this machine lie in the store, made or not."""
        kind = self.named.entry.prepare
        if kind == "safetensors":
            # Its tokenizer lies in it, so another reading of the GGUF's tokenizer is another
            # folder.
            reading = f"tokenizer-{self.fields[TOKENIZER_READING]}"
            return (
                Path("weights")
                / f"{self.fields['weights']}.{self.fields['dtype']}.{reading}.safetensors"
            )
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
    elif entry.backend == "transformers":
        weights = None if entry.repo is not None else _weights(named)
        fields |= _transformers_fields(named, weights, memo)
    elif entry.backend == "plugin":
        plugin = plugin_of(named)
        found = plugin.identify(dict(entry.options), named.folder)
        fields |= {"plugin": entry.plugin, "origin": plugin.origin, "identity": dict(found)}
    else:
        weights = _weights(named) if entry.path or entry.package else None
        fields |= _endpoint_fields(named, weights, memo)
    fields["chat_template"] = digest("chat-template", template) if template else None
    if entry.template_options:
        fields["template_options"] = dict(entry.template_options)
    return KnownModel(named, fields, digest("model", canonical_json(fields)), weights, template)


def look_for(named: NamedModel) -> None:
    """Look whether the files of a model are there; reads no weights.

    Raises InputError and PreflightError as `identify` does.
    """
    from respsel.backends.transformers.files import check_commit

    entry = named.entry
    _chat_template(named)
    if entry.backend == "plugin":
        plugin_of(named)
    elif entry.repo is not None:
        check_commit(str(entry.revision), named.at("revision"))
    elif entry.path is not None or entry.package is not None:
        _weights(named)


def plugin_of(named: NamedModel) -> BackendPlugin:
    """The plug-in that a model entry names."""
    wrong = named.at("plugin").problem
    return find_plugin("respsel.backends", BackendPlugin, str(named.entry.plugin), wrong)


def _endpoint_fields(
    named: NamedModel, weights: Path | None, memo: DigestMemo
) -> Mapping[str, Any]:
    """What stands for the model behind an endpoint, since who answers there cannot be known.

    It is the endpoint's address, or what the user gives in its place.
    """
    from respsel.backends.transformers.files import check_commit, digest_tokenizer

    entry = named.entry
    fields: dict[str, Any] = {
        "endpoint": entry.variant or str(entry.base_url).rstrip("/"),
        "model": entry.model,
    }
    if entry.scores_by is not None:
        # One way gives what the other does not (ranks), so their answers are kept apart.
        fields["scores_by"] = entry.scores_by
    if request := identity_of(entry.request):
        fields["request"] = request
    if entry.repo is not None:
        check_commit(str(entry.revision), named.at("revision"))
        return {**fields, "tokenizer": f"{entry.repo} {entry.revision}"}
    if weights is None:
        return fields
    return {
        **fields,
        "tokenizer": digest_tokenizer(weights, memo)
        if weights.is_dir()
        else file_digest(weights, memo),
    }


def _transformers_fields(
    named: NamedModel, weights: Path | None, memo: DigestMemo
) -> Mapping[str, Any]:
    from respsel.backends.transformers.files import check_commit, digest_directory

    entry = named.entry
    dtype = choose_dtype(entry.dtype, choose_device(entry.device))
    if weights is None:
        check_commit(str(entry.revision), named.at("revision"))
        return {"repo": entry.repo, "revision": entry.revision, "dtype": dtype}
    found = (
        digest_directory(weights, memo, named.at())
        if weights.is_dir()
        else file_digest(weights, memo)
    )
    if entry.prepare and weights.is_dir():
        what = "is for a GGUF file, not for a directory"
        raise InputError(named.at("prepare").problem(what, "Take it out"))
    fields = {"weights": found, "dtype": dtype}
    if weights.is_dir():
        return fields
    from respsel.backends.gguf.tokenizer import VERSION

    return {**fields, TOKENIZER_READING: VERSION}


def _weights(named: NamedModel) -> Path:
    entry = named.entry
    if entry.package is not None:
        spec = find_spec(entry.package) if "." not in entry.package else None
        if spec is None or not spec.submodule_search_locations:
            hint = f"Install it, e.g. pip install {entry.package.replace('_', '-')}"
            what = f"package '{entry.package}' is not installed"
            raise PreflightError(named.at().problem(what, hint, near="package"))
        path = Path(spec.submodule_search_locations[0]) / str(entry.file)
    else:
        path = named.folder / str(entry.path)
    if not path.is_file() and not (entry.backend in ("transformers", "openai") and path.is_dir()):
        near = "file" if entry.package else "path"
        what = f"no file at {path}"
        raise InputError(named.at().problem(what, "Check where the weights are", near))
    return path


def _chat_template(named: NamedModel) -> str | None:
    if named.entry.chat_template is None:
        return None
    path = named.folder / named.entry.chat_template
    place = named.at("chat_template")
    try:
        return read_small(path, "Check the path").decode("utf-8-sig")
    except UnreadableError as error:
        raise InputError(place.problem(f"{path} {error}", error.remedy)) from error
    except UnicodeDecodeError as error:
        what = f"{path} is not UTF-8"
        raise InputError(place.problem(what, "Save the file as UTF-8")) from error
