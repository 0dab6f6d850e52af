"""When a run over an endpoint must end, and what to do then.

It ends after a failure that no call can pass, or after one failure upon another. Knows nothing of
how requests are made. Invariant: a refusal of one input never ends a run in which the server has
answered another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from respsel.backends.contract import Failure
from respsel.backends.openai.errors import Kind, ServerError

# After so many failed calls in a row, or as many as are made at once, the server is taken to be out
# of order.
_FAILURES_IN_A_ROW = 12
# After so many refused inputs, where none was answered, something that they share is taken to be
# refused.
_REFUSED_INPUTS = 50
_IS_IT_WELL = "Is the server well (see respsel doctor)? Then run again: what was answered is kept"
_MONEY = ("credit", "billing", "balance", "quota", "payment", "fund", "arrear", "overdue")
# "parameter.enable_thinking must be set to false": a wish in so many words.
_WISH = re.compile(r"([A-Za-z_]\w{2,40}) must be (?:set to )?(true|false)\b", re.IGNORECASE)
_ENDS = (Kind.ACCOUNT, Kind.MODEL, Kind.SHAPE, Kind.RATE)


@dataclass(frozen=True)
class CallFailure(Failure):
    """Why one call got no answer.

    remedy: what to do where it ends the run.
    """

    kind: Kind = Kind.SERVER
    remedy: str = ""

    @property
    def ends_run(self) -> bool:
        """Whether no other call can pass either."""
        return self.kind in _ENDS


@dataclass(frozen=True)
class End:
    """The end of a run."""

    what: str
    remedy: str


class Tally:
    """The answers and failures of one server so far."""

    def __init__(self, parallel: int) -> None:
        """parallel: how many calls are made at once; so many may fail from one cause."""
        self._most = max(_FAILURES_IN_A_ROW, parallel)
        self._in_a_row = 0
        self._refused = 0
        self._is_there = False
        self._has_answered = False
        self._outage: Failure | None = None

    def note(self, answer: object) -> End | None:
        """Count an answer or a failure; return the error that ends the run, if it does."""
        if not isinstance(answer, Failure):
            self._is_there = True
            self._has_answered = True
            self._in_a_row = 0
            return None
        kind = answer.kind if isinstance(answer, CallFailure) else Kind.SERVER
        self._is_there = self._is_there or kind is not Kind.OUTAGE
        if isinstance(answer, CallFailure) and answer.ends_run:
            return End(answer.problem, answer.remedy)
        if kind is Kind.INPUT:
            return self._note_refused(answer)
        self._outage = answer if kind is Kind.OUTAGE else self._outage
        self._in_a_row += 1
        if self._in_a_row < self._most:
            return None
        return End(
            f"{self._in_a_row} calls in a row failed, the last one: {answer.problem}", _IS_IT_WELL
        )

    def at_end(self) -> End | None:
        """The error of a server that has answered nothing at all."""
        if self._outage is None or self._is_there:
            return None
        return End(f"the endpoint has answered nothing: {self._outage.problem}", _IS_IT_WELL)

    def _note_refused(self, answer: Failure) -> End | None:
        self._refused += 1
        if self._has_answered or self._refused < _REFUSED_INPUTS:
            return None
        what = (
            f"{self._refused} inputs were refused and none was answered, the last one: "
            f"{answer.problem}"
        )
        return End(what, "Is it something that all prompts share? Change the prompt or the model")


def no_answer(outage: Failure) -> End:
    """The error of a server that does not answer the first question."""
    return End(f"the endpoint does not answer: {outage.problem}", _IS_IT_WELL)


def remedy_of(
    error: ServerError, key_name: str | None, where: str, request: Mapping[str, Any]
) -> str:
    """What to do about an error that ends a run.

    key_name: the variable that holds the key.
    """
    check_key = (
        f"Check the key in {key_name}"
        if key_name
        else "Set api_key_env to the name of the variable that holds the key"
    )
    if error.kind is Kind.RATE:
        return "Lower 'parallel', or run again later"
    if error.kind is Kind.ACCOUNT and (
        error.status == 402 or any(word in error.words.lower() for word in _MONEY)
    ):
        return "Check the account's credit and limits, then run again: what was answered is kept"
    if error.kind is Kind.ACCOUNT:
        return check_key
    if error.status == 403:
        return f"{check_key}, and what its account may do"
    if 300 <= error.status < 400:
        return "Set 'base_url' to the address that is to answer, if you trust it with the prompts"
    if error.kind is Kind.MODEL or error.status in (404, 405):
        return "Check 'base_url' and 'model'"
    if error.status == 200:
        return (
            "Check 'base_url' (does it end in /v1?), and whether something on the way, like a "
            "proxy, answers instead"
        )
    sent = next(
        (name for name in request if re.search(rf"\b{re.escape(name)}\b", error.words)), None
    )
    if sent is not None:
        return f"Change '{sent}' in {where}.request"
    example = f"{wish[1]} = {wish[2].lower()}" if (wish := _WISH.search(error.words)) else "..."
    return (
        f"Change 'sampling', or add what the endpoint wants to {where}: request = {{ {example} }}"
    )
