"""The command that rebuilds a report from the store."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from respsel.cli.app import (
    Limit,
    Quiet,
    RecipePath,
    Settings,
    Verbose,
    app,
    reported,
    run_display,
    shown_path,
    study_of,
)
from respsel.cli.terminal import html_text, json_text, say, tell
from respsel.text.characters import visible


class Format(StrEnum):
    """What a report can be printed as; see report.write.FORMATS."""

    HTML = "html"
    MD = "md"
    JSON = "json"


def _refuse_both(kind: Format | None, in_browser: bool) -> None:
    from respsel.errors import InputError, Problem

    if in_browser and kind is not None:
        what = "prints the report, so there is no file to open"
        raise InputError(Problem("", "--format", what, "Leave out --format or --open"))


@app.command()
@reported
def report(
    recipe: RecipePath,
    kind: Annotated[
        Format | None,
        typer.Option("--format", help="Print the report in this format; write no files."),
    ] = None,
    in_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser, if there is one.")
    ] = False,
    settings: Settings = None,
    limit: Limit = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Rebuild a recipe's report from what is stored. Opens no model.

    Example: respsel report recipes/quickstart.toml --format md
    """
    from respsel.errors import RunError

    _refuse_both(kind, in_browser)
    display = run_display(quiet, verbose)
    with study_of(recipe, settings, limit, reading=True) as study, display as progress:
        if kind is not None:
            show = {"json": json_text, "html": html_text}.get(kind.value, visible)
            print(show(study.report_text(kind.value, progress)))
            return
        result = study.stored_result(progress)
        try:
            page = study.report(progress, result)
        except RunError as error:
            if not study.read_only:
                raise
            # What is read-only as a whole still has its report to be read.
            tell("warning", error)
            say(study.report_text("md", progress, result))
            return
        say(shown_path(page) if quiet else f"Report: {shown_path(page)}")
    if in_browser:
        _open(page)


def _open(page: Path) -> None:
    from respsel.cli.browser import open_page

    if reason := open_page(page):
        say(f"Not opened: {reason}. Open this file yourself: {page.resolve()}")
