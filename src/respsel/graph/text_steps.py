"""Steps that give texts: examples, responses, own outputs.

What makes responses is imported when a recipe has that kind and a step is made: a cached run
makes none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from respsel import strategies
from respsel.answers import check_fields
from respsel.data import conversations, trajectories, validation
from respsel.data import examples as datasets
from respsel.data.conversations import ChatRules
from respsel.data.file_sets import FileSet
from respsel.data.prompts import template_names
from respsel.graph import names as step_names
from respsel.graph import roles
from respsel.graph.context import PROMPTS, GraphContext
from respsel.graph.data_files import awaited_for, files_of
from respsel.graph.label_checks import after_label_check
from respsel.graph.named_columns import columns_of, says_who_names
from respsel.graph.sources import Source, file_source, held_out_source, read_unchanged
from respsel.graph.step import Inputs, Rows, Step
from respsel.recipe.model import merge_sampling
from respsel.recipe.places import Place
from respsel.recipe.schema import (
    ColumnStrategy,
    DatasetEntry,
    FileStrategy,
    ModelStrategy,
    PluginStrategy,
    StrategyEntry,
)
from respsel.records import DatasetSize
from respsel.strategies import own_outputs
from respsel.strategies.base import Operation, settled
from respsel.tables.kinds import DATASET_SIZES, EXAMPLES, OWN_OUTPUTS, RESPONSES
from respsel.tables.problems import NO_FAILURES, WRITING_FAILURES
from respsel.workspace.data_places import own_place

OwnTexts = ColumnStrategy | FileStrategy | ModelStrategy | PluginStrategy


class TextSteps:
    """Makes the steps whose outputs are texts."""

    def __init__(self, of: GraphContext) -> None:
        self._of = of
        # By dataset, how many examples the file had when it was read for the sample.
        self._totals: dict[str, int] = {}

    @property
    def _white_space(self) -> Mapping[str, str]:
        """What of the recipe's rule is in keys."""
        rule = self._of.recipe.whitespace
        return {} if rule == "normalise" else {"whitespace": rule}

    def examples(self, dataset: DatasetEntry) -> Step:
        found = files_of(self._of, own_place(dataset))
        fields = self._read_fields(dataset, found) | {
            "sample": dataset.sample,
            "seed": dataset.seed,
        }
        # What is as it was in earlier versions is in no key.
        if used := self._renamed_in_prompts(dataset):
            fields["used"] = used
        rules = self._chat_rules(dataset)
        if rules.must_answer:
            fields["must_answer"] = True

        def load() -> Rows:
            with says_who_names(columns_of(self._of.loaded, dataset)):
                reading = datasets.read_dataset(dataset, found, found.shown, used, rules)
            self._totals[dataset.name] = reading.total
            return reading.sampled

        def make(_inputs: Inputs) -> Rows:
            return read_unchanged(found, fields["file"], load)

        return Step(
            name=step_names.examples(dataset.name),
            op="examples",
            version=datasets.VERSION,
            fields=fields,
            inputs={},
            table=EXAMPLES,
            make=make,
            awaits=awaited_for(found),
        )

    def validation(self, dataset: DatasetEntry) -> Step:
        """The held-out examples. All of the dataset is compared with them, whatever its sample."""
        entry = self._of.recipe.validation
        assert entry is not None, "the recipe is checked: a metric that shows them has some"
        source = held_out_source(self._of, dataset, entry)

        def make(_inputs: Inputs) -> Rows | Operation:
            return source.texts(())

        return Step(
            name=step_names.validation(dataset.name),
            op="validation",
            version=validation.VERSION,
            fields={**self._white_space, **source.fields},
            inputs={},
            table=EXAMPLES,
            make=make,
            awaits=source.awaits,
        )

    def _read_fields(self, dataset: DatasetEntry, found: FileSet) -> dict[str, Any]:
        """What decides which examples its files hold."""
        columns = ("id", "input", "reference", "label")
        fields = {
            "file": found.digest(self._of.memo),
            "format": found.ending,
            **{column: getattr(dataset, column) for column in columns},
        }
        # What is as it was in earlier versions is in no key.
        chats = dict(dataset.chat_keys)
        if system := self._of.recipe.target.system:
            chats["target_system"] = system
        if chats:
            fields["chats"] = {**chats, "version": conversations.VERSION}
        return fields

    def _chat_fields(self, dataset: DatasetEntry) -> Mapping[str, Any]:
        """What decides how a response goes with a chat, besides the chat; nothing without one."""
        if not self._of.recipe.has_chats(dataset):
            return {}
        fields = {"messages": dataset.messages, "train": dataset.train}
        return {"chats": {**fields, "version": trajectories.VERSION}}

    def _chat_rules(self, dataset: DatasetEntry) -> ChatRules:
        """What the recipe says of a dataset's chats besides its entry."""
        takes_own = any(
            isinstance(entry, ColumnStrategy)
            and entry.column == dataset.messages
            and entry.if_missing == "fail"
            for entry in self._of.recipe.made_for(dataset.name)
        )
        return ChatRules(self._of.recipe.target.system or "", takes_own)

    def dataset_size(self, dataset: DatasetEntry) -> Step:
        """How many examples there are to take; no step reads it, so growth makes nothing again."""
        found = files_of(self._of, own_place(dataset))
        fields = self._read_fields(dataset, found)
        rules = self._chat_rules(dataset)

        def load() -> Rows:
            with says_who_names(columns_of(self._of.loaded, dataset)):
                count = datasets.count_examples(dataset, found, found.shown, rules)
            return [DatasetSize(count)]

        def make(_inputs: Inputs) -> Rows:
            if dataset.name in self._totals:
                return [DatasetSize(self._totals[dataset.name])]
            return read_unchanged(found, fields["file"], load)

        return Step(
            name=step_names.dataset_size(dataset.name),
            op="dataset-size",
            version=datasets.VERSION,
            fields=fields,
            inputs={},
            table=DATASET_SIZES,
            make=make,
            awaits=awaited_for(found),
        )

    def _renamed_in_prompts(self, dataset: DatasetEntry) -> list[str]:
        """The names that prompts use and that the dataset gives to columns of other names."""
        renamed = [name for name in datasets.MAPPED if getattr(dataset, name) not in (None, name)]
        entries = self._of.recipe.made_for(dataset.name)
        prompts = [text for entry in entries for text in entry.templates.values()]
        prompts += [
            source.prompt
            for metric in self._of.loaded.metrics
            if (source := metric.needs.reward) and source.prompt
        ]
        judge = self._of.recipe.judge
        prompts += judge.templates.values() if judge else ()
        used = {name for prompt in prompts for name in template_names(prompt)}
        names = [name for name in renamed if name != "input"]
        names += ["input", conversations.CONVERSATION] if dataset.messages is not None else []
        return [name for name in names if name in used]

    def place(self, strategy: StrategyEntry) -> Place:
        """Where a strategy is declared."""
        names = [entry.name for entry in self._of.recipe.strategies]
        name = step_names.drawn_from(strategy.name)
        return self._of.loaded.at("strategies", names.index(name))

    def responses(
        self,
        dataset: DatasetEntry,
        strategy: OwnTexts,
        earlier: Sequence[str] = (),
        draw: int = 0,
    ) -> Step:
        """Responses of a strategy that takes from no other.

        earlier: strategies before it; it is asked only where none of theirs stands.
        draw: the number of a model's draw, from 0.
        """
        attempts = strategy.attempts if isinstance(strategy, ModelStrategy) else 0
        if isinstance(strategy, ModelStrategy):
            source = self._written(dataset, strategy, self.place(strategy), draw)
        else:
            source = self._given(dataset, strategy, self.place(strategy))
        fields = {
            "from": strategy.from_,
            "answer": check_fields(dataset.check),
            **self._white_space,
            **self._chat_fields(dataset),
            **source.fields,
        }
        return Step(
            name=step_names.responses(dataset.name, strategy.name),
            op="responses",
            version=strategies.VERSION,
            fields=fields,
            inputs={
                roles.EXAMPLES: step_names.examples(dataset.name),
                **self.responses_by_role(dataset, earlier),
            },
            table=RESPONSES,
            make=self._make(dataset, source, earlier, f"strategy '{strategy.name}'"),
            calls_per_example=(min(1, attempts), attempts),
            failures=WRITING_FAILURES if attempts else NO_FAILURES,
            asks_each_turn=attempts > 0 and dataset.train != "last",
            awaits=source.awaits,
        )

    def responses_by_role(self, dataset: DatasetEntry, names: Sequence[str]) -> Mapping[str, str]:
        """The steps of several strategies' responses, by what they are to a step that takes all."""
        return {
            roles.responses_of(name): step_names.responses(dataset.name, name) for name in names
        }

    def _make(
        self, dataset: DatasetEntry, source: Source, earlier: Sequence[str], whose: str
    ) -> Callable[[Inputs], Rows | Operation]:
        """From a step's inputs to its responses; whose: for errors."""
        if not earlier:
            return after_label_check(self._of, dataset, source.texts, whose)

        def make(inputs: Inputs) -> Rows | Operation:
            from respsel.strategies.first import where_needed

            before = [inputs[roles.responses_of(name)] for name in earlier]

            def texts(examples: Rows) -> Operation:
                return where_needed(source.texts, examples, before)

            return after_label_check(self._of, dataset, texts, whose)(inputs)

        return make

    def _given(
        self,
        dataset: DatasetEntry,
        strategy: ColumnStrategy | FileStrategy | PluginStrategy,
        place: Place,
    ) -> Source:
        """Responses that no model is asked for."""
        if isinstance(strategy, ColumnStrategy):
            source = self._column(dataset, strategy, place.at("column"))
        elif isinstance(strategy, FileStrategy):
            from respsel.strategies.file import file_responses

            load = partial(file_responses, train=dataset.train)
            source = file_source(self._of, dataset, strategy, strategy.path, load)
        else:
            source = self._plugin(dataset, strategy, place)
        fields = dict(source.fields)
        if strategy.if_wrong != "keep":
            fields["if_wrong"] = strategy.if_wrong
        remedy = "Fix or remove them, or set if_wrong to 'keep' or 'drop'"

        def texts(examples: Rows) -> Rows:
            responses: Rows = source.texts(examples)  # type: ignore[assignment]  # asks no model
            return settled(responses, strategy, place, remedy)

        return Source(fields, texts, source.awaits)

    def _column(self, dataset: DatasetEntry, strategy: ColumnStrategy, named: Place) -> Source:
        shown = f"{self._of.loaded.show(dataset.path)}: {strategy.name}"
        rule = self._of.recipe.whitespace
        fields = {"column": strategy.column}
        if strategy.if_missing != "fail":
            fields["if_missing"] = strategy.if_missing

        def texts(examples: Rows) -> Rows:
            from respsel.strategies.column import column_responses

            with says_who_names({strategy.column: named}):
                return column_responses(strategy, examples, dataset.check, shown, rule, dataset)

        return Source(fields, texts)

    def _plugin(self, dataset: DatasetEntry, strategy: PluginStrategy, place: Place) -> Source:
        from respsel.strategies.plugin import find_strategy, plugin_responses

        plugin = find_strategy(strategy, place)
        rule = self._of.recipe.whitespace
        fields = {
            "plugin": strategy.plugin,
            "plugin_version": plugin.version,
            "origin": plugin.origin,
            "options": dict(strategy.options),
        }

        def texts(examples: Rows) -> Rows:
            return plugin_responses(
                plugin, strategy, examples, dataset.check, place, rule, dataset.train
            )

        return Source(fields, texts)

    def _written(
        self, dataset: DatasetEntry, strategy: ModelStrategy, place: Place, draw: int
    ) -> Source:
        """Responses that a model writes."""
        of = self._of
        model = of.loaded.models[strategy.model]
        sampling, seed = merge_sampling(strategy.sampling, model.entry.sampling)
        fields = {
            "model": of.models[strategy.model].fields,
            "prompt": strategy.prompt,
            "system": strategy.system,
            "sampling": asdict(sampling),
            "seed": seed,
            "attempts": strategy.attempts,
            "if_wrong": strategy.if_wrong,
            **PROMPTS,
        }
        if draw:
            fields["draw"] = draw
        rule = of.recipe.whitespace

        def texts(examples: Rows) -> Operation:
            from respsel.strategies.model import model_responses

            return model_responses(
                strategy, sampling, seed, examples, dataset.check, place, rule, draw, dataset.train
            )

        return Source(fields, texts)

    def own_outputs(self, dataset: DatasetEntry) -> Step:
        entry = self._of.recipe.own_outputs
        if entry.path is None:
            source = self._sampled(dataset)
            samples = entry.samples
        else:
            read = own_outputs.read_own_outputs
            source = file_source(self._of, dataset, entry, entry.path, read)
            samples = 0
        fields = {
            "answer": check_fields(dataset.check),
            "keep": entry.keep,
            **self._white_space,
            **source.fields,
        }
        return Step(
            name=step_names.own_outputs(dataset.name),
            op="own-outputs",
            version=own_outputs.VERSION,
            fields=fields,
            inputs={roles.EXAMPLES: step_names.examples(dataset.name)},
            table=OWN_OUTPUTS,
            make=after_label_check(self._of, dataset, source.texts, "own outputs"),
            calls_per_example=(samples, samples),
            failures=WRITING_FAILURES if samples else NO_FAILURES,
            awaits=source.awaits,
        )

    def _sampled(self, dataset: DatasetEntry) -> Source:
        """Own outputs that the target is asked for."""
        of = self._of
        entry = of.recipe.own_outputs
        target = of.loaded.models[of.target]
        sampling, seed = merge_sampling(entry.sampling, target.entry.sampling)
        fields = {
            "model": of.target_fields,
            "samples": entry.samples,
            "sampling": asdict(sampling),
            "seed": seed,
            **PROMPTS,
        }
        rule = of.recipe.whitespace
        sample = own_outputs.sample_own_outputs

        def texts(examples: Rows) -> Operation:
            return sample(entry, of.target, sampling, seed, examples, dataset.check, rule)

        return Source(fields, texts)
