"""What a run says while it goes on. Knows nothing of who listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from respsel.calls.events import CallEvents, CallMeter
from respsel.graph import Step
from respsel.graph.ledger import Ledger


class RunEvents(CallEvents, Protocol):
    """Who is told how a run goes."""

    def run_begins(self, steps: int) -> None: ...

    def step_found(self, step: Step) -> None: ...

    def stage_begins(self, steps: Sequence[Step]) -> None: ...

    def step_done(self, step: Step) -> None: ...


class RunMeter(CallMeter, Protocol):
    """Measures a run, and may look at what is known of its steps."""

    def look(self, steps: Sequence[Step], ledger: Ledger) -> None:
        """These steps are made next; ledger: what is known by now."""
