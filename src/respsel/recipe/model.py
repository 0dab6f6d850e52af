"""A model as a recipe or respsel.toml declares it: its engine, place, sampling and price.

Knows nothing of files or servers. Invariant: an entry that exists says in one way only where its
model is, and holds no secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from respsel.recipe.places import Place, Source, plain_place
from respsel.recipe.request_parameters import check_request
from respsel.recipe.validation import json_only
from respsel.records import Sampling

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
# What a plug-in gets; it is in keys.
Options = Annotated[Mapping[str, Any], AfterValidator(json_only)]
Request = Annotated[Mapping[str, Any], AfterValidator(check_request)]
# The types that respsel can convert a model file to, once, so that this machine is faster.
PreparedType = Literal["bf16", "f16", "f32", "q8_0", "q4_0", "safetensors"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
# Hazard: a user or password would be kept and shown with the rest of the recipe.
_BASE_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


# What respsel itself gives every chat template.
_TEMPLATE_VARIABLES = frozenset(
    (
        "messages",
        "add_generation_prompt",
        "bos_token",
        "eos_token",
        "strftime_now",
        "raise_exception",
    )
)


class Entry(BaseModel):
    """What all tables of a recipe share: an unknown key is an error, and nothing changes later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False, defer_build=True
    )


class SamplingEntry(Entry):
    """How responses are sampled.

    What is left out comes from the model entry, then from the defaults.
    """

    temperature: float | None = Field(None, ge=0, le=5, description="0 is greedy. Default 0.7.")
    top_p: float | None = Field(None, gt=0, le=1, description="Nucleus sampling. Default 0.95.")
    top_k: int | None = Field(None, ge=0, description="0 switches it off. Default 0.")
    min_p: float | None = Field(None, ge=0, lt=1, description="0 switches it off. Default 0.")
    max_tokens: int | None = Field(
        None, ge=1, description="Longest response in tokens. Default 512."
    )
    seed: int | None = Field(None, ge=0, description="Default 0.")


DEFAULT_SAMPLING = SamplingEntry(
    temperature=0.7, top_p=0.95, top_k=0, min_p=0.0, max_tokens=512, seed=0
)


class PriceEntry(Entry):
    """What an endpoint costs, per million tokens."""

    input: float = Field(ge=0, le=1e9, description="Per million prompt tokens.")
    output: float = Field(ge=0, le=1e9, description="Per million output tokens.")
    currency: str = Field(
        "USD", pattern=r"^[A-Z]{3}$", description="Three letters, as in ISO 4217."
    )


class ModelEntry(Entry):
    """One model: which engine runs it and where its weights are."""

    backend: Literal["llama-cpp", "transformers", "openai", "fake", "plugin"] = Field(
        description="The engine."
    )
    plugin: str | None = Field(
        None, description="plugin: its name among the installed packages' (respsel.backends)."
    )
    options: Options = Field(default_factory=dict, description="plugin: the settings that it gets.")
    path: str | None = Field(
        None,
        description="Weights: a GGUF file; for transformers also a directory with safetensors. "
        "For openai it gives only the tokenizer and the chat template, which scoring needs. "
        "The same holds for 'package' and 'repo'.",
    )
    package: str | None = Field(
        None, description="An installed Python package that carries the weights, with 'file'."
    )
    file: str | None = Field(None, description="The weights' file inside 'package'.")
    repo: str | None = Field(None, description="A hub repository, with 'revision' (transformers).")
    revision: str | None = Field(
        None, description="The repository's commit, 40 hexadecimal digits."
    )
    base_url: str | None = Field(
        None, description="openai: the endpoint, e.g. https://api.openai.com/v1."
    )
    model: str | None = Field(None, description="openai: what the endpoint calls the model.")
    api_key_env: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="openai: name of the environment variable that holds the key.",
    )
    scores_by: Literal["prompt_logprobs", "echo"] | None = Field(
        None,
        description="openai: how respsel asks it for log-probabilities. Default: the first way "
        "that passes the test.",
    )
    request: Request = Field(
        default_factory=dict,
        description='openai: further parameters of each request, e.g. { reasoning_effort = "low" '
        "}. Another value is another model, except for a few parameters that change no answer "
        "(user, store, metadata, service_tier and the like).",
    )
    timeout_s: float = Field(
        600, gt=0, le=1e6, description="openai: how long a whole answer may take, in seconds."
    )
    retries: int = Field(
        6,
        ge=0,
        le=100,
        description="openai: further tries after a failure, each after the wait that the server "
        "asks for.",
    )
    variant: str | None = Field(
        None,
        description="fake: another variant is another model. openai: replaces base_url in keys, so "
        "that stored answers are still found when the endpoint moves.",
    )
    context_tokens: int | None = Field(
        None, ge=16, description="Context length; at most what the model was trained for."
    )
    chat_template: str | None = Field(
        None, description="A Jinja2 file to use instead of the model's own template."
    )
    template_options: Options = Field(
        default_factory=dict,
        description="More variables for the chat template, e.g. { enable_thinking = false }.",
    )
    prepare: PreparedType | None = Field(
        None,
        description="Convert a GGUF once, for speed: to a type that llama-cpp reads fast; "
        "safetensors for transformers.",
    )
    dtype: Dtype = Field(
        "auto", description="transformers: auto is bfloat16 on CUDA, else float32."
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="transformers: auto, cuda, cuda:1, mps or cpu.",
    )
    batch_tokens: int | None = Field(
        None,
        ge=64,
        description="transformers: tokens evaluated at once. Default 1024, on a GPU 8192.",
    )
    parallel: int = Field(
        16, ge=1, le=255, description="Responses sampled at once; openai: requests at once."
    )
    threads: int | None = Field(
        None, ge=1, description="CPU threads. Default: all that this process may use."
    )
    gpu_layers: int = Field(
        0, ge=-1, description="Layers on the GPU (llama-cpp built for one); -1 is all."
    )
    sampling: SamplingEntry = Field(
        default_factory=lambda: SamplingEntry(), description="Defaults for this model."
    )
    price: PriceEntry | None = Field(
        None, description="What it costs, for plan and report; changes no result."
    )

    @model_validator(mode="after")
    def _says_where_the_weights_are(self) -> ModelEntry:
        known = ("path", "package", "repo", "base_url", "variant", "plugin")
        ways = [way for way in known if getattr(self, way) is not None]
        allowed = {
            "llama-cpp": ("path", "package"),
            "transformers": ("path", "package", "repo"),
            "openai": ("base_url",),
            "fake": ("variant",),
            "plugin": ("plugin",),
        }[self.backend]
        if self.backend == "openai":
            ways = self._check_endpoint(ways)
        if self.backend != "fake" and len(ways) != 1:
            raise ValueError(
                f"needs exactly one of {', '.join(allowed)}, has {', '.join(ways) or 'none'}"
            )
        if any(way not in allowed for way in ways):
            raise ValueError(
                f"'{ways[0]}' is not for backend '{self.backend}'. Use {' or '.join(allowed)}"
            )
        if (self.package is None) != (self.file is None):
            raise ValueError("'package' and 'file' go together")
        if (self.repo is None) != (self.revision is None):
            raise ValueError("'repo' and 'revision' go together")
        return self

    @model_validator(mode="after")
    def _says_nothing_of_other_backends(self) -> ModelEntry:
        of_openai = dict.fromkeys(("model", "api_key_env", "scores_by", "request"), "openai")
        for name, backend in {"options": "plugin", **of_openai}.items():
            if getattr(self, name) and self.backend != backend:
                raise ValueError(f"'{name}' is for backend '{backend}'")
        kinds = {
            "llama-cpp": ("bf16", "f16", "f32", "q8_0", "q4_0"),
            "transformers": ("safetensors",),
        }.get(self.backend, ())
        if self.prepare and self.prepare not in kinds:
            raise ValueError(
                f"prepare '{self.prepare}' is not for backend '{self.backend}'. It takes "
                f"{', '.join(kinds) or 'none'}"
            )
        self._check_template_options()
        given = [name for name in ("dtype", "device") if getattr(self, name) != "auto"]
        if given and self.backend != "transformers":
            raise ValueError(f"'{given[0]}' is for backend 'transformers'")
        return self

    def _check_template_options(self) -> None:
        ours = sorted(_TEMPLATE_VARIABLES.intersection(self.template_options))
        if ours:
            raise ValueError(
                f"'template_options' may not set '{ours[0]}', which respsel gives the template "
                "itself"
            )
        if self.request.get("chat_template_kwargs") and (self.path or self.package or self.repo):
            # Hazard: only the server's template would get them, so the prompts that it writes
            # would differ from those that are scored.
            raise ValueError(
                "'chat_template_kwargs' in 'request' is for endpoints without a tokenizer. Use "
                "'template_options'"
            )
        if not self.template_options:
            return
        if self.backend in ("fake", "plugin"):
            raise ValueError(
                "'template_options' is for models with a chat template, not for backend "
                f"'{self.backend}'"
            )
        if self.backend == "openai" and not (self.path or self.package or self.repo):
            raise ValueError(
                "'template_options' needs the model's own template: add 'path', 'package' or 'repo'"
            )

    def _check_endpoint(self, ways: Sequence[str]) -> list[str]:
        """Return the ways without those that only give the tokenizer."""
        if self.model is None:
            raise ValueError("backend 'openai' needs 'model', what the endpoint calls it")
        if self.base_url is not None and not _BASE_URL.fullmatch(self.base_url):
            raise ValueError(
                "'base_url' is http:// or https://, a host and a path, without user, password or "
                "query. Name the environment variable of a key in 'api_key_env'"
            )
        tokenizers = [way for way in ways if way in ("path", "package", "repo")]
        if len(tokenizers) > 1:
            raise ValueError(f"takes its tokenizer from one place, has {', '.join(tokenizers)}")
        return [way for way in ways if way not in (*tokenizers, "variant")]


@dataclass(frozen=True)
class NamedModel:
    """A model entry with its name and origin.

    folder: what its paths are relative to.
    declared_in: the file that declares it, as it is shown.
    source: that file, if it is known.
    """

    name: str
    entry: ModelEntry
    folder: Path
    declared_in: str
    source: Source | None = field(default=None, compare=False, repr=False)

    def at(self, *keys: str) -> Place:
        """Where it is declared, or a key of it."""
        path = ("models", self.name, *keys)
        return Place(self.source, path) if self.source else plain_place(self.declared_in, *path)


def merge_sampling(*entries: SamplingEntry) -> tuple[Sampling, int]:
    """Return (sampling, seed); earlier entries win, DEFAULT_SAMPLING fills the rest."""
    merged: dict[str, Any] = {}
    for entry in (*entries, DEFAULT_SAMPLING):
        for key, value in entry:
            if value is not None:
                merged.setdefault(key, value)
    seed = merged.pop("seed")
    return Sampling(**merged), seed
