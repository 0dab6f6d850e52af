"""A report to its files. The manifest is written last: where it is and fits, everything else does too.

Each file is written beside its place and renamed, so it appears whole or not at all. Invariant: where the
manifest has the run's key and every file its size, nothing is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import respsel
from respsel.errors import Problem, RunError
from respsel.hashing import canonical_json, digest
from respsel.runner import RunResult
from respsel.tables import RESPONSES, SCORES, TOKEN_SCORES, stack

if TYPE_CHECKING:
    from jinja2 import Environment

    from respsel.report.content import Report

# Raised when the same results would give another report.
VERSION = 1
MANIFEST = "manifest.json"


def write_report(result: RunResult, finished_at: str) -> Path:
    """Write the report of a run unless it is there; return the path of report.html.

    Raises RunError naming the folder if it cannot be written.
    """
    loaded = result.graph.loaded
    folder = loaded.workspace.runs / loaded.name
    key = _key(result)
    if not is_written(folder, key):
        from respsel.report.content import build_report

        report = build_report(result, finished_at)
        files: dict[str, bytes] = {
            "report.json": json.dumps(asdict(report), indent=1, ensure_ascii=False).encode(),
            "report.md": _markdown(report).encode(),
            "report.html": _html(report).encode(),
            **_tables(result),
        }
        manifest = {"key": key, "files": {name: len(data) for name, data in files.items()}}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, data in files.items():
                _replace(folder / name, data)
            _replace(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
        except OSError as error:
            raise RunError(
                Problem(str(folder), "", f"the report cannot be written: {error}", "Free the place and run again")
            ) from error
    return folder / "report.html"


def is_written(folder: Path, key: str) -> bool:
    """Whether the folder holds the whole report of a run with this key."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        return manifest["key"] == key and all((folder / name).stat().st_size == size for name, size in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _key(result: RunResult) -> str:
    """The digest of everything that the report says, but for when and how much was run for it."""
    loaded = result.graph.loaded
    fields = {name: step.fields for name, step in result.graph.steps.items()}
    models = {name: known.fields for name, known in result.graph.models.items()}
    says = [loaded.shown, loaded.recipe.model_dump(mode="json"), dict(result.outputs), fields, models]
    return digest("report", str(VERSION), respsel.__version__, canonical_json(says))


def _replace(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _environment(autoescape: bool) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from respsel.report.plots import number, percent, ranking_plot, share

    env = Environment(
        loader=PackageLoader("respsel.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters["number"] = number
    env.filters["percent"] = percent
    env.filters["share"] = share
    env.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    env.globals["ranking_plot"] = ranking_plot
    return env


def _markdown(report: Report) -> str:
    return _environment(autoescape=False).get_template("report.md.jinja").render(report=report)


def _html(report: Report) -> str:
    return _environment(autoescape=True).get_template("report.html.jinja").render(report=report)


def _tables(result: RunResult) -> Mapping[str, bytes]:
    """The numbers behind the report, as parquet: responses, scores and token scores of all strategies."""
    loaded = result.graph.loaded
    pairs = [
        (entry.name, strategy.name) for entry in loaded.recipe.datasets for strategy in loaded.recipe.strategies_for(entry.name)
    ]
    views = dict.fromkeys(metric.view.name for metric in loaded.metrics if metric.view)
    responses = [({"dataset": d, "strategy": s}, result.rows(f"responses:{d}/{s}")) for d, s in pairs]
    scores = [
        ({"dataset": d, "strategy": s, "metric": m.label}, result.rows(f"scores:{d}/{s}/{m.label}"))
        for d, s in pairs
        for m in loaded.metrics
    ]
    tokens = [
        ({"dataset": d, "strategy": s, "view": v}, result.rows(f"token-scores:{d}/{s}/{v}")) for d, s in pairs for v in views
    ]
    inputs = {
        d.name: {example.id: example.input for example in result.rows(f"examples:{d.name}")} for d in loaded.recipe.datasets
    }
    return {
        "responses.parquet": stack(RESPONSES, responses, lambda names, row: inputs[names["dataset"]][row.id]),
        "scores.parquet": stack(SCORES, scores),
        "token_scores.parquet": stack(TOKEN_SCORES, tokens),
    }
