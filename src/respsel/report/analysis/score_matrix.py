"""One dataset's numbers side by side: examples by strategies, for what is computed over pairs.

Knows the tables of a run. Invariant: rows are examples in sample order, columns strategies in the
order that was asked for, and what is missing is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from respsel.graph import names as step_names
from respsel.metrics.reasoning_steps import split_steps
from respsel.run.result import RunResult

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars

    Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lengths:
    """How long responses are, (examples, strategies) each.

    unit: tokens, or characters where no tokens were scored.
    steps: their number of reasoning steps.
    """

    unit: str
    sizes: Matrix
    steps: Matrix


def example_ids(result: RunResult, dataset: str) -> list[str]:
    """The ids of a dataset's examples, in sample order."""
    ids: list[str] = result.frame(step_names.examples(dataset), "id")["id"].to_list()
    return ids


def score_matrix(
    result: RunResult, dataset: str, strategies: Sequence[str], metric: str, ids: Sequence[str]
) -> Matrix:
    """A metric's values, (examples, strategies); logarithms of a metric on a log scale."""
    import numpy as np

    chosen = result.graph.loaded.metric(metric)
    columns = []
    for name in strategies:
        frame = result.frame(step_names.scores(dataset, name, metric), "id", "value")
        columns.append(_column(frame, "value", ids))
    values = np.stack(columns, axis=1) if columns else np.empty((len(ids), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values) if chosen.metric.scale == "log" else values


def lengths(
    result: RunResult, dataset: str, strategies: Sequence[str], ids: Sequence[str]
) -> Lengths:
    """How long the responses are, in the target's tokens if any view of all of them was scored."""
    import numpy as np

    view = next(
        iter(
            dict.fromkeys(
                v.name
                for metric in result.graph.loaded.metrics
                for v in metric.needs.views
                if v.is_of_response
            )
        ),
        None,
    )
    sizes = []
    steps = []
    for name in strategies:
        frame = result.frame(step_names.responses(dataset, name), "id", "text", "problem")
        usable = frame.filter(frame["problem"] == "")
        texts = dict(usable.select("id", "text").iter_rows())
        counts = {key: float(len(split_steps(text))) for key, text in texts.items()}
        steps.append(np.array([counts.get(key, np.nan) for key in ids]))
        if view is None:
            sizes.append(
                np.array([float(len(texts[key])) if key in texts else np.nan for key in ids])
            )
        else:
            table = result.frame(
                step_names.token_scores(dataset, name, view), "id", "response_tokens"
            )
            sizes.append(
                _column(table.filter(table["response_tokens"] > 0), "response_tokens", ids)
            )
    unit = "characters" if view is None else "tokens"
    return Lengths(unit, np.stack(sizes, axis=1), np.stack(steps, axis=1))


def _column(frame: polars.DataFrame, name: str, ids: Sequence[str]) -> npt.NDArray[np.float64]:
    import numpy as np

    found = dict(frame.select("id", name).iter_rows())
    return np.array(
        [np.nan if found.get(key) is None else float(found[key]) for key in ids], np.float64
    )
