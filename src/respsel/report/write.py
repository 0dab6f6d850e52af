"""A report to its files, which appear whole or not at all; see publish.

Tables are copied from the store one at a time, never as rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import respsel
from respsel.errors import Problem, RunError
from respsel.graph import names as step_names
from respsel.hashing import canonical_json, digest
from respsel.run.result import RunResult
from respsel.store.locks import Holder, Wait
from respsel.system.atomic_folder import (
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
from respsel.text.characters import told, visible, visible_json
from respsel.workspace.loaded_recipe import LoadedRecipe

if TYPE_CHECKING:
    import polars
    from jinja2 import Environment

    from respsel.report.content import Report

# Raised when the same results would give another report.
VERSION = 6
FORMATS = ("json", "md", "html")


def write_report(result: RunResult, finished_at: str, wait: Wait, anew: bool = False) -> Path:
    """Write the report of a run unless it is there, or all the same; return the path of
    report.html.

    wait: is told who is waited for, if another process writes it now. Of a read-only store a report
    that is there is not written again: its folder is probably read-only too. Raises RunError naming
    the folder if it cannot be written.
    """
    loaded = result.graph.loaded
    folder = loaded.workspace.runs / loaded.name
    refuse_links(folder, loaded.workspace.runs)
    key = _key(result)
    anew = anew and not result.store.read_only
    if anew or not is_written(folder, key):
        with result.store.lock(report_lock(loaded), wait):
            # Another process may have written it meanwhile.
            if anew or not is_written(folder, key):
                _write(result, folder, key, finished_at)
    elif not result.store.read_only and has_leftovers(folder):
        # Of one that was killed when it wrote the same report again. Who has the lock may be
        # writing now.
        lock = result.store.try_lock(report_lock(loaded))
        if not isinstance(lock, Holder):
            with lock:
                remove_leftovers(folder)
    return folder / "report.html"


def render_report(result: RunResult, finished_at: str, formats: Sequence[str]) -> Mapping[str, str]:
    """The report of a run as text, in some of FORMATS."""
    from respsel.report.content import build_report

    report = build_report(result, finished_at)
    make = {"json": _json, "md": _markdown, "html": _html}
    return {kind: make[kind](report) for kind in formats}


def report_lock(loaded: LoadedRecipe) -> str:
    """The name of the lock to write a recipe's reports; who has it is the only one who writes
    there.
    """
    return f"report/{loaded.place}"


def _write(result: RunResult, folder: Path, key: str, finished_at: str) -> None:
    from polars.exceptions import PolarsError

    pages = {
        f"report.{kind}": text for kind, text in render_report(result, finished_at, FORMATS).items()
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        try:
            for name, text in pages.items():
                part_of(folder, name).write_text(text, "utf-8")
            tables = _tables(result)
            for name, parts in tables.items():
                stack(part_of(folder, name), parts)
            put_in_place(folder, key, [*pages, *tables])
        finally:
            remove_leftovers(folder)
    except (OSError, PolarsError) as error:
        what = f"the report cannot be written: {error}"
        printed = (
            f"To read it without writing: respsel report {result.graph.loaded.typed} --format md"
        )
        remedy = printed if is_refused(error) else remedy_of(error, "Free the place and run again")
        raise RunError(Problem(str(folder), "", what, remedy)) from error


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


def _environment(autoescape: bool) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from respsel.report import figures
    from respsel.report.format import signed
    from respsel.text.numbers import interval, number, percent, share

    env = Environment(
        loader=PackageLoader("respsel.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["number"] = number
    env.filters["interval"] = interval
    env.filters["percent"] = percent
    env.filters["share"] = share
    env.filters["signed"] = signed
    env.filters["told"] = told
    for plot in (
        figures.ranking_plot,
        figures.difference_plot,
        figures.distribution_plot,
        figures.race_plot,
    ):
        env.globals[plot.__name__] = plot
    return env


def _shown(value: object) -> object:
    """What a template writes, without characters that would turn the text around it or
    be obeyed.
    """
    # Text that is marked as HTML stays so.
    return type(value)(visible(value)) if isinstance(value, str) else value


def _json(report: Report) -> str:
    return visible_json(json.dumps(asdict(report), indent=1, ensure_ascii=False))


def _markdown(report: Report) -> str:
    return _environment(autoescape=False).get_template("report.md.jinja").render(report=report)


def _html(report: Report) -> str:
    return _environment(autoescape=True).get_template("report.html.jinja").render(report=report)


def _tables(
    result: RunResult,
) -> Mapping[str, Iterable[tuple[Mapping[str, str], polars.DataFrame]]]:
    """The numbers behind the report, one table after another: responses, scores and token scores of
    all strategies.
    """
    loaded = result.graph.loaded
    pairs = [
        (entry.name, strategy.name)
        for entry in loaded.recipe.datasets
        for strategy in loaded.recipe.strategies_for(entry.name)
    ]
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
    """A strategy's responses, each with its example's input beside the id."""
    import polars as pl

    responses = result.frame(step_names.responses(dataset, strategy))
    examples = result.frame(step_names.examples(dataset), "id", "input")
    # Joins of some polars versions keep no order.
    ordered = (
        responses.with_columns(pl.Series("order", range(len(responses))))
        .join(examples, on="id", how="left")
        .sort("order")
    )
    return ordered.select("id", "input", pl.exclude("id", "input", "order"))
