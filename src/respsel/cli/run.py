"""The commands that run a recipe or show what that would do: run, plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from respsel.cli.app import (
    AsJson,
    Limit,
    Offline,
    Quiet,
    RecipePath,
    Settings,
    Verbose,
    app,
    reported,
    run_display,
    show_plan,
    shown_path,
    study_of,
)
from respsel.cli.terminal import print_json, say, shown_lines, stdout, styled, tell, width
from respsel.text.characters import visible

if TYPE_CHECKING:
    from respsel.report.summary import Summary
    from respsel.run.result import RunResult


@app.command()
@reported
def run(
    recipe: RecipePath,
    settings: Settings = None,
    limit: Limit = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a recipe to its report. What was done before is reused; Ctrl-C loses nothing.

    Example: respsel run recipes/quickstart.toml
    """
    display = run_display(quiet, verbose)
    with study_of(recipe, settings, limit, offline=offline) as study:
        with display as progress:
            result = study.run(progress)
        for problem in (*study.damage, *study.untracked):
            tell("warning", problem)
    if as_json:
        from respsel.cli.render.run_document import run_json

        print_json(run_json(result))
    elif quiet:
        say(shown_path(result.page))
    else:
        _show_result(result, study.summary)


@app.command()
@reported
def plan(
    recipe: RecipePath,
    settings: Settings = None,
    limit: Limit = None,
    all_steps: Annotated[
        bool, typer.Option("--steps", "--all", help="List every step by itself.")
    ] = False,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Show what a run would do and why, and about how long it would take. Opens no model.

    Example: respsel plan recipes/quickstart.toml
    """
    with study_of(recipe, settings, limit, reading=True, offline=offline) as study:
        made, outlook = study.outlook()
    show_plan(made, outlook, study.loaded, as_json, all_steps)


def _show_result(result: RunResult, summary: Summary) -> None:
    from respsel.cli.render.runs import outcome_lines, work_lines

    columns = width(stdout())
    for verdict in result.verdicts:
        more = outcome_lines(summary, verdict.dataset, columns)
        say("\n".join([*verdict.lines(columns), *more]) + "\n")
    answers = summary.headline
    which = answers.which if answers.checked else f"{answers.which} (answers not checked)"
    print(styled(visible(which), bold=True, fg="green" if answers.is_good else "yellow"))
    say(answers.how_sure)
    for caution in answers.cautions:
        told = shown_lines(f"Caution: {caution}").removeprefix("Caution:")
        print(styled("Caution:", bold=True, fg="yellow") + told)
    say(f"Next: {answers.next_step}")
    say("".join(f"  {command}\n" for command in answers.command.splitlines()), as_is=True)
    for line in work_lines(result):
        say(line)
    say(f"Report: {shown_path(result.page)}")
