"""The command that brings data into the store: fetch."""

from __future__ import annotations

from respsel.cli.app import Limit, RecipePath, Settings, app, reported, run_display, study_of
from respsel.cli.terminal import say


@app.command()
@reported
def fetch(recipe: RecipePath, settings: Settings = None, limit: Limit = None) -> None:
    """Download the data that a recipe names by address, so that runs need no network.

    Opens no model.

    Example: respsel fetch recipes/a.toml
    """
    with study_of(recipe, settings, limit) as study, run_display() as progress:
        brought = study.fetch(progress)
    for name in brought:
        say(f"In the store now: {name}")
    if not brought:
        say("Nothing to download: all data is here.")
