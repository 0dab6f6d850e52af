"""What the commands of the store say, as lines of text.

Prints nothing itself.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from respsel.text.numbers import counted

if TYPE_CHECKING:
    from respsel.store.gc import Garbage
    from respsel.store.usage import ListedStep, Usage


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
    for running in garbage.running:
        pid = running.holder.pid if running.holder else None
        who = f" by process {pid}" if pid else ""
        yield f"{running.recipe} is being run{who}: nothing is freed until that run has finished"
    for run in garbage.forgotten:
        why = "is not to be kept" if run.exists else "is gone"
        yield f"{run.recipe} {why}: what only its latest run needs is not kept"
    verb = "Freed" if freed else "Would free"
    files = f" and {counted(len(garbage.files), 'file')}" if garbage.files else ""
    some = garbage.entries or garbage.files
    hint = " Run again with --yes to free it." if some and not freed else ""
    yield f"{verb} {_bytes(garbage.size_bytes)}: {_records(garbage)}{files}.{hint}"
    yield from (f"  {path}" for path in garbage.files)


def _records(garbage: Garbage) -> str:
    """How many records of each kind are freed."""
    kinds = Counter(
        entry.key.partition("/")[0] if entry.key else "no text" for entry in garbage.entries
    )
    return ", ".join(f"{count:,} {kind}" for kind, count in sorted(kinds.items())) or "no record"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
