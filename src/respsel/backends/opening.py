"""Open a model that was identified, with its engine.

Knows nothing of identities or keys. Invariant: an engine is imported only when a model of it is
opened, and a malformed template is refused before any weights are read.
"""

from __future__ import annotations

from pathlib import Path

from respsel.backends.contract import Model
from respsel.backends.registry import KnownModel, plugin_of
from respsel.backends.transformers.device import choose_device
from respsel.errors import InputError, PreflightError


def open_model(known: KnownModel, store_folder: Path) -> Model:
    """Load a model. Raises PreflightError where the machine lacks what it takes."""
    entry = known.named.entry
    if entry.backend == "fake":
        from respsel.backends.fake import FakeModel

        return FakeModel(entry.variant or "", entry.context_tokens or 4096)
    if entry.backend == "plugin":
        return plugin_of(known.named).open_model(dict(entry.options), known.named.folder)
    _check_own_template(known)
    if entry.backend == "openai":
        return _open_endpoint(known)
    prepared = store_folder / known.prepared if known.prepared else None
    if entry.backend == "transformers":
        return _open_transformers(known, prepared)
    return open_gguf(known, (prepared, entry.prepare) if prepared and entry.prepare else None)


def open_gguf(known: KnownModel, prepared: tuple[Path, str] | None) -> Model:
    """Load a model with llama.cpp.

    prepared: (file, type), which is made of its weights first if it is not there.
    """
    from respsel.backends.llama_cpp.model import LlamaSettings, open_model

    entry = known.named.entry
    assert known.weights is not None
    settings = LlamaSettings(
        parallel=entry.parallel,
        context_tokens=entry.context_tokens,
        chat_template=known.chat_template,
        threads=entry.threads,
        gpu_layers=entry.gpu_layers,
        template_options=entry.template_options,
    )
    return open_model(known.weights, prepared, settings)


def _open_endpoint(known: KnownModel) -> Model:
    from respsel.backends.openai.client import EndpointSettings
    from respsel.backends.openai.model import EndpointModel

    entry = known.named.entry
    named = known.named
    settings = EndpointSettings(
        base_url=str(entry.base_url),
        model=str(entry.model),
        api_key_env=entry.api_key_env,
        timeout_s=entry.timeout_s,
        retries=entry.retries,
        parallel=entry.parallel,
        place=named.at(),
        request=entry.request,
    )
    repo = (entry.repo, str(entry.revision)) if entry.repo else None
    return EndpointModel(
        settings,
        entry.context_tokens,
        known.weights,
        repo,
        known.chat_template,
        entry.scores_by,
        entry.template_options,
    )


def _open_transformers(known: KnownModel, prepared: Path | None) -> Model:
    from respsel.backends.transformers.files import Source
    from respsel.backends.transformers.model import Settings, open_model

    entry = known.named.entry
    weights = known.weights
    device = choose_device(entry.device)
    if weights is None:
        source = Source(str(entry.repo), entry.revision)
    else:
        source = (
            Source(str(weights))
            if weights.is_dir()
            else Source(str(weights.parent), None, weights.name)
        )
    settings = Settings(
        dtype=known.fields["dtype"],
        device=device,
        context_tokens=entry.context_tokens,
        chat_template=known.chat_template,
        threads=entry.threads,
        batch_tokens=entry.batch_tokens or (8192 if device.startswith("cuda") else 1024),
        rows=entry.parallel,
        template_options=entry.template_options,
    )
    return open_model(source, prepared, settings)


def _check_own_template(known: KnownModel) -> None:
    """Raise InputError if the recipe's chat template is malformed, before weights are read."""
    from respsel.backends.chat_template import ChatTemplate

    named = known.named
    if known.chat_template is None:
        return
    path = named.folder / str(named.entry.chat_template)
    try:
        ChatTemplate(known.chat_template, "", "", str(path))
    except PreflightError as error:
        what = f"{path}: {error.problems[0].what}"
        remedy = "Fix the template, or take 'chat_template' out to use the model's own"
        raise InputError(named.at("chat_template").problem(what, remedy)) from error
