"""Whether a path of a recipe is an address. Light, since each run asks it of each path.

Invariant: a drive's letter is no address.
"""

from __future__ import annotations

import re

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


def is_address(path: str) -> bool:
    """Whether a path of a recipe is an address, of any kind."""
    return SCHEME.match(path) is not None
