"""All of a recipe that can be checked without a model: data, labels, response files, prompts.

The steps of a run are made as far as texts are known, and the prompts of the others are rendered.
A store is read only for data that was downloaded. Invariant: nothing is written, no weights are
read and no server is asked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from types import GeneratorType
from typing import Any

from respsel.backends.registry import look_for
from respsel.errors import PreflightError, Problem, RespselError, first_problems
from respsel.graph import names as step_names
from respsel.graph import roles
from respsel.graph.build import asked_models, check_extras, sketch_graph
from respsel.graph.downloads import wanted_by
from respsel.graph.names import StepName
from respsel.graph.step import Rows, Step
from respsel.hashing import DigestMemo, FileStat
from respsel.recipe.schema import DatasetEntry, FileStrategy, ModelStrategy, StrategyEntry
from respsel.records import Response
from respsel.remote.fetching import refuse_unpinned
from respsel.store.store import Store
from respsel.workspace.field_checks import doubtful_fields
from respsel.workspace.loaded_recipe import LoadedRecipe

# Steps that need no token scores. Which of the scores these are depends on their inputs.
_OPS = (
    "examples",
    "dataset-size",
    "validation",
    "responses",
    "composites",
    "own-outputs",
    "rewards",
    "preferences",
    "scores",
)
_EXAMPLE = re.compile(r"example '[^']*'")
# Stands for a text that a run would have a model write.
_UNWRITTEN = "a model would write it"


@dataclass(frozen=True)
class CheckedDataset:
    """What a dataset holds.

    file: its path as it is shown.
    examples: how many there are.
    sampled: how many of them a run takes.
    answer: the kind of its answer check; empty without one.
    """

    name: str
    file: str
    examples: int
    sampled: int
    answer: str


@dataclass(frozen=True)
class CheckedStrategy:
    """What a strategy brings to a dataset.

    source: where its texts come from, for people.
    texts: how many responses are there already.
    right: how many of them are right; None where that is not checked.
    prompts: how many prompts a model would be sent.
    """

    name: str
    dataset: str
    source: str
    texts: int
    right: int | None
    prompts: int


@dataclass(frozen=True)
class Checked:
    """What was found.

    problems: what is wrong with the recipe or its files.
    notes: what this machine lacks for a run, and what may be meant otherwise.
    """

    datasets: tuple[CheckedDataset, ...]
    strategies: tuple[CheckedStrategy, ...]
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]


def check_study(loaded: LoadedRecipe) -> Checked:
    """Check a recipe's files and prompts. Raises nothing for what is wrong with them."""
    problems, notes = _look_at_machine(loaded)
    walk = _Walk(_without_missing_checks(loaded))
    walk.go()
    # Draws of one strategy have the same prompts.
    problems = _folded([*problems, *walk.problems])
    notes = list(dict.fromkeys([*notes, *walk.notes, *doubtful_fields(loaded)]))
    return Checked(tuple(walk.datasets()), tuple(walk.strategies()), tuple(problems), tuple(notes))


def _folded(problems: Iterable[Problem]) -> list[Problem]:
    """Problems without those that only another example has too; their number is said."""
    alike: dict[Problem, list[Problem]] = {}
    for problem in dict.fromkeys(problems):
        alike.setdefault(replace(problem, what=_EXAMPLE.sub("", problem.what)), []).append(problem)
    return [
        replace(first, what=f"{first.what} (and {len(others)} more like it)") if others else first
        for first, *others in alike.values()
    ]


def _look_at_machine(loaded: LoadedRecipe) -> tuple[list[Problem], list[Problem]]:
    """What is wrong with model entries, and what of models and packages is not on this machine."""
    problems: list[Problem] = []
    notes: list[Problem] = []
    try:
        check_extras(loaded)
    except PreflightError as error:
        notes += error.problems
    for name in sorted(asked_models(loaded)):
        named = loaded.models[name]
        try:
            look_for(named)
        except RespselError as error:
            missing = isinstance(error, PreflightError) or "no file at" in str(error)
            (notes if missing else problems).extend(error.problems)
        variable = named.entry.api_key_env
        if variable is not None and not os.environ.get(variable, "").strip():
            what = f"the environment variable {variable} is not set"
            notes.append(named.at("api_key_env").problem(what, f"Run: export {variable}=..."))
    return problems, notes


def _without_missing_checks(loaded: LoadedRecipe) -> LoadedRecipe:
    """The recipe without answer checks whose package is not installed; a note tells of it."""
    if find_spec("math_verify") is not None:
        return loaded
    datasets = tuple(
        entry.model_copy(update={"answer": None})
        if entry.check is not None and entry.check.kind == "math"
        else entry
        for entry in loaded.recipe.datasets
    )
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"datasets": datasets}))


class _NoMemo:
    """Remembers no digests: there may be no store."""

    def load_file_digest(self, path: str, stat: FileStat) -> str | None:
        return None

    def save_file_digest(self, path: str, stat: FileStat, value: str) -> None:
        return None


class _Walk:
    """Goes through the steps of a recipe and makes what needs no model."""

    def __init__(self, loaded: LoadedRecipe) -> None:
        self._loaded = loaded
        self._known: dict[str, Rows] = {}
        # By step, how many prompts a model would be sent.
        self._prompts: dict[str, int] = {}
        # The steps whose texts a model would write.
        self._unwritten = set[str]()
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []

    def go(self) -> None:
        """Make the steps; problems and notes are kept."""
        try:
            refuse_unpinned(wanted_by(self._loaded), f"respsel fetch {self._loaded.typed}")
            with ExitStack() as opened:
                self._go(sketch_graph(self._loaded, self._memo(opened)).steps.values())
        except RespselError as error:
            self._keep(error)

    def _memo(self, opened: ExitStack) -> DigestMemo:
        """What knows digests: the store, if there may be downloaded data in it."""
        if not wanted_by(self._loaded):
            return _NoMemo()
        return opened.enter_context(Store(self._loaded.workspace.store, reading=True))

    def _go(self, steps: Iterable[Step]) -> None:
        for step in steps:
            for address in step.awaits.addresses:
                self.notes.append(self._not_here(address))
            if self._can_make(step):
                try:
                    self._make(step)
                except RespselError as error:
                    self._keep(error)

    def _not_here(self, address: str) -> Problem:
        shown = self._loaded.show(address)
        what = f"'{shown}' is not in the store yet, so its data is not checked"
        return Problem(self._loaded.shown, "", what, f"Run: respsel fetch {self._loaded.typed}")

    def datasets(self) -> Iterator[CheckedDataset]:
        """The datasets that could be read."""
        for entry in self._loaded.recipe.datasets:
            sizes = self._known.get(step_names.dataset_size(entry.name))
            examples = self._known.get(step_names.examples(entry.name))
            if sizes and examples is not None:
                yield CheckedDataset(
                    entry.name,
                    self._loaded.show(entry.path),
                    sizes[0].examples,
                    len(examples),
                    entry.check.kind if entry.check else "",
                )

    def strategies(self) -> Iterator[CheckedStrategy]:
        """The strategies that could be read or whose prompts could be rendered."""
        for dataset in self._loaded.recipe.datasets:
            if step_names.examples(dataset.name) in self._known:
                for entry in self._loaded.recipe.made_for(dataset.name):
                    prompts = self._prompts_of(dataset.name, entry.name)
                    known = step_names.responses(dataset.name, entry.name) in self._known
                    if known or prompts or entry.members:
                        yield self._strategy(dataset, entry, prompts)

    def _prompts_of(self, dataset: str, strategy: str) -> int:
        """How many prompts a strategy has, in all its draws."""
        names = {name: StepName.parse(name) for name in self._prompts}
        return sum(
            self._prompts[name]
            for name, parts in names.items()
            if parts.op == "responses"
            and parts.dataset == dataset
            and step_names.drawn_from(parts.strategy) == strategy
        )

    def _strategy(
        self, dataset: DatasetEntry, entry: StrategyEntry, prompts: int
    ) -> CheckedStrategy:
        rows = self._known.get(step_names.responses(dataset.name, entry.name), ())
        usable = [row for row in rows if not row.problem]
        judged = [row.correct for row in usable if row.correct is not None]
        source = (
            self._loaded.show(entry.path, dataset.name)
            if isinstance(entry, FileStrategy)
            else f"model '{entry.model}'"
            if isinstance(entry, ModelStrategy)
            else entry.source
        )
        right = sum(judged) if judged else None
        return CheckedStrategy(entry.name, dataset.name, source, len(usable), right, prompts)

    def _can_make(self, step: Step) -> bool:
        inputs = step.inputs.values()
        # What is taken from texts that are not written yet is not known.
        is_open = step.op == "composites" and not self._unwritten.isdisjoint(inputs)
        is_open = is_open or bool(step.awaits.addresses)
        return step.op in _OPS and not is_open and all(name in self._known for name in inputs)

    def _make(self, step: Step) -> None:
        inputs = {role: self._known[name] for role, name in step.inputs.items()}
        made: Any = step.make(inputs)
        if not isinstance(made, GeneratorType):
            self._known[step.name] = list(made)
            return
        try:
            requests = next(made)
        except StopIteration as done:
            self._known[step.name] = list(done.value)
            return
        self._render(requests)
        self._prompts[step.name] = len(requests)
        if step.op == "responses":
            self._unwritten.add(step.name)
            self._known[step.name] = _unwritten(inputs)

    def _render(self, requests: Sequence[Any]) -> None:
        """Look at every prompt; each that cannot be rendered is a problem."""
        faulty: list[Problem] = []
        for index in range(len(requests)):
            try:
                _ = requests[index]
            except RespselError as error:
                faulty += error.problems
        if faulty:
            self.problems += first_problems(faulty, "prompts like these")

    def _keep(self, error: RespselError) -> None:
        (self.notes if isinstance(error, PreflightError) else self.problems).extend(error.problems)


def _unwritten(inputs: Mapping[str, Rows]) -> list[Response]:
    # With a problem, so that a strategy that takes over where others fail has its prompts rendered.
    return [Response(example.id, "", _UNWRITTEN) for example in inputs[roles.EXAMPLES]]
