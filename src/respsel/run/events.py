"""What a run says while it goes on. Knows nothing of who listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from respsel.calls.events import CallEvents
from respsel.graph import Step


class RunEvents(CallEvents, Protocol):
    """Who is told how a run goes."""

    def run_begins(self, steps: int) -> None: ...

    def step_found(self, step: Step) -> None: ...

    def stage_begins(self, steps: Sequence[Step]) -> None: ...

    def step_done(self, step: Step) -> None: ...
