"""A step, the order of operations, and the graph. Knows nothing of recipes' words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respsel import metrics, strategies
from respsel.backends.registry import KnownModel
from respsel.data import examples as datasets
from respsel.hashing import canonical_json, digest
from respsel.scoring import evidence as measuring
from respsel.scoring import token_scores
from respsel.selection import decide as selection
from respsel.selection import per_example as choices
from respsel.selection import race_rule as racing
from respsel.strategies import own_outputs
from respsel.strategies.base import Operation
from respsel.tables.table import Document, Table
from respsel.workspace.loaded_recipe import LoadedRecipe

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

Rows = Sequence[Any]


@dataclass(frozen=True)
class Step:
    """One operation with one output table.

    fields: the parameters in its key. inputs: names of the steps whose outputs it takes, in order.
    make: from the inputs' rows to its own, or to a generator that asks models on the way.
    calls_per_example: (fewest, most) model calls that it takes for an example; (0, 0): it asks no
    model, or only for what an input of it has asked for. failed: how the `problem` of a row begins
    whose own call failed; with such a row the step is not recorded as done.
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
        parts = {
            "op": self.op,
            "version": self.version,
            "fields": self.fields,
            "inputs": list(input_digests),
        }
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

    def needed_for(self, names: Iterable[str]) -> Graph:
        """The part of the graph that some steps need, themselves included."""
        wanted = set[str]()
        left = list(names)
        while left:
            if (name := left.pop()) not in wanted:
                wanted.add(name)
                left += self.steps[name].inputs
        return Graph(
            self.loaded,
            self.models,
            {name: step for name, step in self.steps.items() if name in wanted},
        )
