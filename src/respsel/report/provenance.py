"""What was run on what: models, files, versions, settings, and how much of it was done now."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import respsel
from respsel.report.format import utc_text
from respsel.run.result import RunResult

_ENGINES = ("llama-cpp-python", "torch", "transformers")


def provenance(result: RunResult, finished_at: datetime) -> Mapping[str, Any]:
    """Everything that a report's numbers come from, and how much was run for it now."""
    engines = {}
    for name in _ENGINES:
        try:
            engines[name] = version(name)
        except PackageNotFoundError:
            continue
    loaded = result.graph.loaded
    files = {
        step.name: step.fields["file"]
        for step in result.graph.steps.values()
        if isinstance(step.fields.get("file"), str)
    }
    return {
        "respsel": respsel.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": engines,
        "finished_at": utc_text(finished_at),
        "target": loaded.recipe.target.model,
        "models": {
            name: {"identity": known.identity, **known.fields}
            for name, known in result.graph.models.items()
        },
        "files": files,
        "selection": loaded.recipe.selection.model_dump(),
        "run": {
            "steps_total": result.steps_total,
            "steps_run": result.steps_run,
            "calls_made": result.calls_made,
            "calls_reused": result.calls_reused,
            "tokens_evaluated_for_scores": result.scoring_work.evaluated,
            "fewest_tokens_for_scores": result.scoring_work.fewest,
            "models_opened": list(result.models_opened),
        },
    }
