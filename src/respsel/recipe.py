"""The recipe, format 1: what a user declares in TOML, checked and frozen.

Knows the shape of a recipe and nothing of what its words do: whether a metric exists or a file is there
is asked elsewhere (`loading`). Invariant: a Recipe that exists is well formed; every problem of a bad
one is reported at once, each with its place and a remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from respsel.records import Sampling

# The verdict over all datasets; no dataset has this name.
OVERALL = "overall"
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
AnswerKind = Literal["number", "choice", "exact", "regex"]
FileFormat = Literal["rows", "batch"]
_FORMAT_HELP = "rows: as a dataset's files; batch: what OpenAI's Batch API or `vllm run-batch` wrote, by custom_id."
# Model files that respsel can have llama.cpp convert to, once, for this machine's speed.
PreparedType = Literal["bf16", "f16", "f32", "q8_0", "q4_0", "safetensors"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]


# No user or password, which would be kept and shown with everything else that a recipe says.
_BASE_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


class SamplingEntry(_Entry):
    """How responses are sampled; what is left out comes from the model entry, then from the defaults."""

    temperature: float | None = Field(None, ge=0, le=5, description="0 is greedy. Default 0.7.")
    top_p: float | None = Field(None, gt=0, le=1, description="Nucleus sampling. Default 0.95.")
    top_k: int | None = Field(None, ge=0, description="0 switches it off. Default 0.")
    min_p: float | None = Field(None, ge=0, lt=1, description="0 switches it off. Default 0.")
    max_tokens: int | None = Field(None, ge=1, description="Longest response in tokens. Default 512.")
    seed: int | None = Field(None, ge=0, description="Default 0.")


DEFAULT_SAMPLING = SamplingEntry(temperature=0.7, top_p=0.95, top_k=0, min_p=0.0, max_tokens=512, seed=0)


class PriceEntry(_Entry):
    """What an endpoint takes, for a million tokens."""

    input: float = Field(ge=0, description="For a million prompt tokens.")
    output: float = Field(ge=0, description="For a million output tokens.")
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="Three letters, as of ISO 4217.")


class ModelEntry(_Entry):
    """One model: which engine runs it and where its weights are."""

    backend: Literal["llama-cpp", "transformers", "openai", "fake", "plugin"] = Field(description="The engine.")
    plugin: str | None = Field(None, description="plugin: its name among the installed packages' (respsel.backends).")
    options: Mapping[str, Any] = Field(default_factory=dict, description="plugin: what it is given.")
    path: str | None = Field(
        None,
        description="Weights: a GGUF file; for transformers also a directory with safetensors. For openai only the tokenizer "
        "and template in it are read, and only scoring needs them; so it is with 'package' and 'repo'.",
    )
    package: str | None = Field(None, description="An installed Python package that carries the weights, with 'file'.")
    file: str | None = Field(None, description="The weights' file inside 'package'.")
    repo: str | None = Field(None, description="A hub repository, with 'revision' (transformers).")
    revision: str | None = Field(None, description="The repository's commit, 40 hexadecimal digits.")
    base_url: str | None = Field(None, description="openai: the endpoint, e.g. https://api.openai.com/v1.")
    model: str | None = Field(None, description="openai: what the endpoint calls the model.")
    api_key_env: str | None = Field(
        None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="openai: name of the environment variable that holds the key."
    )
    timeout_s: float = Field(600, gt=0, description="openai: how long an answer may take, in seconds.")
    retries: int = Field(
        6, ge=0, le=100, description="openai: tries more after a failure; what the server asks to wait is waited."
    )
    variant: str | None = Field(
        None,
        description="fake: another variant is another model. openai: stands for base_url in keys, so that what was answered "
        "is found when the endpoint moves.",
    )
    context_tokens: int | None = Field(None, ge=16, description="Context length; at most what the model was trained for.")
    chat_template: str | None = Field(None, description="A Jinja2 file to use instead of the model's own template.")
    prepare: PreparedType | None = Field(
        None, description="Convert a GGUF once, for speed: to a type that llama-cpp reads fast; safetensors for transformers."
    )
    dtype: Dtype = Field("auto", description="transformers: auto is bfloat16 on CUDA, else float32.")
    device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="transformers: auto, cuda, cuda:1, mps or cpu."
    )
    batch_tokens: int | None = Field(
        None, ge=64, description="transformers: tokens evaluated at once. Default 1024; on a GPU 8192."
    )
    parallel: int = Field(16, ge=1, le=255, description="Responses sampled at once; openai: requests at once.")
    threads: int | None = Field(None, ge=1, description="CPU threads. Default: all that this process may use.")
    gpu_layers: int = Field(0, ge=-1, description="Layers on the GPU (llama-cpp built for one); -1 is all.")
    sampling: SamplingEntry = Field(default_factory=lambda: SamplingEntry(), description="Defaults for this model.")
    price: PriceEntry | None = Field(None, description="What it costs, for plan and report; changes no result.")

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
            raise ValueError(f"needs exactly one of {', '.join(allowed)}, has {', '.join(ways) or 'none'}")
        if any(way not in allowed for way in ways):
            raise ValueError(f"'{ways[0]}' is not for backend '{self.backend}'. Use {' or '.join(allowed)}")
        if (self.package is None) != (self.file is None):
            raise ValueError("'package' and 'file' go together")
        if (self.repo is None) != (self.revision is None):
            raise ValueError("'repo' and 'revision' go together")
        return self

    @model_validator(mode="after")
    def _says_nothing_of_other_backends(self) -> ModelEntry:
        for name, backend in {"options": "plugin", "model": "openai", "api_key_env": "openai"}.items():
            if getattr(self, name) and self.backend != backend:
                raise ValueError(f"'{name}' is for backend '{backend}'")
        kinds = {"llama-cpp": ("bf16", "f16", "f32", "q8_0", "q4_0"), "transformers": ("safetensors",)}.get(self.backend, ())
        if self.prepare and self.prepare not in kinds:
            raise ValueError(
                f"prepare '{self.prepare}' is not for backend '{self.backend}'. It takes {', '.join(kinds) or 'none'}"
            )
        given = [name for name in ("dtype", "device") if getattr(self, name) != "auto"]
        if given and self.backend != "transformers":
            raise ValueError(f"'{given[0]}' is for backend 'transformers'")
        return self

    def _check_endpoint(self, ways: Sequence[str]) -> list[str]:
        """Return the ways without those that are for the tokenizer."""
        if self.model is None:
            raise ValueError("backend 'openai' needs 'model', what the endpoint calls it")
        if self.base_url is not None and not _BASE_URL.fullmatch(self.base_url):
            raise ValueError(
                "'base_url' is http:// or https://, a host and a path, without user, password or query. "
                "Name the environment variable of a key in 'api_key_env'"
            )
        tokenizers = [way for way in ways if way in ("path", "package", "repo")]
        if len(tokenizers) > 1:
            raise ValueError(f"takes its tokenizer from one place, has {', '.join(tokenizers)}")
        return [way for way in ways if way not in (*tokenizers, "variant")]


class AnswerEntry(_Entry):
    """How the answer is found in a response and compared with the label."""

    kind: AnswerKind = Field(description="number, choice, exact or regex.")
    pattern: str | None = Field(None, description="regex: its last match's first group (or the match) is the answer.")

    @model_validator(mode="after")
    def _pattern_is_for_regex(self) -> AnswerEntry:
        if (self.kind == "regex") != (self.pattern is not None):
            raise ValueError("kind 'regex' needs a 'pattern', and only it takes one")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"'pattern' is no regular expression: {error}") from error
        return self


class DatasetEntry(_Entry):
    """One dataset and the names of its columns."""

    name: Name
    path: str = Field(description="A .jsonl, .json, .csv or .parquet file, relative to the recipe.")
    id: str = Field("id", description="Column of the example's id; ids are unique.")
    input: str = Field("input", description="Column of the input: what the target is asked.")
    reference: str | None = Field(None, description="Column of the reference response, for prompts.")
    label: str | None = Field(None, description="Column of the right answer, for the answer check.")
    sample: int | None = Field(None, ge=1, description="How many examples; a larger sample contains the smaller one.")
    seed: int = Field(0, ge=0, description="Another seed is another sample.")
    answer: AnswerKind | AnswerEntry | None = Field(None, description="How a response is checked against the label.")

    @model_validator(mode="after")
    def _answer_needs_label(self) -> DatasetEntry:
        if self.answer is not None and self.label is None:
            raise ValueError("'answer' needs 'label', the column of the right answer")
        if self.answer == "regex":
            raise ValueError('answer \'regex\' needs a pattern: answer = { kind = "regex", pattern = "..." }')
        return self

    @property
    def check(self) -> AnswerEntry | None:
        """The answer check in its long form."""
        return AnswerEntry(kind=self.answer) if isinstance(self.answer, str) else self.answer


class _Strategy(_Entry):
    name: Name
    datasets: tuple[str, ...] | None = Field(None, description="Only these datasets. Default: all.")
    if_wrong: Literal["keep", "drop", "fail"] = Field(
        "keep", description="What becomes of a response that the answer check finds wrong (after all attempts)."
    )


class ColumnStrategy(_Strategy):
    """Responses that stand in a column of the dataset."""

    from_: Literal["column"] = Field("column", alias="from")
    column: str


class FileStrategy(_Strategy):
    """Responses that stand in a file of their own, matched by id."""

    from_: Literal["file"] = Field("file", alias="from")
    path: str = Field(description="Relative to the recipe; {dataset} stands for the dataset's name.")
    format: FileFormat = Field("rows", description=_FORMAT_HELP)
    id: str = Field("id", description="rows: column of the example's id.")
    response: str = Field("response", description="rows: column of the text.")
    if_missing: Literal["fail", "drop"] = Field("fail", description="What becomes of an example that the file has no text for.")


class ModelStrategy(_Strategy):
    """Responses that a model writes from a prompt."""

    from_: Literal["model"] = Field("model", alias="from")
    model: str
    prompt: str = Field(description="Jinja2: input, reference, label, id and the row's other columns.")
    system: str | None = Field(None, description="Jinja2, like prompt.")
    sampling: SamplingEntry = Field(default_factory=lambda: SamplingEntry())
    attempts: int = Field(1, ge=1, le=100, description="Tries while the answer check fails.")


class PluginStrategy(_Strategy):
    """Responses that an installed package gives (entry points respsel.strategies)."""

    from_: Literal["plugin"] = Field("plugin", alias="from")
    plugin: str = Field(description="Its name among the installed packages'.")
    options: Mapping[str, Any] = Field(default_factory=dict, description="What it is given.")


StrategyEntry = Annotated[
    Annotated[ColumnStrategy, Tag("column")]
    | Annotated[FileStrategy, Tag("file")]
    | Annotated[ModelStrategy, Tag("model")]
    | Annotated[PluginStrategy, Tag("plugin")],
    Discriminator(lambda value: value.get("from") if isinstance(value, dict) else getattr(value, "from_", None)),
]


class OwnOutputsEntry(_Entry):
    """Responses sampled from the target itself, for the metrics that need them."""

    samples: int = Field(1, ge=1, le=64, description="Samples per example.")
    keep: Literal["correct", "all"] = Field("all", description="correct: only those that pass the answer check.")
    sampling: SamplingEntry = Field(default_factory=lambda: SamplingEntry())
    path: str | None = Field(None, description="Take them from this file instead; {dataset} stands for the dataset's name.")
    format: FileFormat = Field("rows", description=_FORMAT_HELP)
    id: str = Field("id", description="rows: column of the example's id.")
    response: str = Field("response", description="rows: column of the text.")
    if_missing: Literal["fail", "drop"] = Field("fail", description="What becomes of an example that the file has no text for.")


class MetricEntry(BaseModel):
    """A metric by name; its other keys are its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    name: str
    label: Name | None = Field(None, description="Its name in this recipe, if one metric is used twice.")

    @property
    def known_as(self) -> str:
        """The name that selection and report use."""
        return self.label or self.name

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything but name and label."""
        return dict(self.model_extra or {})


class SelectionEntry(_Entry):
    """How the strategy is selected."""

    metric: str | None = Field(None, description="Name or label of the metric. Default: the first one.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="What 'decided' takes.")
    if_unscored: Literal["report", "fail"] = Field(
        "report", description="What becomes of a run in which a response has no value of some metric."
    )
    resamples: int = Field(10_000, ge=100, le=1_000_000, description="Draws of the examples, for P(best).")
    seed: int = Field(0, ge=0, lt=2**63)
    mode: Literal["strategy", "per-example"] = Field(
        "strategy", description="per-example: also choose the best response for each example."
    )
    budget: Literal["all", "race"] = Field(
        "all", description="race: score in batches and drop strategies that are far behind on the way."
    )


class TargetEntry(_Entry):
    """The model to be fine-tuned."""

    model: str
    if_too_long: Literal["fail", "drop"] = Field(
        "fail", description="What becomes of a response that does not fit the context: an error before any call, or unscored."
    )


class TrainingEntry(_Entry):
    """What of the selected responses goes into the training set."""

    if_truncated: Literal["drop", "keep"] = Field(
        "drop", description="What becomes of a response that was cut short at max_tokens: it would teach the target to break off."
    )


class Recipe(_Entry):
    """A whole recipe."""

    format: Literal[1] = Field(1, description="The recipe format.")
    target: TargetEntry
    models: Mapping[Name, ModelEntry] = Field(default_factory=dict)
    datasets: tuple[DatasetEntry, ...] = Field(min_length=1)
    strategies: tuple[StrategyEntry, ...] = Field(min_length=1)
    own_outputs: OwnOutputsEntry = Field(default_factory=lambda: OwnOutputsEntry())
    metrics: tuple[MetricEntry, ...] = Field(min_length=1)
    selection: SelectionEntry = Field(default_factory=lambda: SelectionEntry())
    training: TrainingEntry = Field(default_factory=lambda: TrainingEntry())

    def strategies_for(self, dataset: str) -> list[StrategyEntry]:
        """The strategies that are for a dataset, in order."""
        return [entry for entry in self.strategies if entry.datasets is None or dataset in entry.datasets]

    @property
    def selection_metric(self) -> str:
        """The metric that decides."""
        return self.selection.metric or self.metrics[0].known_as


def merge_sampling(*entries: SamplingEntry) -> tuple[Sampling, int]:
    """Return (sampling, seed); earlier entries win, DEFAULT_SAMPLING fills the rest."""
    merged: dict[str, Any] = {}
    for entry in (*entries, DEFAULT_SAMPLING):
        for key, value in entry:
            if value is not None:
                merged.setdefault(key, value)
    seed = merged.pop("seed")
    return Sampling(**merged), seed
