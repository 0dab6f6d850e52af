"""Evidence to scores: what each metric is given of the tables before it, and how two metrics are
mixed.

Knows nothing of models. Invariant: a response whose own problem, token scores, hidden states or
reward has a problem gets that problem and no value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from respsel.answers import PatternTimeoutError
from respsel.backends.contract import Generation
from respsel.calls.lazy import Lazy
from respsel.calls.requests import GenerateRequest
from respsel.data.prompts import render
from respsel.data.rows import find_value
from respsel.metrics.contract import ChosenMetric, Evidence, RewardSource
from respsel.recipe.schema import AnswerEntry
from respsel.records import (
    Example,
    Message,
    OwnOutput,
    Represented,
    Response,
    Sampling,
    Score,
    ScoredResponse,
)
from respsel.strategies.base import Operation, Place
from respsel.strategies.own_outputs import kept_by_example
from respsel.tables.problems import SILENT

# Raised when a judge's answer would be read otherwise.
JUDGE_VERSION = 3
# Both limits keep the time linear: no finite number has more groups, and nobody explains a scale at
# such length.
_A_NUMBER = (
    r"[-+]?(?:(?:\d{1,3}(?:,\d{3}){1,103}(?!,?\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d{1,3}(?!\d))?"
)
_NUMBER = re.compile(_A_NUMBER)
# "The maximum score is 10" gives none; after "Rating (1-10): 3-4" or "7,5" nobody can say which
# number is meant.
_MARKED = re.compile(
    r"(?<!maximum )(?<!max )(?<!highest )(?<!possible )(?:score|reward|rating)[*_]*\s*"
    rf"(?:\([^)\n]{{0,400}}\)[*_]*\s*)?(?:is|=|:)[\s*_]*(?P<number>{_A_NUMBER})(?P<more>\s?[,–-]\s?\d)?",
    re.IGNORECASE,
)
# What a number is out of, in "8/10" and "8 out of 10".
_OUT_OF = re.compile(rf"(?<=\d)\s*(?:/|out of)\s*{_A_NUMBER}")


@dataclass(frozen=True)
class Sources:
    """The tables that a metric's evidence about one strategy comes from; empty where it needs none.

    views: token scores by the view's kind, each in the order of the responses.
    """

    responses: Sequence[Response]
    examples: Sequence[Example] = ()
    views: Mapping[str, Sequence[ScoredResponse]] | None = None
    own_outputs: Sequence[OwnOutput] = ()
    vectors: Sequence[Represented] = ()
    own_vectors: Sequence[Represented] = ()
    rewards: Sequence[Score] = ()


def measure(
    metric: ChosenMetric, sources: Sources, check: AnswerEntry | None, strategy: str
) -> Iterator[Score]:
    """Yield one score per response, in order; large tables are gone through once."""
    views = {kind: iter(rows) for kind, rows in (sources.views or {}).items()}
    examples = {example.id: example for example in sources.examples}
    own = kept_by_example(sources.own_outputs)
    own_vectors: dict[str, list[Any]] = {}
    for row in sources.own_vectors:
        if row.vector is not None:
            own_vectors.setdefault(row.id, []).append(row.vector)
    vectors = {row.id: row for row in sources.vectors}
    rewards = {score.id: score for score in sources.rewards}
    for response in sources.responses:
        rows: list[Any] = [next(view) for view in views.values()]
        scores = {
            kind: row.scores
            for kind, row in zip(views, rows, strict=True)
            if row.scores is not None
        }
        example = examples.get(response.id)
        given = rewards.get(response.id) or _column_reward(metric, example, strategy)
        vector = vectors.get(response.id)
        problem = next(
            (
                item.problem
                for item in (response, *rows, vector, given)
                if item is not None and item.problem
            ),
            "",
        )
        if problem:
            yield Score(response.id, None, problem)
            continue
        evidence = Evidence(
            response.text,
            scores,
            own.get(response.id, []),
            None if vector is None else vector.vector,
            own_vectors.get(response.id, []),
            check,
            None if example is None else example.label,
            None if given is None else given.value,
        )
        try:
            found = metric.measure(evidence)
        except PatternTimeoutError:
            raise PatternTimeoutError(response.id, f"strategy '{strategy}'") from None
        yield Score(response.id, *found)


def mix(
    weight: float,
    alignments: Sequence[Sequence[Score]],
    perplexities: Sequence[Sequence[Score]],
    which: int,
) -> list[Score]:
    """The mixed scores of the strategy at place `which`, given both metrics' scores of all
    strategies.
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


def judge(
    source: RewardSource, examples: Sequence[Example], responses: Sequence[Response], place: Place
) -> Operation:
    """Ask the judging model for a number for every usable response; returns one Score per response,
    in order.
    """
    by_id = {example.id: example for example in examples}
    usable = [response for response in responses if not response.problem]
    sampling = Sampling(0.0, 1.0, 0, 0.0, source.max_tokens)

    def request(index: int) -> GenerateRequest:
        response = usable[index]
        prompt = render(
            str(source.prompt),
            by_id[response.id],
            place.file,
            place.where,
            {"response": response.text},
        )
        messages = (Message("user", prompt),)
        return GenerateRequest(
            str(source.model), messages, sampling, "judge", 0, 0, place.where, response.id
        )

    answers = iter((yield Lazy(len(usable), request)))
    scores = []
    for response in responses:
        if response.problem:
            scores.append(Score(response.id, None, response.problem))
            continue
        answer = next(answers)
        assert isinstance(answer, Generation)
        value = read_number(answer.text)
        silent = "the judge gave no number" if answer.text else SILENT
        problem = answer.problem or ("" if value is not None else silent)
        scores.append(Score(response.id, None if problem else value, problem))
    return scores


def read_number(text: str) -> float | None:
    """The number behind the last "Score:", "Reward:" or "Rating:", else the text's only number;
    None if there is neither: of "8 of the 10 steps hold" nobody can say which number is meant."""
    text = text.replace("\N{MINUS SIGN}", "-")
    if marked := list(_MARKED.finditer(text)):
        found = [] if marked[-1]["more"] else [marked[-1]["number"]]
    else:
        found = _NUMBER.findall(_OUT_OF.sub("", text))
    return _finite(found[0].replace(",", "")) if len(found) == 1 else None


def _column_reward(metric: ChosenMetric, example: Example | None, strategy: str) -> Score | None:
    source = metric.needs.reward
    if source is None or source.column is None or example is None:
        return None
    name = source.column.replace("{strategy}", strategy)
    value = _finite(str(find_value(example.columns, name)))
    return Score(example.id, value, "" if value is not None else f"column '{name}' holds no number")


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
