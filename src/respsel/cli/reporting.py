"""The command that rebuilds a report from the store."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from respsel.characters import visible
from respsel.cli.app import RecipePath, app, console_of, graph_of, reported, shown_path
from respsel.cli.terminal import html_text, json_text, say, tell

if TYPE_CHECKING:
    from respsel.graph import Graph
    from respsel.ledger import Ledger
    from respsel.store import Store


class Format(StrEnum):
    """What a report can be printed as; see report.write.FORMATS."""

    HTML = "html"
    MD = "md"
    JSON = "json"


@app.command()
@reported
def report(
    recipe: RecipePath,
    kind: Annotated[Format | None, typer.Option("--format", help="Print the report in this format; write no files.")] = None,
) -> None:
    """Rebuild a recipe's report from what is stored. Opens no model."""
    from respsel.errors import RunError
    from respsel.ledger import load_unrecorded
    from respsel.models import OpenModels
    from respsel.progress import RunDisplay
    from respsel.report.write import render_report, write_report
    from respsel.runner import Runner

    with graph_of(recipe, reading=True) as (graph, store):
        ledger = _refuse_missing(graph, store)
        with OpenModels({}, store.folder) as models, RunDisplay(partial(console_of, stderr=True)) as display:
            # What turns out damaged is not made again here, since that may take a model.
            refuse = partial(_refuse_damaged, graph, ledger)
            left = load_unrecorded(store, graph.loaded.key)
            result = Runner(graph, store, models, display, refuse_work=refuse, unrecorded=left).run()
            now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            if kind is not None:
                show = {"json": json_text, "html": html_text}.get(kind.value, visible)
                print(show(render_report(result, now, [kind.value])[kind.value]))
                return
            try:
                page = write_report(result, now, display.waits_for_report, anew=True)
            except RunError as error:
                if not store.read_only:
                    raise
                # What is read-only as a whole still has its report to be read.
                tell("warning", error)
                say(render_report(result, now, ["md"])["md"])
                return
            say(f"Report: {shown_path(page)}")


def _refuse_missing(graph: Graph, store: Store) -> Ledger:
    from respsel.ledger import Ledger, load_unrecorded

    ledger = Ledger(graph, store, load_unrecorded(store, graph.loaded.key))
    missing = [step.name for step in graph.steps.values() if not ledger.recall(step)]
    if missing:
        count = f"{len(missing)} of {len(graph.steps)} steps are not in the store"
        _refuse(graph, f"{count}, the first is {missing[0]}")
    return ledger


def _refuse_damaged(graph: Graph, ledger: Ledger) -> NoReturn:
    # All are looked at, and none counts as done any more.
    ledger.forget_damaged()
    _refuse(graph, "a stored result is damaged")


def _refuse(graph: Graph, what: str) -> NoReturn:
    from respsel.errors import Problem, RunError

    raise RunError(Problem(graph.loaded.shown, "", what, f"Run: respsel run {graph.loaded.typed}"))
