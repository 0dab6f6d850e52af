"""The process that compares mathematics with math-verify: pairs of texts in, one a line, as JSON.

Knows nothing of responses. Invariant: each pair has a limit of processor time and memory. A pair
that runs into the limit of time ends the process, which is how its owner learns of it.
"""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from respsel.system.child_process import limit_memory

_SECONDS = 10
_BYTES = 4 << 30
# math-verify rounds decimals to 6 places if nothing is said.
_PLACES = 12


def main() -> None:
    """Answer pairs until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What a library prints must not be taken for an answer.
    os.dup2(2, 1)
    limit_memory(_BYTES)
    with open(0, encoding="utf-8") as pairs:
        for line in pairs:
            found, right = json.loads(line)
            _limit_time(_SECONDS)
            answer = _compare(found, right)
            _limit_time(0)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


def _compare(found: str, right: str) -> tuple[bool, bool]:
    from math_verify import verify

    gold = _parsed(right)
    given = _parsed(found)
    if not gold or not given:
        return bool(gold), False
    same = verify(gold, given, float_rounding=_PLACES, timeout_seconds=None)
    return True, bool(same) and bool(
        verify(given, gold, float_rounding=_PLACES, timeout_seconds=None)
    )


def _parsed(text: str) -> list[Any]:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse

    try:
        found: list[Any] = parse(
            f"${text}$",
            extraction_config=[LatexExtractionConfig(), ExprExtractionConfig()],
            fallback_mode="no_fallback",
            parsing_timeout=None,
        )
        return found
    except Exception:
        return []


def _limit_time(seconds: int) -> None:
    # Processor time: a busy machine changes no result. Not on Windows.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


if __name__ == "__main__":
    main()
