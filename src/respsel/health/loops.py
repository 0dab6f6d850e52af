"""Texts that go round in a loop: the same words or characters again and again.

Knows nothing of who wrote a text. Invariants: it takes linear time. A refrain, a table or a line of
dashes is no loop.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from respsel.health.words import looks_like_code, words_of

# A closer look is taken where so many of all groups of three words were there before, or of those
# among so many last words.
_REPEATED = 0.15
_LAST_WORDS = (48, 400)
# The commonest distances between equal n-grams are tried as lengths of the repeated passage.
_DISTANCES = 4
# A passage comes so many times, a long one so many, and so many words are in the run.
_TIMES = 4
_TIMES_LONG = 3
_LONG = 8
_TIMES_IN_CODE = 12
# A passage of fewer words behind a counter may be a row of data.
_COUNTED = 4
_WORDS_IN_RUN = 24
# Where the run is nearly the whole text, fewer words are enough.
_WORDS_IN_ALL = 12
# Numbers alone may be a table or a matrix.
_NUMBERS_IN_RUN = 150
# Without words between: so many characters, at the end of which a passage comes again and again.
_CHARACTERS = 100
_SYMBOLS = 200
_SOLID = re.compile(rf"\w{{{_CHARACTERS},}}")
_NO_WORDS = re.compile(rf"[\W_]{{{_SYMBOLS},}}")
_BLANKS = re.compile(r"\s+")
_TAGS = re.compile(r"<[^<>\n]{1,200}>")
# A row of a table in Markdown.
_ROWS = re.compile(r"^[ \t]*\|.*\|[ \t]*$", re.MULTILINE)
# The number of an item or a step, which goes up while the rest stays.
_COUNTERS = re.compile(r"^\W*(?:[^\W\d]+ )?\d{1,4}\W", re.MULTILINE)


def is_loop(text: str, words: Sequence[str]) -> bool:
    """Whether a passage comes again and again.

    words: of the text.
    """
    return _repeats_words(text, words) or _repeats_characters(text, len(words))


def _repeats_words(text: str, words: Sequence[str]) -> bool:
    if len(words) < _WORDS_IN_ALL or not _is_suspect(words):
        return False
    bare = _ROWS.sub("", _TAGS.sub(" ", text))
    times = _TIMES_IN_CODE if looks_like_code(bare) else _TIMES
    plain = words if bare == text else words_of(bare)
    return _has_run(plain, times) or _has_run(words_of(_COUNTERS.sub(" ", bare)), times, _COUNTED)


def _is_suspect(words: Sequence[str]) -> bool:
    """Whether many groups of three words were there before; a loop goes to the end, or is long."""
    tails = (words[-size:] for size in _LAST_WORDS if size < len(words))
    return any(_repeated(part) >= _REPEATED * len(part) for part in (words, *tails))


def _repeated(words: Sequence[str]) -> int:
    """How many of the groups of three words were there before."""
    groups = len(words) - 2
    return groups - len(set(zip(words, words[1:], words[2:], strict=False)))


def _has_run(words: Sequence[str], times: int, fewest: int = 1) -> bool:
    """Whether a run of equal passages is long enough, and ends the text or is a good part of it.

    times: how often the passage comes at least.
    fewest: how many words it has at least.
    """
    distances: Counter[int] = Counter()
    last: dict[tuple[str, str, str], int] = {}
    for place, group in enumerate(zip(words, words[1:], words[2:], strict=False)):
        before = last.get(group)
        if before is not None:
            distances[place - before] += 1
        last[group] = place
    likely = [distance for distance, _ in distances.most_common(_DISTANCES) if distance >= fewest]
    return any(_runs_at(words, distance, times) for distance in likely)


def _runs_at(words: Sequence[str], distance: int, times: int) -> bool:
    at, covered = _longest_run(words, distance)
    if all(word.isdecimal() for word in words[at : at + distance]):
        return covered >= _NUMBERS_IN_RUN and covered * 2 >= len(words)
    if distance >= _LONG and times == _TIMES:
        times = _TIMES_LONG
    if covered < times * distance:
        return False
    if distance >= 3 and covered >= _WORDS_IN_ALL and covered >= 0.9 * len(words):
        return True
    ends = at + covered >= len(words) - 1
    return covered >= _WORDS_IN_RUN and (ends or covered * 4 >= len(words))


def _longest_run(words: Sequence[str], distance: int) -> tuple[int, int]:
    """Where the longest run of passages of so many words begins, and how many words it has."""
    start = 0
    longest = 0
    at = 0
    same = [a == b for a, b in zip(words, words[distance:], strict=False)]
    for place, is_same in enumerate([*same, False]):
        if not is_same:
            if place - start > longest:
                longest = place - start
                at = start
            start = place + 1
    return at, longest + distance


def _repeats_characters(text: str, words: int) -> bool:
    """Whether characters without blanks, or without words, come again and again."""
    if len(text) < _CHARACTERS:
        return False
    # A text of ordinary words has no long run of other characters.
    if len(text) < 12 * words and "   " not in text and len(max(text.split(), key=len)) < 100:
        return False
    runs = [*_SOLID.findall(text), *(_BLANKS.sub("", run) for run in _NO_WORDS.findall(text))]
    run = max(runs, key=len, default="")
    if len(run) * 2 < len(_BLANKS.sub("", text)):
        return False
    covered = _covered_at_the_end(run)
    return covered >= (_CHARACTERS if run[-1:].isalpha() else _SYMBOLS)


def _covered_at_the_end(run: str) -> int:
    """How many characters at the end of a run are one passage at least four times."""
    piece = run[-12:]
    before = run.rfind(piece, 0, len(run) - 1)
    distance = len(run) - len(piece) - before
    if before < 0:
        return 0
    covered = distance
    while covered < len(run) and run[-covered - 1] == run[-covered - 1 + distance]:
        covered += 1
    return covered if covered >= _TIMES * distance else 0
