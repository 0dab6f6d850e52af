"""A look at the examples' labels before a step makes texts that are checked against them.

The answer check is in that step's key, not in the key of the examples. Knows nothing of where texts
come from. Invariant: a pattern that takes too long names the texts and its place in the recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import GeneratorType

from respsel.answers import PatternTimeoutError
from respsel.data import examples as datasets
from respsel.graph import roles
from respsel.graph.context import GraphContext
from respsel.graph.step import Inputs, Rows
from respsel.recipe.schema import DatasetEntry
from respsel.records import Example
from respsel.strategies.base import Operation


def after_label_check(
    of: GraphContext,
    dataset: DatasetEntry,
    texts: Callable[[Sequence[Example]], Rows | Operation],
    whose: str,
) -> Callable[[Inputs], Rows | Operation]:
    """The `make` of a step that takes its examples and gives texts; whose: for errors."""
    shown = of.loaded.show(dataset.path)
    place = of.loaded.at("datasets", of.recipe.datasets.index(dataset), "answer", "pattern")

    def placed(error: PatternTimeoutError) -> PatternTimeoutError:
        return PatternTimeoutError(error.example, whose, place.problem)

    def asking(operation: Operation) -> Operation:
        try:
            return (yield from operation)
        except PatternTimeoutError as error:
            raise placed(error) from None

    def make(inputs: Inputs) -> Rows | Operation:
        examples = inputs[roles.EXAMPLES]
        datasets.check_labels(dataset, examples, shown)
        try:
            rows = texts(examples)
        except PatternTimeoutError as error:
            raise placed(error) from None
        return asking(rows) if isinstance(rows, GeneratorType) else rows

    return make
