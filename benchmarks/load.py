"""Time and memory of large recipes on the fake backend: one table.

Run `python benchmarks/load.py [RESPONSES ...]`; by default 10,000, 50,000 and 100,000 responses, of
four strategies, of which a model writes three. The first run makes a call for each of these, and
scores and reports all. Then come the same run with all cached, the report written again, one
strategy applied, and that set exported. Unix only.

wall: seconds of the whole process.
cpu: seconds of processor, which another program's work changes less.
ms: cpu for each response, in thousandths.
peak: the most resident memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPE = """\
target = { model = "target" }
[models.target]
backend = "fake"
[models.teacher]
backend = "fake"
variant = "teacher"
[[datasets]]
name = "sums"
path = "sums.jsonl"
input = "question"
reference = "rationale"
label = "answer"
sample = SAMPLE
answer = "number"
[[strategies]]
name = "human"
from = "column"
column = "rationale"
[[strategies]]
name = "teacher"
from = "model"
model = "teacher"
prompt = "Solve: {{ input }}"
[[strategies]]
name = "again"
from = "model"
model = "teacher"
prompt = "Solve again: {{ input }}"
[[strategies]]
name = "self"
from = "model"
model = "target"
prompt = "Say {{ reference }}"
[[metrics]]
name = "perplexity"
[[metrics]]
name = "response-tokens"
[selection]
resamples = 500
"""
STRATEGIES = 4
COMMANDS = (
    ("run", "a.toml"),
    ("run", "a.toml"),
    ("report", "a.toml"),
    ("apply", "a.toml", "--strategy", "teacher"),
    ("export", "a.toml", "--format", "messages"),
)


def prepare(folder: Path, examples: int) -> None:
    """Write the recipe and its data."""
    (folder / "a.toml").write_text(RECIPE.replace("SAMPLE", str(examples)))
    with (folder / "sums.jsonl").open("w") as file:
        for i in range(examples):
            row = {"id": f"e{i}", "question": f"What is {i} plus {i}?", "answer": 2 * i}
            file.write(
                json.dumps({**row, "rationale": f"First {i}. Then {i} + {i} = {2 * i}"}) + "\n"
            )


def measure(folder: Path, command: tuple[str, ...]) -> tuple[float, float, float]:
    """Run a command that must succeed; its wall and processor seconds, and its peak
    memory in MiB.
    """
    begun = time.perf_counter()
    with (folder / "output").open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "respsel", *command], cwd=folder, stdout=output, stderr=output
        )
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit((folder / "output").read_text(errors="replace"))
    # macOS counts in bytes.
    unit = 2**20 if sys.platform == "darwin" else 1024
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / unit


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("responses", type=int, nargs="*", default=[10_000, 50_000, 100_000])
    print(
        f"{'responses':>9}  {'command':<28}{'wall s':>8}{'cpu s':>8}{'ms':>8}{'peak MiB':>10}",
        flush=True,
    )
    for responses in parser.parse_args().responses:
        with tempfile.TemporaryDirectory() as name:
            prepare(Path(name), responses // STRATEGIES)
            for place, command in enumerate(COMMANDS):
                wall, cpu, peak = measure(Path(name), command)
                shown = " ".join(command) if place != 1 else "the same, all cached"
                each = 1000 * cpu / responses
                print(
                    f"{responses:>9,}  "
                    f"{shown[:27]:<28}{wall:>8.1f}{cpu:>8.1f}{each:>8.2f}{peak:>10.0f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
