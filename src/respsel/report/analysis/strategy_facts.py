"""What a ranking does not say of a strategy: right answers, length, cost, who wrote it.

Judges nothing. Invariant: a cost is that of the calls that the strategy's own step uses, whenever
they were made.
"""

from __future__ import annotations

from collections.abc import Sequence

from respsel.calls.costs import costs_of, total
from respsel.graph import names as step_names
from respsel.report.analysis.confounds import Confounds
from respsel.report.analysis.summaries import StrategySummary
from respsel.report.summary import StrategyFacts
from respsel.run.result import RunResult
from respsel.selection.standing import Standing

_THOUSAND = 1000


def strategy_facts(
    result: RunResult,
    dataset: str,
    summaries: Sequence[StrategySummary],
    confounds: Confounds,
) -> tuple[StrategyFacts, ...]:
    """What is known of the strategies of a dataset besides their scores, in the given order."""
    standings = {row.strategy: row for row in result.rows(step_names.gates(dataset))}
    return tuple(
        _facts(result, dataset, summary, confounds, standings[summary.strategy])
        for summary in summaries
    )


def _facts(
    result: RunResult,
    dataset: str,
    summary: StrategySummary,
    confounds: Confounds,
    standing: Standing,
) -> StrategyFacts:
    name = summary.strategy
    author = result.graph.authors[name]
    took = result.took_by(step_names.responses(dataset, name))
    costs = costs_of(took, result.graph.loaded.models)
    money = total(costs)
    each = _THOUSAND / max(1, summary.responses)
    tokens = sum(cost.prompt_tokens + cost.output_tokens for cost in costs)
    # Where a part has no price, or the prices are in several currencies, there is no sum.
    whole = len(money) == 1 and all(cost.money is not None for cost in costs)
    lengths = dict(zip(confounds.strategies, confounds.found[0].by_strategy, strict=True))
    return StrategyFacts(
        strategy=name,
        right=standing.right,
        judged=standing.judged,
        reward=standing.reward,
        length=lengths.get(name),
        unit=confounds.unit,
        cut_short=summary.truncated,
        responses=summary.responses,
        tokens=round(tokens * each),
        money=next(iter(money.values())) * each if whole else None,
        currency=next(iter(money)) if whole else "",
        author=author.shown,
        by_target=author.is_target,
    )
