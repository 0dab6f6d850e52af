"""The application, and what its commands share: exit codes, the open recipe, the console.

Knows nothing of single commands. Invariant: heavy imports are inside functions, so that
`respsel --help` imports neither polars nor any engine.
"""

from __future__ import annotations

import gc as garbage
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from respsel import __version__
from respsel.cli.terminal import (
    ASKS,
    end_streams,
    is_terminal,
    prepare_streams,
    print_json,
    restart_in_utf8,
    say,
    shows_colours,
    tell,
)
from respsel.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    InputError,
    Problem,
    RespselError,
    RunError,
    close_match,
)
from respsel.text.characters import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from respsel.cli.detail import QuietDisplay
    from respsel.cli.progress import RunDisplay
    from respsel.plan.plan import Plan
    from respsel.store.locks import Wait
    from respsel.store.store import Store
    from respsel.study import Study
    from respsel.watch.outlook import Outlook
    from respsel.workspace.loaded_recipe import LoadedRecipe
    from respsel.workspace.variant import Changes


class _Commands(TyperGroup):
    """The commands, with what was typed shown without control characters where it is refused."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        with _readable():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        with _readable():
            return super().invoke(ctx)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # What is wrong with the use of a command has a message, which repeats what was typed. That
        # of a command without arguments is its help, which has lines.
        is_help = type(error).__name__ == "NoArgsIsHelpError"
        if isinstance(getattr(error, "message", None), str) and not is_help:
            error.message = _plain(one_line(error.message))  # type: ignore[attr-defined]
        raise


def _plain(message: str) -> str:
    """A wrong choice without pydantic's words, and with the nearest right one."""
    message = message.replace("Value error, ", "")
    word, found, choices = message.partition("' is not one of ")
    close = close_match(word.rpartition("'")[2], re.findall(r"'([^']*)'", choices)) if found else ""
    return f"{message} {close}" if close else message


app = typer.Typer(
    name="respsel",
    cls=_Commands,
    help="Find out which responses a language model should be fine-tuned on, before fine-tuning "
    "it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    # Shells ask cli/completion.py: typer's own loads rich for each key press, and a script for one
    # shell at a time is written to the user's files.
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a TOML file.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a value for this command, e.g. strategies.terse.sampling.temperature=0.2; "
        "may be given several times. The file stays, and so do its runs.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Take at most N examples of each dataset, for a first look."
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Only errors and warnings, and the path of what was written."
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Also each step as it is found or done, with the time."),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="JSON on standard output; everything else on standard error.")
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Download no data: what is not in the store is an error."),
]


def main() -> None:
    """The console script."""
    # pydantic would look through every installed package for plugins, and respsel uses none. It is
    # imported by the commands, so this comes first.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Imports and tables make many objects that stay; looking through them for cycles takes an
    # eighth of a cached run.
    garbage.set_threshold(100_000, 50, 50)
    restart_in_utf8()
    prepare_streams()
    try:
        if ASKS in os.environ:
            from respsel.cli.completion import answer_shell

            if answer_shell(app):
                return
        app()
    finally:
        end_streams()


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a command raises into a message and the exit code of errors.py."""

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except RespselError as error:
            for problem in error.problems:
                tell("error", problem)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            say(
                "Stopped. What was done is kept: run the same command again to go on.",
                file=sys.stderr,
            )
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except MemoryError:
            tell(
                "error",
                "There is not enough memory. What was done is kept: take a smaller sample or "
                "batch, and run again.",
            )
            raise typer.Exit(RunError.exit_code) from None
        except BaseException as error:
            # SystemExit too: a plug-in that calls sys.exit would end the program without a word.
            raise typer.Exit(_say_crash(error)) from None

    return run


def waits_for(doing: str) -> Wait:
    """Says who is waited for; doing: what that process does."""
    from respsel.cli.progress import RunDisplay

    display = RunDisplay(partial(console_of, stderr=True))
    return partial(display.waits, doing)


def _say_crash(error: BaseException) -> int:
    """Print an error that nothing expected, and whose it is; return the exit code."""
    from respsel.plugins import plugin_at_fault

    # Hazard: what an error says may come from data; a line break in it could forge a message of
    # ours.
    lines = "".join(traceback.format_exception(error)).splitlines()
    say("\n".join([lines[0], *(f"  {line}" for line in lines[1:])]), file=sys.stderr)
    if culprit := plugin_at_fault(error):
        did = "failed" if isinstance(error, Exception) else "ended the program"
        problem = Problem(
            culprit,
            "",
            f"the plug-in {did}: {type(error).__name__}: {error}",
            "Fix or uninstall this package",
        )
        tell("error", problem)
        return RunError.exit_code
    tell("error", "This is a bug in respsel. Please report it with the lines above.")
    return EXIT_BUG


def _version(wanted: bool) -> None:
    if wanted:
        print(f"respsel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _show: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def changes_for(settings: Sequence[str] | None, limit: int | None) -> Changes:
    """What the options --set and --limit ask to change."""
    from respsel.workspace.variant import NO_CHANGES

    if not settings and limit is None:
        return NO_CHANGES
    from respsel.workspace.changes import changes_of

    return changes_of(settings or (), limit=limit)


def study_of(
    recipe: Path,
    settings: Sequence[str] | None = None,
    limit: int | None = None,
    reading: bool = False,
    offline: bool = False,
) -> Study:
    """A recipe with the open store of its workspace.

    settings: texts KEY=VALUE that change it. limit, offline: see open_study. reading: see Store.
    """
    from respsel.study import open_study

    changes = changes_for(settings, limit)
    warn = partial(tell, "warning")
    return open_study(recipe, changes=changes, reading=reading, offline=offline, warn=warn)


def run_display(quiet: bool = False, verbose: bool = False) -> RunDisplay | QuietDisplay:
    """Shows on standard error how a run goes: nothing if quiet, each step if verbose."""
    if quiet and verbose:
        raise InputError(Problem("", "--quiet", "excludes --verbose", "Give one of them"))
    if not (quiet or verbose):
        from respsel.cli.progress import RunDisplay

        return RunDisplay(partial(console_of, stderr=True))
    from respsel.cli.detail import QuietDisplay, VerboseDisplay

    return QuietDisplay() if quiet else VerboseDisplay(partial(console_of, stderr=True))


@contextmanager
def opened_store(folder: Path, reading: bool = False) -> Iterator[Store]:
    """An open store. Warns of what it has lost, since no later command knows of it."""
    from respsel.store.store import Store

    with Store(folder, reading) as store:
        for problem in store.lost:
            tell("warning", problem)
        yield store


def console_of(stderr: bool = False) -> Console:
    """Standard output or standard error, for what is drawn; see terminal for its colours."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    drawn = is_terminal(stream)
    return Console(
        stderr=stderr,
        highlight=False,
        force_terminal=drawn,
        no_color=not shows_colours(stream),
        # A file or a pipe has no width: lines are not broken for it. A terminal may change its own.
        width=None if drawn else 200,
    )


def show_plan(
    plan: Plan, outlook: Outlook, loaded: LoadedRecipe, as_json: bool, all_steps: bool = False
) -> None:
    """Print a plan with what its calls would cost, and how long they would take."""
    from respsel.cli.render.plan import outlook_line, plan_lines, planned_cost_lines
    from respsel.cli.render.plan_document import plan_json

    if as_json:
        print_json(plan_json(plan, outlook, loaded))
        return
    say("\n".join(plan_lines(plan, all_steps)))
    say(f"\n{plan.summary}")
    for line in (*planned_cost_lines(plan, loaded), outlook_line(outlook, loaded.typed)):
        if line:
            say(line)


def shown_path(path: Path) -> str:
    """A path as messages show it: relative to here, where it is below."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
