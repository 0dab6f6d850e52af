"""The commands that say what changed: explain, diff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from respsel.cli.app import (
    AsJson,
    Limit,
    RecipePath,
    Settings,
    app,
    opened_store,
    reported,
    study_of,
)
from respsel.cli.terminal import print_json, say


@app.command()
@reported
def explain(
    recipe: RecipePath,
    step: Annotated[
        str | None,
        typer.Argument(
            metavar="STEP",
            help="A step's name or its beginning, a strategy or a dataset. Default: all.",
        ),
    ] = None,
    settings: Settings = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Say why steps are cached or would run.

    Shows what changed against the nearest stored step, old and new, and for how many examples.
    Opens no model.

    Example: respsel explain recipes/quickstart.toml
    """
    from dataclasses import asdict

    with study_of(recipe, settings, limit, reading=True) as study:
        explanations = study.explain(step)
    if as_json:
        print_json([asdict(item) for item in explanations])
    else:
        from respsel.cli.render.changes import explanation_lines

        say("\n".join(explanation_lines(explanations)))


@app.command()
@reported
def diff(
    run_a: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_A", help="A recorded run's folder; or a recipe, for its last two runs."
        ),
    ],
    run_b: Annotated[
        Path | None, typer.Argument(metavar="RUN_B", help="The run to compare it with.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two recorded runs.

    Shows what changed in the recipe and outside it, in responses, scores (with paired intervals)
    and verdicts.

    Example: respsel diff recipes/quickstart.toml
    """
    from dataclasses import asdict

    from respsel.history.diff import diff_runs
    from respsel.history.recorded_runs import choose_runs

    old, new = choose_runs(run_a, run_b)
    with opened_store(new.store, reading=True) as store:
        difference = diff_runs(store, old, new)
    if as_json:
        print_json(asdict(difference))
    else:
        from respsel.cli.render.changes import diff_lines

        say("\n".join(diff_lines(difference)))
