"""The process that looks for a recipe's own pattern: pattern and text in, one pair a line, as JSON.

Knows nothing of responses, and imports little, so that it starts at once. Invariant: each pair has
a limit of processor time and memory. A pair that runs into a limit ends the process.
"""

from __future__ import annotations

import json
import os
import re
import signal

from respsel.system.child_process import limit_memory

_BYTES = 4 << 30


def main() -> None:
    """Answer pairs until there are no more."""
    limit_memory(_BYTES)
    with open(0, encoding="utf-8") as pairs, os.fdopen(1, "w", encoding="utf-8") as answers:
        for line in pairs:
            pattern, text, seconds = json.loads(line)
            _limit_time(seconds)
            found = _last(pattern, text)
            _limit_time(0)
            answers.write(json.dumps([found]) + "\n")
            answers.flush()


def _last(pattern: str, text: str) -> str | None:
    """The last match's first group that is not empty, or the match; None if there is none."""
    last = None
    for match in re.finditer(pattern, text):
        last = match
    return None if last is None else next((group for group in last.groups() if group), last.group())


def _limit_time(seconds: float) -> None:
    # Processor time: a busy machine changes no result. Not on Windows.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


if __name__ == "__main__":
    main()
