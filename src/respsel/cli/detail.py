"""Less and more of how a run goes: nothing for --quiet, each step with its time for --verbose.

Knows nothing of bars. Invariant: like RunDisplay, nothing here can stop or change a run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from respsel.cli.progress import RunDisplay
from respsel.graph import Step
from respsel.study import Silent

if TYPE_CHECKING:
    from rich.console import Console


class QuietDisplay(Silent):
    """Shows nothing, not even whom it waits for."""

    def __enter__(self) -> QuietDisplay:
        return self

    def __exit__(self, *_error: object) -> None:
        pass


class VerboseDisplay(RunDisplay):
    """Shows each step too, with the seconds since the command began."""

    def __init__(self, make_console: Callable[[], Console]) -> None:
        super().__init__(make_console)
        self._started = self._clock()

    def step_found(self, step: Step) -> None:
        """The store has this step."""
        super().step_found(step)
        self._told("found", step)

    def step_done(self, step: Step) -> None:
        """This step has just been run."""
        super().step_done(step)
        self._told("made", step)

    def _told(self, what: str, step: Step) -> None:
        self._line(f"[{self._clock() - self._started:8.2f} s] {what:5} {step.name}")
