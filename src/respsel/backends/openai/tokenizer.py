"""The tokenizer and chat template of a model that is scored through an endpoint.

Knows no server. Invariant: no weights are loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from respsel.backends.chat_text import ChatText
from respsel.errors import PreflightError, Problem


def open_text(
    weights: Path | None,
    repo: tuple[str, str] | None,
    chat_template: str | None,
    template_options: Mapping[str, Any] = MappingProxyType({}),
) -> ChatText:
    """The text side of a GGUF file, a directory, or a hub repository at a commit.

    repo: its name and the commit. Raises PreflightError where it cannot be loaded.
    """
    if weights is not None and weights.is_file():
        return _gguf_text(weights, chat_template, template_options)
    from respsel.backends.transformers.files import Source, load_tokenizer
    from respsel.backends.transformers.text import HfText

    source = Source(*repo) if repo else Source(str(weights))
    return HfText(load_tokenizer(source), chat_template, source.shown, template_options)


def _gguf_text(
    weights: Path, chat_template: str | None, template_options: Mapping[str, Any]
) -> ChatText:
    try:
        import llama_cpp
    except ImportError as error:
        what = "the tokenizer is in a GGUF file, and llama-cpp-python is not installed"
        raise PreflightError(
            Problem(str(weights), "", what, "Run: pip install 'respsel[llama]'")
        ) from error
    from respsel.backends.llama_cpp.library import capture_log, load_file
    from respsel.backends.llama_cpp.text import LlamaText

    api: Any = llama_cpp
    params = api.llama_model_default_params()
    params.vocab_only = True
    # It stays for as long as the process: it is small, and the text side reads from it.
    model = load_file(api, capture_log(api), weights, params, "read its vocabulary")
    return LlamaText(api, model, weights, chat_template, template_options)
