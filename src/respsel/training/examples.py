"""What was applied to training examples: which responses go into the set, which are left out and
why.

Invariants: every example of a dataset is counted once, as kept or under one reason; tables are read
as they are needed and never held as rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from respsel.data.prompts import shows_label
from respsel.graph import names as step_names
from respsel.recipe.schema import ModelStrategy
from respsel.records import Example, Response, Score
from respsel.tables.problems import is_failed_call
from respsel.training.apply import Applied
from respsel.workspace.loaded_recipe import LoadedRecipe

CUT_SHORT = "cut short at max_tokens"
NO_SCORE = "no strategy has a score"
# Above this share of examples it is a matter of a setting.
_MANY = 0.1


@dataclass(frozen=True)
class TrainingExample:
    """An input and the response to be trained on.

    correct: the answer check's result, if there is one.
    """

    dataset: str
    id: str
    input: str
    response: str
    strategy: str
    correct: bool | None


@dataclass(frozen=True)
class Pair:
    """An input with the response that suits the target best (of `strategy`), the one that suits it
    least, and their scores.
    """

    dataset: str
    id: str
    input: str
    chosen: str
    rejected: str
    strategy: str
    rejected_strategy: str
    chosen_score: float
    rejected_score: float
    correct: bool | None = None


@dataclass(frozen=True)
class Dropped:
    """An example that is left out, and why."""

    dataset: str
    id: str
    reason: str


@dataclass(frozen=True)
class Counts:
    """Of one dataset: its examples, those kept, in all and by strategy, and those left out by
    reason. judged, wrong: of those kept, how many the answer check has judged, and found wrong."""

    dataset: str
    examples: int
    kept: int
    by_strategy: Mapping[str, int]
    dropped: Mapping[str, int]
    judged: int = 0
    wrong: int = 0


def training_examples(applied: Applied) -> Iterator[TrainingExample | Dropped]:
    """Each example of the datasets with the selected response, or why it has none."""
    chosen = _one_strategys if applied.selected.mode == "strategy" else _best
    for dataset in _datasets(applied):
        for example, response, strategy in chosen(applied, dataset):
            if response is None:
                yield Dropped(dataset, example.id, NO_SCORE)
            elif reason := _fault(applied, response):
                yield Dropped(dataset, example.id, reason)
            else:
                yield TrainingExample(
                    dataset, example.id, example.input, response.text, strategy, response.correct
                )


def training_pairs(applied: Applied) -> Iterator[Pair | Dropped]:
    """Each example's best response against its worst by the selection metric, or why there is no
    such pair.

    A best response that is known to be wrong makes no pair: it would be preferred for its style
    alone.
    """
    for dataset in _datasets(applied):
        for example, candidates in _candidates(applied, dataset):
            usable = [
                candidate for candidate in candidates if not _fault(applied, candidate.response)
            ]
            if len(usable) < 2:
                yield Dropped(dataset, example.id, "fewer than two usable responses")
                continue
            best = min(usable, key=_rank)
            worst = max(usable, key=_rank)
            chosen = best.response
            rejected = worst.response
            if chosen.text == rejected.text or best.rank == worst.rank:
                yield Dropped(dataset, example.id, "best and worst are the same")
            elif chosen.correct is False:
                yield Dropped(dataset, example.id, "the best has a wrong answer")
            else:
                texts = (chosen.text, rejected.text)
                names = (best.strategy, worst.strategy)
                yield Pair(
                    dataset,
                    example.id,
                    example.input,
                    *texts,
                    *names,
                    best.score,
                    worst.score,
                    chosen.correct,
                )


def cautions_of(applied: Applied, counts: Sequence[Counts]) -> list[str]:
    """What a user should mind before training on a set."""
    loaded = applied.graph.loaded
    notes = list[str]()
    wrong = sum(count.wrong for count in counts)
    judged = sum(count.judged for count in counts)
    if wrong:
        notes.append(
            f"{wrong} of {judged} checked responses in the set have a wrong answer. if_wrong = "
            '"drop" leaves them out.'
        )
    cut = sum(count.dropped.get(CUT_SHORT, 0) for count in counts)
    whole = sum(count.examples for count in counts)
    if cut > _MANY * whole:
        notes.append(
            f"{cut} of {whole} examples were left out since their responses were cut short: raise "
            "max_tokens."
        )
    if told := _told_the_label(loaded, counts):
        notes.append(
            f"The prompt of {', '.join(told)} contains the label, so the answer check is passed "
            "easily: "
            "read some of the responses before you train on them."
        )
    return notes


def _told_the_label(loaded: LoadedRecipe, counts: Sequence[Counts]) -> list[str]:
    """The strategies in a set whose prompts show the label of a dataset that they are in it for."""
    datasets = {entry.name: entry for entry in loaded.recipe.datasets}
    models = {
        entry.name: entry for entry in loaded.recipe.strategies if isinstance(entry, ModelStrategy)
    }
    used = [
        (models[name], datasets[c.dataset])
        for c in counts
        if c.judged
        for name in c.by_strategy
        if name in models
    ]
    return sorted({entry.name for entry, dataset in used if shows_label(entry, dataset)})


Row = TypeVar("Row", TrainingExample, Pair)


class Tally:
    """Counts what is kept and what is left out as it goes by."""

    def __init__(self, applied: Applied) -> None:
        self._kept: dict[str, Counter[str]] = {name: Counter() for name in _datasets(applied)}
        self._dropped: dict[str, Counter[str]] = {name: Counter() for name in self._kept}
        self._correct: dict[str, Counter[bool]] = {name: Counter() for name in self._kept}

    def kept(self, rows: Iterable[Row | Dropped]) -> Iterator[Row]:
        """Pass on what is kept."""
        for row in rows:
            if isinstance(row, Dropped):
                self._dropped[row.dataset][row.reason] += 1
            else:
                self._kept[row.dataset][row.strategy] += 1
                if row.correct is not None:
                    self._correct[row.dataset][row.correct] += 1
                yield row

    @property
    def counts(self) -> tuple[Counts, ...]:
        """What has gone by, by dataset, the commonest strategy and reason first."""
        found = []
        for name, kept in self._kept.items():
            dropped = self._dropped[name]
            whole = kept.total() + dropped.total()
            judged = self._correct[name]
            by_strategy = dict(kept.most_common())
            reasons = dict(dropped.most_common())
            found.append(
                Counts(
                    name, whole, kept.total(), by_strategy, reasons, judged.total(), judged[False]
                )
            )
        return tuple(found)


def _datasets(applied: Applied) -> list[str]:
    names = [entry.name for entry in applied.graph.loaded.recipe.datasets]
    return [name for name in names if step_names.examples(name) in applied.graph.steps]


def _one_strategys(
    applied: Applied, dataset: str
) -> Iterator[tuple[Example, Response | None, str]]:
    """Each example with the selected strategy's response."""
    examples: Sequence[Example] = applied.rows(step_names.examples(dataset))
    strategy = applied.selected.strategies[dataset]
    for example, response in zip(
        examples, applied.rows(step_names.responses(dataset, strategy)), strict=True
    ):
        yield example, response, strategy


def _best(applied: Applied, dataset: str) -> Iterator[tuple[Example, Response | None, str]]:
    """Each example with its best response of those that may be trained on; without any, with the
    best of all.
    """
    for example, candidates in _candidates(applied, dataset):
        usable = [candidate for candidate in candidates if not _fault(applied, candidate.response)]
        best = min(usable or candidates, key=_rank, default=None)
        yield (example, best.response, best.strategy) if best else (example, None, "")


@dataclass(frozen=True)
class _Candidate:
    """A response that has a score. rank: the lower the better."""

    strategy: str
    response: Response
    score: float
    rank: float


def _candidates(applied: Applied, dataset: str) -> Iterator[tuple[Example, list[_Candidate]]]:
    """Each example with every strategy's response that has a score."""
    loaded = applied.graph.loaded
    names = [strategy.name for strategy in loaded.recipe.strategies_for(dataset)]
    metric = loaded.recipe.selection_metric
    direction = next(chosen.direction for chosen in loaded.metrics if chosen.label == metric)
    sign = 1 if direction == "lower" else -1
    examples: Sequence[Example] = applied.rows(step_names.examples(dataset))
    responses: list[Sequence[Response]] = [
        applied.rows(step_names.responses(dataset, name)) for name in names
    ]
    scores: list[Sequence[Score]] = [
        applied.rows(step_names.scores(dataset, name, metric)) for name in names
    ]
    for place, example in enumerate(examples):
        found = [
            (name, rows[place], values[place].value)
            for name, rows, values in zip(names, responses, scores, strict=True)
        ]
        yield (
            example,
            [
                _Candidate(n, response, score, sign * score)
                for n, response, score in found
                if score is not None
            ],
        )


def _rank(candidate: _Candidate) -> float:
    return candidate.rank


def _fault(applied: Applied, response: Response) -> str:
    """Why a response is left out; nothing if it is kept."""
    if response.problem:
        # The rest tells which call failed how; as a reason to count by it is one.
        return "the call failed" if is_failed_call(response.problem) else response.problem
    cut = response.truncated and applied.graph.loaded.recipe.training.if_truncated == "drop"
    return CUT_SHORT if cut else ""
