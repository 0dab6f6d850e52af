"""Trainers in a process of their own: they take memory, and their settings are the process's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def trainer_output(
    module: str, arguments: list[str], folder: Path, timeout_s: float | None = None
) -> str:
    """What a module of the tests prints. It asks no hub, and keeps its files in the folder."""
    own = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "TRL_EXPERIMENTAL_SILENCE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", f"tests.{module}", *arguments],
        cwd=ROOT,
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
