"""Records of finished runs: the recipe, the steps' outputs and the verdict.

People and `diff` read them. `runs/<recipe>/<time>-<digest>/` holds run.json and the report's pages.
The newest report, with its tables, is in `runs/<recipe>/` itself. Invariant: nothing here is needed
for reuse; a folder may be deleted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from respsel.errors import InputError, Problem, RunError
from respsel.hashing import canonical_json, digest
from respsel.report.format import utc_text
from respsel.report.write import PAGE, alone, report_lock
from respsel.run.result import RunResult
from respsel.selection.verdict import Verdict, verdict_from_json
from respsel.store.locks import Wait
from respsel.system.atomic_folder import remove_leftovers
from respsel.system.disk import UnreadableError, read_small, remedy_of
from respsel.system.parts import PART
from respsel.workspace.loading import run_name
from respsel.workspace.workspace import find_workspace

RECORD = "run.json"
_LIKE_THIS = "Give a folder like runs/quickstart/20260101-120000-0a1b2c3d"
# A recipe's text and some numbers for each of its steps.
_MOST_BYTES = 1 << 27
_PAGES = (PAGE, "report.md", "report.json")


@dataclass(frozen=True)
class StepOutput:
    """A step of a recorded run: its key and the digest and number of its output rows."""

    key: str
    output: str
    rows: int


@dataclass(frozen=True)
class RunRecord:
    """A finished run."""

    recipe: str
    text: str
    finished_at: str
    steps: Mapping[str, StepOutput]
    verdicts: tuple[Verdict, ...]
    folder: Path
    store: Path


def record_run(result: RunResult, report: Path, finished_at: datetime, wait: Wait) -> Path:
    """Record a run and return its folder.

    If the newest recorded run has the same recipe and outputs, it is returned instead.
    Raises RunError if the run cannot be recorded.
    """
    loaded = result.graph.loaded
    mark = digest("run", loaded.text, canonical_json(dict(result.outputs)))[:8]
    if known := _newest(report.parent, mark):
        return known
    with result.store.lock(report_lock(loaded), wait):
        if known := _newest(report.parent, mark):
            return known
        folder = report.parent / f"{finished_at:%Y%m%d-%H%M%S}-{mark}"
        try:
            _write_folder(folder, report.parent, _record(result, finished_at, folder))
        except OSError as error:
            remedy = remedy_of(error, "See that respsel can write there, and run again")
            problem = Problem(str(folder), "", f"the run cannot be recorded: {error}", remedy)
            raise RunError(problem) from error
    return folder


def _newest(folder: Path, mark: str) -> Path | None:
    """The newest recorded run, if it has this mark."""
    runs = list_runs(folder)
    return runs[-1] if runs and runs[-1].name.endswith(f"-{mark}") else None


def _record(result: RunResult, finished_at: datetime, folder: Path) -> Mapping[str, Any]:
    loaded = result.graph.loaded
    outputs = {
        name: {"key": result.key(name), "output": o, "rows": result.count(name)}
        for name, o in result.outputs.items()
    }
    return {
        "format": 1,
        "recipe": loaded.shown,
        "text": loaded.text,
        "finished_at": utc_text(finished_at),
        # Relative, so that the workspace may be moved.
        "store": os.path.relpath(loaded.workspace.store, folder),
        "steps": outputs,
        "verdicts": [asdict(verdict) for verdict in result.verdicts],
        "steps_run": result.steps_run,
        "calls_made": result.calls_made,
        "calls_reused": result.calls_reused,
    }


def list_runs(folder: Path) -> list[Path]:
    """The folders of a recipe's recorded runs, oldest first."""

    def age(record: Path) -> tuple[str, int]:
        # Several may have finished within one second; their digests say nothing of their order.
        return record.parent.name.rpartition("-")[0], record.stat().st_mtime_ns

    return [record.parent for record in sorted(folder.glob(f"[!.]*/{RECORD}"), key=age)]


def choose_runs(first: Path, second: Path | None) -> tuple[RunRecord, RunRecord]:
    """The two runs to compare: two folders, or a recipe's last two.

    Raises InputError if they are not there.
    """
    if second is not None:
        return load_run(first), load_run(second)
    workspace = find_workspace(first.resolve().parent)
    runs = list_runs(workspace.runs / run_name(workspace, first)) if first.suffix == ".toml" else []
    if len(runs) < 2:
        what = (
            f"has {len(runs)} recorded runs that differ, and two are needed"
            if first.suffix == ".toml"
            else "is not a recipe"
        )
        raise InputError(
            Problem(
                str(first), "", what, "Give a recipe that was run twice, or two folders under runs/"
            )
        )
    return load_run(runs[-2]), load_run(runs[-1])


def load_run(path: Path) -> RunRecord:
    """Read a recorded run, by its folder or its run.json. Raises InputError if it is none."""
    file = path / RECORD if path.is_dir() else path
    if file.suffix == ".toml":
        what = "is a recipe, not a recorded run"
        remedy = "Give one recipe, for its last two runs, or two folders under runs/"
        raise InputError(Problem(str(path), "", what, remedy))
    try:
        data = json.loads(read_small(file, _LIKE_THIS, _MOST_BYTES))
        steps = {name: StepOutput(**item) for name, item in data["steps"].items()}
        verdicts = tuple(verdict_from_json(item) for item in data["verdicts"])
        folder = file.resolve().parent
        store = (folder / data["store"]).resolve()
        return RunRecord(
            data["recipe"], str(data["text"]), data["finished_at"], steps, verdicts, folder, store
        )
    except UnreadableError as error:
        raise InputError(
            Problem(str(path), "", f"is not a recorded run: it {error}", error.remedy)
        ) from error
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        OverflowError,
    ) as error:
        raise InputError(
            Problem(str(file), "", f"is not a recorded run: {error}", "Run the recipe again")
        ) from error


def _write_folder(folder: Path, pages: Path, data: Mapping[str, Any]) -> None:
    """Fill a folder next to its place and rename it, so that it appears whole or not at all."""
    part = folder.with_name(f".{folder.name}{PART}")
    remove_leftovers(pages)
    try:
        part.mkdir(parents=True)
        for name in _PAGES:
            page = (pages / name).read_bytes()
            (part / name).write_bytes(alone(page) if name == PAGE else page)
        (part / RECORD).write_text(json.dumps(data, indent=1, ensure_ascii=False), "utf-8")
        if not folder.exists():
            os.replace(part, folder)
    finally:
        remove_leftovers(pages)
