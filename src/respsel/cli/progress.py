"""Showing a run as it goes: a bar with calls, tokens per second and time left, or lines for a log.

Draws only on the console it is given. Invariant: nothing here can stop or change a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from respsel.graph import Step
from respsel.store.locks import Holder, wait_line
from respsel.text.characters import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

_LOG_EVERY_S = 10.0
_STAGES = {
    "examples": "Reading examples",
    "dataset-size": "Reading examples",
    "responses": "Making responses",
    "composites": "Taking responses",
    "own-outputs": "Making responses",
    "race": "Racing strategies",
    "token-scores": "Scoring responses",
    "representations": "Reading representations",
    "rewards": "Judging responses",
    "preferences": "Judging responses",
    "scores": "Computing metrics",
    "mixes": "Combining metrics",
    "choices": "Choosing responses",
    "verdict": "Weighing strategies",
}


class RunDisplay:
    """See study.Progress; use it as a context manager."""

    def __init__(
        self, make_console: Callable[[], Console], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._make_console = make_console
        self._clock = clock
        self._console: Console | None = None
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._steps = self._steps_done = 0
        self._stage = ""
        self._wanted = self._made = self._tokens = 0
        self._began = self._logged = clock()

    def __enter__(self) -> RunDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def run_begins(self, steps: int) -> None:
        """A run of so many steps begins."""
        self._steps = steps

    def step_found(self, _step: Step) -> None:
        """The store has this step."""
        self._steps_done += 1

    def step_done(self, _step: Step) -> None:
        """This step has just been run."""
        self._steps_done += 1

    def stage_begins(self, steps: Sequence[Step]) -> None:
        """These steps run next, together."""
        self._stage = _STAGES.get(steps[0].op, steps[0].op)
        if any(step.asks for step in steps):
            plural = "s" if len(steps) > 1 else ""
            self._line(
                f"{self._stage}: {len(steps)} step{plural} ({self._steps_done} of {self._steps} "
                "done)"
            )

    def calls_wanted(self, model: str, missing: int, reused: int, tokens: int) -> None:
        """So many calls will be made now, of at most so many tokens."""
        stored = f", {reused} found in the store" if reused else ""
        if missing:
            plural = "s" if missing > 1 else ""
            self._line(f"  {missing} call{plural} to {model}, at most {tokens:,} tokens{stored}")
        elif reused:
            self._line(f"  no call to make{stored}")
        self._wanted = missing
        self._made = 0
        self._tokens = 0
        self._began = self._logged = self._clock()
        if self._bar:
            if self._task is not None:
                self._bar.remove_task(self._task)
                self._task = None
            if missing:
                self._task = self._bar.add_task(self._stage, total=missing, note="")

    def call_made(self, tokens: int) -> None:
        """One call was answered and stored."""
        self._made += 1
        self._tokens += tokens
        elapsed = max(self._clock() - self._began, 1e-9)
        note = f"{self._tokens / elapsed:,.0f} tokens/s"
        if self._bar and self._task is not None:
            self._bar.update(self._task, advance=1, note=note)
        elif self._clock() - self._logged >= _LOG_EVERY_S or self._made == self._wanted:
            self._logged = self._clock()
            left = elapsed / self._made * (self._wanted - self._made)
            self._line(f"  {self._made} of {self._wanted} calls, {note}, about {left:.0f} s left")

    def waits_for(self, model: str, holder: Holder) -> None:
        """Another process asks this model; this one goes on with what that one leaves."""
        self._wait(holder, f"asking {model}")

    def waits_for_gc(self, holder: Holder) -> None:
        """Another process frees space in the store; this one begins after it."""
        self._wait(holder, "freeing space in the store")

    def waits_for_report(self, holder: Holder) -> None:
        """Another process writes this recipe's report or records its run."""
        self._wait(holder, "writing this recipe's report")

    def waits_for_export(self, holder: Holder) -> None:
        """Another process writes a training set to the same folder."""
        self._line(wait_line(holder, "exporting there"))

    def _wait(self, holder: Holder, doing: str) -> None:
        self._line(f"  {wait_line(holder, doing)}")

    def _line(self, text: str) -> None:
        console = self._bar.console if self._bar else self._open()
        console.print(one_line(text), highlight=False, markup=False)

    def _open(self) -> Console:
        """Set the display up when it is first needed: a cached run loads nothing for it."""
        if self._console is None:
            self._console = self._make_console()
            if self._console.is_terminal:
                from rich.progress import (
                    BarColumn,
                    MofNCompleteColumn,
                    Progress,
                    TextColumn,
                    TimeRemainingColumn,
                )

                columns = (
                    TextColumn("{task.description}"),
                    BarColumn(),
                    MofNCompleteColumn(),
                    TextColumn("{task.fields[note]}"),
                )
                self._bar = Progress(
                    *columns, TimeRemainingColumn(), console=self._console, transient=True
                )
                self._bar.start()
        return self._console
