"""A report to its files, which appear whole or not at all; see atomic_folder.

Knows nothing of markup. Invariant: tables are copied from the store one at a time, never as rows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import respsel
from respsel.errors import Problem, RunError
from respsel.graph import names as step_names
from respsel.hashing import canonical_json, digest
from respsel.report.summary import Summary, summary_from_json
from respsel.run.result import RunResult
from respsel.store.locks import Holder, Wait
from respsel.system.atomic_folder import (
    MANIFEST,
    has_leftovers,
    is_refused,
    is_written,
    part_of,
    put_in_place,
    refuse_links,
    remove_leftovers,
)
from respsel.system.disk import remedy_of
from respsel.tables.parquet import stack
from respsel.workspace.loaded_recipe import LoadedRecipe

if TYPE_CHECKING:
    import polars

# Raised when the same results would give another report.
VERSION = 10
FORMATS = ("json", "md", "html")
PAGE = "report.html"
# The folder of all examples.
EXAMPLES = "examples"
# What of a page leads there, when the page is copied to where there is no such folder.
_LEADS = re.compile(rb'<p class="around">.*?</p>|<a class="to" [^>]*>(.*?)</a>', re.DOTALL)


@dataclass(frozen=True)
class WrittenReport:
    """A report in its folder: its page, and what it says in short."""

    page: Path
    summary: Summary


def write_report(
    result: RunResult, finished_at: datetime, wait: Wait, again: bool = False
) -> WrittenReport:
    """Write the report of a run unless it is there.

    wait: is given the process that writes it now, if another one does.
    again: write it even if it is there. In a read-only store this is ignored: the report's folder
    is probably read-only too.
    Raises RunError naming the folder if it cannot be written.
    """
    loaded = result.graph.loaded
    folder = loaded.workspace.runs / loaded.name
    refuse_links(folder, loaded.workspace.runs)
    key = _key(result)
    again = again and not result.store.read_only
    summary = None if again else _written(folder, key)
    if summary is None:
        with result.store.lock(report_lock(loaded), wait):
            # Another process may have written it meanwhile.
            summary = None if again else _written(folder, key)
            if summary is None:
                summary = _write(result, folder, key, finished_at)
    elif not result.store.read_only and has_leftovers(folder):
        # Of one that was killed when it wrote the same report again. Who has the lock may be
        # writing now.
        lock = result.store.try_lock(report_lock(loaded))
        if not isinstance(lock, Holder):
            with lock:
                remove_leftovers(folder)
    return WrittenReport(folder / PAGE, summary)


def render_report(
    result: RunResult, finished_at: datetime, formats: Sequence[str]
) -> Mapping[str, str]:
    """The report of a run as text, in some of FORMATS."""
    from respsel.report.content import build_report
    from respsel.report.render import render

    return render(build_report(result, finished_at), formats)


def alone(page: bytes) -> bytes:
    """The report's page without the links to the pages of examples, for where those are not."""
    return _LEADS.sub(lambda found: found[1] or b"", page)


def report_lock(loaded: LoadedRecipe) -> str:
    """The name of the lock to write a recipe's reports."""
    return f"report/{loaded.place}"


def _written(folder: Path, key: str) -> Summary | None:
    """The summary of the report with this key, if the whole report is there."""
    if not is_written(folder, key):
        return None
    try:
        return summary_from_json(json.loads((folder / MANIFEST).read_bytes())["summary"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # An earlier version wrote no summary, and others may have changed the file.
        return None


def _write(result: RunResult, folder: Path, key: str, finished_at: datetime) -> Summary:
    from polars.exceptions import PolarsError

    from respsel.report.analysis.example_layout import lay_out
    from respsel.report.content import build_report, summary_of
    from respsel.report.example_pages import write_example_pages
    from respsel.report.render import render

    report = build_report(result, finished_at)
    layout = lay_out(result, report)
    pages = {f"report.{kind}": text for kind, text in render(report, FORMATS, layout).items()}
    summary = summary_of(report)
    _refuse_others(folder / EXAMPLES)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        try:
            for name, text in pages.items():
                part_of(folder, name).write_text(text, "utf-8")
            tables = _tables(result)
            for name, parts in tables.items():
                stack(part_of(folder, name), parts)
            part_of(folder, EXAMPLES).mkdir()
            write_example_pages(result, layout, part_of(folder, EXAMPLES))
            more = {"summary": asdict(summary)}
            put_in_place(folder, key, [*pages, *tables], more, EXAMPLES)
        finally:
            remove_leftovers(folder)
    except (OSError, PolarsError) as error:
        raise _unwritten(result, folder, error) from error
    return summary


def _refuse_others(folder: Path) -> None:
    """Raise RunError if the folder of all examples has other files than pages."""
    others = () if folder.is_symlink() else folder.glob("[!.]*")
    if other := next((path.name for path in others if path.suffix != ".html"), None):
        what = f"holds {other!r}, and respsel replaces this folder as a whole"
        raise RunError(Problem(str(folder), "", what, "Move what is not respsel's out of it"))


def _unwritten(result: RunResult, folder: Path, error: Exception) -> RunError:
    what = f"the report cannot be written: {error}"
    printed = f"To read it without writing: respsel report {result.graph.loaded.typed} --format md"
    remedy = (
        printed
        if is_refused(error)
        else remedy_of(error, "See that respsel can write there, and run again")
    )
    return RunError(Problem(str(folder), "", what, remedy))


def _key(result: RunResult) -> str:
    """The digest of everything that the report says, but for when and how much was run for it."""
    loaded = result.graph.loaded
    fields = {name: step.fields for name, step in result.graph.steps.items()}
    models = {name: known.fields for name, known in result.graph.models.items()}
    prices = {name: known.named.entry.price for name, known in result.graph.models.items()}
    shown = [
        loaded.shown,
        loaded.recipe.model_dump(mode="json"),
        {n: p.model_dump() for n, p in prices.items() if p},
    ]
    says = [*shown, dict(result.outputs), fields, models]
    return digest("report", str(VERSION), respsel.__version__, canonical_json(says))


def _tables(
    result: RunResult,
) -> Mapping[str, Iterable[tuple[Mapping[str, str], polars.DataFrame]]]:
    """The tables behind the report: responses, scores and token scores of all strategies."""
    loaded = result.graph.loaded
    pairs = loaded.recipe.compared()
    views = dict.fromkeys(view.name for metric in loaded.metrics for view in metric.needs.views)
    return {
        "responses.parquet": (
            ({"dataset": d, "strategy": s}, _with_inputs(result, d, s)) for d, s in pairs
        ),
        "scores.parquet": (
            (
                {"dataset": d, "strategy": s, "metric": m.label},
                result.frame(step_names.scores(d, s, m.label)),
            )
            for d, s in pairs
            for m in loaded.metrics
        ),
        "token_scores.parquet": (
            (
                {"dataset": d, "strategy": s, "view": v},
                result.frame(step_names.token_scores(d, s, v)),
            )
            for d, s in pairs
            for v in views
        ),
    }


def _with_inputs(result: RunResult, dataset: str, strategy: str) -> polars.DataFrame:
    """A strategy's responses, each with its example's input next to the id."""
    import polars as pl

    responses = result.responses(dataset, strategy)
    examples = result.frame(step_names.examples(dataset), "id", "input")
    # Joins of some polars versions keep no order.
    ordered = (
        responses.with_columns(pl.Series("order", range(len(responses))))
        .join(examples, on="id", how="left")
        .sort("order")
    )
    return ordered.select("id", "input", pl.exclude("id", "input", "order"))
