"""The commands that look after the store: cache size, ls, verify, gc."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from respsel.cli.app import app, opened_store, reported, waits_for
from respsel.cli.terminal import say

if TYPE_CHECKING:
    from respsel.store.store import Store

cache = typer.Typer(help="Look after the store.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(cache, name="cache")
Folder = Annotated[
    Path, typer.Option("--workspace", help="A folder of the workspace. Default: here.")
]


@cache.command()
@reported
def size(folder: Folder = Path()) -> None:
    """Show how many records of each kind there are and what they take.

    Example: respsel cache size
    """
    from respsel.cli.render.store import usage_lines
    from respsel.store.usage import measure

    with store_of(folder) as (store, _):
        say("\n".join(usage_lines(measure(store))))


@cache.command()
@reported
def ls(folder: Folder = Path()) -> None:
    """List the stored steps, newest last.

    Shows key, operation, rows, and whether a latest run needs it.

    Example: respsel cache ls
    """
    from respsel.cli.render.store import step_lines
    from respsel.store.usage import list_steps

    with store_of(folder) as (store, root):
        say("\n".join(step_lines(list_steps(store, root))))


@cache.command()
@reported
def verify(folder: Folder = Path()) -> None:
    """Read every record, and list the bad ones.

    Moves bad records to quarantine and then exits with 4.

    Example: respsel cache verify
    """
    from respsel.errors import StoreError
    from respsel.store.usage import verify as verify_store

    with store_of(folder) as (store, _):
        count, problems = verify_store(store)
    say(f"{count} records read, {len(problems)} bad.")
    if problems:
        raise StoreError(problems)


@cache.command()
@reported
def gc(
    folder: Folder = Path(),
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete it. Without this option, only list it.")
    ] = False,
    variants: Annotated[
        bool,
        typer.Option("--variants", help="Also free what only runs with --set or --limit need."),
    ] = False,
) -> None:
    """Free what no recipe's latest run needs. Says what it would free, unless --yes is given.

    Example: respsel cache gc --yes
    """
    from respsel.cli.render.store import garbage_lines
    from respsel.store.gc import clean

    with store_of(folder, reading=not yes) as (store, root):
        garbage = clean(store, root, yes, waits_for("freeing space in the store"), variants)
    say("\n".join(garbage_lines(garbage, freed=yes)))


@contextmanager
def store_of(folder: Path, reading: bool = True) -> Iterator[tuple[Store, Path]]:
    """The store of the workspace that a folder is in, and the workspace's root."""
    from respsel.errors import InputError, Problem
    from respsel.store.folder import DATABASE, MARK
    from respsel.workspace.workspace import find_workspace

    workspace = find_workspace(folder)
    if not any((workspace.store / name).exists() for name in (DATABASE, MARK)):
        raise InputError(
            Problem(
                str(workspace.store),
                "",
                "there is no store",
                "Give the workspace's folder with --workspace",
            )
        )
    with opened_store(workspace.store, reading) as store:
        yield store, workspace.root
