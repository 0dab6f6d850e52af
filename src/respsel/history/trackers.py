"""MLflow and Weights & Biases: a run to their own libraries.

Each function logs a run and returns where it is there. Their libraries are imported only when one
is asked for. Invariant: nothing of theirs is left open, and a run that the user has open is safe.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# MLflow's limits for one request.
_MLFLOW_METRICS = 1000
_MLFLOW_VALUE = 5000


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker gets of a run.

    project: the tracker's project or experiment.
    name: the recipe's name.
    settings: what was compared and how, as texts.
    numbers: by name, e.g. "math/teacher/score".
    tags: the answers in words.
    page: the report's page, if it is to be logged too.
    """

    project: str
    name: str
    settings: Mapping[str, str]
    numbers: Mapping[str, float]
    tags: Mapping[str, str]
    page: Path | None


def log_to_mlflow(run: TrackedRun) -> str:
    """Log to the server that MLFLOW_TRACKING_URI names; return the run's id.

    Source: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.client.html
    """
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    # Hazard: mlflow.start_run would take part in a run that the user's notebook has open.
    client = MlflowClient()
    experiment = client.get_experiment_by_name(run.project)
    place = experiment.experiment_id if experiment else client.create_experiment(run.project)
    tags = {key: value[:_MLFLOW_VALUE] for key, value in run.tags.items()}
    made = client.create_run(place, run_name=run.name, tags=tags).info.run_id
    ended = "FAILED"
    try:
        now_ms = int(time.time() * 1000)
        metrics = [Metric(key, value, now_ms, 0) for key, value in run.numbers.items()]
        settings = [Param(key, value[:_MLFLOW_VALUE]) for key, value in run.settings.items()]
        client.log_batch(made, params=settings)
        for start in range(0, len(metrics), _MLFLOW_METRICS):
            client.log_batch(made, metrics=metrics[start : start + _MLFLOW_METRICS])
        if run.page is not None:
            client.log_artifact(made, str(run.page))
        ended = "FINISHED"
    finally:
        client.set_terminated(made, ended)
    return str(made)


def log_to_wandb(run: TrackedRun) -> str:
    """Log to Weights & Biases; return the run's address, or its id where it is offline.

    Source: https://docs.wandb.ai/ref/python/functions/init/
    """
    import wandb

    # Hazard: without a key, init asks at the terminal and waits.
    if os.environ.get("WANDB_MODE") not in ("offline", "disabled") and not wandb.Api().api_key:
        raise RuntimeError("nobody is logged in: run `wandb login`, or set WANDB_MODE=offline")
    quiet = wandb.Settings(silent=True, console="off")
    made = wandb.init(
        project=run.project,
        name=run.name,
        config={**run.settings, **run.tags},
        reinit="create_new",
        settings=quiet,
    )
    code = 1
    try:
        made.summary.update(dict(run.numbers))
        if run.page is not None:
            made.log({"report": wandb.Html(run.page.read_text("utf-8"), inject=False)})
        code = 0
    finally:
        made.finish(exit_code=code)
    return str(made.url or made.id)


TRACKERS: Mapping[str, Callable[[TrackedRun], str]] = {
    "mlflow": log_to_mlflow,
    "wandb": log_to_wandb,
}
