"""What the recipe's judge found in a dataset: scores, preferences, and how far to trust it.

Knows the tables of a run. Invariant: a preference counts as a win only if both orders agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from respsel.data.prompts import shows_label
from respsel.graph import Graph
from respsel.graph import names as step_names
from respsel.recipe.judge import JUDGE, JudgeEntry
from respsel.recipe.schema import DatasetEntry, ModelStrategy
from respsel.records import Preference, Response, Score
from respsel.report.analysis.judge_agreement import (
    JudgeAgreement,
    JudgedAnswer,
    find_judge_agreement,
    wilson,
)
from respsel.run.result import RunResult
from respsel.selection.verdict import listed
from respsel.text.numbers import share


@dataclass(frozen=True)
class JudgedStrategy:
    """The judge's scores of one strategy.

    mean: of those that there are; None without any.
    scored: how many responses have a score.
    asked: how many the judge was asked about.
    problems: by reason, how many of these have none.
    """

    strategy: str
    mean: float | None
    scored: int
    asked: int
    problems: dict[str, int]


@dataclass(frozen=True)
class JudgedPair:
    """The judge's comparisons of a strategy with another one, each in both orders.

    better, worse, tied: how often both orders say so of the strategy.
    by_order: how often the answer depends on the order.
    first: how often of these the response that was shown first was preferred.
    second: how often the one that was shown second was.
    failed: by reason, how many comparisons have no answer.
    share: of the comparisons with an answer that the strategy wins; all that neither wins count
        half. None without any.
    low, high: its interval.
    """

    strategy: str
    other: str
    better: int
    worse: int
    tied: int
    by_order: int
    first: int
    second: int
    failed: dict[str, int]
    share: float | None
    low: float | None
    high: float | None

    @property
    def compared(self) -> int:
        """How many comparisons have an answer."""
        return self.better + self.worse + self.tied + self.by_order


@dataclass(frozen=True)
class JudgeReport:
    """Everything about the judge in one dataset.

    notes: in sentences, what to mind about it.
    """

    model: str
    scale: tuple[float, float]
    strategies: tuple[JudgedStrategy, ...]
    pairs: tuple[JudgedPair, ...]
    agreement: JudgeAgreement | None
    notes: tuple[str, ...]


def judge_report(
    result: RunResult, dataset: str, strategies: Sequence[str], confidence: float
) -> JudgeReport | None:
    """What the judge found, in the order of strategies; None for a recipe without one."""
    graph = result.graph
    judge = graph.loaded.recipe.judge
    if judge is None:
        return None
    entry = graph.loaded.dataset(dataset)
    scored = tuple(_strategy(result, dataset, name) for name in strategies)
    other = graph.loaded.recipe.compared_with(dataset)
    pairs = tuple(
        _pair(result.rows(step_names.preferences(dataset, name, other)), name, other, confidence)
        for name in strategies
        if other and name != other
    )
    agreement = judge_agreement(result, [entry])
    notes = (*_agreement_notes(entry, agreement), *own_text_notes(graph), *_order_notes(pairs))
    return JudgeReport(judge.model, judge.scale, scored, pairs, agreement, notes)


def judge_agreement(result: RunResult, datasets: Sequence[DatasetEntry]) -> JudgeAgreement | None:
    """How the judge's scores agree with the answer checks of some datasets."""
    recipe = result.graph.loaded.recipe
    checked = [entry for entry in datasets if entry.check is not None]
    if recipe.judge is None or not checked:
        return None
    answers = [
        JudgedAnswer(f"{entry.name}/{response.id}", score.value, response.correct)
        for entry in checked
        for strategy in recipe.strategies_for(entry.name)
        for response, score in zip(
            result.rows(step_names.responses(entry.name, strategy.name)),
            result.rows(step_names.rewards(entry.name, strategy.name, JUDGE)),
            strict=True,
        )
        if score.value is not None and response.correct is not None
    ]
    shown = any(_is_shown(recipe.judge, entry) for entry in checked)
    return find_judge_agreement(answers, recipe.selection.confidence, shown)


def written_by_judge(graph: Graph) -> list[str]:
    """The strategies whose texts the judge wrote itself."""
    judge = graph.loaded.recipe.judge
    if judge is None:
        return []
    identity = graph.models[judge.model].identity
    return [
        entry.name
        for entry in graph.loaded.recipe.strategies
        if isinstance(entry, ModelStrategy) and graph.models[entry.model].identity == identity
    ]


def own_text_notes(graph: Graph) -> list[str]:
    """What to mind where the judge judges its own text, or is the target."""
    own = written_by_judge(graph)
    notes = []
    if graph.judge_is_target:
        notes.append("The judge is the target itself: models prefer their own text.")
    if own:
        also = "also " if graph.judge_is_target else ""
        notes.append(
            f"The judge {also}wrote {listed(own)}: compare its scores of that with another judge's."
        )
    return notes


def _is_shown(judge: JudgeEntry, dataset: DatasetEntry) -> bool:
    return judge.reference or shows_label(judge, dataset)


def _strategy(result: RunResult, dataset: str, strategy: str) -> JudgedStrategy:
    responses: Sequence[Response] = result.rows(step_names.responses(dataset, strategy))
    scores: Sequence[Score] = result.rows(step_names.rewards(dataset, strategy, JUDGE))
    asked = [s for s, response in zip(scores, responses, strict=True) if not response.problem]
    values = [score.value for score in asked if score.value is not None]
    problems = Counter(score.problem for score in asked if score.value is None)
    mean = sum(values) / len(values) if values else None
    return JudgedStrategy(strategy, mean, len(values), len(asked), dict(problems.most_common()))


def _pair(rows: Collection[Preference], strategy: str, other: str, confidence: float) -> JudgedPair:
    counts = Counter((row.shown_first, row.shown_second) for row in rows if not row.problem)
    better = counts["better", "better"]
    worse = counts["worse", "worse"]
    tied = counts["tie", "tie"]
    compared = counts.total()
    value = (better + (compared - better - worse) / 2) / compared if compared else None
    ends = (None, None) if value is None else wilson(value, compared, confidence)
    return JudgedPair(
        strategy=strategy,
        other=other,
        better=better,
        worse=worse,
        tied=tied,
        by_order=compared - better - worse - tied,
        first=counts["better", "worse"],
        second=counts["worse", "better"],
        failed=dict(Counter(row.problem for row in rows if row.problem).most_common()),
        share=value,
        low=ends[0],
        high=ends[1],
    )


def _agreement_notes(dataset: DatasetEntry, agreement: JudgeAgreement | None) -> list[str]:
    if agreement is not None:
        return [agreement.words]
    if dataset.check is None:
        return ["There is no answer check here, so nothing says how far to trust the judge."]
    return ["No right and wrong answers to compare, so nothing says how far to trust the judge."]


def _order_notes(pairs: Sequence[JudgedPair]) -> list[str]:
    compared = sum(pair.compared for pair in pairs)
    by_order = sum(pair.by_order for pair in pairs)
    if not compared:
        return []
    first = sum(pair.first for pair in pairs)
    second = sum(pair.second for pair in pairs)
    return [
        f"Position bias: in {share(by_order / compared)} of {compared} comparisons the judge's "
        f"answer depends on the order ({first} times for the first response, {second} for the "
        "second). None of these counts as a win."
    ]
