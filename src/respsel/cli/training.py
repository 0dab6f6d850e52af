"""The commands that make a training set: apply, export."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from respsel.cli.terminal import print_json, say, tell
from respsel.training.formats import FORMATS, formats_by_mode

if TYPE_CHECKING:
    from respsel.study import ApplyResult, Study
    from respsel.training.apply import Selected, Wish
    from respsel.training.export import TrainingSet
    from respsel.training.modes import Mode as Wanted


class Mode(StrEnum):
    """What is applied: one strategy, or each example's best response."""

    STRATEGY = "strategy"
    PER_EXAMPLE = "per-example"


ExportFormat = StrEnum("ExportFormat", {name: name for name in FORMATS})  # type: ignore[misc]


@app.command()
@reported
def apply(
    recipe: RecipePath,
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="Apply this strategy, whatever the verdict.")
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="per-example: take each example's best response of all strategies.")
    ] = Mode.STRATEGY,
    accept_undecided: Annotated[
        bool, typer.Option("--accept-undecided", help="Take an undecided verdict's leader.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show what it would take: calls, tokens and money."),
    ] = False,
    settings: Settings = None,
    limit: Limit = None,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make the selected strategy's responses for the whole datasets. Ctrl-C loses nothing.

    Example: respsel apply recipes/quickstart.toml --accept-undecided
    """
    from respsel.training.apply import Wish

    display = run_display(quiet, verbose)
    with study_of(recipe, settings, limit, reading=dry_run, offline=offline) as study:
        if dry_run:
            _show_dry_run(study, Wish(mode.value, strategy, accept_undecided), as_json)
            return
        with display as progress:
            applied = study.apply(
                strategy, mode=mode.value, accept_undecided=accept_undecided, progress=progress
            )
        for problem in study.damage:
            tell("warning", problem)
    _tell_applied(applied, as_json, quiet)


def _tell_applied(applied: ApplyResult, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(_applied_json(applied))
    elif quiet:
        say(shown_path(applied.training_set.data))
    else:
        _show_applied(applied)


@app.command()
@reported
def export(
    recipe: RecipePath,
    kinds: Annotated[
        list[ExportFormat], typer.Option("--format", help="The format; may be given several times.")
    ],
    mode: Annotated[
        Mode | None,
        typer.Option(help="Which applied set. Default: strategy, but per-example for dpo."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write to DIR/FORMAT instead of below runs/.")
    ] = None,
    settings: Settings = None,
    limit: Limit = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write what was applied as a training set, with a card.

    The formats are those of TRL, axolotl, LLaMA-Factory, OpenAI and Fireworks. Opens no model.

    Example: respsel export recipes/quickstart.toml --format messages
    """
    formats = [kind.value for kind in kinds]
    wanted: Wanted | None = None if mode is None else mode.value
    # Before the recipe is read, so that wrong options are reported first.
    formats_by_mode(formats, wanted)
    display = run_display(quiet, verbose)
    with study_of(recipe, settings, limit, reading=True) as study, display as progress:
        made = study.export(*formats, mode=wanted, folder=out, progress=progress)
    if as_json:
        print_json([_exported_json(item) for item in made])
    elif quiet:
        say("\n".join(shown_path(item.data) for item in made))
    else:
        _show_exported(made)


def _show_dry_run(study: Study, wish: Wish, as_json: bool) -> None:
    selected = study.select(wish)
    if not as_json:
        say(_selected_line(selected))
    show_plan(*study.outlook(selected), study.loaded, as_json)


def _selected_line(selected: Selected) -> str:
    if selected.mode == "per-example":
        return "each example's best response, of all strategies"
    return "\n".join(
        f"{dataset}: {name} ({selected.reason(dataset)})"
        for dataset, name in selected.strategies.items()
    )


def _stale_line(made: TrainingSet) -> list[str]:
    """A warning where other formats still hold what was applied before."""
    what = (
        f"{', '.join(made.stale)} in {shown_path(made.folder.parent)} still hold what was "
        "applied before"
    )
    return [f"Caution: {what}: export them again, or delete them.\n"] if made.stale else []


def _show_applied(applied: ApplyResult) -> None:
    from respsel.cli.render.runs import counts_lines, work_lines

    selected = applied.selected
    result = applied.run
    training_set = applied.training_set
    loaded = result.graph.loaded
    say(_selected_line(selected))
    say("\n".join(counts_lines(training_set.counts)))
    say(
        "".join(
            [*(f"Caution: {line}\n" for line in training_set.cautions), *_stale_line(training_set)]
        ),
        end="",
    )
    for line in work_lines(result):
        say(line)
    say(f"Training set: {shown_path(training_set.data)}")
    mode = " --mode per-example" if selected.mode == "per-example" else ""
    say(
        f"Next, for a trainer: respsel export {loaded.typed}{mode} --format messages (or another; "
        "see respsel export --help)"
    )


def _show_exported(made: Sequence[TrainingSet]) -> None:
    from respsel.cli.render.runs import counts_lines

    for mode in dict.fromkeys(item.mode for item in made):
        group = [item for item in made if item.mode == mode]
        width = max(len(item.format) for item in group)
        say("\n".join(f"{item.format.ljust(width)}  {shown_path(item.data)}" for item in group))
        # Pairs are others than examples.
        for item in {item.format == "dpo": item for item in group}.values():
            say("\n".join(counts_lines(item.counts)))
        cautions = dict.fromkeys(line for item in group for line in item.cautions)
        say("".join(f"Caution: {line}\n" for line in cautions), end="")
    say("".join(dict.fromkeys(line for item in made for line in _stale_line(item))), end="")


def _applied_json(applied: ApplyResult) -> dict[str, Any]:
    from respsel.cli.render.run_document import work_json

    selected = applied.selected
    return {
        "recipe": applied.run.graph.loaded.shown,
        "mode": selected.mode,
        "strategies": dict(selected.strategies),
        "basis": selected.basis,
        **work_json(applied.run),
        **_exported_json(applied.training_set),
    }


def _exported_json(made: TrainingSet) -> dict[str, Any]:
    from dataclasses import asdict

    counts = [asdict(count) for count in made.counts]
    files = {"format": made.format, "folder": str(made.folder), "data": str(made.data)}
    return {**files, "counts": counts, "cautions": list(made.cautions)}
