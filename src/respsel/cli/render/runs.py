"""What commands on recipes, runs and the store say, as lines of text and tables.

Prints nothing itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from respsel.calls.costs import Cost, total
from respsel.text.characters import one_line
from respsel.text.numbers import interval, number

if TYPE_CHECKING:
    from rich.table import Table

    from respsel.history.diff import RunDiff
    from respsel.plan.explain import Explanation, InputChange
    from respsel.plan.plan import Plan
    from respsel.store.gc import Garbage
    from respsel.store.usage import ListedStep, Usage
    from respsel.training.examples import Counts


def explanation_lines(explanations: Sequence[Explanation]) -> Iterator[str]:
    """One step after another: its state, then what changed."""
    for item in explanations:
        step = item.step
        state = {"cached": "cached", "run": "to run", "waits": "waits"}[step.state]
        calls = (
            f"; {_count(step.calls, 'call')} for {_count(step.examples, 'example')}"
            if step.calls
            else ""
        )
        stored = ""
        if item.stored_at is not None:
            since = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.stored_at))
            stored = f"; {step.rows} row{'s' if step.rows != 1 else ''}, stored since {since}"
        yield f"{step.name}: {state}, {step.reason}{calls}{stored}"
        if item.against and step.state == "waits":
            yield f"    compared with {item.against}"
        for change in item.changes:
            yield f"    {change.where} changed: {change.old} -> {change.new}"
        for source in item.inputs:
            yield f"    input {source.name} changed: {_counts(source)}"


def diff_lines(found: RunDiff) -> Iterator[str]:
    """Recipe, responses, scores, verdicts; a part without changes says so in a line."""
    yield f"{found.before} -> {found.after}"
    yield "" if found.recipe else "recipe: unchanged"
    yield from (f"recipe: {change.where}: {change.old} -> {change.new}" for change in found.recipe)
    yield from (
        f"outside the recipe: {change.where}: {change.old} -> {change.new}"
        for change in found.outside
    )
    yield from (f"only in the first: {name}" for name in found.only_before)
    yield from (f"only in the second: {name}" for name in found.only_after)
    for response in found.responses:
        yield f"{response.name}: {_counts(response.counts)}"
        for name, old, new in response.texts:
            yield f"    {name}: {_line(old)}\n    {' ' * len(name)}  -> {_line(new)}"
    for score in found.scores:
        c = score.comparison
        kind = "times" if score.scale == "log" else "by"
        span = f"{kind} {number(c.difference)} ({interval(c.low, c.high, ' to ')})"
        yield (
            f"{score.name}: {number(c.before)} -> {number(c.after)}, {span}, {c.examples} examples"
        )
    for verdict in found.verdicts:
        same = verdict.before == verdict.after
        yield f"verdict {verdict.dataset}: {verdict.after}" + (
            ", unchanged" if same else f"; was {verdict.before}"
        )
    yield from (f"no longer in the store: {name}" for name in found.not_stored)
    yield from (
        f"not compared, its metric is not installed: {name}" for name in found.not_installed
    )


def race_lines(dataset: Mapping[str, Any]) -> Iterator[str]:
    """How a race went, from a dataset's part of report.json; nothing where there was none."""
    race = dataset["race"]
    if race is None:
        return
    for lap in race["laps"]:
        if lap["dropped"]:
            yield (
                f"  after {lap['examples']} examples {lap['leader']} led and "
                f"{', '.join(lap['dropped'])} dropped out"
            )
    saved = 1 - race["scored"] / race["possible"]
    yield f"  the race scored {race['scored']} of {race['possible']} responses: {saved:.0%} saved"


def mixture_lines(dataset: Mapping[str, Any]) -> Iterator[str]:
    """The best response for each example, from a dataset's part of report.json; nothing where it
    was not asked for.
    """
    mixture = dataset["mixture"]
    if mixture is None:
        return
    total = len(dataset["choices"])
    shares = ", ".join(f"{name} {count}" for name, count in mixture["counts"].items())
    yield (
        f"  best response for each of {total} examples: {shares}; mean score "
        f"{number(mixture['score'])}"
    )
    if mixture["without"]:
        yield f"  {mixture['without']} examples have no score"


def plan_table(made: Plan) -> Table:
    """One step a row: state, calls, tokens, reason."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("step", "state", "calls", "tokens", "why"):
        table.add_column(
            name,
            justify="right" if name in ("calls", "tokens") else "left",
            overflow="fold",
            no_wrap=name == "step",
        )
    words = {"cached": "[green]cached[/]", "run": "[yellow]to run[/]", "waits": "[dim]waits[/]"}
    for step in made.steps:
        calls = (
            str(step.calls)
            if step.calls == step.calls_at_most
            else f"{step.calls}–{step.calls_at_most}"
        )
        tokens = f"~{step.tokens:,}" if step.tokens else ""
        # As text: a reason may quote what only looks like rich's markup.
        table.add_row(
            step.name,
            words[step.state],
            calls if step.calls_at_most else "",
            tokens,
            Text(one_line(step.reason)),
        )
    return table


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


def usage_lines(usages: Sequence[Usage]) -> Iterator[str]:
    """One kind a line, and the sum."""
    for usage in usages:
        if usage.records:
            yield (
                f"{usage.kind:<12} {usage.records:>9,} {_bytes(usage.size_bytes):>10}  {usage.what}"
            )
    yield (
        f"{'all':<12} {sum(u.records for u in usages):>9,} "
        f"{_bytes(sum(u.size_bytes for u in usages)):>10}"
    )


def step_lines(steps: Sequence[ListedStep]) -> Iterator[str]:
    """One stored step a line."""
    for step in steps:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(step.stored_at))
        yield (
            f"{step.key[:12]}  {when}  {step.op:<12} {step.rows:>8,} rows  "
            f"{step.needed_by or '(needed by no latest run)'}"
        )
    yield f"{len(steps)} steps"


def garbage_lines(garbage: Garbage, freed: bool) -> Iterator[str]:
    """What is kept, what is or would be freed, and how."""
    for run in garbage.kept:
        yield f"keeps what the latest run of {run.recipe} needs"
    for going_on in garbage.running:
        pid = going_on.holder.pid if going_on.holder else None
        who = f" by process {pid}" if pid else ""
        yield f"{going_on.recipe} is being run{who}: nothing is freed until that run has finished"
    for run in garbage.forgotten:
        yield f"{run.recipe} is gone: what only its latest run needs is not kept"
    kinds: dict[str, int] = {}
    for entry in garbage.entries:
        kind = entry.key.partition("/")[0] if entry.key else "no text"
        kinds[kind] = kinds.get(kind, 0) + 1
    what = ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items())) or "no record"
    files = f" and {_count(len(garbage.files), 'file')}" if garbage.files else ""
    verb = "Freed" if freed else "Would free"
    hint = (
        ""
        if freed or not (garbage.entries or garbage.files)
        else " Run again with --yes to free it."
    )
    yield f"{verb} {_bytes(garbage.size_bytes)}: {what}{files}.{hint}"
    yield from (f"  {path}" for path in garbage.files)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _counts(change: InputChange) -> str:
    if change.added is None:
        return change.words or "the old content is no longer in the store"
    return (
        f"{change.added} new, {change.gone} gone, {change.changed} changed, {change.same} the same"
    )


def _line(text: str) -> str:
    flat = text.replace("\n", "\\n")
    return flat if len(flat) <= 90 else f"{flat[:89]}…"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
