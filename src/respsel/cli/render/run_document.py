"""What `run --json` prints; `respsel schema run` is made of it.

Imports nothing that a cached run does without.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from respsel.calls.costs import Cost, costs_of
from respsel.recipe.schema import OVERALL
from respsel.run.result import RunResult
from respsel.selection.verdict import Verdict
from respsel.text.documents import stamped

# The keys of how much a run did.
_WORK = (
    "steps_total",
    "steps_run",
    "calls_made",
    "calls_reused",
    "tokens_evaluated_for_scores",
    "fewest_tokens_for_scores",
    "models_opened",
    "costs_now",
)


@dataclass(frozen=True)
class RunDocument:
    """What a run did, and what it decided.

    recipe: the recipe's path as it was given.
    steps_total, steps_run: how many steps the recipe has, and how many of them this run made.
    calls_made, calls_reused: calls of models that this run asked, and that it found stored.
    tokens_evaluated_for_scores: how many tokens models read for scores in this run.
    fewest_tokens_for_scores: how many would do if everything that prompts share were read once.
    models_opened: the models that this run loaded.
    costs_now: by model, what this run's calls took.
    costs: by model, what all calls took that the recipe's steps use, whenever they were made.
    verdicts: one for each dataset.
    overall: the verdict over several datasets; null with one.
    report: the path of the report's page.
    """

    recipe: str
    steps_total: int
    steps_run: int
    calls_made: int
    calls_reused: int
    tokens_evaluated_for_scores: int
    fewest_tokens_for_scores: int
    models_opened: tuple[str, ...]
    costs_now: tuple[Cost, ...]
    costs: tuple[Cost, ...]
    verdicts: tuple[Verdict, ...]
    overall: Verdict | None
    report: str


def run_json(result: RunResult) -> dict[str, Any]:
    """A run for programs."""
    overall = [verdict for verdict in result.verdicts if verdict.dataset == OVERALL]
    models = result.graph.loaded.models
    document = RunDocument(
        recipe=result.graph.loaded.shown,
        steps_total=result.steps_total,
        steps_run=result.steps_run,
        calls_made=result.calls_made,
        calls_reused=result.calls_reused,
        tokens_evaluated_for_scores=result.scoring_work.evaluated,
        fewest_tokens_for_scores=result.scoring_work.fewest,
        models_opened=tuple(result.models_opened),
        costs_now=costs_of(result.took_now, models),
        costs=costs_of(result.took, models),
        verdicts=tuple(item for item in result.verdicts if item.dataset != OVERALL),
        overall=overall[0] if overall else None,
        report=str(result.page),
    )
    return stamped("run", asdict(document))


def work_json(result: RunResult) -> dict[str, Any]:
    """How much a run did, without what it decided."""
    document = run_json(result)
    return {key: document[key] for key in _WORK}
