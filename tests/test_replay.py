"""Published outcomes, replayed: what racing saves and how often a decided verdict is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import SHARED, needs_shared

REPLAY = Path(__file__).parents[1] / "benchmarks" / "replay.py"


@needs_shared
def test_races_pick_the_same_for_less_and_decided_verdicts_are_right() -> None:
    """Racing keeps 97 % of the picks for 45 % (n = 50) and 33 % (n = 100) of the scoring; 95 % of
    what is decided is right.
    """
    command = [
        sys.executable,
        str(REPLAY),
        str(SHARED / "replay"),
        "--shuffles",
        "5",
        "--seed",
        "100",
    ]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split() for line in out.splitlines()]
    rows = {
        " ".join(line[: line.index("=") + 2]): line[line.index("=") + 2 :]
        for line in lines
        if "=" in line
    }
    numbers = {name: [float(value.rstrip("%")) for value in row] for name, row in rows.items()}
    for n, most in ((50, 45.0), (100, 33.0)):
        accuracy, *_, same, scoring, decided, calibration = numbers[f"race, n = {n}"]
        assert same >= 97
        assert scoring <= most
        assert decided > 0
        assert min(calibration, numbers[f"mean log, n = {n}"][-1]) >= 95
        assert accuracy >= numbers[f"mean, n = {n}"][0] - 0.05
