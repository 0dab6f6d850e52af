"""The commands. The only module that prints, reads the terminal's environment, or exits.

Heavy imports stand inside the commands: `respsel --help` imports neither polars nor any engine.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial, wraps
from gc import set_threshold
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from respsel import __version__
from respsel.errors import EXIT_BUG, EXIT_INTERRUPTED, RespselError

if TYPE_CHECKING:
    from rich.console import Console

    from respsel.graph import Graph
    from respsel.runner import RunResult
    from respsel.store import Store

app = typer.Typer(
    name="respsel",
    help="Find out which responses a language model should be fine-tuned on, before fine-tuning it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a TOML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output; all else on standard error.")]


# pydantic would look through every installed package for plugins, and respsel has no use for any.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# Imports and tables make many objects that stay; looking through them for cycles takes an eighth of a cached run.
set_threshold(100_000, 50, 50)


def main() -> None:
    """The console script."""
    app()


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a command raises into a message and the exit code of errors.py."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except RespselError as error:
            for problem in error.problems:
                print(f"error: {problem}", file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            print("Stopped. What was done is kept: run the same command again to go on.", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception:
            traceback.print_exc()
            print("error: This is a bug in respsel. Please report it with the lines above.", file=sys.stderr)
            raise typer.Exit(EXIT_BUG) from None

    return run


def _version(wanted: bool) -> None:
    if wanted:
        print(f"respsel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _show: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


@app.command()
@reported
def run(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Run a recipe to its report. What was done before is reused; Ctrl-C loses nothing."""
    from respsel.models import OpenModels
    from respsel.progress import RunDisplay
    from respsel.report.write import write_report
    from respsel.runner import Runner
    from respsel.runs import record_run
    from respsel.upkeep import note_begun, note_latest

    with _graph_of(recipe) as (graph, store):
        with OpenModels(graph.models, store.folder) as models, RunDisplay(partial(_console, stderr=True)) as display:
            runner = Runner(graph, store, models, display)
            runner.before_work = partial(note_begun, store, graph.loaded, display.waits_for_gc)
            result = runner.run()
            finished_at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
            page = write_report(result, finished_at)
            record_run(result, page, finished_at)
            note_latest(store, result)
        for problem in store.damage:
            print(f"warning: {problem}", file=sys.stderr)
    if as_json:
        print(json.dumps(_run_json(result, page), ensure_ascii=False))
    else:
        _show_result(result, page)


@app.command()
@reported
def plan(recipe: RecipePath, as_json: AsJson = False) -> None:
    """Show what a run would do, step by step, and why. Opens no model."""
    from dataclasses import asdict

    from respsel.planner import make_plan

    with _graph_of(recipe) as (graph, store):
        made = make_plan(graph, store)
    if as_json:
        counts = {state: made.count(state) for state in ("cached", "run", "waits")}
        print(
            json.dumps(
                {"recipe": graph.loaded.shown, **counts, "steps": [asdict(step) for step in made.steps]}, ensure_ascii=False
            )
        )
    else:
        from respsel.text import plan_summary, plan_table

        console = _console()
        console.print(plan_table(made))
        console.print(plan_summary(made))


@app.command()
@reported
def explain(
    recipe: RecipePath,
    step: Annotated[str | None, typer.Argument(metavar="[STEP]", help="A step's name, or how it begins. Default: all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say why steps are cached or would run.

    Shows what changed against the nearest stored step, old and new, and for how many examples. Opens no model.
    """
    from dataclasses import asdict

    from respsel.explain import explain as explain_steps

    with _graph_of(recipe) as (graph, store):
        found = explain_steps(graph, store, step)
    if as_json:
        print(json.dumps([asdict(item) for item in found], ensure_ascii=False))
    else:
        from respsel.text import explanation_lines

        print("\n".join(explanation_lines(found)))


@app.command()
@reported
def diff(
    run_a: Annotated[Path, typer.Argument(metavar="RUN_A", help="A recorded run's folder; or a recipe, for its last two runs.")],
    run_b: Annotated[Path | None, typer.Argument(metavar="[RUN_B]", help="The run to compare it with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two recorded runs.

    Shows what changed in the recipe and outside it, in responses, scores (with paired intervals) and verdicts.
    """
    from dataclasses import asdict

    from respsel.diff import diff_runs
    from respsel.runs import choose_runs
    from respsel.store import Store

    old, new = choose_runs(run_a, run_b)
    with Store(new.store) as store:
        found = diff_runs(store, old, new)
    if as_json:
        print(json.dumps(asdict(found), ensure_ascii=False))
    else:
        from respsel.text import diff_lines

        print("\n".join(diff_lines(found)))


cache = typer.Typer(help="Look after the store.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(cache, name="cache")
Folder = Annotated[Path, typer.Option("--workspace", help="A folder of the workspace. Default: here.")]


@cache.command()
@reported
def size(folder: Folder = Path()) -> None:
    """Show how many records of each kind there are and what they take."""
    from respsel.text import usage_lines
    from respsel.upkeep import measure

    with _store_of(folder) as (store, _):
        print("\n".join(usage_lines(measure(store))))


@cache.command()
@reported
def ls(folder: Folder = Path()) -> None:
    """List the stored steps, newest last: key, operation, rows, and whether a latest run needs it."""
    from respsel.text import step_lines
    from respsel.upkeep import list_steps

    with _store_of(folder) as (store, root):
        print("\n".join(step_lines(list_steps(store, root))))


@cache.command()
@reported
def verify(folder: Folder = Path()) -> None:
    """Read every record; list the bad ones, move them to quarantine, and exit with 4 if there are any."""
    from respsel.errors import StoreError
    from respsel.upkeep import verify as verify_store

    with _store_of(folder) as (store, _):
        count, problems = verify_store(store)
    print(f"{count} records read, {len(problems)} bad.")
    if problems:
        raise StoreError(problems)


@cache.command()
@reported
def gc(
    folder: Folder = Path(), yes: Annotated[bool, typer.Option("--yes", help="Free it. Without, only say what.")] = False
) -> None:
    """Free what no recipe's latest run needs. Says what it would free, unless --yes is given."""
    from respsel.text import garbage_lines
    from respsel.upkeep import clean

    with _store_of(folder) as (store, root):
        garbage = clean(store, root, free=yes)
    print("\n".join(garbage_lines(garbage, freed=yes)))


@app.command()
@reported
def schema() -> None:
    """Print the recipe's JSON Schema, for editors."""
    from respsel.recipe import Recipe

    print(json.dumps(Recipe.model_json_schema(by_alias=True), indent=2))


@contextmanager
def _graph_of(recipe: Path) -> Iterator[tuple[Graph, Store]]:
    """A recipe's steps, and the open store of its workspace."""
    from respsel.graph import build_graph
    from respsel.loading import load_recipe
    from respsel.store import Store

    loaded = load_recipe(recipe)
    with Store(loaded.workspace.store) as store:
        yield build_graph(loaded, store), store


@contextmanager
def _store_of(folder: Path) -> Iterator[tuple[Store, Path]]:
    """The store of the workspace that a folder is in, and the workspace's root."""
    from respsel.errors import InputError, Problem
    from respsel.sealed import MARK
    from respsel.store import Store
    from respsel.workspace import find_workspace

    workspace = find_workspace(folder)
    if not any((workspace.store / name).exists() for name in ("cache.db", MARK)):
        raise InputError(Problem(str(workspace.store), "", "there is no store", "Give the workspace's folder with --workspace"))
    with Store(workspace.store) as store:
        yield store, workspace.root


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    # A file or a pipe has no width: lines are not broken for it.
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=200)


def _run_json(result: RunResult, page: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from respsel.recipe import OVERALL

    verdicts = [asdict(verdict) for verdict in result.verdicts if verdict.dataset != OVERALL]
    overall = [asdict(verdict) for verdict in result.verdicts if verdict.dataset == OVERALL]
    return {
        "recipe": result.graph.loaded.shown,
        "steps_total": result.steps_total,
        "steps_run": result.steps_run,
        "calls_made": result.calls_made,
        "calls_reused": result.calls_reused,
        "models_opened": list(result.models_opened),
        "verdicts": verdicts,
        "overall": overall[0] if overall else None,
        "report": str(page),
    }


def _show_result(result: RunResult, page: Path) -> None:
    from respsel.text import verdict_lines

    for verdict in result.verdicts:
        print("\n".join(verdict_lines(verdict)) + "\n")
    # From the report, so that a cached run reads no table for it.
    answers = json.loads((page.parent / "report.json").read_bytes())["headline"]
    typer.secho(answers["which"], bold=True, fg="green" if answers["decided"] else "yellow")
    print(answers["how_sure"])
    for caution in answers["cautions"]:
        print(f"{typer.style('Caution:', bold=True, fg='yellow') if sys.stdout.isatty() else 'Caution:'} {caution}")
    print(f"Next: {answers['next_step']}\n")
    print(f"{result.steps_run} of {result.steps_total} steps run, {result.calls_made} calls made, {result.calls_reused} reused.")
    print(f"Report: {_shown(page)}")


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
