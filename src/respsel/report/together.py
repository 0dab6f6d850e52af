"""What several datasets say together: a table of strategies by datasets, and facts over all.

Knows what a report has gathered, and nothing of markup. Invariant: every number is one of the
verdicts' or a sum or mean of the datasets' facts; nothing is judged again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from respsel.report.summary import StrategyFacts
from respsel.text.numbers import number

if TYPE_CHECKING:
    from respsel.report.content import Report
    from respsel.selection.verdict import Verdict


@dataclass(frozen=True)
class Cell:
    """A strategy in one ranking.

    score: its score.
    apart: how far it is from the leader, with the sign of the scale; empty for the leader.
    word: its standing.
    """

    score: float
    apart: str
    word: str


@dataclass(frozen=True)
class MatrixRow:
    """A strategy in all rankings; None where it is in none. cells: in the order of datasets."""

    strategy: str
    overall: Cell | None
    cells: tuple[Cell | None, ...]


def matrix_of(report: Report) -> tuple[MatrixRow, ...]:
    """Strategies by datasets, in the order of the overall ranking; empty for one dataset."""
    if report.overall is None:
        return ()
    overall = _cells(report.overall)
    columns = [_cells(data.verdict) for data in report.datasets]
    names = [*overall, *(item.strategy for data in report.datasets for item in data.strategies)]
    return tuple(
        MatrixRow(name, overall.get(name), tuple(column.get(name) for column in columns))
        for name in dict.fromkeys(names)
    )


def overall_facts(report: Report) -> tuple[StrategyFacts, ...]:
    """Right answers, lengths and costs of each strategy over all datasets that it is in."""
    found: dict[str, list[StrategyFacts]] = {}
    for data in report.datasets:
        for facts in data.facts:
            found.setdefault(facts.strategy, []).append(facts)
    return tuple(_together(parts) for parts in found.values())


def score_title(verdict: Verdict) -> str:
    """What a verdict's scores are: over several datasets they are not values of the metric."""
    standardised = verdict.scale == "standardised"
    return f"standardised {verdict.metric}" if standardised else verdict.metric


def unit_of(report: Report, verdict: Verdict) -> str:
    """The unit of a verdict's scores; empty if it is not known."""
    if verdict.scale == "standardised":
        return "standard deviations"
    means = [mean for data in report.datasets for item in data.strategies for mean in item.means]
    return next((mean.unit for mean in means if mean.metric == verdict.metric), "")


def _cells(verdict: Verdict) -> Mapping[str, Cell]:
    return {
        one.strategy: Cell(
            one.score,
            "" if one.difference is None else _apart(one.difference, verdict.scale),
            verdict.word(one, place),
        )
        for place, one in enumerate(verdict.ranking)
    }


def _apart(difference: float, scale: str) -> str:
    if scale == "log":
        return f"×{number(difference)}"
    return number(difference) if difference < 0 else f"+{number(difference)}"


def _together(parts: Sequence[StrategyFacts]) -> StrategyFacts:
    responses = max(1, sum(part.responses for part in parts))
    lengths = [part.length * part.responses for part in parts if part.length is not None]
    money = [part.money * part.responses for part in parts if part.money is not None]
    currencies = {part.currency for part in parts}
    priced = len(money) == len(parts) and len(currencies) == 1
    return replace(
        parts[0],
        right=sum(part.right for part in parts),
        judged=sum(part.judged for part in parts),
        reward=None,
        length=sum(lengths) / responses if len(lengths) == len(parts) else None,
        cut_short=sum(part.cut_short for part in parts),
        responses=responses,
        tokens=round(sum(part.tokens * part.responses for part in parts) / responses),
        money=sum(money) / responses if priced else None,
        currency=parts[0].currency if priced else "",
    )
