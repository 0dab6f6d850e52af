"""The command that says what goes on with a recipe: status."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from respsel.cli.app import AsJson, Limit, RecipePath, Settings, app, reported, study_of
from respsel.cli.terminal import is_terminal, print_json, say, stdout
from respsel.text.documents import stamped

if TYPE_CHECKING:
    from respsel.watch.status import Status

_EVERY_S = 2.0


@app.command()
@reported
def status(
    recipe: RecipePath,
    settings: Settings = None,
    limit: Limit = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on telling until no run goes on; Ctrl-C stops it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether a run of a recipe goes on, and how far it is; else what became of the latest.

    Opens no model and writes nothing.

    Example: respsel status recipes/quickstart.toml
    """
    shown = 0
    while True:
        found = _status_of(recipe, settings, limit)
        if as_json:
            print_json(stamped("status", asdict(found)))
        else:
            shown = _show(found, shown)
        if not watch or not (found.running or found.changed):
            return
        time.sleep(_EVERY_S)


def _status_of(recipe: Path, settings: list[str] | None, limit: int | None) -> Status:
    with study_of(recipe, settings, limit, reading=True) as study:
        return study.status()


def _show(found: Status, before: int) -> int:
    """Print the status, on a terminal in place of the lines before; return how many there are."""
    from respsel.cli.render.status import status_lines

    if before and is_terminal(stdout()):
        # Up to the first of them, and delete from there on.
        print(f"\x1b[{before}A\x1b[J", end="")
    return say("\n".join(status_lines(found)), flush=True)
