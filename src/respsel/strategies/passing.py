"""Which responses may be taken from a member: the one rule of strategies that take from others.

Knows nothing of where responses come from. Invariants: a wrong answer never stands before a right
one. What counts as a fault of a text is what the report counts: see health.faults.
"""

from __future__ import annotations

from respsel.records import Response
from respsel.tables.problems import is_failed_call

# Raised when the same responses would pass differently, also by other faults of texts.
VERSION = 1


def passes(response: Response, asked: str) -> bool:
    """Whether a response is whole, and not wrong by the answer check where there is one.

    asked: the input that it answers.
    """
    return fault_rank(response, asked) == 0


def stands(response: Response, asked: str) -> bool:
    """Whether no later member is looked at: it passes, or its call failed.

    What a failed call would have given is not known. The next run makes the call again.
    """
    return passes(response, asked) or is_failed_call(response.problem)


def fault_rank(response: Response, asked: str) -> int:
    """How bad a response is: 0 passes, 1 is cut short or faulty, 2 is wrong, 3 has no text."""
    if not response.text:
        return 3
    if response.correct is False or response.problem:
        return 2
    # Late: a cached run takes nothing.
    from respsel.health.faults import find_faults

    return 1 if response.truncated or find_faults(response.text, asked) else 0
