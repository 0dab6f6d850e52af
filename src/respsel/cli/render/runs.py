"""What run, apply and export say of runs, costs and training sets, as lines and tables.

Prints nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from respsel.calls.costs import Cost, costs_of, total
from respsel.text.columns import aligned
from respsel.text.numbers import number

if TYPE_CHECKING:
    from respsel.report.summary import (
        MixtureOutcome,
        RaceOutcome,
        StrategyFacts,
        Summary,
    )
    from respsel.run.result import RunResult
    from respsel.training.counts import Counts


def outcome_lines(summary: Summary, dataset: str, width: int | None = None) -> Iterator[str]:
    """What the ranking does not say of the strategies; the race and the best responses.

    width: see `aligned`.
    """
    if dataset in summary.strategies:
        yield from _strategy_lines(summary.strategies[dataset], width)
    if dataset in summary.races:
        yield from _race_lines(summary.races[dataset])
    if dataset in summary.mixtures:
        yield from _mixture_lines(summary.mixtures[dataset])


def _strategy_lines(facts: Sequence[StrategyFacts], width: int | None) -> Iterator[str]:
    unit = facts[0].unit if facts else ""
    rows = [("", "right answers", unit, "cut short", "cost of 1,000", "written by")]
    rows += [
        (
            item.strategy,
            item.answers,
            number(item.length),
            str(item.cut_short),
            item.cost,
            "the target" if item.by_target else item.author,
        )
        for item in facts
    ]
    yield from aligned(rows, width)


def _race_lines(race: RaceOutcome) -> Iterator[str]:
    for dropout in race.dropouts:
        yield (
            f"  after {dropout.examples} examples {dropout.leader} led and "
            f"{', '.join(dropout.strategies)} dropped out"
        )
    saved = 1 - race.scored / race.possible
    yield f"  the race scored {race.scored} of {race.possible} responses: {saved:.0%} saved"


def _mixture_lines(mixture: MixtureOutcome) -> Iterator[str]:
    shares = ", ".join(f"{name} {count}" for name, count in mixture.counts.items())
    yield (
        f"  best response for each of {mixture.examples} examples: {shares}; mean score "
        f"{number(mixture.score)}"
    )
    if mixture.without:
        yield f"  {mixture.without} examples have no score"


def work_lines(result: RunResult) -> Iterator[str]:
    """How much a run did, and what its calls took."""
    yield (
        f"{result.steps_run} of {result.steps_total} steps run, {result.calls_made} calls made, "
        f"{result.calls_reused} reused."
    )
    yield from cost_lines(costs_of(result.took_now, result.graph.loaded.models), planned=False)


def cost_lines(costs: Sequence[Cost], planned: bool) -> Iterator[str]:
    """Calls and tokens by model, with money where there is a price.

    planned: they are estimates, output at most.
    """
    about, most = ("about ", "at most ") if planned else ("", "")
    for cost in costs:
        tokens = (
            f"{about}{cost.prompt_tokens:,} prompt and {most}{cost.output_tokens:,} output tokens"
        )
        yield f"  {cost.model}: {cost.calls:,} calls, {tokens}{_money(cost.money, cost.currency)}"
    if len([cost for cost in costs if cost.money is not None]) > 1:
        yield "  together" + ", ".join(
            _money(money, currency) for currency, money in total(costs).items()
        ).removeprefix(",")


def _money(money: float | None, currency: str) -> str:
    return (
        ""
        if money is None
        else f", {money:,.2f} {currency}"
        if money >= 0.01 or not money
        else f", under 0.01 {currency}"
    )


def counts_lines(counts: Sequence[Counts]) -> Iterator[str]:
    """What of each dataset is in a training set."""
    for item in counts:
        kept = ", ".join(f"{name} {number:,}" for name, number in item.by_strategy.items())
        left = ", ".join(f"{number:,} {reason}" for reason, number in item.dropped.items())
        whole = (
            f"{item.dataset}: {item.kept:,} of {item.examples:,} examples kept ({kept or 'none'})"
        )
        wrong = f"; {item.wrong:,} of them with a wrong answer" if item.wrong else ""
        yield whole + wrong + (f"; left out: {left}" if left else "")
