"""What a comparison would cost before it runs: calls, tokens and money, what is shared once.

Knows nothing of how it is shown. Invariant: like planning, it opens no model, and a call that
several columns need is counted for the first of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from respsel.calls.costs import Cost, costs_of
from respsel.compare.columns import Column
from respsel.graph import Step
from respsel.hashing import canonical_json, digest
from respsel.plan.plan import PlannedStep, Walked
from respsel.records import TokenUsage
from respsel.study import open_study


@dataclass(frozen=True)
class PlannedColumn:
    """What a column adds to the columns before it.

    label: what it is called.
    calls: the calls that are certain.
    calls_later: how many more there may be at most.
    """

    label: str
    calls: int
    calls_later: int


@dataclass(frozen=True)
class PlannedComparison:
    """What a comparison would make.

    columns: in the order in which they would run.
    calls: the calls that are certain, of all columns.
    calls_later: how many more there may be at most.
    costs: by model, about what the certain calls take.
    """

    columns: tuple[PlannedColumn, ...]
    calls: int
    calls_later: int
    costs: tuple[Cost, ...]


def plan_columns(columns: Sequence[Column]) -> PlannedComparison:
    """Say what the columns' runs would make. Opens no model."""
    asked: set[str] = set()
    seen: set[str] = set()
    planned = []
    costs: list[Cost] = []
    for column in columns:
        with open_study(column.recipe, changes=column.changes, reading=True) as study:
            steps = [step for step in _new(study.walk(asked), seen) if step.state != "cached"]
            calls = sum(step.calls for step in steps if step.state == "run")
            later = sum(step.calls_at_most for step in steps) - calls
            planned.append(PlannedColumn(column.label, calls, later))
            costs += costs_of(_takes(steps), study.loaded.models)
    return PlannedComparison(
        columns=tuple(planned),
        calls=sum(column.calls for column in planned),
        calls_later=sum(column.calls_later for column in planned),
        costs=tuple(_together(costs)),
    )


def _new(walked: Iterable[Walked], seen: set[str]) -> Iterable[PlannedStep]:
    """The steps that no column before has; seen: what tells those apart, added to."""
    signatures: dict[str, str] = {}
    for item in walked:
        signature = item.ledger.key(item.step) or _waiting(item.step, signatures)
        signatures[item.step.name] = signature
        if signature not in seen:
            seen.add(signature)
            yield item.planned


def _waiting(step: Step, signatures: dict[str, str]) -> str:
    """What tells a step whose inputs are not known from others: how these would be made."""
    inputs = {role: signatures[name] for role, name in step.inputs.items()}
    return digest("waiting", step.op, str(step.version), canonical_json([step.fields, inputs]))


def _takes(steps: Iterable[PlannedStep]) -> dict[str, TokenUsage]:
    usage: dict[str, TokenUsage] = {}
    for step in steps:
        if step.model:
            usage[step.model] = usage.get(step.model, TokenUsage()) + step.takes
    return usage


def _together(costs: Iterable[Cost]) -> Iterable[Cost]:
    """The costs of one model in one currency as one."""
    found: dict[tuple[str, str], Cost] = {}
    for cost in costs:
        key = (cost.model, cost.currency)
        known = found.get(key)
        found[key] = cost if known is None else _sum(known, cost)
    return [found[key] for key in sorted(found)]


def _sum(one: Cost, other: Cost) -> Cost:
    money = None if one.money is None or other.money is None else one.money + other.money
    return replace(
        one,
        calls=one.calls + other.calls,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        money=money,
    )
