"""The command that checks a recipe without a model."""

from __future__ import annotations

from respsel.cli.app import AsJson, Limit, RecipePath, Settings, app, changes_for, reported
from respsel.cli.terminal import print_json, say, tell


@app.command()
@reported
def validate(
    recipe: RecipePath, settings: Settings = None, limit: Limit = None, as_json: AsJson = False
) -> None:
    """Check all of a recipe that needs no model: data, labels, response files, prompts.

    Writes nothing. Exits with 0 if all is fine and with 2 if not.

    Example: respsel validate recipe.toml
    """
    from respsel.cli.render.checked import checked_json, checked_lines, refused_json
    from respsel.errors import InputError
    from respsel.plan.check import check_study
    from respsel.workspace.loading import load_recipe

    try:
        loaded = load_recipe(recipe, changes_for(settings, limit))
    except InputError as error:
        if as_json:
            print_json(refused_json(recipe, error.problems))
        raise
    checked = check_study(loaded)
    if as_json:
        print_json(checked_json(loaded, checked))
    for note in checked.notes:
        tell("note", note)
    if checked.problems:
        raise InputError(checked.problems)
    if not as_json:
        say("\n".join(checked_lines(loaded, checked)))
