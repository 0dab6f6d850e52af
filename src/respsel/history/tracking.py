"""Verdicts to experiment trackers: what is logged of a recorded run, and where that was done.

The recorded run keeps which tracker has it, so a cached run logs nothing again. Knows nothing of a
tracker's library; see trackers. Invariants: nothing is logged unless respsel.toml asks for it.
Texts leave this machine only with `report = true`. A tracker that fails stops nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from respsel import __version__
from respsel.errors import Problem, first_line
from respsel.hashing import digest
from respsel.history.trackers import TRACKERS, TrackedRun
from respsel.report.summary import Headline
from respsel.run.result import RunResult
from respsel.selection.verdict import Verdict
from respsel.workspace.variant import Variant
from respsel.workspace.workspace import FILE_NAME, TrackingEntry

MARK = "tracked.json"


def track(result: RunResult, headline: Headline, folder: Path) -> Sequence[Problem]:
    """Log a recorded run where respsel.toml asks for it and that was not done yet.

    folder: the recorded run's. Returns what went wrong, one problem a tracker.
    """
    entry = result.graph.loaded.workspace.tracking
    missing = [name for name in entry.to if name not in _done(folder)] if entry.to else []
    if not missing:
        return ()
    run = tracked_run(result, headline, entry)
    problems = []
    for name in missing:
        try:
            place = TRACKERS[name](run)
            _note(folder, {**_done(folder), name: place})
        except Exception as error:  # a library of others, and a network
            problems.append(_untracked(name, error))
    return tuple(problems)


def tracked_run(result: RunResult, headline: Headline, entry: TrackingEntry) -> TrackedRun:
    """What is logged of a run."""
    loaded = result.graph.loaded
    recipe = loaded.recipe
    settings = {
        "recipe": loaded.shown,
        "target": recipe.target.model,
        "metric": recipe.selection_metric,
        "strategies": ", ".join(strategy.name for strategy in recipe.strategies),
        "datasets": ", ".join(dataset.name for dataset in recipe.datasets),
        "confidence": str(recipe.selection.confidence),
        "respsel": __version__,
        **_variant(loaded.variant),
    }
    numbers = {name: value for verdict in result.verdicts for name, value in _numbers(verdict)}
    tags = {f"{verdict.dataset}/leads": verdict.winner or "" for verdict in result.verdicts}
    tags |= {"answer": headline.which, "how_sure": headline.how_sure, "state": headline.badge}
    page = result.page if entry.report else None
    return TrackedRun(entry.project, loaded.unchanged_name, settings, numbers, tags, page)


def _variant(variant: Variant) -> Mapping[str, str]:
    """What tells runs with --set and --limit apart.

    Hazard: a value may be a prompt. So texts that were set are told by their digest.
    """
    if not variant:
        return {}
    keys = [setting.key for setting in variant.settings]
    keys += [] if variant.limit is None else [f"limit {variant.limit}"]
    return {"changed": ", ".join(keys), "variant": digest("tracked", variant.options)[:8]}


def _numbers(verdict: Verdict) -> Iterator[tuple[str, float]]:
    yield f"{verdict.dataset}/decided", float(verdict.decided)
    yield f"{verdict.dataset}/examples", float(verdict.examples)
    for ranked in verdict.ranking:
        values = {
            "score": ranked.score,
            "low": ranked.low,
            "high": ranked.high,
            "p_best": ranked.p_best,
            "difference": ranked.difference,
        }
        for key, value in values.items():
            if value is not None:
                yield f"{verdict.dataset}/{ranked.strategy}/{key}", float(value)


def _done(folder: Path) -> dict[str, str]:
    """By tracker, where the run is there."""
    try:
        known = json.loads((folder / MARK).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _note(folder: Path, done: Mapping[str, str]) -> None:
    (folder / MARK).write_text(json.dumps(done, indent=1), "utf-8")


def _untracked(name: str, error: Exception) -> Problem:
    if isinstance(error, ModuleNotFoundError):
        what = f"'{name}' is not installed, so the verdict was not logged there"
        return Problem(FILE_NAME, "tracking.to", what, f"Run: pip install 'respsel[{name}]'")
    what = f"{name} did not take the verdict: {first_line(error)}"
    return Problem(FILE_NAME, "tracking.to", what, "The next run tries again")
