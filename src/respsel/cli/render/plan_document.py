"""What `plan --json` prints; `respsel schema plan` is made of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from respsel.calls.costs import Cost, costs_of
from respsel.plan.plan import Plan, PlannedStep
from respsel.text.documents import stamped
from respsel.watch.outlook import Outlook
from respsel.workspace.loaded_recipe import LoadedRecipe


@dataclass(frozen=True)
class PlanDocument:
    """What a run would do.

    recipe: the recipe's path as it was given.
    cached, run, waits: how many steps are stored, would run, or wait for steps before them.
    costs: by model, about what the calls take that are certain.
    calls_later: how many more calls there may be at most.
    time: how long a run would take, by what was measured on this machine.
    steps: all steps, in the order in which they would run.
    downloads: the addresses of data that a run would download first; their sizes are not known.
    """

    recipe: str
    cached: int
    run: int
    waits: int
    costs: tuple[Cost, ...]
    calls_later: int
    time: Outlook
    steps: tuple[PlannedStep, ...]
    downloads: tuple[str, ...]


def plan_json(plan: Plan, outlook: Outlook, loaded: LoadedRecipe) -> dict[str, Any]:
    """A plan with what its calls would cost, for programs."""
    document = PlanDocument(
        recipe=loaded.shown,
        cached=plan.count("cached"),
        run=plan.count("run"),
        waits=plan.count("waits"),
        costs=costs_of(plan.takes, loaded.models),
        calls_later=plan.calls_later,
        time=outlook,
        steps=plan.steps,
        downloads=plan.downloads,
    )
    return stamped("plan", asdict(document))
