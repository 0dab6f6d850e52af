"""The command that shows several recipes, targets or values side by side: compare."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from respsel.cli.app import (
    AsJson,
    Limit,
    Offline,
    Quiet,
    Settings,
    Verbose,
    app,
    reported,
    run_display,
    shown_path,
    waits_for,
)
from respsel.cli.terminal import print_json, say, tell

if TYPE_CHECKING:
    from respsel.compare.columns import Column, Columns
    from respsel.compare.outcome import Failure
    from respsel.compare.runs import Shows
    from respsel.study import Progress
    from respsel.workspace.loaded_recipe import LoadedRecipe

Recipes = Annotated[list[Path], typer.Argument(metavar="RECIPE", help="One recipe or several.")]
Targets = Annotated[
    str | None, typer.Option(metavar="A,B", help="Names of models, each as the target.")
]
Sweeps = Annotated[
    list[str] | None,
    typer.Option(
        "--sweep",
        metavar="KEY=V1,V2",
        help="Values of a key, e.g. strategies.terse.sampling.temperature=0.2,0.7; several make a "
        "grid.",
    ),
]


@app.command()
@reported
def compare(
    recipes: Recipes,
    targets: Targets = None,
    sweeps: Sweeps = None,
    settings: Settings = None,
    limit: Limit = None,
    dry_run: Annotated[
        bool, typer.Option("--plan", help="Only show what it would take: calls, tokens and money.")
    ] = False,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show several recipes, targets or values side by side: does the choice change?

    Runs what is missing, writes one page below runs/compare/, and leaves the recipes' own runs.
    Example: respsel compare math.toml --targets small,big --limit 50
    """
    from respsel.compare.columns import Wanted, columns_of
    from respsel.compare.runs import load_columns

    run_display(quiet, verbose)  # refuses both
    names = () if targets is None else targets.split(",")
    wanted = Wanted(recipes, names, sweeps or (), settings or (), limit)
    columns = columns_of(wanted)
    loaded = load_columns(columns.columns)
    if dry_run:
        _show_plan(columns.columns, as_json, offline)
    else:
        shows = partial(_shows, quiet, verbose)
        _compare(columns, loaded, shows, offline, as_json, quiet)


def _compare(
    columns: Columns,
    loaded: Sequence[LoadedRecipe],
    shows: Shows,
    offline: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run what is missing, write the page and print it; exit with 1 if a column failed."""
    from respsel.compare.document import comparison_of
    from respsel.compare.runs import run_columns
    from respsel.compare.write import comparison_json, write_comparison

    warn = partial(tell, "warning")
    outcomes, failures = run_columns(columns.columns, shows, warn, _tell, offline)
    comparison = comparison_of(columns, outcomes, failures)
    page = write_comparison(comparison, loaded, waits_for("writing this comparison"))
    if as_json:
        print_json(comparison_json(comparison))
    elif quiet:
        say(shown_path(page))
    else:
        from respsel.cli.render.compare import comparison_lines

        say("\n".join(comparison_lines(comparison)))
        say(f"\nPage: {shown_path(page)}")
    if failures:
        raise typer.Exit(1)


def _show_plan(columns: Sequence[Column], as_json: bool, offline: bool) -> None:
    from dataclasses import asdict

    from respsel.cli.render.compare import planned_lines
    from respsel.compare.cost import plan_columns

    planned = plan_columns(columns, offline)
    if as_json:
        print_json(asdict(planned))
    else:
        say("\n".join(planned_lines(planned)))


@contextmanager
def _shows(
    quiet: bool, verbose: bool, column: Column, place: int, count: int
) -> Iterator[Progress]:
    """Shows on standard error how a column's run goes; see run_display."""
    if not quiet:
        say(f"{column.label} ({place} of {count})", file=sys.stderr)
    with run_display(quiet, verbose) as progress:
        yield progress


def _tell(failure: Failure) -> None:
    for line in failure.why:
        tell("error", f"{failure.label}: {line}")
