"""A step, the order of operations, and the graph. Knows nothing of recipes' words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from respsel.backends.registry import KnownModel
from respsel.graph.authors import Author, how_target
from respsel.hashing import canonical_json, digest
from respsel.strategies.base import Operation
from respsel.tables.problems import NO_FAILURES, Failures
from respsel.tables.table import Document, Table
from respsel.workspace.loaded_recipe import LoadedRecipe

# In this order: each stage needs only what the stages before it made. With strategies that take
# from others the order is gone through once a level.
STAGES = (
    ("examples", "dataset-size", "validation"),
    ("responses", "composites", "own-outputs"),
    ("representations", "rewards", "preferences"),
    ("gates",),
    ("race",),
    ("token-scores",),
    ("scores",),
    ("mixes",),
    ("choices", "verdict"),
)

Rows = Sequence[Any]
# A step's input tables by role; see roles.
Inputs = Mapping[str, Rows]


class LazyInputs(Inputs):
    """A step's input tables, each loaded when it is looked at and not kept.

    Hazard: each look may read the table from the store, so a step takes a table once.
    """

    def __init__(self, names: Mapping[str, str], load: Callable[[str], Rows]) -> None:
        """names: by role, the step whose output it is. load: gives the output of a step's name."""
        self._names = names
        self._load = load

    def __getitem__(self, role: str) -> Rows:
        return self._load(self._names[role])

    def __contains__(self, role: object) -> bool:
        return role in self._names

    def get(self, role: str, default: Any = None) -> Any:
        """The table of a role, or the default if the step has no such input.

        Hazard: Mapping's own `get` would take a KeyError from loading a table for "no input".
        """
        if role not in self:
            return default
        return self[role]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Awaited:
    """What has to be downloaded before a step can be made.

    addresses: the addresses that are not in the store.
    is_known: whether it is known what is there; if not, neither is the step's key.
    """

    addresses: tuple[str, ...] = ()
    is_known: bool = True


NOTHING = Awaited()


@dataclass(frozen=True)
class Step:
    """One operation with one output table.

    version: raised when the operation would give another table of the same inputs and fields.
    fields: the parameters in its key.
    inputs: by role, the names of the steps whose outputs it takes; their order is that in the key.
    make: from the inputs' rows to its own, or to a generator that asks models on the way.
    calls_per_example: (fewest, most) model calls that it takes for an example. (0, 0): it asks no
        model, or only for what an input of it has asked for.
    failures: the problems of rows whose own call failed. With such a row the step is not recorded
        as done.
    asks_each_turn: whether it takes these calls for each trained turn of an example.
    news: by version, in words, why it was raised.
    level: how many strategies deep its texts are taken from each other; see STAGES.
    awaits: what has to be downloaded for it.
    """

    name: str
    op: str
    version: int
    fields: Mapping[str, Any]
    inputs: Mapping[str, str]
    table: Table[Any] | Document[Any]
    make: Callable[[Inputs], Rows | Operation]
    calls_per_example: tuple[int, int] = (0, 0)
    failures: Failures = NO_FAILURES
    asks_each_turn: bool = False
    news: Mapping[int, str] = field(default_factory=dict)
    level: int = 0
    awaits: Awaited = NOTHING

    def key(self, input_digests: Sequence[str]) -> str:
        """The step's key, given the digests of its inputs' content in the order of `inputs`."""
        parts = {
            "op": self.op,
            "version": self.version,
            "fields": self.fields,
            "inputs": list(input_digests),
        }
        return digest("step", canonical_json(parts))

    @property
    def asks(self) -> bool:
        """Whether it may ask a model."""
        return self.calls_per_example[1] > 0

    @property
    def stage(self) -> tuple[int, int]:
        """When it is made: its level, and its place in STAGES. Steps of one stage run together."""
        return self.level, next(i for i, ops in enumerate(STAGES) if self.op in ops)


@dataclass(frozen=True)
class Graph:
    """All steps of a recipe by name, inputs before their users, and the models they may ask.

    authors: by strategy, who wrote its texts.
    """

    loaded: LoadedRecipe
    models: Mapping[str, KnownModel]
    steps: Mapping[str, Step]
    authors: Mapping[str, Author]

    @cached_property
    def judge_is_target(self) -> bool:
        """Whether the recipe's judge is the model that is to be fine-tuned, however stored."""
        judge = self.loaded.recipe.judge
        return judge is not None and bool(how_target(judge.model, self.loaded, self.models))

    def needed_for(self, names: Iterable[str]) -> Graph:
        """The part of the graph that some steps need, themselves included."""
        wanted = set[str]()
        left = list(names)
        while left:
            if (name := left.pop()) not in wanted:
                wanted.add(name)
                left += self.steps[name].inputs.values()
        steps = {name: step for name, step in self.steps.items() if name in wanted}
        return replace(self, steps=steps)
