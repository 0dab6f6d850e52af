"""What a run did, in numbers.

Knows nothing of what came of it. Invariant: the numbers go on counting while a result makes damaged
tables again.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from respsel.backends.open_models import OpenModels
from respsel.calls.beginnings import ScoringWork
from respsel.records import TokenUsage

if TYPE_CHECKING:
    from respsel.calls.caller import Caller


class RunCounts:
    """What a run made, asked and opened so far.

    steps_run: how many steps were not in the store.
    caller: who answers the run's requests; None until a step is made.
    """

    def __init__(self, models: OpenModels) -> None:
        self._models = models
        self.steps_run = 0
        self.caller: Caller | None = None

    @property
    def calls_made(self) -> int:
        """How many requests a model answered now."""
        return self.caller.made if self.caller else 0

    @property
    def calls_reused(self) -> int:
        """How many requests of the steps that ran were answered from the store."""
        return self.caller.reused if self.caller else 0

    @property
    def took(self) -> Mapping[str, TokenUsage]:
        """By model, the tokens of the calls that were made now."""
        return self.caller.took if self.caller else MappingProxyType({})

    @property
    def scoring_work(self) -> ScoringWork:
        """The tokens that were evaluated for scores now."""
        return self.caller.work if self.caller else ScoringWork()

    @property
    def models_opened(self) -> tuple[str, ...]:
        """The models that were loaded."""
        return tuple(self._models.opened)
