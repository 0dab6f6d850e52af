"""A comparison as it is shown and written: tables of strategies by columns, and what they say.

Knows nothing of markup. Invariant: text, page and JSON say the same, for they are made of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from respsel.compare.choice import choice_of
from respsel.compare.columns import Columns, plural
from respsel.compare.outcome import Failure, Outcome
from respsel.compare.paired import Paired, paired
from respsel.recipe.schema import OVERALL
from respsel.report.summary import FAKE_TARGET
from respsel.text.numbers import number, percent

_AGAINST = {"log": "times", "linear": "minus", "standardised": "minus"}


@dataclass(frozen=True)
class ComparedColumn:
    """A recipe, target or value that was compared.

    label: what it is called here.
    command: the recipe with its options, as `respsel report` takes it; empty where it failed.
    target: the target's name.
    metric: the metric that decides.
    state: decided, undecided, not compared, not ranked, or failed.
    winner: the strategy that leads, if any may be recommended.
    report: the path of its own report.
    problems: why it failed.
    calls_made, calls_reused: of its run.
    """

    label: str
    command: str = ""
    target: str = ""
    metric: str = ""
    state: str = "failed"
    winner: str | None = None
    report: str = ""
    problems: tuple[str, ...] = ()
    calls_made: int = 0
    calls_reused: int = 0


@dataclass(frozen=True)
class Cell:
    """A strategy in a column.

    state: leads, tied, worse, barred; not compared where it has no score there.
    place: its place in the column's ranking, from 1.
    score, low, high: its score with its interval.
    difference, difference_low, difference_high: against the leader, see Ranked.
    why: why it is barred.
    """

    state: str
    place: int | None = None
    score: float | None = None
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Row:
    """A strategy, with a cell for each column."""

    strategy: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ComparedTable:
    """The strategies by columns, for a dataset or over all of several.

    dataset: its name, or "overall".
    scales: by column, the scale that differences are on: log, linear, standardised.
    examples: by column, how many.
    rows: by strategy.
    """

    dataset: str
    scales: tuple[str, ...]
    examples: tuple[int, ...]
    rows: tuple[Row, ...]

    @property
    def against(self) -> str:
        """What differences are, in words."""
        scales = self._scales
        leader = "the leader of each column"
        if len(scales) < 2:
            scale = scales[0] if scales else "linear"
            unit = ", in standard deviations" if scale == "standardised" else ""
            return f"{_AGAINST[scale]} {leader}{unit}"
        each = [f"{_distance('1.2', scale)}: {_AGAINST[scale]} it" for scale in scales]
        return f"against {leader} ({', '.join(each)})"

    def distance(self, difference: float, column: int) -> str:
        """A column's difference, with what it is where columns differ in that."""
        text = number(difference)
        return text if len(self._scales) == 1 else _distance(text, self.scales[column])

    @property
    def _scales(self) -> list[str]:
        return list(dict.fromkeys(scale for scale in self.scales if scale))


@dataclass(frozen=True)
class Comparison:
    """Several recipes, targets or values side by side.

    sentence: whether the choice changes, in words.
    changes: the same; None where that is not decided.
    varies: what the columns differ in: recipe, target, a key, or variant.
    shared: what all of them were changed by.
    columns: what was compared.
    tables: over all datasets first, where there are several.
    paired: strategies whose scores differ between columns of one target.
    notes: what to mind.
    """

    sentence: str
    changes: bool | None
    varies: str
    shared: str
    columns: tuple[ComparedColumn, ...]
    tables: tuple[ComparedTable, ...]
    paired: tuple[Paired, ...]
    notes: tuple[str, ...]

    @property
    def plural(self) -> str:
        """Several of what varies, as one counts it."""
        return plural(self.varies)


def comparison_of(
    columns: Columns, outcomes: Sequence[Outcome], failures: Sequence[Failure]
) -> Comparison:
    """What columns came to, in their order."""
    by_label = {one.label: one for one in outcomes}
    failed = {one.label: one for one in failures}
    pairs = tuple(paired(outcomes))
    choice = choice_of(outcomes, failures, columns.varies)
    return Comparison(
        sentence=choice.sentence,
        changes=choice.changes,
        varies=columns.varies,
        shared=columns.shared,
        columns=tuple(
            _column(by_label[column.label])
            if column.label in by_label
            else ComparedColumn(column.label, problems=failed[column.label].why)
            for column in columns.columns
        ),
        tables=tuple(_tables(outcomes)),
        paired=pairs,
        notes=tuple(_notes(outcomes, pairs)),
    )


def _column(outcome: Outcome) -> ComparedColumn:
    verdict = outcome.deciding
    return ComparedColumn(
        label=outcome.label,
        command=outcome.typed,
        target=outcome.target,
        metric=outcome.metric,
        state=verdict.state if verdict.winner is not None else "not ranked",
        winner=verdict.winner,
        report=str(outcome.page),
        calls_made=outcome.calls_made,
        calls_reused=outcome.calls_reused,
    )


def _tables(outcomes: Sequence[Outcome]) -> Iterator[ComparedTable]:
    names = dict.fromkeys(name for one in outcomes for name in one.datasets)
    several = [OVERALL] if any(OVERALL in one.verdicts for one in outcomes) else []
    for name in [*several, *names]:
        verdicts = [one.verdicts.get(name) for one in outcomes]
        strategies = dict.fromkeys(
            ranked.strategy for verdict in verdicts if verdict for ranked in verdict.ranking
        )
        yield ComparedTable(
            dataset=name,
            scales=tuple("" if verdict is None else verdict.scale for verdict in verdicts),
            examples=tuple(0 if verdict is None else verdict.examples for verdict in verdicts),
            rows=tuple(
                Row(strategy, tuple(_cell(one, name, strategy) for one in outcomes))
                for strategy in strategies
            ),
        )


def _distance(text: str, scale: str) -> str:
    """The text of a difference, with what it is."""
    if scale == "log":
        return f"{text}x"
    signed = text if text.startswith("-") else f"+{text}"
    return f"{signed} sd" if scale == "standardised" else signed


def _cell(outcome: Outcome, dataset: str, strategy: str) -> Cell:
    verdict = outcome.verdicts.get(dataset)
    for i, ranked in enumerate(verdict.ranking if verdict else ()):
        if verdict is not None and ranked.strategy == strategy:
            return Cell(
                state=verdict.word(ranked, i),
                place=i + 1,
                score=ranked.score,
                low=ranked.low,
                high=ranked.high,
                difference=ranked.difference,
                difference_low=ranked.difference_low,
                difference_high=ranked.difference_high,
                why=verdict.barred.get(strategy, ""),
            )
    return Cell("not compared")


def _notes(outcomes: Sequence[Outcome], pairs: Sequence[Paired]) -> Iterator[str]:
    """What to mind in reading the tables."""
    if any(one.is_fake for one in outcomes):
        yield FAKE_TARGET
    targets = {one.target for one in outcomes}
    metrics = {one.metric for one in outcomes}
    bases = {tuple(sorted(one.basis.items())) for one in outcomes}
    if len(bases) > 1:
        what = (
            "targets"
            if len(targets) > 1
            else "metrics"
            if len(metrics) > 1
            else "examples, models or settings of a metric"
        )
        yield (
            f"Scores of different {what} are not comparable in size: compare places, and the "
            "distance to the leader of the same column."
        )
    if len(outcomes) > 1:
        sure = sorted({one.rule.confidence for one in outcomes})
        words = " to ".join(percent(value) for value in dict.fromkeys((sure[0], sure[-1])))
        yield f"Each column's verdict is {words} sure on its own, whatever the number of columns."
    if pairs:
        yield (
            "A strategy's columns are compared over the same examples, and tested as strategies "
            "are, corrected for their number but not for the number of strategies."
        )
