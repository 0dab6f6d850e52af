"""What plan says, as lines of text: steps grouped by what they do, or each of them.

Prints nothing itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from respsel.calls.costs import costs_of
from respsel.cli.render.runs import cost_lines
from respsel.graph.names import StepName
from respsel.text.characters import columns_of, one_line
from respsel.text.numbers import duration

if TYPE_CHECKING:
    from respsel.plan.plan import Plan, PlannedStep
    from respsel.watch.outlook import Outlook
    from respsel.workspace.loaded_recipe import LoadedRecipe

_WORDS = {"cached": "cached", "run": "to run", "waits": "waits"}
# Of a group, so many reasons are said, and so many names for each.
_MOST_REASONS = 2
_MOST_NAMES = 3
_KINDS = {"write": "writes", "score": "scores", "represent": "reads"}


def plan_lines(plan: Plan, all_steps: bool) -> Iterator[str]:
    """A row for each kind of step with what a run would do and why; or one for each step."""
    rows = [_step_row(step) for step in plan.steps] if all_steps else list(_group_rows(plan))
    heading = ("step" if all_steps else "steps", "state", "calls", "tokens", "why")
    yield from _table([heading, *rows])


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines: calls and tokens to the right, all else to the left."""
    widths = [max(map(columns_of, column)) for column in zip(*rows, strict=True)]
    for name, state, calls, tokens, why in rows:
        cells = [
            name + " " * (widths[0] - columns_of(name)),
            state.ljust(widths[1]),
            calls.rjust(widths[2]),
            tokens.rjust(widths[3]),
            why,
        ]
        shown = [cell for cell, width in zip(cells, widths, strict=True) if width]
        yield "  ".join(shown).rstrip()


def _step_row(step: PlannedStep) -> tuple[str, ...]:
    calls, tokens = _amounts([step])
    return step.name, _WORDS[step.state], calls, tokens, one_line(step.reason)


def _group_rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    groups: dict[str, list[PlannedStep]] = {}
    for step in plan.steps:
        groups.setdefault(step.op, []).append(step)
    datasets = {StepName.parse(step.name).dataset for step in plan.steps if step.op == "examples"}
    for op, steps in groups.items():
        calls, tokens = _amounts(steps)
        yield op, _state(steps), calls, tokens, _why(steps, len(datasets) > 1)


def _state(steps: Sequence[PlannedStep]) -> str:
    counts = {state: sum(step.state == state for step in steps) for state in _WORDS}
    present = {state: count for state, count in counts.items() if count}
    if len(present) == 1:
        (state,) = present
        return f"{len(steps)} {'wait' if state == 'waits' and len(steps) > 1 else _WORDS[state]}"
    words = {**_WORDS, "waits": "wait"}
    return ", ".join(f"{count} {words[state]}" for state, count in present.items())


def _amounts(steps: Sequence[PlannedStep]) -> tuple[str, str]:
    """How many calls some steps make, and about how many tokens those take."""
    fewest = sum(step.calls for step in steps)
    most = sum(step.calls_at_most for step in steps)
    calls = f"{fewest:,}" if fewest == most else f"{fewest:,}–{most:,}"
    tokens = sum(step.tokens or 0 for step in steps)
    return calls if most else "", f"~{tokens:,}" if tokens else ""


def _why(steps: Sequence[PlannedStep], several: bool) -> str:
    """Why steps are not cached: the reasons, each with whom it is about if not with all."""
    by_reason: dict[str, list[PlannedStep]] = {}
    for step in steps:
        if step.state == "run":
            # What it is compared with is said of each step by itself.
            reason = one_line(step.reason.partition(" (against ")[0])
            by_reason.setdefault(reason, []).append(step)
    is_all = len(by_reason) == 1 and sum(map(len, by_reason.values())) == len(steps)
    said = []
    for reason, those in list(by_reason.items())[:_MOST_REASONS]:
        said.append(reason if is_all else f"{reason}: {_names(those, several)}")
    if more := len(by_reason) - len(said):
        said.append(f"{more} more reason{'s' if more > 1 else ''}")
    kinds = dict.fromkeys(
        kind
        for step in steps
        if step.state == "waits"
        for kind in step.reason.removeprefix("for ").split(", ")
    )
    if kinds:
        said.append(f"for {', '.join(kinds)}")
    return "; ".join(said)


def _names(steps: Sequence[PlannedStep], several: bool) -> str:
    """Whom steps are about: strategies, or else datasets."""
    parsed = [StepName.parse(step.name) for step in steps]
    names = list(dict.fromkeys(name.strategy or name.dataset for name in parsed))
    if several and len(names) == 1 and len(steps) == 1 and parsed[0].strategy:
        names = [f"{parsed[0].dataset}/{parsed[0].strategy}"]
    shown = names[:_MOST_NAMES]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def planned_cost_lines(plan: Plan, loaded: LoadedRecipe) -> Iterator[str]:
    """What a plan's calls would cost, and what that leaves out."""
    costs = costs_of(plan.takes, loaded.models)
    yield from cost_lines(costs, planned=True)
    if costs and (later := plan.calls_later):
        yield f"  not in these numbers: what waits for those calls, at most {later:,} calls more"


def outlook_line(outlook: Outlook, typed: str) -> str:
    """How long a run would take and how that is known; empty where it asks nothing."""
    if outlook.unknown:
        names = ", ".join(outlook.unknown)
        return (
            f"How long it takes is not known yet: no speed of {names} was measured on this "
            f"machine. To measure it: respsel doctor {typed}"
        )
    if outlook.seconds is None or not outlook.speeds:
        return ""
    speeds = ", ".join(
        f"{speed.model} {_KINDS[speed.kind]} {speed.tokens_s:,.0f} tokens/s"
        for speed in outlook.speeds
    )
    when = time.strftime("%Y-%m-%d", time.localtime(max(s.when for s in outlook.speeds)))
    return f"About {duration(outlook.seconds)}: {speeds}, as measured on this machine on {when}."
