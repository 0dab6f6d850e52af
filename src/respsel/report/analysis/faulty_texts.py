"""The faults of texts on one dataset, by strategy, with a case of each to read.

Knows nothing of scores. Invariant: one strategy's responses are in memory at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from respsel.graph import names as step_names
from respsel.health.faults import Fault
from respsel.health.languages import language_of
from respsel.health.leftovers import answer_part, find_leftover
from respsel.health.summary import TextHealth, text_health
from respsel.health.words import bounded
from respsel.records import Example, Response
from respsel.run.result import RunResult

# So many characters of a text are shown.
_EXCERPT = 180
# A fault in more than this share of the leader's responses is worth a caution.
MANY = 0.1
# The references stand beside the strategies where a dataset has them.
_REFERENCES = "references"


@dataclass(frozen=True)
class FaultyText:
    """A case of a fault.

    id: the example's id.
    why: what was seen, in words.
    excerpt: the place of the text where it is seen, in one line.
    """

    strategy: str
    fault: str
    id: str
    why: str
    excerpt: str


@dataclass(frozen=True)
class StrategyHealth:
    """One strategy's counts.

    counts: how many responses have each fault of the table, in its order.
    whole, distinct, sound: see TextHealth.
    """

    strategy: str
    responses: int
    counts: tuple[int, ...]
    whole: float
    distinct: float
    sound: float


@dataclass(frozen=True)
class HealthTable:
    """The faults that a dataset's responses have.

    faults: those that at least one response has, in plain words.
    cases: one for each strategy and fault.
    """

    faults: tuple[str, ...]
    strategies: tuple[StrategyHealth, ...]
    cases: tuple[FaultyText, ...]


@dataclass(frozen=True)
class FaultyTexts:
    """What was found in a dataset's texts.

    healths: by strategy.
    cases: one for each strategy and fault.
    """

    healths: Mapping[str, TextHealth]
    cases: tuple[FaultyText, ...]

    @property
    def table(self) -> HealthTable:
        """The counts, as a report shows them."""
        found = self.healths.values()
        faults = [fault for fault in Fault if any(health.counts.get(fault) for health in found)]
        rows = (
            StrategyHealth(
                strategy,
                health.total,
                tuple(health.counts.get(fault, 0) for fault in faults),
                health.whole,
                health.distinct,
                health.sound,
            )
            for strategy, health in self.healths.items()
        )
        return HealthTable(tuple(fault.words for fault in faults), tuple(rows), self.cases)


@dataclass(frozen=True)
class UncommonFault:
    """A fault that many of a strategy's responses have, and most other strategies do not share.

    count: of the `total` responses.
    first: an example that has it.
    compared: whether there was anything to compare with.
    """

    fault: Fault
    count: int
    total: int
    first: str
    compared: bool


def find_faulty_texts(result: RunResult, dataset: str, strategies: Sequence[str]) -> FaultyTexts:
    """Look at all responses of some strategies to a dataset."""
    examples: Sequence[Example] = result.rows(step_names.examples(dataset))
    found: dict[str, TextHealth] = {}
    cases: list[FaultyText] = []
    for strategy in strategies:
        responses: Sequence[Response] = result.rows(step_names.responses(dataset, strategy))
        health = text_health(responses, examples)
        found[strategy] = health
        cases += _cases(strategy, health, responses, examples)
    return FaultyTexts(found, tuple(cases))


def find_uncommon_faults(
    result: RunResult, dataset: str, strategy: str, healths: Mapping[str, TextHealth]
) -> tuple[UncommonFault, ...]:
    """Faults of a strategy that most others do not share.

    A fault that they share is in the nature of the task, such as translation. References count as
    one of the others.
    healths: by strategy, what was found in its texts.
    """
    mine = healths[strategy]
    many = [fault for fault, count in mine.counts.items() if count > MANY * mine.total]
    if not many:
        return ()
    beside = {other: health for other, health in healths.items() if other != strategy}
    examples: Sequence[Example] = result.rows(step_names.examples(dataset))
    references = [Response(e.id, e.reference) for e in examples if e.reference]
    if references:
        beside[_REFERENCES] = text_health(references, examples)
    return tuple(
        UncommonFault(fault, mine.counts[fault], mine.total, mine.first[fault], bool(beside))
        for fault in many
        if not _is_shared(fault, mine, beside)
    )


def _is_shared(fault: Fault, mine: TextHealth, beside: Mapping[str, TextHealth]) -> bool:
    """Whether more than half of the others have at least half of a strategy's share of a fault."""
    least = mine.counts[fault] / mine.total / 2
    sharing = [
        other.total > 0 and other.counts.get(fault, 0) >= least * other.total
        for other in beside.values()
    ]
    return sum(sharing) * 2 > len(sharing)


def _cases(
    strategy: str,
    health: TextHealth,
    responses: Sequence[Response],
    examples: Sequence[Example],
) -> list[FaultyText]:
    wanted = set(health.first.values())
    texts = {response.id: response.text for response in responses if response.id in wanted}
    inputs = {example.id: example.input for example in examples if example.id in wanted}
    return [
        FaultyText(strategy, fault.words, key, *_seen(fault, texts[key], inputs.get(key, "")))
        for fault, key in health.first.items()
    ]


def _seen(fault: Fault, text: str, asked: str) -> tuple[str, str]:
    """What was seen, and the place of the text where it is."""
    if fault is Fault.LEFTOVER:
        left = find_leftover(bounded(text), asked)
        place = text.find(left)
        return f"it has {left[:60]}", _excerpt(text, max(0, place - _EXCERPT // 2))
    if fault in (Fault.LOOP, Fault.CUT_SHORT):
        why = "it goes round in circles" if fault is Fault.LOOP else "it stops in the middle"
        return why, _excerpt(text, max(0, len(text) - _EXCERPT))
    return _WHY[fault].format(language=_named(text)), _excerpt(text, 0)


_WHY = {
    Fault.EMPTY: "there is no text",
    Fault.SAME_TEXT: "other inputs have this text too, but for words of their own",
    Fault.COPY: "it repeats its input",
    Fault.REFUSAL: "it begins with a refusal",
    Fault.LANGUAGE: "it is in {language}, and its input is not",
}


def _named(text: str) -> str:
    language = language_of(answer_part(bounded(text)))
    return language.capitalize() if language and language.isupper() else language or "another one"


def _excerpt(text: str, start: int) -> str:
    part = " ".join(text[start : start + _EXCERPT].split())
    before = "…" if start else ""
    after = "…" if start + _EXCERPT < len(text) else ""
    return f"{before}{part}{after}"
