"""How many tokens calls take, where each beginning that they share is evaluated once.

Knows neither models nor the store. Invariant: no model is asked, so a count is of what has to be
evaluated and not of what was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from respsel.backends.common_prefix import distinct_tokens
from respsel.backends.contract import ScoreCall
from respsel.calls.requests import Call, RepresentCall, TurnCall, most_tokens


@dataclass(frozen=True)
class ScoringWork:
    """Tokens that models evaluated for scores, and the least that these calls take."""

    evaluated: int = 0
    fewest: int = 0

    def more(self, evaluated: int, fewest: int) -> ScoringWork:
        """The work with that of further calls."""
        return ScoringWork(self.evaluated + evaluated, self.fewest + fewest)


def fewest_tokens(calls: Iterable[ScoreCall]) -> int:
    """The least number of tokens that have to be evaluated to answer some calls.

    That is each distinct beginning of their tokens once. A scored response's last token predicts
    nothing, and an empty response needs nothing.
    """
    return distinct_tokens(
        call.prompt_ids + call.response_ids[: None if isinstance(call, RepresentCall) else -1]
        for call in calls
        if call.response_ids
    )


class Beginnings:
    """The beginnings that calls had so far: their prompts, and the turns of conversations.

    Of each a hash is kept in place of its tokens. Two with the same hash are taken for one.
    """

    def __init__(self) -> None:
        self._known: set[int] = set()

    def new_tokens(self, call: Call) -> tuple[int, int]:
        """How many tokens of a call's prompt and of its response no call had before.

        A response is new unless it is a turn of a conversation: others have the same one before
        their own. Of one that is still to be written, the most that it may have.
        """
        prompt = call.prompt_ids
        turns = (call.cuts or ()) if isinstance(call, TurnCall) else ()
        # Where a turn begins is the first of two cuts; its last token stands behind the second.
        bounds = [cut + place % 2 for place, cut in enumerate(turns)]
        reached = 0
        for bound in (len(prompt), *reversed(bounds)):
            if not self._is_new(prompt[:bound]):
                reached = bound
                break
        response = most_tokens(call)
        if isinstance(call, TurnCall) and not self._is_new(prompt + call.response_ids):
            response = 0
        return len(prompt) - reached, response

    def _is_new(self, tokens: tuple[int, ...]) -> bool:
        number = hash(tokens)
        is_new = number not in self._known
        self._known.add(number)
        return is_new
