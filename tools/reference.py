"""The reference, made from code: commands, keys, metrics, errors, as Markdown.

A page of docs/reference/ has a marker where its part goes; `filled` puts it there. Knows what makes
each part and nothing of the site. `python -m tools.reference errors` prints one part.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from tools.commands import commands
from tools.errors import errors
from tools.keys import keys
from tools.metrics import metrics

PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "keys": keys,
    "metrics": metrics,
    "errors": errors,
}
_MARKER = re.compile(r"^<!-- made from code: (\w+) -->$", re.MULTILINE)


def filled(markdown: str) -> str:
    """A page with what its markers name."""
    return _MARKER.sub(lambda marker: PARTS[marker[1]](), markdown)


if __name__ == "__main__":
    print(PARTS[sys.argv[1]]())
