"""Which held-out examples go with which example, and what is scored with them.

Two kinds of views show them. The `validation` view has k of them before an example's input. The
views `reference` and `demonstrations` score held-out references themselves: behind their own inputs
alone, and with an example's response shown before.

Knows nothing of models. Invariants: the choice depends on the ids of one example and of the
held-out ones alone. So it is the same for all strategies, and a larger sample leaves it as it was.
A response is shown in one row only, so rows are as independent as the examples are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from respsel.data.prompts import demonstration_messages
from respsel.errors import InputError, Problem
from respsel.hashing import digest
from respsel.metrics.contract import View
from respsel.records import Example, Message, Response
from respsel.tables.problems import TOO_FEW_LEFT, WITH_OTHERS, is_reached

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    MarkArray = npt.NDArray[np.uint64]

# Raised when an example would be given other held-out examples, or another group.
VERSION = 1

# A prompt, and the text that is scored behind it.
Try = tuple[tuple[Message, ...], str]


class HeldOut:
    """Held-out examples, and which of them go with an example."""

    def __init__(self, rows: Sequence[Example]) -> None:
        import numpy as np

        self.rows = rows
        self._marks = np.array([_mark(row.id) for row in rows], np.uint64)

    def chosen(self, name: str, count: int) -> list[Example]:
        """The `count` that go with the example of an id: the first in hash order of both ids.

        They come in the order of all, so that prompts with the same ones begin alike. A further
        held-out example takes the place of another for some examples only.
        """
        import numpy as np

        ranks = _mixed(self._marks ^ np.uint64(_mark(name)))
        first = np.argsort(ranks, kind="stable")[:count]
        return [self.rows[place] for place in sorted(first.tolist())]


def _mark(name: str) -> int:
    return int(digest("held-out", name)[:16], 16)


def _mixed(values: MarkArray) -> MarkArray:
    """Well mixed bits of each number: the last steps of SplitMix64."""
    import numpy as np

    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def shown_before(
    view: View, examples: Sequence[Example], held_out: Sequence[Example], shown: str
) -> Mapping[str, list[tuple[str, str]]]:
    """For each example, the inputs and references of k held-out examples.

    Raises InputError if there are fewer than k; shown: the recipe, for that error.
    """
    _check_enough(held_out, view.k, shown)
    pool = HeldOut(held_out)
    return {
        example.id: [(row.input, row.reference or "") for row in pool.chosen(example.id, view.k)]
        for example in examples
    }


def tries(
    view: View,
    examples: Sequence[Example],
    responses: Sequence[Response],
    held_out: Sequence[Example],
    shown: str,
) -> Mapping[str, list[Try]]:
    """By the first example of each group, the references that are scored for it.

    In the view `demonstrations` the group's responses stand before them, its first example's last,
    which is nearest to them. Raises InputError if there are fewer held-out examples than wanted.
    """
    _check_enough(held_out, view.references, shown)
    if len(examples) < view.k:
        what = f"{view.k} responses are shown together, but there are only {len(examples)} examples"
        raise InputError(Problem(shown, "metrics", what, "Lower k, or raise the dataset's sample"))
    pool = HeldOut(held_out)
    found = {}
    for group in groups(view, len(examples)):
        first = examples[group[0]]
        # Before responses are made, prompts are checked without them. Some templates refuse an
        # empty turn.
        shown_first = [(examples[i].input, responses[i].text or ".") for i in reversed(group)]
        before = shown_first if view.kind == "demonstrations" else []
        found[first.id] = [
            (demonstration_messages(row.input, before), row.reference or "")
            for row in pool.chosen(first.id, view.references)
        ]
    return found


def groups(view: View, count: int) -> Iterator[range]:
    """The places of the examples whose responses are shown together; the last few may be left."""
    return (range(start, start + view.k) for start in range(0, count - view.k + 1, view.k))


def with_groups(view: View, responses: Sequence[Response]) -> list[Response]:
    """The responses, with a problem where there is no value for them.

    The first of a group has the value, and for that all of the group must be usable. A response
    that a race did not come to leaves its whole group out.
    """
    rows = [replace(response, problem=TOO_FEW_LEFT) for response in responses]
    for group in groups(view, len(responses)):
        problems = [responses[i].problem for i in group if responses[i].problem]
        missed = [problem for problem in problems if not is_reached(problem)]
        first = (missed or problems or [""])[0]
        for i in group:
            rows[i] = replace(responses[i], problem=first if i == group[0] else WITH_OTHERS)
    return rows


def _check_enough(held_out: Sequence[Example], count: int, shown: str) -> None:
    if len(held_out) < count:
        what = f"{count} held-out examples are shown at once, but there are only {len(held_out)}"
        remedy = "Give more of them, raise validation.sample, or lower the metric's number"
        raise InputError(Problem(shown, "validation", what, remedy))
