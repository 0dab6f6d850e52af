"""Steps that give texts: examples, responses, own outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import GeneratorType
from typing import Any

from respsel.answers import PatternTimeoutError, check_fields
from respsel.calls.requests import FAILED
from respsel.data import examples as datasets
from respsel.data import files
from respsel.data import response_files as elsewhere
from respsel.data.files import ending_of
from respsel.data.prompts import template_names
from respsel.errors import Problem, RunError
from respsel.graph import names as step_names
from respsel.graph.context import PROMPTS, GraphContext
from respsel.graph.step import Rows, Step
from respsel.hashing import file_digest
from respsel.recipe.model import merge_sampling
from respsel.recipe.schema import (
    ColumnStrategy,
    DatasetEntry,
    FileStrategy,
    ModelStrategy,
    OwnOutputsEntry,
    PluginStrategy,
    StrategyEntry,
)
from respsel.strategies.base import Operation, Place, settled
from respsel.strategies.column import column_responses
from respsel.strategies.file import file_responses
from respsel.strategies.model import EMPTY, model_responses
from respsel.strategies.own_outputs import read_own_outputs, sample_own_outputs
from respsel.strategies.plugin import find_strategy, plugin_responses
from respsel.tables.kinds import EXAMPLES, OWN_OUTPUTS, RESPONSES


class TextSteps:
    """Makes the steps whose outputs are texts."""

    def __init__(self, of: GraphContext) -> None:
        self._of = of

    @property
    def _white_space(self) -> Mapping[str, str]:
        """What of the recipe's rule is in keys."""
        rule = self._of.recipe.whitespace
        return {} if rule == "normalise" else {"whitespace": rule}

    def examples(self, dataset: DatasetEntry) -> Step:
        path = self._of.loaded.resolve(dataset.path)
        shown = self._of.loaded.show(dataset.path)
        fields = {
            "file": file_digest(path, self._of.memo),
            "format": ending_of(path),
            **{
                column: getattr(dataset, column)
                for column in ("id", "input", "reference", "label", "sample", "seed")
            },
        }
        # What is as it was in earlier versions is in no key.
        if used := self._renamed_in_prompts(dataset):
            fields["used"] = used
        return Step(
            step_names.examples(dataset.name),
            "examples",
            fields,
            (),
            EXAMPLES,
            lambda _: _reading(
                path,
                shown,
                fields["file"],
                partial(datasets.load_examples, dataset, path, shown, used),
            ),
        )

    def _renamed_in_prompts(self, dataset: DatasetEntry) -> list[str]:
        """The names that prompts say and that the dataset gives to columns of other names."""
        renamed = [name for name in datasets.MAPPED if getattr(dataset, name) not in (None, name)]
        strategies = self._of.recipe.strategies_for(dataset.name)
        prompts = [
            text
            for s in strategies
            if isinstance(s, ModelStrategy)
            for text in (s.prompt, s.system)
            if text
        ]
        prompts += [
            source.prompt
            for metric in self._of.loaded.metrics
            if (source := metric.needs.reward) and source.prompt
        ]
        said = {name for prompt in prompts for name in template_names(prompt)}
        return [name for name in renamed if name != "input" and name in said]

    def responses(self, dataset: DatasetEntry, strategy: StrategyEntry) -> Step:
        name = step_names.responses(dataset.name, strategy.name)
        inputs = (step_names.examples(dataset.name),)
        where = f"strategies[{self._of.recipe.strategies.index(strategy)}] ({strategy.name})"
        place = Place(self._of.loaded.shown, where)
        fields: dict[str, Any] = {
            "from": strategy.from_,
            "answer": check_fields(dataset.check),
            **self._white_space,
        }
        if isinstance(strategy, ModelStrategy):
            return self._written(name, fields, inputs, dataset, strategy, place)
        more, given = self._given(dataset, strategy, place)
        fields |= more
        if strategy.if_wrong != "keep":
            fields["if_wrong"] = strategy.if_wrong

        def make(rows: Sequence[Rows]) -> Rows:
            return settled(
                given(rows),
                strategy,
                place,
                "Fix or remove them, or set if_wrong to 'keep' or 'drop'",
            )

        return Step(
            name,
            "responses",
            fields,
            inputs,
            RESPONSES,
            self._checked(dataset, make, f"strategy '{strategy.name}'"),
        )

    def _given(
        self,
        dataset: DatasetEntry,
        strategy: ColumnStrategy | FileStrategy | PluginStrategy,
        place: Place,
    ) -> tuple[Mapping[str, Any], Callable[[Sequence[Rows]], Rows]]:
        """The key's fields of responses that no model is asked for, and how they are had."""
        check = dataset.check
        rule = self._of.recipe.whitespace
        if isinstance(strategy, ColumnStrategy):
            shown = f"{self._of.loaded.show(dataset.path)}: {strategy.name}"
            dropped = {} if strategy.if_missing == "fail" else {"if_missing": strategy.if_missing}
            return {"column": strategy.column, **dropped}, lambda rows: column_responses(
                strategy, rows[0], check, shown, rule
            )
        if isinstance(strategy, FileStrategy):
            return self._from_file(strategy, strategy.path, dataset, file_responses)
        plugin = find_strategy(strategy, place.file, place.where)
        told = {
            "plugin": strategy.plugin,
            "plugin_version": plugin.version,
            "origin": plugin.origin,
        }
        respond = lambda rows: plugin_responses(plugin, strategy, rows[0], check, place, rule)
        return {**told, "options": dict(strategy.options)}, respond

    def _written(
        self,
        name: str,
        fields: dict[str, Any],
        inputs: tuple[str, ...],
        dataset: DatasetEntry,
        strategy: ModelStrategy,
        place: Place,
    ) -> Step:
        """The step of responses that a model writes."""
        sampling, seed = merge_sampling(
            strategy.sampling, self._of.loaded.models[strategy.model].entry.sampling
        )
        fields |= {
            "model": self._of.models[strategy.model].fields,
            "prompt": strategy.prompt,
            "system": strategy.system,
            "sampling": asdict(sampling),
            "seed": seed,
            "attempts": strategy.attempts,
            "if_wrong": strategy.if_wrong,
            **PROMPTS,
        }
        rule = self._of.recipe.whitespace
        write = lambda rows: model_responses(
            strategy, sampling, seed, rows[0], dataset.check, place, rule
        )
        make = self._checked(dataset, write, f"strategy '{strategy.name}'")
        return Step(
            name,
            "responses",
            fields,
            inputs,
            RESPONSES,
            make,
            (1, strategy.attempts),
            (EMPTY, FAILED),
        )

    def own_outputs(self, dataset: DatasetEntry) -> Step:
        entry = self._of.recipe.own_outputs
        check = dataset.check
        name = step_names.own_outputs(dataset.name)
        inputs = (step_names.examples(dataset.name),)
        fields: dict[str, Any] = {
            "answer": check_fields(check),
            "keep": entry.keep,
            **self._white_space,
        }
        if entry.path is not None:
            source, read = self._from_file(entry, entry.path, dataset, read_own_outputs)
            return Step(
                name,
                "own-outputs",
                fields | source,
                inputs,
                OWN_OUTPUTS,
                self._checked(dataset, read, "own outputs"),
            )
        sampling, seed = merge_sampling(
            entry.sampling, self._of.loaded.models[self._of.target].entry.sampling
        )
        fields |= {
            "model": self._of.target_fields,
            "samples": entry.samples,
            "sampling": asdict(sampling),
            "seed": seed,
            **PROMPTS,
        }
        rule = self._of.recipe.whitespace
        sample = lambda rows: sample_own_outputs(
            entry, self._of.target, sampling, seed, rows[0], check, rule
        )
        make = self._checked(dataset, sample, "own outputs")
        return Step(
            name,
            "own-outputs",
            fields,
            inputs,
            OWN_OUTPUTS,
            make,
            (entry.samples, entry.samples),
            (EMPTY, FAILED),
        )

    def _checked(
        self, dataset: DatasetEntry, make: Callable[[Sequence[Rows]], Rows | Operation], who: str
    ) -> Callable[[Sequence[Rows]], Rows | Operation]:
        """The same, after a look at the labels of its examples: the answer check is in this step's
        key, not in theirs.

        Whose text a pattern takes too long on is told.
        """
        shown = self._of.loaded.show(dataset.path)
        where = (
            f"datasets[{self._of.recipe.datasets.index(dataset)}] ({dataset.name}).answer.pattern"
        )

        def told(error: PatternTimeoutError) -> PatternTimeoutError:
            return PatternTimeoutError(error.example, who, self._of.loaded.shown, where)

        def asking(operation: Operation) -> Operation:
            try:
                return (yield from operation)
            except PatternTimeoutError as error:
                raise told(error) from None

        def made(rows: Sequence[Rows]) -> Rows | Operation:
            # Taken once: each look at an input may read it from the store.
            examples = rows[0]
            datasets.check_labels(dataset, examples, shown)
            try:
                found = make([examples])
            except PatternTimeoutError as error:
                raise told(error) from None
            return asking(found) if isinstance(found, GeneratorType) else found

        return made

    def _from_file(
        self,
        entry: FileStrategy | OwnOutputsEntry,
        name: str,
        dataset: DatasetEntry,
        load: Callable[..., Rows],
    ) -> tuple[dict[str, Any], Callable[[Sequence[Rows]], Rows]]:
        """The key's fields of texts in a file of their own, and how a step reads them for its
        examples.
        """
        path = self._of.loaded.resolve(name, dataset.name)
        shown = self._of.loaded.show(name, dataset.name)
        file = file_digest(path, self._of.memo)
        rule = self._of.recipe.whitespace

        def make(rows: Sequence[Rows]) -> Rows:
            return _reading(
                path, shown, file, partial(load, entry, path, shown, rows[0], dataset.check, rule)
            )

        fields: dict[str, Any] = {
            "file": file,
            "data_files": files.VERSION,
            "ending": ending_of(path),
        }
        fields |= {"id": entry.id, "response": entry.response}
        # What is as it was in earlier versions is in no key.
        fields |= (
            {}
            if entry.format == "rows"
            else {"format": entry.format, "batch_reading": elsewhere.BATCH_VERSION}
        )
        fields |= {} if entry.if_missing == "fail" else {"if_missing": entry.if_missing}
        return fields, make


def _reading(path: Path, shown: str, expected: str, load: Callable[[], Rows]) -> Rows:
    """Load rows from a file.

    Raises RunError if it is not the file that was digested for the step's key.
    """
    rows = load()
    if file_digest(path, None) != expected:
        raise RunError(Problem(shown, "", "changed while it was read", "Run again"))
    return rows
