"""Strategies, own outputs and what was scored of them, counted and averaged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from respsel.backends.left_out import left_out_sentence, parts_left_out
from respsel.backends.placement import NO_PLACE
from respsel.graph import names as step_names
from respsel.records import OwnOutput, Response, Score
from respsel.report.response_counts import count_members, members_told
from respsel.run.result import RunResult
from respsel.tables.problems import OVER_CONTEXT
from respsel.text.whitespace import LINE_ENDS, OUTER_BLANKS
from respsel.workspace.loaded_recipe import LoadedRecipe


@dataclass(frozen=True)
class MetricMean:
    """A metric's mean over the examples that have a value.

    It is geometric on a log scale; for a metric that is a ratio of means, it is that ratio.
    """

    metric: str
    unit: str
    direction: str
    control: bool
    mean: float | None
    examples: int


@dataclass(frozen=True)
class ChangedTexts:
    """How many of `texts` had white space that the recipe's rule changed, by what was changed."""

    texts: int
    changed: int
    line_ends: int
    outer_blanks: int


@dataclass(frozen=True)
class StrategySummary:
    """One strategy on one dataset.

    source: where its texts are from, in words.
    members: of a strategy that takes from others, how many of its usable responses are of each.
    correct: of the responses that the answer check judged.
    """

    strategy: str
    source: str
    members: Mapping[str, int]
    responses: int
    unusable: Mapping[str, int]
    truncated: int
    judged: int
    correct: int
    means: tuple[MetricMean, ...]
    white_space: ChangedTexts


@dataclass(frozen=True)
class AuditRow:
    """What was scored under a view.

    tokens_expected: the responses' tokens as they were tokenised.
    tokens_scored: the values that are in the table of token scores and finite.
    over_context: responses that do not fit the context.
    not_trained: responses that the chat template does not write into the training text.
    places: responses whose place in training is not where their prompt ends, by how it differs;
        and conversations of which the template leaves out a part, by which.
    prompt_tokens_mean: of a conversation, the tokens before its last trained turn.
    """

    strategy: str
    view: str
    responses: int
    scored_responses: int
    tokens_expected: int
    tokens_scored: int
    over_context: int
    not_trained: int
    places: Mapping[str, int]
    prompt_tokens_mean: float | None


@dataclass(frozen=True)
class OwnOutputSummary:
    """The target's own outputs on one dataset."""

    outputs: int
    kept: int
    judged: int
    correct: int
    truncated: int
    white_space: ChangedTexts


def views(loaded: LoadedRecipe) -> list[str]:
    """The names of all views that the metrics need."""
    return list(
        dict.fromkeys(view.name for metric in loaded.metrics for view in metric.needs.views)
    )


def summarise(result: RunResult, dataset: str, strategy: str) -> StrategySummary:
    """What one strategy gave for a dataset, and its mean by every metric."""
    responses: Sequence[Response] = result.rows(step_names.responses(dataset, strategy))
    unusable: dict[str, int] = {}
    for response in responses:
        if response.problem:
            unusable[response.problem] = unusable.get(response.problem, 0) + 1
    judged = [response.correct for response in responses if response.correct is not None]
    entry = result.graph.loaded.strategy(strategy)
    members = count_members(entry, responses)
    return StrategySummary(
        strategy=strategy,
        source=f"{entry.source}: {members_told(members)}" if members else entry.source,
        members=members,
        responses=len(responses),
        unusable=unusable,
        truncated=sum(response.truncated for response in responses),
        judged=len(judged),
        correct=sum(judged),
        means=tuple(
            _mean(result, dataset, strategy, i) for i in range(len(result.graph.loaded.metrics))
        ),
        white_space=_changed_texts(responses),
    )


def _changed_texts(rows: Sequence[Response] | Sequence[OwnOutput]) -> ChangedTexts:
    kinds = [row.changed for row in rows if row.changed]
    counts = (sum(kind in changed for changed in kinds) for kind in (LINE_ENDS, OUTER_BLANKS))
    return ChangedTexts(len(rows), len(kinds), *counts)


def _mean(result: RunResult, dataset: str, strategy: str, index: int) -> MetricMean:
    import numpy as np

    chosen = result.graph.loaded.metrics[index]
    scores: Sequence[Score] = result.rows(step_names.scores(dataset, strategy, chosen.label))
    having = [score for score in scores if score.value is not None]
    values = np.array([score.value for score in having], np.float64)
    weights = [1.0 if score.weight is None else score.weight for score in having]
    mean: float | None = None
    if having:
        log = chosen.metric.scale == "log"
        average = float(np.average(np.log(values) if log else values, weights=weights))
        mean = float(np.exp(average)) if log else average
    return MetricMean(
        chosen.label, chosen.metric.unit, chosen.direction, chosen.metric.control, mean, len(values)
    )


def audit(result: RunResult, dataset: str, strategy: str, view: str) -> AuditRow:
    """What of a strategy was scored under a view."""
    wanted = ("problem", "place", "prompt_tokens", "response_tokens", "nll")
    table = result.frame(step_names.token_scores(dataset, strategy, view), *wanted)
    scored = table.filter(table["problem"] == "")
    finite = int(scored["nll"].explode().is_finite().sum())
    prompt = float(scored["prompt_tokens"].mean()) if len(scored) else None  # type: ignore[arg-type]
    expected = int(table["response_tokens"].sum())
    over = int((table["problem"] == OVER_CONTEXT).sum())
    lacking = int(table["problem"].str.starts_with(NO_PLACE).sum())
    places = Counter(place for place in scored["place"] if place)
    counted = dict(sorted(places.items(), key=lambda item: (-item[1], item[0])))
    return AuditRow(
        strategy, view, len(table), len(scored), expected, finite, over, lacking, counted, prompt
    )


def places_told(rows: Sequence[AuditRow]) -> tuple[str, ...]:
    """In sentences, what training has differently, and in whose responses.

    That is what the template leaves out of conversations, and places that are not where the prompt
    ends.
    """
    left_out: dict[str, dict[str, int]] = {}
    elsewhere: dict[str, dict[str, int]] = {}
    for row in rows:
        own: Counter[str] = Counter()
        for place, count in row.places.items():
            parts = parts_left_out(place)
            own.update(dict.fromkeys(parts, count))
            if not parts:
                _count_in(elsewhere, place, row.strategy, count)
        for part, count in own.items():
            _count_in(left_out, part, row.strategy, count)
    sizes = {row.strategy: row.responses for row in rows}
    about = [
        left_out_sentence(part, f" in {_whose(counts, sizes)}") for part, counts in left_out.items()
    ]
    about += [
        f"Scored where training has them, which is not where the prompt ends: "
        f"{_whose(counts, sizes)} ({place})."
        for place, counts in elsewhere.items()
    ]
    return tuple(about)


def _count_in(found: dict[str, dict[str, int]], what: str, strategy: str, count: int) -> None:
    """Of several views of a strategy, the one with the most counts."""
    counts = found.setdefault(what, {})
    counts[strategy] = max(count, counts.get(strategy, 0))


def _whose(counts: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    if counts == sizes:
        return "all responses"
    return ", ".join(f"{count} of {name}" for name, count in counts.items())


def summarise_own_outputs(outputs: Sequence[OwnOutput]) -> OwnOutputSummary:
    """The target's own outputs, counted."""
    judged = [output.correct for output in outputs if output.correct is not None]
    kept = sum(not output.problem for output in outputs)
    cut = sum(output.truncated for output in outputs)
    return OwnOutputSummary(
        len(outputs), kept, len(judged), sum(judged), cut, _changed_texts(outputs)
    )
