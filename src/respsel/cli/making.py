"""The commands that make a training set: apply, export."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from respsel.cli.app import AsJson, RecipePath, app, console_of, graph_of, reported, shown_path, waits_for
from respsel.cli.terminal import print_json, say, tell

if TYPE_CHECKING:
    from respsel.applying import Applied, Selected, Wish
    from respsel.export.write import Exported
    from respsel.graph import Graph
    from respsel.runner import RunResult
    from respsel.store import Store


class Mode(StrEnum):
    """What is applied: one strategy, or each example's best response."""

    STRATEGY = "strategy"
    PER_EXAMPLE = "per-example"


class ExportFormat(StrEnum):
    """See export.formats.FORMATS."""

    MESSAGES = "messages"
    PROMPT_COMPLETION = "prompt-completion"
    AXOLOTL = "axolotl"
    LLAMA_FACTORY = "llama-factory"
    OPENAI = "openai"
    PARQUET = "parquet"
    DPO = "dpo"


@app.command()
@reported
def apply(
    recipe: RecipePath,
    strategy: Annotated[str | None, typer.Option(metavar="NAME", help="Apply this strategy, whatever the verdict.")] = None,
    mode: Annotated[Mode, typer.Option(help="per-example: take each example's best response of all strategies.")] = Mode.STRATEGY,
    accept_undecided: Annotated[bool, typer.Option("--accept-undecided", help="Take an undecided verdict's leader.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would take: calls, tokens and money.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the selected strategy's responses for the whole datasets. What is there is reused; Ctrl-C loses nothing."""
    from respsel.applying import Wish, applied_graph, select
    from respsel.errors import InputError, Problem
    from respsel.planner import make_plan

    if strategy is not None and mode is Mode.PER_EXAMPLE:
        raise InputError(Problem("", "--strategy", "goes with one strategy, not with --mode per-example", "Give one of them"))
    wish = Wish(mode.value, strategy, accept_undecided)
    with graph_of(recipe, reading=dry_run) as (graph, store):
        selected = select(graph, store, wish)
        whole = applied_graph(graph.loaded, selected, store)
        if dry_run:
            from respsel.cli.running import show_plan

            if not as_json:
                say(_selected_line(selected))
            show_plan(make_plan(whole, store), whole.loaded, as_json)
            return
        result, applied = _make(whole, store, wish, selected)
        (made,) = _export(applied, ["parquet"], None)
        stale = _stale_lines(applied)
        for problem in store.damage:
            tell("warning", problem)
    if as_json:
        print_json(_applied_json(result, selected, made))
    else:
        _show_applied(result, selected, made, stale)


@app.command()
@reported
def export(
    recipe: RecipePath,
    kinds: Annotated[list[ExportFormat], typer.Option("--format", help="The format; may be given several times.")],
    mode: Annotated[Mode | None, typer.Option(help="Which applied set. Default: strategy, but per-example for dpo.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write to DIR/FORMAT instead of below runs/.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write what was applied as a training set for TRL, axolotl, LLaMA-Factory or OpenAI, with a card. Opens no model."""
    from respsel.applying import find_applied
    from respsel.errors import InputError, Problem

    names = list(dict.fromkeys(kind.value for kind in kinds))
    if mode is Mode.STRATEGY and "dpo" in names:
        what = "pairs need every strategy's responses"
        raise InputError(Problem("", "--mode", what, "Leave --mode out, or set it to per-example"))
    wanted = {
        which: [name for name in names if (mode or (Mode.PER_EXAMPLE if name == "dpo" else Mode.STRATEGY)) is which]
        for which in Mode
    }
    with graph_of(recipe, reading=True) as (graph, store):
        # All are found before any is written.
        applied = [(find_applied(graph, store, which.value), some) for which, some in wanted.items() if some]
        made = [_export(item, some, out) for item, some in applied]
        stale = [line for item, _ in applied for line in _stale_lines(item)] if out is None else []
    if as_json:
        print_json([_exported_json(item) for group in made for item in group])
    else:
        _show_exported(made)
        say("".join(f"Caution: {line}\n" for line in stale), end="")


def _make(graph: Graph, store: Store, wish: Wish, selected: Selected) -> tuple[RunResult, Applied]:
    """Run what is missing of an applied selection, and note it."""
    from respsel.applying import note_applied
    from respsel.models import OpenModels
    from respsel.notes import save_latest
    from respsel.progress import RunDisplay
    from respsel.runner import Runner
    from respsel.unfinished import RunNote

    with (
        OpenModels(graph.models, store.folder) as models,
        RunDisplay(partial(console_of, stderr=True)) as display,
        RunNote(store, graph.loaded.key, graph.loaded.recipe_place, display.waits_for_gc) as note,
    ):
        result = Runner(graph, store, models, display, register=note.begin).run()
        # Looked at while models are open, so that a damaged table is made again here.
        for name in graph.steps:
            result.frame(name, "id")
        save_latest(store, graph.loaded.key, result.latest_run())
        applied = note_applied(store, result, wish, selected)
        note.finish()
    return result, applied


def _export(applied: Applied, names: list[str], out: Path | None) -> list[Exported]:
    from respsel.export.formats import FORMATS
    from respsel.export.write import training_folder, write_export

    folder = out if out is not None else training_folder(applied.graph.loaded, applied.selected.mode)
    wait = waits_for("exporting there")
    return [write_export(applied, FORMATS[name], folder / name, wait) for name in names]


def _selected_line(selected: Selected) -> str:
    basis = {
        "verdict": "decided",
        "undecided verdict": "leads; the verdict is not decided",
        "choice": "chosen by you",
    }
    if selected.mode == "per-example":
        return "each example's best response, of all strategies"
    return "\n".join(f"{dataset}: {name} ({basis[selected.basis]})" for dataset, name in selected.strategies.items())


def _stale_lines(applied: Applied) -> list[str]:
    """A warning where other formats still hold what was applied before."""
    from respsel.export.write import find_stale, training_folder

    folder = training_folder(applied.graph.loaded, applied.selected.mode)
    names = find_stale(applied, folder)
    what = f"{', '.join(names)} in {shown_path(folder)} still hold what was applied before: export them again, or delete them."
    return [what] if names else []


def _show_applied(result: RunResult, selected: Selected, made: Exported, stale: list[str]) -> None:
    from respsel.costs import costs_of
    from respsel.text import cost_lines, counts_lines

    loaded = result.graph.loaded
    say(_selected_line(selected))
    say("\n".join(counts_lines(made.counts)))
    say("".join(f"Caution: {line}\n" for line in (*made.cautions, *stale)), end="")
    say(f"{result.steps_run} of {result.steps_total} steps run, {result.calls_made} calls made, {result.calls_reused} reused.")
    for line in cost_lines(costs_of(result.took_now, loaded.models), planned=False):
        say(line)
    say(f"Training set: {shown_path(made.data)}")
    mode = " --mode per-example" if selected.mode == "per-example" else ""
    say(f"Next, for a trainer: respsel export {loaded.typed}{mode} --format messages (or another; see respsel export --help)")


def _show_exported(made: list[list[Exported]]) -> None:
    from respsel.text import counts_lines

    for group in made:
        width = max(len(item.format) for item in group)
        say("\n".join(f"{item.format.ljust(width)}  {shown_path(item.data)}" for item in group))
        # Pairs are others than examples.
        for item in {item.format == "dpo": item for item in group}.values():
            say("\n".join(counts_lines(item.counts)))
        cautions = dict.fromkeys(line for item in group for line in item.cautions)
        say("".join(f"Caution: {line}\n" for line in cautions), end="")


def _applied_json(result: RunResult, selected: Selected, made: Exported) -> dict[str, Any]:
    from dataclasses import asdict

    from respsel.costs import costs_of

    return {
        "recipe": result.graph.loaded.shown,
        "mode": selected.mode,
        "strategies": dict(selected.strategies),
        "basis": selected.basis,
        "steps_total": result.steps_total,
        "steps_run": result.steps_run,
        "calls_made": result.calls_made,
        "calls_reused": result.calls_reused,
        "models_opened": list(result.models_opened),
        "costs_now": [asdict(cost) for cost in costs_of(result.took_now, result.graph.loaded.models)],
        **_exported_json(made),
    }


def _exported_json(made: Exported) -> dict[str, Any]:
    from dataclasses import asdict

    counts = [asdict(count) for count in made.counts]
    said = {"format": made.format, "folder": str(made.folder), "data": str(made.data)}
    return {**said, "counts": counts, "cautions": list(made.cautions)}
