"""What a run did, in numbers.

Knows nothing of what came of it. Invariant: the numbers go on counting while a result makes damaged
tables again.
"""

from __future__ import annotations

from collections.abc import Mapping

from respsel.backends.open_models import OpenModels
from respsel.calls.caller import Caller
from respsel.records import TokenUsage


class RunCounts:
    """What a run made, asked and opened so far."""

    def __init__(self, caller: Caller, models: OpenModels) -> None:
        self._caller = caller
        self._models = models
        self.steps_run = 0

    @property
    def calls_made(self) -> int:
        """How many requests a model answered now."""
        return self._caller.made

    @property
    def calls_reused(self) -> int:
        """How many requests of the steps that ran were answered from the store."""
        return self._caller.reused

    @property
    def took(self) -> Mapping[str, TokenUsage]:
        """By model, the tokens of the calls that were made now."""
        return self._caller.took

    @property
    def models_opened(self) -> tuple[str, ...]:
        """The models that were loaded."""
        return tuple(self._models.opened)
