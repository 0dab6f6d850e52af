"""The health of a strategy's texts on one dataset: faults counted, with an example of each.

Knows nothing of other strategies. Invariant: a response that a failed call left without a text
counts nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from respsel.health.endings import stops_midway
from respsel.health.faults import Fault, find_faults
from respsel.health.languages import language_of
from respsel.health.words import bounded, words_of
from respsel.records import Example, Response
from respsel.tables.problems import EMPTY, NO_TEXT
from respsel.text.whitespace import BLANKS

# Raised when the same texts would be found to have other faults.
VERSION = 1
# Faults that make a text useless by itself. CUT_SHORT and SAME_TEXT are in `whole` and `distinct`.
# A refusal and another language may be what the task asks for.
UNSOUND = (Fault.EMPTY, Fault.LOOP, Fault.COPY, Fault.LEFTOVER)
# Answers of few words are the same for many inputs with good reason. So are short sentences that
# state an answer.
_SHORT = 5
_SHORT_ANSWER = 12
_STATED = frozenset("yes no true false positive negative neutral ja nein oui non sí si".split())
_STATING = frozenset(
    (
        *(("answer", "is"), ("option", "is"), ("choice", "is"), ("label", "is"), ("class", "is")),
        *(("category", "is"), ("sentiment", "is"), ("antwort", "ist"), ("réponse", "est")),
        *(("respuesta", "es"), ("risposta", "è"), ("resposta", "é"), ("ответ", "это")),
    )
)
# Without the input's words so many must be left, or all words count.
_FEWEST_LEFT = 4
# Words that so many of the texts have are the strategy's own, also where an input has them.
_USUAL = 0.5
# So many inputs, and so much of each, say what the usual language is.
_INPUTS = 300
_OF_EACH = 200


@dataclass(frozen=True)
class TextHealth:
    """Faults of one strategy's texts.

    total: how many responses were looked at.
    counts: how many have each fault; a fault that none has is missing.
    first: the example id of one case of each.
    whole: the share that is not cut short.
    distinct: different texts per text, without what they have from their inputs.
    sound: the share without a fault but for CUT_SHORT and SAME_TEXT.
    """

    total: int
    counts: Mapping[Fault, int]
    first: Mapping[Fault, str]
    whole: float
    distinct: float
    sound: float


def text_health(responses: Sequence[Response], examples: Sequence[Example]) -> TextHealth:
    """Look at a strategy's texts.

    Those with a problem are left out, but for empty ones: they are not used anyway.
    """
    asked = {example.id: example.input for example in examples}
    used = [response for response in responses if response.problem in ("", EMPTY, NO_TEXT)]
    usual = _usual_language([example.input for example in examples])
    counts: Counter[Fault] = Counter()
    first: dict[Fault, str] = {}
    unsound = 0
    same = _same_texts(used, asked)
    for response in used:
        faults = set(_faults_of(response, asked.get(response.id, ""), usual))
        faults |= {Fault.SAME_TEXT} if response.id in same.ids else set()
        for fault in faults:
            counts[fault] += 1
            first.setdefault(fault, response.id)
        unsound += not faults.isdisjoint(UNSOUND)
    total = len(used)
    ordered = [fault for fault in Fault if counts[fault]]
    return TextHealth(
        total,
        {fault: counts[fault] for fault in ordered},
        {fault: first[fault] for fault in ordered},
        whole=_share(total - counts[Fault.CUT_SHORT], total),
        distinct=_share(same.different, same.texts),
        sound=_share(total - unsound, total),
    )


def _faults_of(response: Response, asked: str, usual: str | None) -> Iterator[Fault]:
    if not response.text.strip(BLANKS):
        yield Fault.EMPTY
        return
    if response.truncated or stops_midway(response.text):
        yield Fault.CUT_SHORT
    yield from find_faults(response.text, asked, usual)


@dataclass(frozen=True)
class _SameTexts:
    """Which texts are the same as that of another example.

    ids: the examples that have a text which one with another input has too.
    different: how many different texts there are.
    texts: how many texts there are.
    """

    ids: frozenset[str]
    different: int
    texts: int


def _same_texts(responses: Sequence[Response], asked: Mapping[str, str]) -> _SameTexts:
    words = {r.id: tuple(words_of(bounded(r.text))) for r in responses if r.text.strip(BLANKS)}
    times = Counter(words.values())
    usual = _usual_parts(words.values())
    groups: dict[Sequence[str], list[str]] = {}
    for key, said in words.items():
        left = _without_input(said, words_of(bounded(asked.get(key, ""))), usual)
        if not _is_short_answer(said, left):
            whole = times[said] > 1 or len(left) < _FEWEST_LEFT
            groups.setdefault(said if whole else left, []).append(key)
    ids: set[str] = set()
    more = 0
    for keys in groups.values():
        inputs = {asked.get(key, "").strip() for key in keys} if len(keys) > 1 else ()
        if len(inputs) > 1:
            ids.update(keys)
            more += len(inputs) - 1
    return _SameTexts(frozenset(ids), len(words) - more, len(words))


# A word, or three in a row.
_Part = str | tuple[str, str, str]


def _usual_parts(texts: Collection[Sequence[str]]) -> set[_Part]:
    """The words and rows of three words that most texts have: they are the strategy's own."""
    having: Counter[_Part] = Counter()
    for said in texts:
        having.update(set(said))
        having.update(set(zip(said, said[1:], said[2:], strict=False)))
    fewest = max(2, _USUAL * len(texts))
    return {part for part, count in having.items() if count >= fewest}


def _without_input(said: Sequence[str], asked: Sequence[str], usual: set[_Part]) -> tuple[str, ...]:
    """A text's words without those that come from its input: in rows of three, then alone."""
    said = _without_whole(said, asked)
    rows = set(zip(asked, asked[1:], asked[2:], strict=False)) - usual
    covered = [False] * len(said)
    for place, row in enumerate(zip(said, said[1:], said[2:], strict=False)):
        if row in rows:
            covered[place : place + 3] = (True, True, True)
    alone = set(asked) - usual
    return tuple(
        word
        for word, is_covered in zip(said, covered, strict=True)
        if not is_covered and word not in alone
    )


def _without_whole(said: Sequence[str], asked: Sequence[str]) -> Sequence[str]:
    """A text's words without the input as a whole, where it is quoted."""
    before, found, after = f" {' '.join(said)} ".partition(f" {' '.join(asked)} ")
    return [*before.split(), *after.split()] if found else said


def _is_short_answer(said: Sequence[str], left: Sequence[str]) -> bool:
    """Whether a text may well be the right one for many inputs.

    left: its words that are not the input's.
    """
    if len(said) <= _SHORT:
        return True
    if len(said) > _SHORT_ANSWER:
        return False
    if said[0] in _STATED or said[-1] in _STATED:
        return True
    if not _STATING.isdisjoint(pairwise(said)):
        return True
    return any(word.isdecimal() or (len(word) == 1 and word in "bcdefgh") for word in left)


def _usual_language(inputs: Sequence[str]) -> str | None:
    """The language of all inputs together, where no input is known to be in another one."""
    some = inputs[:: max(1, len(inputs) // _INPUTS)]
    together = language_of("\n".join(text[:_OF_EACH] for text in some)[:3_000])
    known = {language_of(text[:_OF_EACH]) for text in some} - {None}
    return together if known <= {together} else None


def _share(some: int, total: int) -> float:
    """A share of a total; of nothing, everything is as it should be."""
    return some / total if total else 1.0
