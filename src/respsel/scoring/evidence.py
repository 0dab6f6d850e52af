"""Evidence to scores: what each metric is given of the tables, and how two metrics are mixed.

Knows nothing of models. Invariant: a response whose own problem, token scores, hidden states or
reward has a problem gets that problem and no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from respsel.answers import PatternTimeoutError
from respsel.data.rows import find_value
from respsel.metrics.contract import ChosenMetric, Evidence, ResponsePart
from respsel.recipe.schema import AnswerEntry
from respsel.records import (
    Example,
    Message,
    OwnOutput,
    Represented,
    Response,
    Score,
    ScoredResponse,
)
from respsel.scoring.judge import finite_number
from respsel.scoring.response_parts import NoPartError, part_of, text_part
from respsel.scoring.trained_turns import last_text
from respsel.strategies.own_outputs import kept_by_example
from respsel.tables.problems import is_reached
from respsel.text.transcript import last_trained_text, turn_text

if TYPE_CHECKING:
    from respsel.records import FloatArray


@dataclass(frozen=True)
class Sources:
    """The tables that a metric's evidence about one strategy comes from; empty where it needs none.

    responses: the strategy's.
    examples: the dataset's.
    views: token scores by the view's kind, each in the order of the responses.
    own_outputs: the target's.
    vectors: hidden states of the responses.
    own_vectors: hidden states of the own outputs.
    rewards: a judge's.
    """

    responses: Sequence[Response]
    examples: Sequence[Example] = ()
    views: Mapping[str, Sequence[ScoredResponse]] | None = None
    own_outputs: Sequence[OwnOutput] = ()
    vectors: Sequence[Represented] = ()
    own_vectors: Sequence[Represented] = ()
    rewards: Sequence[Score] = ()


class _ById:
    """The tables of a Sources by example, but for the token scores: those are gone through once."""

    def __init__(self, sources: Sources) -> None:
        self.examples = {example.id: example for example in sources.examples}
        self.own_outputs = kept_by_example(sources.own_outputs)
        self.vectors = {row.id: row for row in sources.vectors}
        self.rewards = {score.id: score for score in sources.rewards}
        self.own_vectors: dict[str, list[FloatArray]] = {}
        for row in sources.own_vectors:
            if row.vector is not None:
                self.own_vectors.setdefault(row.id, []).append(row.vector)


def measure(
    metric: ChosenMetric, sources: Sources, check: AnswerEntry | None, strategy: str
) -> Iterator[Score]:
    """Yield one score per response, in order; large tables are gone through once."""
    views = {kind: iter(rows) for kind, rows in (sources.views or {}).items()}
    by_id = _ById(sources)
    for response in sources.responses:
        scored = {kind: next(rows) for kind, rows in views.items()}
        example = by_id.examples.get(response.id)
        reward = by_id.rewards.get(response.id) or _column_reward(metric, example, strategy)
        vector = by_id.vectors.get(response.id)
        if problem := _first_problem(response, *scored.values(), vector, reward):
            yield Score(response.id, None, problem)
            continue
        evidence = Evidence(
            text=_text_for(metric, response, scored),
            scores={kind: row.scores for kind, row in scored.items() if row.scores is not None},
            own_outputs=by_id.own_outputs.get(response.id, []),
            vector=None if vector is None else vector.vector,
            own_vectors=by_id.own_vectors.get(response.id, []),
            check=check,
            label=None if example is None else example.label,
            reward=None if reward is None else reward.value,
        )
        try:
            evidence = _about(evidence, metric.part, response.turns)
        except NoPartError as error:
            yield Score(response.id, None, str(error))
            continue
        try:
            value, problem, weight = metric.measure(evidence)
        except PatternTimeoutError:
            raise PatternTimeoutError(response.id, f"strategy '{strategy}'") from None
        yield Score(response.id, value, problem, weight)


def _text_for(
    metric: ChosenMetric, response: Response, scored: Mapping[str, ScoredResponse]
) -> str:
    """The text that a metric reads beside the rest of its evidence.

    Beside own outputs it is what the last trained turn says, as they do. Where it is split into
    steps, it is the text that the scored tokens spell.
    """
    if metric.needs.own_outputs and response.turns:
        return last_trained_text(response.turns)
    if metric.needs.steps:
        spelled = next((row.text for row in scored.values() if row.text), "")
        return spelled or last_text(response)
    return response.text


def _about(evidence: Evidence, part: ResponsePart, turns: Sequence[Message]) -> Evidence:
    """The evidence of a part of a response. Raises NoPartError if there is none."""
    if part == "all":
        return evidence
    # Beside own outputs the text is already the last turn's.
    said = [] if evidence.own_outputs else [turn_text(turn) for turn in turns if turn.trained]
    text, scores = part_of(said or [evidence.text], evidence.scores, part)
    own = [text for text in (text_part(own, part) for own in evidence.own_outputs) if text]
    return replace(evidence, text=text, scores=scores, own_outputs=own)


def _first_problem(*rows: Response | ScoredResponse | Represented | Score | None) -> str:
    """The first problem, but before it that another example has the value."""
    problems = [row.problem for row in rows if row is not None and row.problem]
    return next((problem for problem in problems if not is_reached(problem)), "") or next(
        iter(problems), ""
    )


def mix(
    weight: float,
    alignments: Sequence[Sequence[Score]],
    perplexities: Sequence[Sequence[Score]],
    which: int,
) -> list[Score]:
    """The mixed scores of one strategy.

    alignments, perplexities: by strategy, each metric's scores.
    which: the strategy's place in them.
    """
    import numpy as np

    spreads = []
    for tables in (alignments, perplexities):
        means = [
            np.mean([s.value for s in table if s.value is not None])
            for table in tables
            if any(s.value is not None for s in table)
        ]
        spreads.append(float(np.std(means)) if len(means) > 1 else 0.0)
    scores = []
    for one, other in zip(alignments[which], perplexities[which], strict=True):
        problem = (
            one.problem
            or other.problem
            or ("" if all(spreads) else "the strategies do not differ, so there is no spread")
        )
        if problem or one.value is None or other.value is None:
            scores.append(Score(one.id, None, problem))
            continue
        scores.append(
            Score(one.id, weight * one.value / spreads[0] - (1 - weight) * other.value / spreads[1])
        )
    return scores


def column_rewards(column: str, examples: Sequence[Example], strategy: str) -> list[Score]:
    """The rewards that a column holds; {strategy} in its name stands for the strategy's."""
    name = column.replace("{strategy}", strategy)
    return [_reward_in(name, example) for example in examples]


def _column_reward(metric: ChosenMetric, example: Example | None, strategy: str) -> Score | None:
    source = metric.needs.reward
    if source is None or source.column is None or example is None:
        return None
    return column_rewards(source.column, [example], strategy)[0]


def _reward_in(name: str, example: Example) -> Score:
    value = finite_number(str(find_value(example.columns, name)))
    return Score(example.id, value, "" if value is not None else f"column '{name}' holds no number")
