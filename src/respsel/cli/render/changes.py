"""What explain and diff say, as lines of text.

Prints nothing itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from respsel.text.numbers import counted, interval, number

if TYPE_CHECKING:
    from respsel.history.diff import RunDiff, ScoreChange
    from respsel.plan.explain import Explanation, InputChange

_STATES = {"cached": "cached", "run": "to run", "waits": "waits"}
_MOST_COLUMNS = 90
_NOT_COMPARABLE = "verdicts are not comparable"


def explanation_lines(explanations: Sequence[Explanation]) -> Iterator[str]:
    """One step after another: its state, then what changed."""
    for item in explanations:
        step = item.step
        yield f"{step.name}: {_STATES[step.state]}, {step.reason}{_calls(item)}{_stored(item)}"
        if item.against and step.state == "waits":
            yield f"    compared with {item.against}"
        for change in item.changes:
            yield f"    {change.where} changed: {change.old} -> {change.new}"
        for source in item.inputs:
            yield f"    input {source.name} changed: {_counts(source)}"


def _calls(item: Explanation) -> str:
    step = item.step
    if not step.calls:
        return ""
    return f"; {counted(step.calls, 'call')} for {counted(step.examples, 'example')}"


def _stored(item: Explanation) -> str:
    if item.stored_at is None:
        return ""
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.stored_at))
    return f"; {item.step.rows} row{'s' if item.step.rows != 1 else ''}, stored since {since}"


def diff_lines(diff: RunDiff) -> Iterator[str]:
    """What decides, names, recipe, responses, scores, verdicts; an unchanged recipe is a line."""
    yield f"{diff.before} -> {diff.after}"
    if by := diff.selected_by:
        words = "the same metric under another name" if by.comparable else _NOT_COMPARABLE
        yield f"selected by: {by.old} -> {by.new} ({words})"
    yield "" if diff.recipe or diff.renames else "recipe: unchanged"
    for rename in diff.renames:
        yield f"{rename.kind} {rename.old} is now called {rename.new}"
    yield from (f"recipe: {change.where}: {change.old} -> {change.new}" for change in diff.recipe)
    yield from (
        f"outside the recipe: {change.where}: {change.old} -> {change.new}"
        for change in diff.outside
    )
    yield from (f"only in the first: {name}" for name in diff.only_before)
    yield from (f"only in the second: {name}" for name in diff.only_after)
    for response in diff.responses:
        yield f"{response.name}: {_counts(response.counts)}"
        for name, old, new in response.texts:
            yield f"    {name}: {_line(old)}\n    {' ' * len(name)}  -> {_line(new)}"
    yield from map(_score_line, diff.scores)
    for verdict in diff.verdicts:
        same = verdict.before == verdict.after
        yield f"verdict {verdict.dataset}: {verdict.after}" + (
            ", unchanged" if same else f"; was {verdict.before}"
        )
    yield from (f"no longer in the store: {name}" for name in diff.not_stored)
    yield from (f"not compared, its metric is not installed: {name}" for name in diff.not_installed)


def _score_line(score: ScoreChange) -> str:
    c = score.comparison
    kind = "times" if score.scale == "log" else "by"
    span = f"{kind} {number(c.difference)} ({interval(c.low, c.high, ' to ')})"
    was = f" (before: {score.was})" if score.was else ""
    return (
        f"{score.name}{was}: {number(c.before)} -> {number(c.after)}, {span}, {c.examples} examples"
    )


def _counts(change: InputChange) -> str:
    if change.added is None:
        return change.words or "the old content is no longer in the store"
    return (
        f"{change.added} new, {change.gone} gone, {change.changed} changed, {change.same} the same"
    )


def _line(text: str) -> str:
    flat = text.replace("\n", "\\n")
    return flat if len(flat) <= _MOST_COLUMNS else f"{flat[: _MOST_COLUMNS - 1]}…"
