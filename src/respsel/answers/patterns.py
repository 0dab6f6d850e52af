"""The kind `regex`: a recipe's own pattern, looked for in a process that can be ended.

A pattern may take longer than anyone waits, on one response among thousands. Python's own `re`
stays, so that a pattern finds what it always found.

Knows nothing of recipes. Invariant: no text takes longer than the limit, whatever the pattern is.
"""

from __future__ import annotations

from pathlib import Path

from respsel.answers.limits import LIMIT_S, PatternTimeoutError
from respsel.answers.worker import Worker

# By its path: as a module of this package it would load all that reads recipes.
_WORKER = Worker(str(Path(__file__).with_name("pattern_worker.py")))


def last_match(pattern: str, text: str, limit_s: float = LIMIT_S) -> str | None:
    """The last match's first group, or the match; None if there is none.

    Raises PatternTimeoutError.
    """
    answer = _WORKER.ask([pattern, text, limit_s])
    if answer is None:
        raise PatternTimeoutError
    found: str | None = answer[0]
    return found
