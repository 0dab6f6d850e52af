"""Texts that are their input again, or begin by repeating it whole.

Knows nothing of tasks. Invariant: a quotation from the input is no copy.
"""

from __future__ import annotations

from collections.abc import Sequence

from respsel.health.words import bounded, looks_like_code, words_of

# An input of fewer words is easily repeated with good reason.
_FEWEST = 4
# To begin with the input is a fault from so many words on.
_FEWEST_BEFORE_MORE = 8
# Words before the copy ("You asked:"), and the share of the groups of three words that are equal.
_LEAD = 4
_SAME = 0.9
# So much of the input is repeated, where its end is missing.
_WHOLE = 0.8
# The beginning of the input that says whether a closer look is needed.
_BEGINNING = 120


def is_copy(words: Sequence[str], asked: str) -> bool:
    """Whether words are the input's, or begin with all of the input's.

    asked: the input.
    """
    if len(words) < _FEWEST or not _begins_alike(words, words_of(asked[:_BEGINNING])):
        return False
    source = words_of(bounded(asked))
    if len(source) < _FEWEST:
        return False
    if _is_repeated(words, source):
        return True
    if len(source) < _FEWEST_BEFORE_MORE:
        return False
    before = words[: int(len(source) * 1.1) + _LEAD]
    if _share(source, before) >= _SAME:
        # Code is completed by writing it again with its rest.
        return len(words) < 1.2 * len(source) or not looks_like_code(bounded(asked))
    return len(words) >= _WHOLE * len(source) and _share(words, source) >= _SAME


def _is_repeated(words: Sequence[str], source: Sequence[str]) -> bool:
    """Whether words are the source once or several times, the last time perhaps in part."""
    if len(words) < len(source):
        return False
    return all(word == source[place % len(source)] for place, word in enumerate(words))


def _begins_alike(words: Sequence[str], asked: Sequence[str]) -> bool:
    """Whether three words from the input's beginning stand at the beginning."""
    begun = groups_of(words[: _LEAD + 6])
    return not begun.isdisjoint(groups_of(asked[:6]))


def _share(some: Sequence[str], others: Sequence[str]) -> float:
    """The share of one text's different groups of three words that another has."""
    groups = groups_of(some)
    return len(groups & groups_of(others)) / max(1, len(groups))


def groups_of(words: Sequence[str]) -> set[tuple[str, str, str]]:
    """All groups of three words in a row."""
    return set(zip(words, words[1:], words[2:], strict=False))
