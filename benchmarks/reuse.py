"""What reuse costs: one table.

Run `python benchmarks/reuse.py [--dvc PYTHON] [--only abc]` on a quiet machine.

(a) The whole-process time of a fully cached `respsel run recipes/quickstart.toml` and of `respsel
    --help`, against a no-op `dvc repro` of a three-stage pipeline. They alternate, all with their
    bytecode as an installation leaves it. dvc is in a virtual environment of its own, which is made
    here if none is given.
(b) A fake-backend recipe with 1,000 and one with 200,000 responses: time and peak memory of the
    first run and of a fully cached one.
(c) Calls per second through the store with the fake backend, written and found.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESPSEL = [sys.executable, "-m", "respsel"]
DVC = """\
stages:
  one: {cmd: cp a b, deps: [a], outs: [b]}
  two: {cmd: cp b c, deps: [b], outs: [c]}
  three: {cmd: cp c d, deps: [c], outs: [d]}
"""
RECIPE = """\
target = { model = "m" }
[models.m]
backend = "fake"
[[datasets]]
name = "d"
path = "d.jsonl"
[[strategies]]
name = "one"
from = "column"
column = "one"
[[strategies]]
name = "two"
from = "column"
column = "two"
[[metrics]]
name = "perplexity"
[selection]
resamples = 200
"""


# Where this is set, as in many containers, every start compiles respsel's source again, and no
# other program's.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}


def seconds(command: Sequence[str], folder: Path) -> float:
    """Whole-process time of a command that must succeed."""
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=ENVIRONMENT)
    return time.perf_counter() - begun


def seconds_and_peak_mib(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Whole-process time of a command, and its peak resident memory in MiB."""
    code = (
        "import resource,subprocess,sys; subprocess.run(sys.argv[1:], check=True, "
        "capture_output=True); "
    )
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    begun = time.perf_counter()
    measure = [sys.executable, "-c", code, *command]
    done = subprocess.run(
        measure, cwd=folder, check=True, capture_output=True, text=True, env=ENVIRONMENT
    )
    return time.perf_counter() - begun, int(done.stdout) / 1024


def row(what: str, value: str, asked: str = "") -> None:
    """Print one line of the table."""
    print(f"{what:<58} {value:>16}  {asked}", flush=True)


def against_dvc(python: str | None, rounds: int = 7) -> None:
    """(a)"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if python is None:
            subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
            python = str(folder / "venv" / "bin" / "python")
            subprocess.run(
                [python, "-m", "pip", "install", "-q", "dvc"], check=True, capture_output=True
            )
        repo = folder / "repo"
        repo.mkdir()
        (repo / "a").write_text("x")
        (repo / "dvc.yaml").write_text(DVC)
        dvc = [python, "-m", "dvc"]
        for command in (["git", "init", "-q"], [*dvc, "init", "-q"], [*dvc, "repro", "-q"]):
            subprocess.run(command, cwd=repo, check=True, capture_output=True)
        commands = {
            "dvc repro, nothing to do": ([*dvc, "repro"], repo),
            "respsel run quickstart, all cached": (
                [*RESPSEL, "run", "recipes/quickstart.toml"],
                ROOT,
            ),
            "respsel --help": ([*RESPSEL, "--help"], ROOT),
        }
        subprocess.run(
            [*RESPSEL, "run", "recipes/quickstart.toml"], cwd=ROOT, check=True, capture_output=True
        )
        times: dict[str, list[float]] = {what: [] for what in commands}
        for _ in range(rounds):
            for what, (command, where) in commands.items():
                times[what].append(seconds(command, where))
    base = statistics.median(times["dvc repro, nothing to do"])
    for (what, taken), asked in zip(
        times.items(), ("", "at most 0.50", "at most 0.25"), strict=True
    ):
        middle = statistics.median(taken)
        row(f"(a) {what}", f"{middle:.3f} s", f"ratio {middle / base:.2f}  {asked}")


def at_scale() -> None:
    """(b)"""
    found = {}
    for responses in (1_000, 200_000):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "a.toml").write_text(RECIPE)
            with (folder / "d.jsonl").open("w") as file:
                for i in range(responses // 2):
                    file.write(
                        json.dumps(
                            {
                                "id": str(i),
                                "input": f"ask {i}",
                                "one": f"it is {i}",
                                "two": f"so {i} it is",
                            }
                        )
                        + "\n"
                    )
            run = [*RESPSEL, "run", "a.toml", "--json"]
            taken, peak = seconds_and_peak_mib(run, folder)
            row(f"(b) {responses:,} responses, first run", f"{taken:.1f} s")
            row(f"(b) {responses:,} responses, first run, peak memory", f"{peak:.0f} MiB")
            middle = statistics.median(seconds(run, folder) for _ in range(5))
            found[responses] = middle
            row(f"(b) {responses:,} responses, all cached", f"{middle:.3f} s")
            row(
                f"(b) {responses:,} responses, all cached, peak memory",
                f"{seconds_and_peak_mib(run, folder)[1]:.0f} MiB",
                "under 400 MiB",
            )
    row(
        "(b) 200,000 and 1,000, all cached",
        f"{found[200_000] / found[1_000]:.2f} times",
        "under 2",
    )


def through_the_store(calls: int = 10_000) -> None:
    """(c)"""
    from respsel.backends.contract import Model
    from respsel.backends.fake import FakeModel
    from respsel.calls.caller import Caller
    from respsel.calls.requests import GenerateRequest
    from respsel.records import Message, Sampling
    from respsel.store.locks import Holder
    from respsel.store.store import Store

    class Silent:
        """Events that nobody watches."""

        def calls_wanted(self, model: str, missing: int, reused: int, tokens: int) -> None: ...
        def call_made(self, tokens: int) -> None: ...
        def waits_for(self, model: str, holder: Holder) -> None: ...

    class OneModel:
        """The fake, under any name."""

        def identity(self, name: str) -> str:
            return "fake"

        def open(self, name: str) -> Model:
            return FakeModel("", 4096)

    sampling = Sampling(0.7, 0.95, 0, 0.0, 50)
    requests = [
        GenerateRequest("m", (Message("user", f"ask {i}"),), sampling, "response", 0, 0, "", str(i))
        for i in range(calls)
    ]
    with tempfile.TemporaryDirectory() as name:
        for what, asked in (("written", "at least 2,000"), ("found", "at least 10,000")):
            with Store(Path(name) / "cache") as store:
                begun = time.perf_counter()
                answers = Caller(store, OneModel(), Silent()).look_up(requests).answers()
                assert all(answer.text for answer in answers)
                row(f"(c) calls {what}", f"{calls / (time.perf_counter() - begun):,.0f} /s", asked)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dvc", help="a Python with dvc installed")
    parser.add_argument("--only", default="abc", help="which parts")
    args = parser.parse_args()
    if "a" in args.only:
        against_dvc(args.dvc)
    if "b" in args.only:
        at_scale()
    if "c" in args.only:
        through_the_store()


if __name__ == "__main__":
    main()
