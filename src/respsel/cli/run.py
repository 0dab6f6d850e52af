"""The commands on a recipe and its runs: run, plan, explain, diff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from respsel.cli.app import (
    AsJson,
    RecipePath,
    app,
    console_of,
    opened_store,
    reported,
    run_display,
    shown_path,
    study_of,
)
from respsel.cli.terminal import print_json, say, styled, tell
from respsel.text.characters import visible

if TYPE_CHECKING:
    from respsel.plan.plan import Plan
    from respsel.run.result import RunResult
    from respsel.workspace.loaded_recipe import LoadedRecipe


@app.command()
@reported
def run(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Run a recipe to its report. What was done before is reused; Ctrl-C loses nothing."""
    with study_of(recipe) as study:
        with run_display() as progress:
            result = study.run(progress)
        for problem in study.damage:
            tell("warning", problem)
    if as_json:
        print_json(_run_json(result))
    else:
        _show_result(result)


@app.command()
@reported
def plan(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Show what a run would do, step by step, and why. Opens no model."""
    with study_of(recipe, reading=True) as study:
        made = study.plan()
    show_plan(made, study.loaded, as_json)


@app.command()
@reported
def explain(
    recipe: RecipePath,
    step: Annotated[
        str | None,
        typer.Argument(
            metavar="[STEP]",
            help="A step's name or its beginning, a strategy or a dataset. Default: all.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say why steps are cached or would run.

    Shows what changed against the nearest stored step, old and new, and for how many examples.
    Opens no model.
    """
    from dataclasses import asdict

    with study_of(recipe, reading=True) as study:
        found = study.explain(step)
    if as_json:
        print_json([asdict(item) for item in found])
    else:
        from respsel.cli.render.runs import explanation_lines

        say("\n".join(explanation_lines(found)))


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
        Path | None, typer.Argument(metavar="[RUN_B]", help="The run to compare it with.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two recorded runs.

    Shows what changed in the recipe and outside it, in responses, scores (with paired intervals)
    and verdicts.
    """
    from dataclasses import asdict

    from respsel.history.diff import diff_runs
    from respsel.history.recorded_runs import choose_runs

    old, new = choose_runs(run_a, run_b)
    with opened_store(new.store, reading=True) as store:
        found = diff_runs(store, old, new)
    if as_json:
        print_json(asdict(found))
    else:
        from respsel.cli.render.runs import diff_lines

        say("\n".join(diff_lines(found)))


def show_plan(made: Plan, loaded: LoadedRecipe, as_json: bool) -> None:
    """Print a plan with what its calls would cost."""
    from dataclasses import asdict

    from respsel.calls.costs import costs_of

    costs = costs_of(made.takes, loaded.models)
    if as_json:
        said = {
            "recipe": loaded.shown,
            **{state: made.count(state) for state in ("cached", "run", "waits")},
            "costs": [asdict(cost) for cost in costs],
            "calls_later": made.calls_later,
            "steps": [asdict(step) for step in made.steps],
        }
        print_json(said)
    else:
        from respsel.cli.render.runs import cost_lines, plan_table

        console = console_of()
        console.print(plan_table(made))
        console.print(f"\n{made.summary}")
        console.print("\n".join(cost_lines(costs, planned=True)), end="\n" if costs else "")
        if costs and (later := made.calls_later):
            console.print(
                f"  not in these numbers: what waits for those calls, at most {later:,} calls more"
            )


def _run_json(result: RunResult) -> dict[str, Any]:
    from dataclasses import asdict

    from respsel.calls.costs import costs_of
    from respsel.recipe.schema import OVERALL

    models = result.graph.loaded.models
    verdicts = [asdict(verdict) for verdict in result.verdicts if verdict.dataset != OVERALL]
    overall = [asdict(verdict) for verdict in result.verdicts if verdict.dataset == OVERALL]
    return {
        "recipe": result.graph.loaded.shown,
        "steps_total": result.steps_total,
        "steps_run": result.steps_run,
        "calls_made": result.calls_made,
        "calls_reused": result.calls_reused,
        "models_opened": list(result.models_opened),
        "costs_now": [asdict(cost) for cost in costs_of(result.took_now, models)],
        "costs": [asdict(cost) for cost in costs_of(result.took, models)],
        "verdicts": verdicts,
        "overall": overall[0] if overall else None,
        "report": str(result.page),
    }


def _show_result(result: RunResult) -> None:
    from respsel.calls.costs import costs_of
    from respsel.cli.render.runs import cost_lines, mixture_lines, race_lines

    # From the report, so that a cached run reads no table for it.
    report = json.loads(result.page.with_name("report.json").read_bytes())
    answers = report["headline"]
    datasets = {data["name"]: data for data in report["datasets"]}
    for verdict in result.verdicts:
        data = datasets.get(verdict.dataset)
        more = [*race_lines(data), *mixture_lines(data)] if data else []
        say("\n".join([*verdict.lines(), *more]) + "\n")
    print(
        styled(visible(answers["which"]), bold=True, fg="green" if answers["ready"] else "yellow")
    )
    say(answers["how_sure"])
    for caution in answers["cautions"]:
        print(f"{styled('Caution:', bold=True, fg='yellow')} {visible(caution)}")
    say(f"Next: {answers['next_step']}")
    say("".join(f"  {command}\n" for command in answers["command"].splitlines()))
    say(
        f"{result.steps_run} of {result.steps_total} steps run, {result.calls_made} calls made, "
        f"{result.calls_reused} reused."
    )
    for line in cost_lines(costs_of(result.took_now, result.graph.loaded.models), planned=False):
        say(line)
    say(f"Report: {shown_path(result.page)}")
