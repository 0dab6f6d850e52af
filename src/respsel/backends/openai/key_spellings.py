"""An API key in a text that a server sends, in whichever way it is spelled there.

Servers say a request back: as it is, in an address (percent signs), or as a header of another kind
(base64). Knows nothing of servers. Invariant: no spelling that is known here is left.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import lru_cache
from urllib.parse import quote

NO_KEY = "[API key]"
# A shorter one is a placeholder, and may be a part of any word.
_SHORTEST_KEY = 8


def holds_key(text: str, key: str) -> bool:
    """Whether a text has the key in it."""
    return len(key) >= _SHORTEST_KEY and _pattern(key).search(text) is not None


def without_key(text: str, key: str) -> str:
    """The text with a mark in place of the key."""
    return _pattern(key).sub(NO_KEY, text) if len(key) >= _SHORTEST_KEY else text


@lru_cache(maxsize=64)
def _pattern(key: str) -> re.Pattern[str]:
    spellings = {key, quote(key), quote(key, safe=""), quote(quote(key, safe=""), safe="")}
    spellings |= {spelling for place in range(3) for spelling in _in_base64(key, place)}
    longest_first = sorted(spellings, key=len, reverse=True)
    return re.compile("|".join(re.escape(spelling) for spelling in longest_first), re.IGNORECASE)


def _in_base64(key: str, place: int) -> tuple[str, str]:
    """What base64 makes of the key behind so many other bytes.

    Without the letters that those or later bytes share.
    """
    spelled = b64encode(bytes(place) + key.encode()).decode()
    core = spelled[-(-place * 8 // 6) : (place + len(key)) * 8 // 6]
    return core, core.replace("+", "-").replace("/", "_")
