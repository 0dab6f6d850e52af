"""What `respsel validate` says of a recipe, as lines and for programs. Prints nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from respsel.errors import Problem
from respsel.graph.build import asked_models
from respsel.plan.check import Checked, CheckedDataset, CheckedStrategy
from respsel.text.documents import stamped
from respsel.workspace.loaded_recipe import LoadedRecipe


def checked_lines(loaded: LoadedRecipe, checked: Checked) -> Iterator[str]:
    """What is fine, in a few lines."""
    yield f"{loaded.shown} is fine. Checked without a model:"
    rows = []
    for item in checked.datasets:
        rows += [("dataset", item.name, _dataset_text(item)), ("", "", item.file)]
    several = len(checked.datasets) > 1
    for strategy in checked.strategies:
        name = f"{strategy.dataset}/{strategy.name}" if several else strategy.name
        rows.append(("strategy", name, _strategy_text(strategy)))
    decides = loaded.recipe.selection_metric
    rows += [
        ("metric", metric.label, "decides" if metric.label == decides else "")
        for metric in loaded.metrics
    ]
    rows += [("model", name, _model_text(loaded, name)) for name in sorted(asked_models(loaded))]
    kinds = max(len(kind) for kind, _, _ in rows)
    names = max(len(name) for _, name, _ in rows)
    for kind, name, text in rows:
        yield f"  {kind.ljust(kinds)}  {name.ljust(names)}  {text}".rstrip()


@dataclass(frozen=True)
class CheckDocument:
    """What was found without a model.

    recipe: the recipe's path as it was given.
    valid: whether nothing is wrong.
    datasets: one entry a dataset; empty if the recipe itself is wrong.
    strategies: one entry for each strategy of each dataset.
    metrics: their labels.
    decides: the label of the metric that decides; empty if the recipe itself is wrong.
    models: the models that a run asks.
    problems: what is wrong.
    notes: what this machine lacks for a run, and what may be meant otherwise.
    """

    recipe: str
    valid: bool
    datasets: tuple[CheckedDataset, ...] = ()
    strategies: tuple[CheckedStrategy, ...] = ()
    metrics: tuple[str, ...] = ()
    decides: str = ""
    models: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


def checked_json(loaded: LoadedRecipe, checked: Checked) -> dict[str, Any]:
    """The same for programs, with the problems too."""
    document = CheckDocument(
        recipe=loaded.shown,
        valid=not checked.problems,
        datasets=tuple(checked.datasets),
        strategies=tuple(checked.strategies),
        metrics=tuple(metric.label for metric in loaded.metrics),
        decides=loaded.recipe.selection_metric,
        models=tuple(sorted(asked_models(loaded))),
        problems=tuple(checked.problems),
        notes=tuple(checked.notes),
    )
    return stamped("validate", asdict(document))


def refused_json(recipe: Path, problems: Sequence[Problem]) -> dict[str, Any]:
    """The same of a recipe that could not be read."""
    document = CheckDocument(recipe=str(recipe), valid=False, problems=tuple(problems))
    return stamped("validate", asdict(document))


def _dataset_text(item: CheckedDataset) -> str:
    check = f"answers checked as '{item.answer}'" if item.answer else "answers not checked"
    return f"{item.sampled} of {item.examples} examples, {check}"


def _strategy_text(item: CheckedStrategy) -> str:
    if item.prompts:
        return f"{item.source}: {item.prompts} prompts"
    if not item.texts:
        return item.source
    right = "" if item.right is None else f", {item.right} right"
    return f"{item.source}: {item.texts} responses{right}"


def _model_text(loaded: LoadedRecipe, name: str) -> str:
    backend = loaded.models[name].entry.backend
    return f"{backend}, the target" if name == loaded.recipe.target.model else backend
