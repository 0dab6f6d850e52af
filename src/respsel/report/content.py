"""What a report says: gathered from a run's tables into frozen rows, ready for any format.

Knows nothing of markup. Invariant: every number here is a table's or the verdict's; nothing is
judged again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from respsel.calls.costs import Cost, costs_of
from respsel.graph import names as step_names
from respsel.recipe.schema import OVERALL
from respsel.report.analysis.agreement import Agreement, find_agreement
from respsel.report.analysis.confounds import Confounds, find_confounds
from respsel.report.analysis.conversations import ConversationFacts, conversation_facts
from respsel.report.analysis.distributions import Distribution, distributions
from respsel.report.analysis.faulty_texts import HealthTable, find_faulty_texts
from respsel.report.analysis.judged import JudgeReport, judge_report
from respsel.report.analysis.risks import Risk, find_risk
from respsel.report.analysis.samples import SampleExample, choose_samples, samples, shown_view
from respsel.report.analysis.score_matrix import example_ids, lengths, score_matrix
from respsel.report.analysis.strategy_facts import strategy_facts
from respsel.report.analysis.summaries import (
    AuditRow,
    ChangedTexts,
    OwnOutputSummary,
    StrategySummary,
    audit,
    places_told,
    summarise,
    summarise_own_outputs,
    views,
)
from respsel.report.headline import headline
from respsel.report.provenance import provenance
from respsel.report.summary import (
    Dropout,
    Headline,
    MixtureOutcome,
    RaceOutcome,
    StrategyFacts,
    Summary,
)
from respsel.run.result import RunResult
from respsel.selection.per_example import Choice, Mixture, mix
from respsel.selection.race_rule import Lap, reach_of
from respsel.selection.standing import Standing
from respsel.selection.verdict import Verdict
from respsel.text.whitespace import LINE_ENDS, OUTER_BLANKS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class RaceSummary:
    """How a race went, over at most `sample` examples.

    scored: of the `possible` scores of all strategies over those.
    """

    laps: tuple[Lap, ...]
    sample: int
    scored: int
    possible: int


@dataclass(frozen=True)
class DatasetReport:
    """Everything about one dataset.

    asked: the recipe's `sample`.
    standings: how the strategies stand before the ranking.
    facts: what the ranking does not say of them, in its order.
    shaded: the view whose surprise is shown in the samples.
    places: in sentences, whose responses are scored elsewhere than where their prompt ends.
    risks: one for each metric of the recipe that measures what training may harm.
    judge: what the recipe's judge found.
    conversations: what they are made of; None where every input is one text.
    """

    name: str
    examples: int
    asked: int | None
    verdict: Verdict
    standings: tuple[Standing, ...]
    facts: tuple[StrategyFacts, ...]
    strategies: tuple[StrategySummary, ...]
    distributions: tuple[Distribution, ...]
    agreement: Agreement | None
    confounds: Confounds
    risks: tuple[Risk, ...]
    health: HealthTable
    audit: tuple[AuditRow, ...]
    places: tuple[str, ...]
    own_outputs: OwnOutputSummary | None
    samples: tuple[SampleExample, ...]
    shaded: str
    race: RaceSummary | None
    mixture: Mixture | None
    choices: tuple[Choice, ...]
    judge: JudgeReport | None
    conversations: ConversationFacts | None

    @property
    def white_space_changes(self) -> list[str]:
        """In words, whose texts' white space was changed, and how."""
        texts = [(item.strategy, item.white_space) for item in self.strategies]
        texts += [("own outputs", self.own_outputs.white_space)] if self.own_outputs else []
        return [f"{name} {_changes(counts)}" for name, counts in texts if counts.changed]


def _changes(counts: ChangedTexts) -> str:
    kinds = [(LINE_ENDS, counts.line_ends), (OUTER_BLANKS, counts.outer_blanks)]
    kinds_of = " and ".join(f"{kind} of {count}" for kind, count in kinds if count)
    return f"{counts.changed} of {counts.texts} ({kinds_of})"


@dataclass(frozen=True)
class Report:
    """The whole report.

    recipe: the recipe's name, with what it was changed by in brackets.
    recipe_path: its path as it was given.
    headline: the first screen.
    overall: the verdict over several datasets; None with one.
    datasets: one entry a dataset, in the recipe's order.
    provenance: versions, models and times, for people.
    costs: the token usage of all calls that the recipe's steps use, whenever they were made.
    by_target: the strategies whose texts the target itself wrote.
    """

    recipe: str
    recipe_path: str
    headline: Headline
    overall: Verdict | None
    datasets: tuple[DatasetReport, ...]
    costs: tuple[Cost, ...]
    provenance: Mapping[str, Any]
    by_target: tuple[str, ...]


def build_report(result: RunResult, finished_at: datetime) -> Report:
    """Gather a run's tables into a report."""
    loaded = result.graph.loaded
    verdicts = {verdict.dataset: verdict for verdict in result.verdicts}
    texts = {
        name: find_faulty_texts(result, name, _everyone(result, verdicts[name]))
        for name in (entry.name for entry in loaded.recipe.datasets)
    }
    datasets = tuple(
        _dataset(result, entry.name, verdicts[entry.name], texts[entry.name].table)
        for entry in loaded.recipe.datasets
    )
    confounds = {data.name: data.confounds for data in datasets}
    audits = {data.name: data.audit for data in datasets}
    answers = headline(result, confounds, audits, texts)
    costs = costs_of(result.took, loaded.models)
    overall = verdicts.get(OVERALL)
    origin = provenance(result, finished_at)
    by_target = tuple(name for name, who in result.graph.authors.items() if who.is_target)
    return Report(loaded.title, loaded.shown, answers, overall, datasets, costs, origin, by_target)


def _everyone(result: RunResult, verdict: Verdict) -> list[str]:
    """A dataset's strategies, the ranked ones first and in their order.

    A barred strategy without any score is not ranked, but everything else is shown of it.
    """
    ranked = [item.strategy for item in verdict.ranking]
    entries = result.graph.loaded.recipe.strategies_for(verdict.dataset)
    return [*ranked, *(entry.name for entry in entries if entry.name not in ranked)]


def _dataset(result: RunResult, name: str, verdict: Verdict, health: HealthTable) -> DatasetReport:
    loaded = result.graph.loaded
    ids = example_ids(result, name)
    strategies = [entry.name for entry in loaded.recipe.strategies_for(name)]
    entry = loaded.dataset(name)
    ranked = [item.strategy for item in verdict.ranking] or strategies
    everyone = _everyone(result, verdict)
    choices = _choices(result, name)
    scores = score_matrix(result, name, ranked, loaded.recipe.selection_metric, ids)
    shown = choose_samples(ids, scores, ranked)
    all_shown = len(loaded.recipe.datasets) * len(everyone) * len(shown)
    summaries = tuple(summarise(result, name, strategy) for strategy in everyone)
    audited = tuple(
        audit(result, name, strategy, view) for strategy in everyone for view in views(loaded)
    )
    confounds = _confounds(result, name, verdict, summaries[: len(ranked)], scores, ids)
    return DatasetReport(
        name=name,
        examples=len(ids),
        asked=entry.sample,
        verdict=verdict,
        standings=tuple(result.rows(step_names.gates(name))),
        facts=strategy_facts(result, name, summaries, confounds),
        strategies=summaries,
        distributions=distributions(ranked, scores, verdict.scale == "log"),
        agreement=_agreement(result, name, ranked, ids),
        confounds=confounds,
        risks=_risks(result, name, verdict, ids),
        health=health,
        audit=audited,
        places=places_told(audited),
        own_outputs=_own_outputs(result, name),
        samples=samples(result, name, shown, everyone, all_shown),
        shaded=shown_view(result),
        race=_race(result, name, len(ids), strategies),
        mixture=None if choices is None else mix(choices, strategies, len(ids), verdict.scale),
        choices=tuple(choices or ()),
        judge=judge_report(result, name, everyone, verdict.confidence),
        conversations=conversation_facts(result, name, everyone, shown_view(result)),
    )


def _choices(result: RunResult, dataset: str) -> Sequence[Choice] | None:
    """The best response for each example; None where the recipe does not ask for it."""
    name = step_names.choices(dataset)
    return result.rows(name) if name in result.graph.steps else None


def _own_outputs(result: RunResult, dataset: str) -> OwnOutputSummary | None:
    name = step_names.own_outputs(dataset)
    return summarise_own_outputs(result.rows(name)) if name in result.graph.steps else None


def _agreement(
    result: RunResult, dataset: str, strategies: Sequence[str], ids: Sequence[str]
) -> Agreement | None:
    metrics = [metric for metric in result.graph.loaded.metrics if not metric.metric.control]
    labels = [metric.label for metric in metrics]
    tables = [score_matrix(result, dataset, strategies, metric.label, ids) for metric in metrics]
    aligned = [
        table if metric.direction == "lower" else -table
        for metric, table in zip(metrics, tables, strict=True)
    ]
    return find_agreement(labels, aligned)


def _confounds(
    result: RunResult,
    dataset: str,
    verdict: Verdict,
    summaries: Sequence[StrategySummary],
    scores: npt.NDArray[np.float64],
    ids: Sequence[str],
) -> Confounds:
    names = [summary.strategy for summary in summaries]
    right = [summary.correct / summary.judged if summary.judged else None for summary in summaries]
    size = lengths(result, dataset, names, ids)
    lower = verdict.direction == "lower"
    return find_confounds(
        names,
        scores,
        size,
        right,
        log=verdict.scale == "log",
        lower=lower,
        confidence=verdict.confidence,
    )


def _risks(
    result: RunResult, dataset: str, verdict: Verdict, ids: Sequence[str]
) -> tuple[Risk, ...]:
    """The ranking against each risk metric; nothing where nothing is ranked."""
    import numpy as np

    loaded = result.graph.loaded
    names = [ranked.strategy for ranked in verdict.ranking]
    found = []
    for chosen in loaded.metrics if names else ():
        metric = chosen.metric
        if metric.risk and chosen.label != loaded.recipe.selection_metric:
            values = score_matrix(result, dataset, names, chosen.label, ids)
            values = np.exp(values) if metric.scale == "log" else values
            found.append(find_risk(chosen.label, metric.unit, metric.summary, verdict, values))
    return tuple(risk for risk in found if risk is not None)


def _race(
    result: RunResult, dataset: str, examples: int, strategies: Sequence[str]
) -> RaceSummary | None:
    if step_names.race(dataset) not in result.graph.steps:
        return None
    laps: Sequence[Lap] = result.rows(step_names.race(dataset))
    scored = sum(reach_of(laps, strategy) for strategy in strategies)
    return RaceSummary(tuple(laps), examples, scored, examples * len(strategies))


def summary_of(report: Report) -> Summary:
    """The summary of a report."""
    return Summary(
        report.headline,
        {data.name: data.facts for data in report.datasets},
        {data.name: _race_outcome(data.race) for data in report.datasets if data.race},
        {
            data.name: _mixture_outcome(data.mixture, len(data.choices))
            for data in report.datasets
            if data.mixture
        },
    )


def _race_outcome(race: RaceSummary) -> RaceOutcome:
    dropouts = [
        Dropout(lap.examples, lap.leader, tuple(lap.dropped)) for lap in race.laps if lap.dropped
    ]
    return RaceOutcome(tuple(dropouts), race.scored, race.possible)


def _mixture_outcome(mixture: Mixture, examples: int) -> MixtureOutcome:
    return MixtureOutcome(examples, mixture.counts, mixture.score, mixture.without)
