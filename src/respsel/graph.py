"""A recipe to the graph of its steps.

A step is one operation with one output table. Its key is the digest of the operation, its version, the
parameters that change its output, and the digests of its inputs' content; so a change upstream that
leaves an output the same stops there. Builds steps, does not run them; opens no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from respsel import (
    answers,
    choices,
    datasets,
    measuring,
    metrics,
    own_outputs,
    prompts,
    racing,
    requests,
    selection,
    steps,
    strategies,
    token_scores,
)
from respsel.backends.registry import KnownModel, identify
from respsel.choices import CHOICES, choose_responses
from respsel.errors import InputError, PreflightError, Problem, RunError, suggest
from respsel.hashing import DigestMemo, canonical_json, digest, file_digest
from respsel.loading import LoadedRecipe
from respsel.metrics.base import EXTRAS, ChosenMetric, RewardSource, View, components
from respsel.own_outputs import kept_by_example, neighbours, read_own_outputs, sample_own_outputs
from respsel.race_scores import run_race
from respsel.racing import LAPS, dropped_in, reach_of
from respsel.recipe import (
    OVERALL,
    AnswerEntry,
    ColumnStrategy,
    DatasetEntry,
    FileStrategy,
    ModelStrategy,
    OwnOutputsEntry,
    PluginStrategy,
    StrategyEntry,
    merge_sampling,
)
from respsel.records import Response, Score, ScoredResponse
from respsel.requests import FAILED, NOT_FINITE
from respsel.selection import VERDICTS, Rule
from respsel.strategies.base import Operation, Place
from respsel.strategies.column import column_responses
from respsel.strategies.file import file_responses
from respsel.strategies.model import EMPTY, model_responses
from respsel.strategies.plugin import find_strategy, plugin_responses
from respsel.tables import EXAMPLES, OWN_OUTPUTS, REPRESENTATIONS, RESPONSES, SCORES, TOKEN_SCORES, Document, Table
from respsel.token_scores import NOT_REACHED, score_responses

# In this order: each stage needs only what the stages before it made.
STAGES = (
    ("examples",),
    ("responses", "own-outputs"),
    ("race", "representations", "rewards"),
    ("token-scores",),
    ("scores",),
    ("mixes",),
    ("choices", "verdict"),
)
_VERSIONS = {
    "examples": datasets.VERSION,
    "responses": strategies.VERSION,
    "own-outputs": own_outputs.VERSION,
    "race": racing.VERSION,
    "token-scores": token_scores.VERSION,
    "representations": token_scores.VERSION,
    "rewards": measuring.JUDGE_VERSION,
    "scores": metrics.VERSION,
    "mixes": metrics.VERSION,
    "choices": choices.VERSION,
    "verdict": selection.VERSION,
}
# What stands between a recipe and the token ids that a model sees.
_PROMPTS = {"prompts": prompts.VERSION, "rendering": requests.RENDERING_VERSION}

Rows = Sequence[Any]


@dataclass(frozen=True)
class Step:
    """One operation with one output table.

    fields: the parameters in its key. inputs: names of the steps whose outputs it takes, in order.
    make: from the inputs' rows to its own, or to a generator that asks models on the way.
    calls_per_example: (fewest, most) model calls that it takes for an example; (0, 0): it asks no model, or
    only for what an input of it has asked for.
    failed: how the `problem` of a row begins whose own call failed; with such a row the step is not recorded
    as done.
    """

    name: str
    op: str
    fields: Mapping[str, Any]
    inputs: tuple[str, ...]
    table: Table[Any] | Document[Any]
    make: Callable[[Sequence[Rows]], Rows | Operation]
    calls_per_example: tuple[int, int] = (0, 0)
    failed: tuple[str, ...] = ()

    def key(self, input_digests: Sequence[str]) -> str:
        """The step's key, given the digests of its inputs' content."""
        parts = {"op": self.op, "version": self.version, "fields": self.fields, "inputs": list(input_digests)}
        return digest("step", canonical_json(parts))

    @property
    def version(self) -> int:
        """The version of its operation."""
        return _VERSIONS[self.op]

    @property
    def asks(self) -> bool:
        """Whether it may ask a model."""
        return self.calls_per_example[1] > 0

    @property
    def stage(self) -> int:
        """Its place in STAGES."""
        return next(i for i, ops in enumerate(STAGES) if self.op in ops)


@dataclass(frozen=True)
class Graph:
    """All steps of a recipe by name, inputs before their users, and the models they may ask."""

    loaded: LoadedRecipe
    models: Mapping[str, KnownModel]
    steps: Mapping[str, Step]


def build_graph(loaded: LoadedRecipe, memo: DigestMemo) -> Graph:
    """Return a recipe's steps. Digests files (not those whose stat is known) and opens no model.

    Raises InputError and PreflightError where files, weights or packages are missing.
    """
    recipe = loaded.recipe
    _check_extras(loaded)
    names = {recipe.target.model} | {s.model for s in recipe.strategies if isinstance(s, ModelStrategy)}
    names |= {source.model for metric in loaded.metrics if (source := metric.needs.reward) and source.model}
    models = {name: identify(loaded.models[name], memo) for name in sorted(names)}
    steps = _Builder(loaded, models, memo).build()
    return Graph(loaded, models, {step.name: step for step in steps})


class _Builder:
    def __init__(self, loaded: LoadedRecipe, models: Mapping[str, KnownModel], memo: DigestMemo) -> None:
        self._loaded, self._models, self._memo = loaded, models, memo
        self._recipe = loaded.recipe
        self._target = self._recipe.target.model
        self._metrics = [part for metric in loaded.metrics for part in (*components(metric), metric)]
        needs = [metric.needs for metric in self._metrics]
        self._views = list(dict.fromkeys(view for need in needs for view in need.views))
        self._wants_own = any(need.own_outputs for need in needs) or any(view.k for view in self._views)
        self._wants_hidden = any(need.hidden for need in needs)
        self._race = self._recipe.selection.budget == "race"

    def build(self) -> list[Step]:
        steps = []
        for dataset in self._recipe.datasets:
            steps.append(self._examples(dataset))
            strategies = self._recipe.strategies_for(dataset.name)
            steps += [self._responses(dataset, strategy) for strategy in strategies]
            if self._wants_own:
                steps.append(self._own_outputs(dataset))
            if self._wants_hidden:
                steps.append(self._representations(dataset, None))
            if self._race:
                steps.append(self._run_race(dataset, strategies))
            for strategy in strategies:
                steps += self._asking_steps(dataset, strategy)
            for metric in self._metrics:
                make = self._mixes if metric.metric.combine else self._scores
                steps += [make(dataset, strategy, metric) for strategy in strategies]
            if self._recipe.selection.mode == "per-example":
                steps.append(self._choices(dataset, [strategy.name for strategy in strategies]))
            steps.append(self._verdict(dataset.name, [dataset.name]))
        # An overall ranking without the strategies that some dataset lacks would name the wrong winner.
        if len(self._recipe.datasets) > 1 and all(strategy.datasets is None for strategy in self._recipe.strategies):
            steps.append(self._verdict(OVERALL, [dataset.name for dataset in self._recipe.datasets]))
        return sorted(steps, key=lambda step: step.stage)

    def _asking_steps(self, dataset: DatasetEntry, strategy: StrategyEntry) -> list[Step]:
        """What models are asked about a strategy's responses."""
        steps = [self._token_scores(dataset, strategy, view) for view in self._views]
        if self._wants_hidden:
            steps.append(self._representations(dataset, strategy))
        for metric in self._metrics:
            if (source := metric.needs.reward) and source.model:
                steps.append(self._rewards(dataset, strategy, metric, source))
        return steps

    def _examples(self, dataset: DatasetEntry) -> Step:
        path, shown = self._loaded.resolve(dataset.path), self._loaded.show(dataset.path)
        fields = {
            "file": file_digest(path, self._memo),
            "format": path.suffix.lower(),
            **{column: getattr(dataset, column) for column in ("id", "input", "reference", "label", "sample", "seed")},
        }
        return Step(
            f"examples:{dataset.name}",
            "examples",
            fields,
            (),
            EXAMPLES,
            lambda _: _reading(path, shown, fields["file"], partial(datasets.load_examples, dataset, path, shown)),
        )

    def _responses(self, dataset: DatasetEntry, strategy: StrategyEntry) -> Step:
        name, inputs = f"responses:{dataset.name}/{strategy.name}", (f"examples:{dataset.name}",)
        check, where = dataset.check, f"strategies[{self._recipe.strategies.index(strategy)}] ({strategy.name})"
        fields: dict[str, Any] = {"from": strategy.from_, "answer": _check_fields(check)}
        if isinstance(strategy, ColumnStrategy):
            fields["column"] = strategy.column
            shown = f"{self._loaded.show(dataset.path)}: {strategy.name}"
            return Step(
                name, "responses", fields, inputs, RESPONSES, lambda rows: column_responses(strategy, rows[0], check, shown)
            )
        if isinstance(strategy, PluginStrategy):
            plugin, at = find_strategy(strategy, self._loaded.shown, where), Place(self._loaded.shown, where)
            given = {"plugin": strategy.plugin, "plugin_version": plugin.version, "origin": plugin.origin}
            fields |= {**given, "options": dict(strategy.options)}
            give = lambda rows: plugin_responses(plugin, strategy, rows[0], check, at)
            return Step(name, "responses", fields, inputs, RESPONSES, give)
        if isinstance(strategy, FileStrategy):
            source, read = self._from_file(strategy, strategy.path, dataset, file_responses)
            return Step(name, "responses", fields | source, inputs, RESPONSES, read)
        sampling, seed = merge_sampling(strategy.sampling, self._loaded.models[strategy.model].entry.sampling)
        fields |= {
            "model": self._models[strategy.model].fields,
            "prompt": strategy.prompt,
            "system": strategy.system,
            "sampling": asdict(sampling),
            "seed": seed,
            "attempts": strategy.attempts,
            "if_wrong": strategy.if_wrong,
            **_PROMPTS,
        }
        place = Place(self._loaded.shown, where)
        make = lambda rows: model_responses(strategy, sampling, seed, rows[0], check, place)
        return Step(name, "responses", fields, inputs, RESPONSES, make, (1, strategy.attempts), (EMPTY, FAILED))

    def _own_outputs(self, dataset: DatasetEntry) -> Step:
        entry, check = self._recipe.own_outputs, dataset.check
        name, inputs = f"own-outputs:{dataset.name}", (f"examples:{dataset.name}",)
        fields: dict[str, Any] = {"answer": _check_fields(check), "keep": entry.keep}
        if entry.path is not None:
            source, read = self._from_file(entry, entry.path, dataset, read_own_outputs)
            return Step(name, "own-outputs", fields | source, inputs, OWN_OUTPUTS, read)
        sampling, seed = merge_sampling(entry.sampling, self._loaded.models[self._target].entry.sampling)
        fields |= {
            "model": self._models[self._target].fields,
            "samples": entry.samples,
            "sampling": asdict(sampling),
            "seed": seed,
            **_PROMPTS,
        }
        make = lambda rows: sample_own_outputs(entry, self._target, sampling, seed, rows[0], check)
        return Step(name, "own-outputs", fields, inputs, OWN_OUTPUTS, make, (entry.samples, entry.samples), (EMPTY, FAILED))

    def _from_file(
        self, entry: FileStrategy | OwnOutputsEntry, name: str, dataset: DatasetEntry, load: Callable[..., Rows]
    ) -> tuple[dict[str, Any], Callable[[Sequence[Rows]], Rows]]:
        """The key's fields of texts in a file of their own, and how a step reads them for its examples."""
        path, shown = self._loaded.resolve(name, dataset.name), self._loaded.show(name, dataset.name)
        file = file_digest(path, self._memo)

        def make(rows: Sequence[Rows]) -> Rows:
            return _reading(path, shown, file, partial(load, entry, path, shown, rows[0], dataset.check))

        return {"file": file, "id": entry.id, "response": entry.response}, make

    def _token_scores(self, dataset: DatasetEntry, strategy: StrategyEntry, view: View) -> Step:
        inputs = [f"examples:{dataset.name}", f"responses:{dataset.name}/{strategy.name}"]
        if view.k:
            inputs.append(f"own-outputs:{dataset.name}")

        known = len(inputs)

        def make(rows: Sequence[Rows]) -> Operation:
            shown_with = neighbours(rows[0], kept_by_example(rows[2]), view.k, self._loaded.shown) if view.k else {}
            # Without the race's laps (before it is run) it is about all responses.
            reached = reach_of(rows[known], strategy.name) if len(rows) > known else None
            return self._score(view, shown_with, strategy.name, rows[0], rows[1], reached)

        fields, calls = self._view_fields(view), (1, 1)
        if self._race:
            inputs.append(f"race:{dataset.name}")
            fields["raced_as"] = strategy.name
            # The race has asked for all that this needs.
            calls = (0, 0) if view == self._raced_view else calls
        name = f"token-scores:{dataset.name}/{strategy.name}/{view.name}"
        return Step(name, "token-scores", fields, tuple(inputs), TOKEN_SCORES, make, calls, (NOT_FINITE, FAILED))

    def _score(
        self,
        view: View,
        shown_with: Mapping[str, list[str]],
        strategy: str,
        examples: Rows,
        responses: Rows,
        reached: int | None = None,
    ) -> Operation:
        about, too_long = f"{strategy}, {view.name}", self._recipe.target.if_too_long
        return score_responses(self._target, view, examples, responses, shown_with, about, too_long, reached)

    def _view_fields(self, view: View) -> dict[str, Any]:
        fields = {"model": self._models[self._target].fields, "view": view.fields, **_PROMPTS}
        if view.kind == "local":
            fields["steps"] = steps.VERSION
        if self._recipe.target.if_too_long == "drop":
            # The context is in this key alone: elsewhere it changes no answer, only whether there is one.
            fields["context_tokens"] = self._loaded.models[self._target].entry.context_tokens
        return fields

    def _run_race(self, dataset: DatasetEntry, strategies: Sequence[StrategyEntry]) -> Step:
        names, metric, view = [strategy.name for strategy in strategies], self._selected, self._raced_view
        inputs = [f"examples:{dataset.name}", *(f"responses:{dataset.name}/{name}" for name in names)]
        if view.k:
            inputs.append(f"own-outputs:{dataset.name}")

        def weigh(some: Sequence[Response], scored: Sequence[ScoredResponse]) -> list[Score]:
            return list(measuring.measure(metric, measuring.Sources(some, views={view.kind: scored}), None, ""))

        def make(rows: Sequence[Rows]) -> Operation:
            shown_with = neighbours(rows[0], kept_by_example(rows[len(names) + 1]), view.k, self._loaded.shown) if view.k else {}
            responses = dict(zip(names, rows[1:], strict=False))
            return run_race(rows[0], responses, self._rule, partial(self._score, view, shown_with), weigh)

        fields = {**self._view_fields(view), **metric.fields, "strategies": names}
        # How many calls it makes is known when it is over; at most one for each response.
        calls = (0, len(names))
        return Step(f"race:{dataset.name}", "race", fields, tuple(inputs), LAPS, make, calls, (NOT_FINITE, FAILED))

    def _representations(self, dataset: DatasetEntry, strategy: StrategyEntry | None) -> Step:
        """Hidden states of a strategy's responses, or of the own outputs."""
        texts = f"responses:{dataset.name}/{strategy.name}" if strategy else f"own-outputs:{dataset.name}"
        name = f"representations:{dataset.name}/{strategy.name}" if strategy else f"representations:{dataset.name}"
        about = f"{strategy.name if strategy else 'own_outputs'}, hidden states"
        fields = {"model": self._models[self._target].fields, **_PROMPTS}
        calls = 1 if strategy or self._recipe.own_outputs.path else self._recipe.own_outputs.samples

        def make(rows: Sequence[Rows]) -> Operation:
            return token_scores.represent_texts(self._target, rows[0], rows[1], about)

        inputs = (f"examples:{dataset.name}", texts)
        return Step(name, "representations", fields, inputs, REPRESENTATIONS, make, (calls, calls), (NOT_FINITE, FAILED))

    def _rewards(self, dataset: DatasetEntry, strategy: StrategyEntry, metric: ChosenMetric, source: RewardSource) -> Step:
        place = Place(self._loaded.shown, f"metrics ({metric.label}).prompt")
        judged_by = self._models[str(source.model)].fields
        fields = {"model": judged_by, "prompt": source.prompt, "max_tokens": source.max_tokens, **_PROMPTS}
        name = f"rewards:{dataset.name}/{strategy.name}/{metric.label}"
        inputs = (f"examples:{dataset.name}", f"responses:{dataset.name}/{strategy.name}")
        make = lambda rows: measuring.judge(source, rows[0], rows[1], place)
        return Step(name, "rewards", fields, inputs, SCORES, make, (1, 1), (FAILED,))

    def _scores(self, dataset: DatasetEntry, strategy: StrategyEntry, metric: ChosenMetric) -> Step:
        needs, of = metric.needs, f"{dataset.name}/{strategy.name}"
        check = dataset.check if needs.answer else None
        column, judge = (needs.reward.column, needs.reward.model) if needs.reward else (None, None)
        # By their places in measuring.Sources.
        inputs = {"responses": f"responses:{of}"}
        if column:
            inputs["examples"] = f"examples:{dataset.name}"
        inputs |= {view.kind: f"token-scores:{of}/{view.name}" for view in needs.views}
        if needs.own_outputs:
            inputs["own_outputs"] = f"own-outputs:{dataset.name}"
        if needs.hidden:
            inputs |= {"vectors": f"representations:{of}", "own_vectors": f"representations:{dataset.name}"}
        if judge:
            inputs["rewards"] = f"rewards:{of}/{metric.label}"
        fields = {**metric.fields, **({"answer": _check_fields(check)} if check else {})}
        if needs.steps:
            fields["steps"] = steps.VERSION
        if column and "{strategy}" in column:
            fields["strategy"] = strategy.name

        shown = self._loaded.show(dataset.path)

        def make(rows: Sequence[Rows]) -> Rows:
            given = dict(zip(inputs, rows, strict=True))
            if column:
                _check_column(column.replace("{strategy}", strategy.name), given["examples"], shown, metric.label)
            views = {str(view.kind): given.pop(view.kind) for view in needs.views}
            return list(measuring.measure(metric, measuring.Sources(views=views, **given), check, strategy.name))

        return Step(f"scores:{of}/{metric.label}", "scores", fields, tuple(inputs.values()), SCORES, make)

    def _mixes(self, dataset: DatasetEntry, strategy: StrategyEntry, metric: ChosenMetric) -> Step:
        """Scores that weigh two metrics by their spreads, so they need those of all strategies."""
        strategies = self._recipe.strategies_for(dataset.name)
        parts = [part.label for part in components(metric)]
        inputs = tuple(f"scores:{dataset.name}/{other.name}/{label}" for label in parts for other in strategies)
        which, count = strategies.index(strategy), len(strategies)
        weight = float(getattr(metric.parameters, "weight", 0.5))
        fields = {**metric.fields, "which": which}
        make = lambda rows: measuring.mix(weight, rows[:count], rows[count:], which)
        return Step(f"scores:{dataset.name}/{strategy.name}/{metric.label}", "mixes", fields, inputs, SCORES, make)

    def _verdict(self, name: str, over: Sequence[str]) -> Step:
        by_dataset = [(dataset, [strategy.name for strategy in self._recipe.strategies_for(dataset)]) for dataset in over]
        rule = self._rule
        pairs = [(dataset, strategy) for dataset, strategies in by_dataset for strategy in strategies]

        def make(rows: Sequence[Rows]) -> Rows:
            strata: dict[str, dict[str, dict[str, float | None]]] = {dataset: {} for dataset, _ in by_dataset}
            weights: dict[str, dict[str, dict[str, float | None]]] = {dataset: {} for dataset, _ in by_dataset}
            for (dataset, strategy), scores in zip(pairs, rows, strict=False):
                reached = [score for score in scores if score.problem != NOT_REACHED]
                strata[dataset][strategy] = {score.id: score.value for score in reached}
                weights[dataset][strategy] = {score.id: score.weight for score in reached}
            # A metric is a ratio of means, or it is not: one weight tells.
            given = [weight for table in weights.values() for mine in table.values() for weight in mine.values()]
            weighted = list(weights.values()) if any(weight is not None for weight in given) else None
            dropped = [dropped_in(laps) for laps in rows[len(pairs) :]]
            return [selection.decide(name, list(strata.values()), rule, weighted, dropped)]

        fields = {"rule": asdict(rule), "dataset": name, "strategies": [[d, list(s)] for d, s in by_dataset]}
        inputs = [f"scores:{dataset}/{strategy}/{rule.metric}" for dataset, strategy in pairs]
        inputs += [f"race:{dataset}" for dataset, _ in by_dataset if self._race]
        return Step(f"verdict:{name}", "verdict", fields, tuple(inputs), VERDICTS, make)

    def _choices(self, dataset: DatasetEntry, names: Sequence[str]) -> Step:
        rule = self._rule

        def make(rows: Sequence[Rows]) -> Rows:
            values = {name: {s.id: s.value for s in scores} for name, scores in zip(names, rows, strict=True)}
            return choose_responses(values, rule)

        fields = {"direction": rule.direction, "strategies": list(names)}
        inputs = tuple(f"scores:{dataset.name}/{name}/{rule.metric}" for name in names)
        return Step(f"choices:{dataset.name}", "choices", fields, inputs, CHOICES, make)

    @property
    def _selected(self) -> ChosenMetric:
        return next(metric for metric in self._loaded.metrics if metric.label == self._recipe.selection_metric)

    @property
    def _raced_view(self) -> View:
        """The view that a race scores in; loading asks for a metric that has just one."""
        return self._selected.needs.views[0]

    @property
    def _rule(self) -> Rule:
        metric, chosen = self._selected, self._recipe.selection
        return Rule(metric.label, metric.direction, metric.metric.scale, chosen.confidence, chosen.resamples, chosen.seed)


def _reading(path: Path, shown: str, expected: str, load: Callable[[], Rows]) -> Rows:
    """Load rows from a file. Raises RunError if it is not the file that was digested for the step's key."""
    rows = load()
    if file_digest(path, None) != expected:
        raise RunError(Problem(shown, "", "changed while it was read", "Run again"))
    return rows


def _check_column(name: str, examples: Rows, shown: str, label: str) -> None:
    """Raise InputError if no example has the column of a metric's rewards."""
    known = {column: None for example in examples for column in example.columns}
    if examples and name not in known:
        raise InputError(Problem(shown, label, f"no row has the column '{name}'", suggest(name, known)))


def _check_extras(loaded: LoadedRecipe) -> None:
    """Raise PreflightError for metrics whose packages are missing, before any model is asked for their sake."""
    problems = []
    for i, metric in enumerate(loaded.metrics):
        for extra in {part.needs.extra for part in (metric, *components(metric))}:
            missing = [name for name in EXTRAS[extra] if find_spec(name) is None]
            if missing:
                what = f"'{metric.label}' needs {', '.join(missing)}, which is not installed"
                problems.append(Problem(loaded.shown, f"metrics[{i}]", what, f"Run: pip install 'respsel[{extra}]'"))
    if problems:
        raise PreflightError(problems)


def _check_fields(check: AnswerEntry | None) -> Mapping[str, Any] | None:
    return None if check is None else {**check.model_dump(), "version": answers.VERSION}
