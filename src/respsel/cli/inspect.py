"""The commands that look at models and metrics: doctor, metrics, schema, completion."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from respsel.cli.app import (
    AsJson,
    Limit,
    RecipePath,
    Settings,
    app,
    changes_for,
    opened_store,
    reported,
)
from respsel.cli.terminal import print_json, say
from respsel.errors import PreflightError, Problem, RespselError
from respsel.text.documents import VERSIONS

if TYPE_CHECKING:
    from respsel.backends.checkup import Checkup
    from respsel.backends.endpoint_checkup import EndpointCheckup
    from respsel.workspace.loaded_recipe import LoadedRecipe

SchemaKind = StrEnum("SchemaKind", ["recipe", "workspace", *VERSIONS])  # type: ignore[misc]
_RECIPE = SchemaKind("recipe")


class Shell(StrEnum):
    """The shells that there is a script for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command()
@reported
def doctor(
    recipe: RecipePath,
    settings: Settings = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Load each model of a recipe; say what it is, how fast it is here, and what is wrong.

    Shows an example as the target is trained on it, with the scored part marked. For llama.cpp it
    tries which type of weights this processor reads fastest. It compares the tokenizers of a GGUF
    in both engines, and of a directory and its GGUF. Stores no answer, but how fast a model is.

    Example: respsel doctor recipes/quickstart.toml
    """
    from dataclasses import asdict

    from respsel.backends.doctor import examine
    from respsel.cli.render.models import checkup_lines
    from respsel.workspace.loading import load_recipe

    loaded = load_recipe(recipe, changes_for(settings, limit))
    say("Loading each model; that may take a minute or two a model.", file=sys.stderr, flush=True)
    checkups: list[Checkup | EndpointCheckup] = []
    problems: list[Problem] = []
    with opened_store(loaded.workspace.store, reading=True) as store:
        for item in examine(loaded, store, store.folder):
            if isinstance(item, RespselError):
                problems += item.problems
                continue
            checkups.append(item)
            problems += [loaded.models[item.name].at().problem(what) for what in item.problems]
            if not as_json:
                say("\n".join(checkup_lines(item)), flush=True)
    _remember(checkups, loaded)
    if as_json:
        print_json([asdict(item) for item in checkups])
    if problems:
        raise PreflightError(problems)


def _remember(checkups: Sequence[Checkup | EndpointCheckup], loaded: LoadedRecipe) -> None:
    """Note how fast models were, for the time that plans and runs tell.

    The store is made for it if there is none. Where it cannot be written, nothing is noted.
    """
    from respsel.backends.checkup import Checkup
    from respsel.backends.registry import identify
    from respsel.store.folder import DATABASE
    from respsel.store.store import Store
    from respsel.watch.memory import remember_checkup

    folder = loaded.workspace.store
    with suppress(RespselError), Store(folder, reading=(folder / DATABASE).exists()) as store:
        for checkup in checkups:
            if isinstance(checkup, Checkup):
                known = identify(loaded.models[checkup.name], store)
                remember_checkup(store, known.identity, checkup)


@app.command(name="metrics")
@reported
def list_metrics(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A metric's name. Default: all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the metrics; or say all of one: formula, direction, cost, parameters, source.

    Example: respsel metrics perplexity
    """
    from respsel.cli.render.models import contract_lines, metric_json, metric_lines
    from respsel.errors import InputError, Problem, suggest
    from respsel.metrics.registry import all_metrics

    known = all_metrics()
    if name is not None and name not in known:
        raise InputError(Problem("", name, "is not a metric", suggest(name, known)))
    if as_json:
        contracts = [metric_json(metric) for metric in known.values()]
        print_json(contracts if name is None else metric_json(known[name]))
    else:
        say(
            "\n".join(metric_lines(known.values()) if name is None else contract_lines(known[name]))
        )


@app.command()
@reported
def schema(
    kind: Annotated[SchemaKind, typer.Argument(help="What the schema is of.")] = _RECIPE,
) -> None:
    """Print a JSON Schema: for editors, or of what commands write as JSON.

    recipe and workspace (respsel.toml) are for editors: save it as recipe.schema.json, and begin
    the recipe with `#:schema ./recipe.schema.json`. report is that of report.json; the others are
    those of `--json`.

    Example: respsel schema workspace
    """
    print(_schema_text(kind.value), end="")


def _schema_text(kind: str) -> str:
    if kind not in VERSIONS:
        from respsel.recipe.schema import Recipe
        from respsel.recipe.schema_line import RECIPE_SCHEMA, WORKSPACE_SCHEMA, schema_text
        from respsel.workspace.workspace import WorkspaceEntry

        if kind == "workspace":
            return schema_text(WorkspaceEntry, WORKSPACE_SCHEMA)
        return schema_text(Recipe, RECIPE_SCHEMA)
    from respsel.cli.render.document_schemas import document_schema

    return json.dumps(document_schema(kind), indent=2) + "\n"


@app.command()
@reported
def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print the script by which a shell completes respsel's commands, recipes and names.

    docs/commands.md says where each shell reads it from.

    Example: respsel completion bash
    """
    from respsel.cli.completion import SCRIPTS

    print(SCRIPTS[shell.value], end="")
