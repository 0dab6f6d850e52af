"""Texts that stop in the middle, as far as it can be seen.

Knows nothing of token limits. Invariant: a text that merely lacks its last full stop is whole.
"""

from __future__ import annotations

import re

# A last line of fewer words may be a title, a label or a greeting.
_FEWEST_WORDS = 8
_LAST = 400
_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
# Words of several languages after which a sentence goes on.
_OPEN = frozenset(
    "the an and or of because from into than with "
    "der und oder weil eine einen einem einer zum zur dem "
    "le les une et ou des du dans avec que "
    "el los las y del una con por "
    "il gli della dei delle nel nella una che "
    "um uma os dos das com para "
    "het een van".split()
)
_LAST_WORD = re.compile(r"(?:^|\s)([^\W\d_]+)\Z")


def stops_midway(text: str) -> bool:
    """Whether a text ends within a block of code, after a comma or after a word such as "the"."""
    if "```" in text and len(_FENCE.findall(text)) % 2:
        return True
    last = text[-_LAST:].rstrip().rpartition("\n")[2]
    if len(last.split()) < _FEWEST_WORDS:
        return False
    if last.endswith((",", "(", " -", " –")):
        return True
    word = _LAST_WORD.search(last)
    return word is not None and word[1] in _OPEN
