"""The command that sends a training set to the Hugging Face hub: push."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from respsel.cli.app import (
    AsJson,
    Limit,
    Quiet,
    RecipePath,
    Settings,
    app,
    reported,
    run_display,
    shown_path,
    study_of,
)
from respsel.cli.terminal import print_json, say
from respsel.cli.training import ExportFormat, Mode
from respsel.training.formats import formats_by_mode

if TYPE_CHECKING:
    from respsel.remote.push import Push, PushedFile
    from respsel.training.export import TrainingSet
    from respsel.training.modes import Mode as Wanted


Repo = Annotated[str, typer.Argument(metavar="REPO", help="OWNER/NAME on the hub.")]
Kind = Annotated[ExportFormat, typer.Option("--format", help="The format of the set.")]
Applied = Annotated[
    Mode | None,
    typer.Option("--mode", help="Which applied set. Default: strategy, but per-example for dpo."),
]
Private = Annotated[
    bool | None, typer.Option("--private/--public", help="Who may see it. Default: private.")
]
Branch = Annotated[
    str, typer.Option(metavar="NAME", help="A branch; it is made if it is not there.")
]
Message = Annotated[str, typer.Option(metavar="TEXT", help="The commit's message.")]
Yes = Annotated[bool, typer.Option("--yes", help="Send it without asking.")]


@app.command()
@reported
def push(
    recipe: RecipePath,
    repo: Repo,
    kind: Kind = ExportFormat.messages,  # type: ignore[attr-defined]
    mode: Applied = None,
    private: Private = None,
    branch: Branch = "",
    message: Message = "Add a training set made with respsel",
    yes: Yes = False,
    settings: Settings = None,
    limit: Limit = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Send what was applied to a dataset repository of the hub, with its card.

    Says what it will send, and asks.

    Example: respsel push recipe.toml me/my-set --format dpo
    """
    from respsel.remote.push import open_api, prepare, upload

    wanted: Wanted | None = None if mode is None else mode.value
    # Before the recipe is read, so that wrong options are reported first.
    formats_by_mode([kind.value], wanted)
    api = open_api()
    with study_of(recipe, settings, limit, reading=True) as study, run_display(quiet) as progress:
        (made,) = study.export(kind.value, mode=wanted, progress=progress)
    planned = prepare(api, repo, files_to_push(made), private, branch, message)
    # What is asked about is said first.
    lines = [] if quiet and yes else planned.lines
    for line in [*lines, *_cautions(made)]:
        say(line, file=sys.stderr)
    _ask(planned, yes, as_json)
    commit = upload(api, planned)
    _show_sent(planned, commit, made.data.name, as_json, quiet)


def _show_sent(planned: Push, commit: str, name: str, as_json: bool, quiet: bool) -> None:
    """Print where the set is now."""
    file = f"hf://datasets/{planned.repo}@{commit}/{name}"
    if as_json:
        print_json({"repo": planned.repo, "url": planned.url, "commit": commit, "data": file})
    elif quiet:
        say(file)
    else:
        say(f"Sent: {planned.url}")
        say(f"In a recipe: {file}")


def files_to_push(made: TrainingSet) -> list[PushedFile]:
    """The files that the export wrote, and nothing else that may lie there."""
    from respsel.remote.push import PushedFile
    from respsel.training.export import exported_names

    return [PushedFile(made.folder / name, name) for name in exported_names(made.folder)]


def _cautions(made: TrainingSet) -> list[str]:
    card = made.folder / "README.md"
    lines = [f"Caution: {caution}" for caution in made.cautions]
    if "\nlicense: unknown\n" in card.read_text("utf-8", "replace"):
        lines.append(
            "Caution: respsel does not know the licences of the data and of the models that wrote "
            f"the responses. Fill them in: {shown_path(card)}"
        )
    return lines


def _ask(planned: Push, yes: bool, as_json: bool) -> None:
    """Ask on a terminal. Raises InputError where nobody can be asked, and Exit for a no."""
    from respsel.errors import InputError, Problem

    if yes:
        return
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        what = "nothing was sent: there is no terminal to ask on"
        raise InputError(Problem("", "", what, "Look at the list above, then add --yes"))
    if not typer.confirm(f"Send {len(planned.files)} files?", default=False, err=True):
        say("Nothing was sent.", file=sys.stderr)
        raise typer.Exit(1)
