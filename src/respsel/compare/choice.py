"""Does the choice change? The outcome of a comparison in a sentence.

Knows nothing of scores. Invariant: only decided verdicts count as a choice, and what is not decided
is said to be so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from respsel.compare.columns import is_word, plural
from respsel.compare.outcome import Failure, Outcome
from respsel.selection.verdict import FEWEST_EXAMPLES, Verdict, listed

# More columns than these are counted, not named.
_MOST_NAMED = 3
_LONGEST = 60


@dataclass(frozen=True)
class Choice:
    """Whether the choice changes.

    changes: true or false where that is decided, else None.
    sentence: the same in words.
    """

    changes: bool | None
    sentence: str


def choice_of(outcomes: Sequence[Outcome], failures: Sequence[Failure], varies: str) -> Choice:
    """Whether the choice changes with what varies, such as the target."""
    verdicts = {one.label: one.deciding for one in outcomes}
    total = len(verdicts) + len(failures)
    say = _Says(total, plural(varies))
    decided = {label: str(v.winner) for label, v in verdicts.items() if _chooses(v)}
    by_choice = _inverted(decided)
    enough = [one.label for one in outcomes if one.fewest >= FEWEST_EXAMPLES]
    against = _against({label: verdicts[label] for label in enough}, list(by_choice))
    rest = [
        *_undecided(verdicts, say, bool(by_choice)),
        *_ruled_out(verdicts, against, by_choice, say),
        *_failed(failures, say),
    ]
    if not by_choice:
        return Choice(None, _ended("Nothing is decided", rest))
    if len(by_choice) > 1 or against:
        named = f"the {varies}" if is_word(varies) else varies
        first = f"The choice changes with {named}"
        changes = [f"{name} for {say.where(labels)}" for name, labels in by_choice.items()]
        return Choice(True, _ended(first, [", ".join(changes), *rest]))
    (choice,) = by_choice
    if not rest:
        alike = f"all {total}" if total > 2 else "both"
        return Choice(False, f"The same strategy leads for {alike} {plural(varies)}: {choice}.")
    return Choice(None, _ended(f"{choice} for {say.where(by_choice[choice])}", rest, ";"))


@dataclass(frozen=True)
class _Says:
    """How columns are named in a sentence; total: how many there are. plural: what they are."""

    total: int
    plural: str

    def where(self, labels: Sequence[str]) -> str:
        """Few columns by their labels, many by their number."""
        named = listed(labels)
        if len(labels) == 1 or (len(labels) <= _MOST_NAMED and len(named) <= _LONGEST):
            return named
        return f"{len(labels)} of {self.total} {self.plural}"


def _chooses(verdict: Verdict) -> bool:
    """Whether a verdict is a choice: decided, between strategies."""
    return verdict.decided and not verdict.is_alone


def _inverted(values: Mapping[str, str]) -> dict[str, list[str]]:
    """By value, the keys that have it."""
    found: dict[str, list[str]] = {}
    for key, value in values.items():
        found.setdefault(value, []).append(key)
    return found


def _against(verdicts: Mapping[str, Verdict], choices: Sequence[str]) -> list[str]:
    """The undecided columns in which the one choice of the others is beaten or barred.

    verdicts: those over enough examples; the others rule nothing out.
    """
    if len(choices) != 1:
        return []
    (choice,) = choices
    return [
        label
        for label, verdict in verdicts.items()
        if not _chooses(verdict)
        and verdict.winner not in (None, choice)
        and not verdict.is_alone
        and choice in [one.strategy for one in verdict.ranking]
        and choice not in verdict.tied
    ]


def _undecided(verdicts: Mapping[str, Verdict], say: _Says, told: bool) -> list[str]:
    """What is said of the columns without a choice, those alike together.

    told: whether it is to be said that these are undecided.
    """
    states = {
        label: _state(verdict, told) for label, verdict in verdicts.items() if not _chooses(verdict)
    }
    return [f"{state} for {say.where(labels)}" for state, labels in _inverted(states).items()]


def _ruled_out(
    verdicts: Mapping[str, Verdict], against: Sequence[str], choices: Iterable[str], say: _Says
) -> list[str]:
    """Where the one choice of the others is beaten or barred, each by itself."""
    choice = next(iter(choices), "")
    how = {label: "barred" if choice in verdicts[label].barred else "beaten" for label in against}
    return [
        f"{choice} is {word} for {say.where(labels)}" for word, labels in _inverted(how).items()
    ]


def _state(verdict: Verdict, told: bool) -> str:
    if not verdict.ranking:
        return "nothing can be ranked"
    if verdict.winner is None:
        return "no strategy passes the gates"
    if verdict.is_alone:
        return f"{verdict.winner} has nothing to be compared with"
    why = f"tied with {listed(verdict.tied)}" if verdict.tied else "over too few examples"
    leads = f"{verdict.winner} leads, {why}"
    return f"undecided ({leads})" if told else f"{leads},"


def _failed(failures: Sequence[Failure], say: _Says) -> list[str]:
    labels = [failure.label for failure in failures]
    return [f"no result for {say.where(labels)}"] if labels else []


def _ended(first: str, parts: Sequence[str], mark: str = ":") -> str:
    """A sentence: what comes first, a mark, then the parts."""
    return f"{first}{mark} {'; '.join(parts)}."
