"""How a value in nested tables and lists is found.

Knows nothing of files. Invariant: a path leads to one value.
"""

from __future__ import annotations

# The keys and numbers by which a value is found: ("strategies", 2, "sampling").
KeyPath = tuple[str | int, ...]
