"""The command that rebuilds a report from the store."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from respsel.cli.app import (
    Limit,
    RecipePath,
    Settings,
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


@app.command()
@reported
def report(
    recipe: RecipePath,
    kind: Annotated[
        Format | None,
        typer.Option("--format", help="Print the report in this format; write no files."),
    ] = None,
    settings: Settings = None,
    limit: Limit = None,
) -> None:
    """Rebuild a recipe's report from what is stored. Opens no model."""
    from respsel.errors import RunError

    with study_of(recipe, settings, limit, reading=True) as study, run_display() as progress:
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
        say(f"Report: {shown_path(page)}")
