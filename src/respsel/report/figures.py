"""The report's figures as SVG text: no library, no script.

Knows what a verdict, a distribution and a race are, and nothing of files. by_target: the strategies
whose texts the target wrote; they are marked everywhere. unit: of the scores. Invariant: every
number in a figure is also in a table or in report.json.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from respsel.report.axis import Axis, axis_for, figure, marked, middle, shortened, value_beside
from respsel.report.together import score_title
from respsel.selection.race_rule import reach_of
from respsel.text.numbers import number, percent

if TYPE_CHECKING:
    from respsel.report.analysis.distributions import Distribution
    from respsel.report.content import RaceSummary
    from respsel.selection.verdict import Ranked, Verdict


def ranking_plot(verdict: Verdict, by_target: Collection[str] = (), unit: str = "") -> str:
    """One line per strategy: its score as a dot and its interval as a bar; best at the top."""
    ranking = verdict.ranking
    spans = [(_or(r.low, r.score), _or(r.high, r.score)) for r in ranking]
    axis = axis_for([value for span in spans for value in span], log=False)
    rows = []
    for i, (ranked, (low, high)) in enumerate(zip(ranking, spans, strict=True)):
        rows.append(
            _bar(axis.x(low), axis.x(high), axis.x(ranked.score), i, _kind(verdict, ranked))
        )
        rows.append(value_beside(i, number(ranked.score)))
    title = score_title(verdict)
    about = f"{title} by strategy, with intervals at {percent(verdict.confidence)}"
    return figure(
        axis,
        marked([r.strategy for r in ranking], by_target),
        about,
        f"{_with_unit(title, unit)}; {_better(verdict.direction)}",
        rows,
    )


def difference_plot(verdict: Verdict, by_target: Collection[str] = (), unit: str = "") -> str:
    """One line per strategy behind the leader: the paired difference and its interval."""
    others = [(r, r.difference) for r in verdict.ranking if r.difference is not None]
    log = verdict.scale == "log"
    none = 1.0 if log else 0.0
    spans = [(_or(r.difference_low, apart), _or(r.difference_high, apart)) for r, apart in others]
    axis = axis_for([none, *(value for span in spans for value in span)], log)
    rows = [
        f'<line class="none" x1="{axis.x(none):.1f}" x2="{axis.x(none):.1f}" y1="{middle(0) - 15}" '
        f'y2="{middle(len(others) - 1) + 15}"/>'
    ]
    for i, ((ranked, apart), (low, high)) in enumerate(zip(others, spans, strict=True)):
        rows.append(_bar(axis.x(low), axis.x(high), axis.x(apart), i, _kind(verdict, ranked)))
        rows.append(value_beside(i, number(apart)))
    leader = verdict.ranking[0].strategy
    about = (
        f"paired differences of {score_title(verdict)} to {leader}; one that holds {none:g} "
        "is a tie"
    )
    score = f"the {score_title(verdict)} of {shortened(leader)}"
    how = f"times {score}" if log else _with_unit(f"minus {score}", unit)
    below = f"{how}; {none:g} is no difference"
    return figure(axis, marked([r.strategy for r, _ in others], by_target), about, below, rows)


def distribution_plot(
    distributions: Sequence[Distribution],
    metric: str,
    scale: str,
    by_target: Collection[str] = (),
    unit: str = "",
) -> str:
    """One box per strategy: the middle half of its scores, whiskers at 5 % and 95 %.

    Where the scores are few, each is drawn.
    """
    axis = axis_for([value for d in distributions for value in (d.low, d.high)], scale == "log")
    rows = [part for i, d in enumerate(distributions) for part in _box(d, axis, i)]
    how = ", logarithmic" if axis.log else ""
    about = f"distribution of {metric} over examples, by strategy; medians at the right"
    return figure(
        axis,
        marked([d.strategy for d in distributions], by_target),
        about,
        f"{_with_unit(metric, unit)}, one value an example{how}",
        rows,
    )


def race_plot(race: RaceSummary, verdict: Verdict, by_target: Collection[str] = ()) -> str:
    """One line per strategy: over how many examples it was scored, and where it dropped out."""
    names = [ranked.strategy for ranked in verdict.ranking]
    axis = axis_for([0.0, float(race.sample)], log=False)
    dropped = {name for lap in race.laps for name in lap.dropped}
    rows = []
    for i, name in enumerate(names):
        reached = reach_of(race.laps, name)
        y = middle(i)
        kind = "rest" if name in dropped else "lead"
        rows.append(
            f'<line class="bar {kind}" x1="{axis.x(0):.1f}" x2="{axis.x(reached):.1f}" y1="{y}" '
            f'y2="{y}"/>'
        )
        if name in dropped:
            x = axis.x(reached)
            rows.append(f'<path class="out" d="M{x - 5:.1f} {y - 5}l10 10m0 -10l-10 10"/>')
        rows.append(value_beside(i, str(reached)))
    about = "race: over how many examples each strategy was scored"
    return figure(
        axis,
        marked(names, by_target),
        about,
        "examples scored; a cross is where a strategy dropped out",
        rows,
    )


def _box(found: Distribution, axis: Axis, row: int) -> Iterator[str]:
    y = middle(row)
    yield (
        f'<line class="whisker" x1="{axis.x(found.q05):.1f}" x2="{axis.x(found.q95):.1f}" '
        f'y1="{y}" y2="{y}"/>'
    )
    left = axis.x(found.q25)
    width = max(axis.x(found.q75) - left, 1)
    yield (f'<rect class="box" x="{left:.1f}" y="{y - 8}" width="{width:.1f}" height="16" rx="3"/>')
    for n, value in enumerate(found.points):
        yield f'<circle class="point" cx="{axis.x(value):.1f}" cy="{y + _scatter(n)}" r="2"/>'
    x = axis.x(found.median)
    yield f'<line class="median" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 10}" y2="{y + 10}"/>'
    yield value_beside(row, number(found.median))


def _bar(low: float, high: float, at: float, row: int, kind: str) -> str:
    y = middle(row)
    bar = f'<line class="bar {kind}" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
    return bar + f'<circle class="dot {kind}" cx="{at:.1f}" cy="{y}" r="5.5"/>'


def _kind(verdict: Verdict, ranked: Ranked) -> str:
    if ranked.strategy == verdict.winner:
        return "lead"
    return "tied" if ranked.strategy in verdict.tied else "rest"


def _better(direction: str) -> str:
    return "lower is better" if direction == "lower" else "higher is better"


def _with_unit(title: str, unit: str) -> str:
    return f"{title} ({unit})" if unit else title


def _or(end: float | None, value: float) -> float:
    """An interval's end; without an interval, the value itself."""
    return value if end is None else end


def _scatter(place: int) -> float:
    """Points of one row apart in height, the same in every report."""
    return (place * 7 % 13) - 6
