"""What a comparison would cost before it runs: calls, tokens and money, what is shared once.

Knows nothing of how it is shown. Invariant: like planning, it opens no model, and a call that
several columns need is counted for the first of them. What is not known is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from respsel.calls.costs import Cost, costs_of
from respsel.compare.columns import Column
from respsel.errors import RespselError
from respsel.graph import Step
from respsel.hashing import canonical_json, digest
from respsel.plan.plan import Walked
from respsel.records import TokenUsage
from respsel.study import open_study


@dataclass(frozen=True)
class PlannedColumn:
    """What a column adds to the columns before it.

    label: what it is called.
    calls: the calls that are certain.
    calls_later: how many more there may be at most; None before a download that decides it.
    """

    label: str
    calls: int
    calls_later: int | None


@dataclass(frozen=True)
class PlannedComparison:
    """What a comparison would make.

    columns: in the order in which they would run.
    calls: the calls that are certain, of all columns.
    calls_later: how many more there may be at most; None before a download that decides it.
    costs: by model, about what the certain calls take.
    downloads: the addresses of data that would be downloaded first.
    """

    columns: tuple[PlannedColumn, ...]
    calls: int
    calls_later: int | None
    costs: tuple[Cost, ...]
    downloads: tuple[str, ...]


def plan_columns(columns: Sequence[Column], offline: bool = False) -> PlannedComparison:
    """Say what the columns' runs would make. Opens no model.

    offline: a run would download nothing.
    Raises what planning the first column that cannot be run would.
    """
    asked: set[str] = set()
    seen: set[str] = set()
    planned = []
    costs: list[Cost] = []
    downloads: dict[str, None] = {}
    for column in columns:
        with (
            _naming(column),
            open_study(
                column.recipe, changes=column.changes, reading=True, offline=offline
            ) as study,
        ):
            new = list(_new(study.walk(asked), seen))
            planned.append(_planned(column, new))
            costs += costs_of(_takes(new), study.loaded.models)
            addresses = [address for walked in new for address in walked.step.awaits.addresses]
            downloads |= dict.fromkeys(map(study.loaded.show, addresses))
    return PlannedComparison(
        columns=tuple(planned),
        calls=sum(column.calls for column in planned),
        calls_later=_all_of(column.calls_later for column in planned),
        costs=tuple(_together(costs)),
        downloads=tuple(downloads),
    )


@contextmanager
def _naming(column: Column) -> Iterator[None]:
    """Names the column's recipe and options where it cannot be planned."""
    try:
        yield
    except RespselError as error:
        raise type(error)(map(column.named, error.problems)) from error


def _planned(column: Column, walked: Sequence[Walked]) -> PlannedColumn:
    """What a column adds, given what is new in it."""
    steps = [item.planned for item in walked]
    calls = sum(step.calls for step in steps if step.state == "run")
    is_bounded = all(item.is_bounded for item in walked)
    later = sum(step.calls_at_most for step in steps) - calls if is_bounded else None
    return PlannedColumn(column.label, calls, later)


def _all_of(counts: Iterable[int | None]) -> int | None:
    """The sum; not known if any is not."""
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total


def _new(walked: Iterable[Walked], seen: set[str]) -> Iterator[Walked]:
    """What is to be made that no column before has; seen: what tells steps apart, added to."""
    signatures: dict[str, str] = {}
    for item in walked:
        signature = item.ledger.key(item.step) or _waiting(item.step, signatures)
        signatures[item.step.name] = signature
        if signature not in seen:
            seen.add(signature)
            if item.planned.state != "cached":
                yield item


def _waiting(step: Step, signatures: dict[str, str]) -> str:
    """What tells a step whose inputs are not known from others: how these would be made."""
    inputs = {role: signatures[name] for role, name in step.inputs.items()}
    how = [step.fields, inputs, step.awaits.addresses]
    return digest("waiting", step.op, str(step.version), canonical_json(how))


def _takes(walked: Iterable[Walked]) -> dict[str, TokenUsage]:
    usage: dict[str, TokenUsage] = {}
    for step in (item.planned for item in walked):
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
