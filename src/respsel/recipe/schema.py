"""The recipe, format 1: what a user declares in TOML, checked and frozen.

Knows the shape of a recipe, but not what its words mean: `workspace.checks` looks whether a model
or a file is there. Invariant: a Recipe that exists is well formed. Every problem of a bad one is
reported at once, each with its place and a remedy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from respsel.recipe.judge import JudgeEntry
from respsel.recipe.model import Entry, ModelEntry, Name, Options, SamplingEntry
from respsel.recipe.validation import json_only
from respsel.text.whitespace import WhiteSpace

# The verdict over all datasets; no dataset has this name.
OVERALL = "overall"
AnswerKind = Literal["number", "choice", "math", "exact", "regex"]
# Reading a longer one takes seconds, each time that the recipe is read.
LONGEST_PATTERN = 10_000
FileFormat = Literal["rows", "batch"]
_FORMAT_HELP = (
    "rows: as a dataset's files; batch: what OpenAI's Batch API or `vllm run-batch` "
    "wrote, by custom_id."
)
_DIGEST_HELP = (
    "`sha256:` and 64 hexadecimal digits: of the content behind an address, which is refused if it "
    "has another. Needed for https://."
)
_DIGESTS_HELP = f"{_DIGEST_HELP} With {{dataset}} in the path: one by dataset."
# One digest, or one by dataset where the path has {dataset}.
Digest = str | Mapping[str, str]


_SAMPLING_HELP = "What is left out comes from the model entry, then from the defaults."
_FROM_HELP = "Where its responses come from: column, file, model, plugin, first or best."


class AnswerEntry(Entry):
    """How the answer is found in a response and compared with the label."""

    kind: AnswerKind = Field(
        description="number, choice, math, exact or regex. docs/answers.md says what each reads."
    )
    pattern: str | None = Field(
        None, description="regex: its last match's first group (or the match) is the answer."
    )
    tolerance: float | None = Field(
        None,
        ge=0,
        description="number: how far from the label an answer may be, in the label's own unit: "
        "0.01.",
    )
    relative_tolerance: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="number: how far, as a share of the label: 0.01 is one percent. The wider one "
        "counts.",
    )
    reasoning: tuple[str, str] | None = Field(
        None,
        description='A further pair of tags, e.g. ["<scratch>", "</scratch>"]: what is '
        "between them is not the answer.",
    )

    @model_validator(mode="after")
    def _tolerance_is_for_numbers(self) -> AnswerEntry:
        given = [
            name for name in ("tolerance", "relative_tolerance") if getattr(self, name) is not None
        ]
        if given and self.kind != "number":
            raise ValueError(f"'{given[0]}' is for kind 'number'")
        return self

    @model_validator(mode="after")
    def _reasoning_is_a_pair(self) -> AnswerEntry:
        if self.reasoning is not None:
            opening, closing = (tag.strip() for tag in self.reasoning)
            if not opening or not closing or opening.casefold() == closing.casefold():
                raise ValueError("'reasoning' is an opening tag and a different, closing tag")
        return self

    @model_validator(mode="after")
    def _pattern_is_for_regex(self) -> AnswerEntry:
        if (self.kind == "regex") != (self.pattern is not None):
            raise ValueError("kind 'regex' needs a 'pattern', and only it takes one")
        if self.pattern is not None:
            if len(self.pattern) > LONGEST_PATTERN:
                raise ValueError(
                    f"'pattern' has {len(self.pattern):,} characters, and may have "
                    f"{LONGEST_PATTERN:,}"
                )
            try:
                re.compile(self.pattern)
            except (re.error, OverflowError) as error:
                raise ValueError(f"'pattern' is not a regular expression: {error}") from error
            except (RecursionError, MemoryError):
                raise ValueError("'pattern' is nested too deeply") from None
        return self


class DatasetEntry(Entry):
    """One dataset and the names of its columns."""

    name: Name = Field(description="What it is called in this recipe.")
    path: str = Field(
        description="JSON lines, JSON, CSV or parquet: a path relative to the recipe, a pattern "
        "(`data/*.jsonl`), `hf://datasets/OWNER/NAME@COMMIT/file` or `https://...`."
    )
    digest: str | None = Field(None, description=_DIGEST_HELP)
    id: str | None = Field(
        None,
        description="Column of the example's id; ids are unique. Default: `id`; without it, the "
        "digest of the row.",
    )
    input: str = Field(
        "input",
        description="What the target is asked: a column, a path such as `messages.0.content`, or "
        "Jinja2 over columns.",
    )
    messages: str | None = Field(
        None,
        description="In place of `input`: the conversation, a column or a path. OpenAI's messages, "
        "ShareGPT, Gemini's contents, pairs, or JSON text of these.",
    )
    history: str | None = Field(
        None,
        description="Earlier turns that stand before `input`: a column or a path, as for "
        "`messages`.",
    )
    system: str | None = Field(
        None,
        description="A system turn where the conversation has none: a column, a path, or Jinja2.",
    )
    tools: str | tuple[Mapping[str, Any], ...] | None = Field(
        None,
        description="The tools of the chat: a column or a path of a list, or the list itself.",
    )
    train: str = Field(
        "last",
        min_length=1,
        description="Which assistant turns of `messages` are trained: last, every, or the name of "
        "a column or of a key of the turns that marks them with 0 or 1.",
    )
    reference: str | None = Field(
        None, description="The reference response, for prompts: a column, a path, or Jinja2."
    )
    label: str | None = Field(
        None, description="Column, or a path, of the right answer, for the answer check."
    )
    sample: int | None = Field(
        None, ge=1, description="How many examples; a larger sample contains the smaller one."
    )
    seed: int = Field(0, ge=0, description="Another seed is another sample.")
    answer: AnswerKind | AnswerEntry | None = Field(
        None, description="How a response is checked against the label."
    )

    @model_validator(mode="after")
    def _ids_and_labels_are_columns(self) -> DatasetEntry:
        for name in ("id", "label", "messages", "history", "tools", "train"):
            source = getattr(self, name)
            if isinstance(source, str) and ("{{" in source or "{%" in source):
                raise ValueError(
                    f"'{name}' is a column or a path to a part of one; only 'input', 'system' and "
                    "'reference' are templates"
                )
        return self

    @model_validator(mode="after")
    def _one_thing_is_asked(self) -> DatasetEntry:
        if self.messages is None:
            if self.train != "last":
                raise ValueError(
                    "'train' says which turns of 'messages' are trained, and there are no messages"
                )
            return self
        for name in ("input", "history"):
            if name in self.model_fields_set:
                raise ValueError(
                    f"'messages' is the whole conversation, so it has no '{name}': keep one of them"
                )
        return self

    @model_validator(mode="after")
    def _tools_are_json(self) -> DatasetEntry:
        for i, tool in enumerate(() if isinstance(self.tools, str) else self.tools or ()):
            json_only(tool)
            inner = tool.get("function", tool)
            if not isinstance(inner, Mapping) or not isinstance(inner.get("name"), str):
                raise ValueError(f"tools[{i}] has no name: give it name, description, parameters")
        return self

    @model_validator(mode="after")
    def _answer_needs_label(self) -> DatasetEntry:
        if self.answer is not None and self.label is None:
            raise ValueError("'answer' needs 'label', the column of the right answer")
        if self.answer == "regex":
            raise ValueError(
                'answer \'regex\' needs a pattern: answer = { kind = "regex", pattern = "..." }'
            )
        return self

    @property
    def check(self) -> AnswerEntry | None:
        """The answer check in its long form."""
        return AnswerEntry(kind=self.answer) if isinstance(self.answer, str) else self.answer

    @property
    def chat_keys(self) -> Mapping[str, Any]:
        """By key, what it says of chats; nothing where only an input is asked."""
        fields = {key: getattr(self, key) for key in ("messages", "history", "system", "tools")}
        if self.train != "last":
            fields["train"] = self.train
        return {key: value for key, value in fields.items() if value is not None}


class _Strategy(Entry):
    name: Name = Field(description="What it is called in this recipe, its report and plan.")
    datasets: tuple[str, ...] | None = Field(None, description="Only these datasets. Default: all.")
    if_wrong: Literal["keep", "drop", "fail"] = Field(
        "keep",
        description="What happens to a response that the answer check finds wrong, after all "
        "attempts.",
    )
    compare: bool = Field(
        True,
        description="false: its responses are made only for the strategies whose 'of' names it. "
        "It is not scored, ranked or shown itself.",
    )

    @property
    def members(self) -> tuple[str, ...]:
        """The strategies that its responses are taken from, in order; none if it has its own."""
        return ()

    @property
    def chosen_by(self) -> str:
        """The metric (or "judge") that its responses were chosen by from its members'.

        Empty for all others. A metric that responses were chosen by flatters them.
        """
        return ""

    @property
    def templates(self) -> Mapping[str, str]:
        """By key, its Jinja2 templates over an example."""
        return {}

    @property
    def author(self) -> str | None:
        """The model that wrote its texts, as far as the recipe says."""
        return None

    @property
    def source(self) -> str:
        """Where its texts are from, for people."""
        raise NotImplementedError


class _GivenStrategy(_Strategy):
    """Texts that respsel did not see being written."""

    written_by: str | None = Field(
        None,
        min_length=1,
        max_length=80,
        pattern=r"^\S(.*\S)?$",
        description="Who wrote the texts: a name of models, or any other name, such as `gpt-4o`. "
        "Say it where it was the target.",
    )

    @property
    def author(self) -> str | None:
        return self.written_by


class ColumnStrategy(_GivenStrategy):
    """Responses from a column of the dataset."""

    from_: Literal["column"] = Field("column", alias="from", description=_FROM_HELP)
    column: str = Field(
        description="A column, or a path to a part of one, such as `generations.0`."
    )
    if_missing: Literal["fail", "drop"] = Field(
        "fail", description="What happens to an example whose column is empty."
    )

    @property
    def source(self) -> str:
        return f"column '{self.column}'"


class FileStrategy(_GivenStrategy):
    """Responses from a file of their own, matched by id."""

    from_: Literal["file"] = Field("file", alias="from", description=_FROM_HELP)
    path: str = Field(description="As that of a dataset; {dataset} stands for the dataset's name.")
    digest: Digest | None = Field(None, description=_DIGESTS_HELP)
    format: FileFormat = Field("rows", description=_FORMAT_HELP)
    id: str = Field("id", description="rows: column of the example's id.")
    response: str = Field(
        "response", description="rows: column of the text, or a path such as `generations.0`."
    )
    if_missing: Literal["fail", "drop"] = Field(
        "fail", description="What happens to an example that the file has no text for."
    )

    @property
    def source(self) -> str:
        return self.path


class ModelStrategy(_Strategy):
    """Responses that a model writes from a prompt."""

    from_: Literal["model"] = Field("model", alias="from", description=_FROM_HELP)
    model: str = Field(description="The model that writes: a name in models.")
    prompt: str = Field(
        description="Jinja2: input, reference, label, id and the row's other columns."
    )
    system: str | None = Field(None, description="Jinja2, like prompt.")
    sampling: SamplingEntry = Field(
        default_factory=lambda: SamplingEntry(), description=_SAMPLING_HELP
    )
    attempts: int = Field(1, ge=1, le=100, description="Tries while the answer check fails.")

    @property
    def templates(self) -> Mapping[str, str]:
        system = {} if self.system is None else {"system": self.system}
        return {"prompt": self.prompt, **system}

    @property
    def author(self) -> str | None:
        return self.model

    @property
    def source(self) -> str:
        return f"written by {self.model}"


class PluginStrategy(_GivenStrategy):
    """Responses that an installed package gives (entry points respsel.strategies)."""

    from_: Literal["plugin"] = Field("plugin", alias="from", description=_FROM_HELP)
    plugin: str = Field(description="Its name among the installed packages'.")
    options: Options = Field(default_factory=dict, description="The settings that it gets.")

    @property
    def source(self) -> str:
        return f"plug-in '{self.plugin}'"


_OF_HELP = "Names of strategies of this recipe, in order."


class FirstStrategy(_Strategy):
    """For each example the response of the first of several strategies that passes."""

    from_: Literal["first"] = Field("first", alias="from", description=_FROM_HELP)
    of: tuple[str, ...] = Field(
        min_length=1,
        description=f"{_OF_HELP} A response passes if it has a text without faults (such as a "
        "loop or a refusal), was not cut short, and is not wrong by the answer check.",
    )

    @property
    def members(self) -> tuple[str, ...]:
        return self.of

    @property
    def source(self) -> str:
        return f"the first that passes of {', '.join(self.of)}"


class BestStrategy(_Strategy):
    """For each example the response of several strategies that a metric puts first."""

    from_: Literal["best"] = Field("best", alias="from", description=_FROM_HELP)
    of: tuple[str, ...] = Field(min_length=1, description=_OF_HELP)
    n: int = Field(
        1,
        ge=1,
        le=64,
        description="How many draws of each member that a model writes. Other members give one.",
    )
    by: str = Field(
        description='Name or label of the metric of this recipe that chooses, or "judge" for its '
        "[judge]. Wrong answers are not chosen where there is a right one."
    )

    @property
    def members(self) -> tuple[str, ...]:
        return self.of

    @property
    def chosen_by(self) -> str:
        return self.by

    @property
    def source(self) -> str:
        drawn = f" ({self.n} draws each)" if self.n > 1 else ""
        return f"the best by {self.by} of {', '.join(self.of)}{drawn}"


CompositeStrategy = FirstStrategy | BestStrategy
StrategyEntry = Annotated[
    Annotated[ColumnStrategy, Tag("column")]
    | Annotated[FileStrategy, Tag("file")]
    | Annotated[ModelStrategy, Tag("model")]
    | Annotated[PluginStrategy, Tag("plugin")]
    | Annotated[FirstStrategy, Tag("first")]
    | Annotated[BestStrategy, Tag("best")],
    Discriminator(
        lambda value: (
            value.get("from") if isinstance(value, dict) else getattr(value, "from_", None)
        )
    ),
]


class OwnOutputsEntry(Entry):
    """Responses sampled from the target itself, for the metrics that need them."""

    samples: int = Field(1, ge=1, le=64, description="Samples per example.")
    keep: Literal["correct", "all"] = Field(
        "all", description="correct: only those that pass the answer check."
    )
    sampling: SamplingEntry = Field(
        default_factory=lambda: SamplingEntry(), description=_SAMPLING_HELP
    )
    path: str | None = Field(
        None,
        description="Take them from this file instead; {dataset} stands for the dataset's name.",
    )
    digest: Digest | None = Field(None, description=_DIGESTS_HELP)
    format: FileFormat = Field("rows", description=_FORMAT_HELP)
    id: str = Field("id", description="rows: column of the example's id.")
    response: str = Field(
        "response", description="rows: column of the text, or of a list of texts; or a path."
    )
    if_missing: Literal["fail", "drop"] = Field(
        "fail", description="What happens to an example that the file has no text for."
    )


class ValidationEntry(Entry):
    """Held-out examples of the task that matters in the end, for the metrics that show them."""

    path: str = Field(
        description="A file of inputs with references that no strategy is trained on; {dataset} "
        "stands for the dataset's name."
    )
    digest: Digest | None = Field(None, description=_DIGESTS_HELP)
    id: str | None = Field(None, description="Column of the example's id. Default: the dataset's.")
    input: str | None = Field(
        None, description="A column, a path, or Jinja2 over columns. Default: the dataset's."
    )
    reference: str | None = Field(
        None,
        description="The response that is wanted: a column, a path, or Jinja2. Default: the "
        "dataset's.",
    )
    sample: int | None = Field(
        None, ge=1, description="How many of them; a larger sample contains the smaller one."
    )
    seed: int = Field(0, ge=0, description="Another seed is another sample.")

    @model_validator(mode="after")
    def _ids_are_columns(self) -> ValidationEntry:
        if self.id is not None and ("{{" in self.id or "{%" in self.id):
            raise ValueError("'id' is a column or a path to a part of one, and no template")
        return self

    def rows_for(self, dataset: DatasetEntry) -> DatasetEntry:
        """How the file of a dataset's held-out examples is read."""
        return DatasetEntry(
            name=dataset.name,
            path=self.path,
            id=self.id or dataset.id,
            input=self.input or dataset.input,
            reference=self.reference or dataset.reference,
            sample=self.sample,
            seed=self.seed,
        )


class MetricEntry(BaseModel):
    """A metric by name; its other keys are its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, defer_build=True)
    name: str = Field(description="The metric: `respsel metrics` lists them.")
    label: Name | None = Field(
        None, description="Its name in this recipe, if one metric is used twice."
    )
    part: Literal["all", "thinking", "answer"] = Field(
        "all",
        description="Which part of each response counts: all of it, its thinking (such as between "
        "`<think>` and `</think>`), or the answer behind that. The parts take no call more.",
    )

    @property
    def known_as(self) -> str:
        """The name that selection and report use."""
        return self.label or self.name

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything but name and label."""
        return dict(self.model_extra or {})


class RequireEntry(Entry):
    """Gates: what a strategy must pass before it may be recommended. 0 switches one off."""

    right: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least share of right answers. Default: half, or half of the best share, and "
        "not surely fewer than the strategy with the most.",
    )
    reward: float | None = Field(None, description="Least mean reward. Default: none.")
    whole: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least share of texts not cut short. Default: 0.5, or half of another "
        "strategy's share if that is less.",
    )
    distinct: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least share of different texts. Default: more than two, if another has.",
    )
    sound: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least share of texts without loops, refusals, leftovers and the like. "
        "Default: as for whole.",
    )


class SelectionEntry(Entry):
    """How the strategy is selected."""

    metric: str | None = Field(
        None, description="Name or label of the metric. Default: the first one."
    )
    confidence: float = Field(
        0.95, gt=0.5, le=0.9999, description="How sure a verdict must be to be decided."
    )
    require: RequireEntry = Field(
        default_factory=lambda: RequireEntry(),
        description="What a strategy must pass before it may be recommended.",
    )
    if_unscored: Literal["report", "fail"] = Field(
        "report",
        description="What happens to a run in which a response has no value of some metric.",
    )
    resamples: int = Field(
        10_000, ge=100, le=1_000_000, description="Draws of the examples, for P(best)."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Of the draws, and of a race's order.")
    mode: Literal["strategy", "per-example"] = Field(
        "strategy", description="per-example: also choose the best response for each example."
    )
    budget: Literal["all", "race"] = Field(
        "all",
        description="race: score in batches and drop strategies that are far behind on the way.",
    )


class TargetEntry(Entry):
    """The model to be fine-tuned."""

    model: str = Field(description="Its name in models.")
    if_too_long: Literal["fail", "drop"] = Field(
        "fail",
        description="What happens to a response that does not fit the context: an error before "
        "any call, or it stays unscored.",
    )
    system: str | None = Field(
        None,
        min_length=1,
        description="A system turn for every prompt that has none from its dataset.",
    )
    mask: Literal["text", "trained"] | None = Field(
        None,
        description="What is scored of a response. text: its text alone. trained: exactly the "
        "tokens that trainers train on, with the end of the turn. Default: trained for datasets "
        "with `messages`, text for all others.",
    )


class TrainingEntry(Entry):
    """Which of the selected responses go into the training set."""

    if_truncated: Literal["drop", "keep"] = Field(
        "drop",
        description="What happens to a response that was cut short at max_tokens. It would teach "
        "the target to break off.",
    )
    least_reward: float | None = Field(
        None,
        description="Leave out responses that the [judge] gives a lower score. All responses of "
        "the set are then judged, not only the sample's.",
    )
    weights: Mapping[Name, Annotated[float, Field(gt=0, le=1000)]] = Field(
        default_factory=dict,
        description="By strategy, how much a response of it counts in training: { own = 1, "
        "reference = 0.5 }. Of what a strategy took from another one, that one's counts first. "
        "Those that are not named have 1. Few trainers take weights: see docs/training-sets.md.",
    )

    def weight_of(self, strategy: str, member: str) -> float:
        """The weight of a response; member: the strategy that it was taken from, if any."""
        return self.weights.get(member, self.weights.get(strategy, 1.0))


class Recipe(Entry):
    """A whole recipe."""

    format: Literal[1] = Field(1, description="The recipe format.")
    extends: str | tuple[str, ...] | None = Field(
        None,
        description="Recipes that this one takes over, relative to it; of several the last one "
        "counts. Tables and entries of the same name merge; other values replace.",
    )
    without: tuple[str, ...] = Field(
        (),
        description='What of them is not taken over: `["strategies.terse", '
        '"datasets.math.sample"]`.',
    )
    whitespace: WhiteSpace = Field(
        "normalise",
        description="White space of all responses and own outputs. normalise: line ends become "
        "\\n, blanks at both ends go.",
    )
    target: TargetEntry = Field(description="The model to be fine-tuned.")
    models: Mapping[Name, ModelEntry] = Field(
        default_factory=dict, description="Models by name, beside those of respsel.toml."
    )
    datasets: tuple[DatasetEntry, ...] = Field(
        min_length=1, description="The examples that responses are wanted for."
    )
    strategies: tuple[StrategyEntry, ...] = Field(
        min_length=1, description="The ways to write the responses, which are compared."
    )
    own_outputs: OwnOutputsEntry = Field(
        default_factory=lambda: OwnOutputsEntry(),
        description="Responses of the target itself, for the metrics that need them.",
    )
    validation: ValidationEntry | None = Field(
        None, description="Held-out examples, for the metrics that need them."
    )
    metrics: tuple[MetricEntry, ...] = Field(
        min_length=1, description="What the responses are measured by; the first one decides."
    )
    judge: JudgeEntry | None = Field(
        None, description="A model that judges responses, for the metric `reward` and the report."
    )
    selection: SelectionEntry = Field(
        default_factory=lambda: SelectionEntry(), description="How the strategy is selected."
    )
    training: TrainingEntry = Field(
        default_factory=lambda: TrainingEntry(),
        description="Which of the selected responses go into the training set.",
    )

    def made_for(self, dataset: str) -> list[StrategyEntry]:
        """The strategies that are for a dataset, in order, also those that are not compared."""
        return [
            entry
            for entry in self.strategies
            if entry.datasets is None or dataset in entry.datasets
        ]

    def strategies_for(self, dataset: str) -> list[StrategyEntry]:
        """The strategies that are compared on a dataset, in order."""
        return [entry for entry in self.made_for(dataset) if entry.compare]

    def compared(self) -> list[tuple[str, str]]:
        """Each dataset with each strategy that is compared on it, by name and in order."""
        return [
            (dataset.name, strategy.name)
            for dataset in self.datasets
            for strategy in self.strategies_for(dataset.name)
        ]

    def origins(self, entry: StrategyEntry) -> list[StrategyEntry]:
        """The strategies that a strategy's texts come from in the end: itself, or its members'."""
        if not entry.members:
            return [entry]
        named = {strategy.name: strategy for strategy in self.strategies}
        found = [origin for name in entry.members for origin in self.origins(named[name])]
        return list({origin.name: origin for origin in found}.values())

    def scores_turns(self, entry: DatasetEntry) -> bool:
        """Whether the tokens that trainers train on are scored, or the text alone."""
        mask = self.target.mask
        return mask == "trained" or (mask is None and entry.messages is not None)

    def has_chats(self, entry: DatasetEntry) -> bool:
        """Whether a dataset's examples may be more than one input each."""
        return bool(entry.chat_keys or self.target.system)

    def compared_with(self, dataset: str) -> str:
        """The strategy that a dataset's others are compared with by the judge; empty if none is."""
        names = [entry.name for entry in self.strategies_for(dataset)]
        if self.judge is None or not self.judge.pairs or len(names) < 2:
            return ""
        return self.judge.against or names[0]

    @property
    def selection_metric(self) -> str:
        """The metric that decides."""
        return self.selection.metric or self.metrics[0].known_as
