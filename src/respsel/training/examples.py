"""From what was applied to training examples: which responses are in the set, which are left out.

Knows nothing of formats or files. Invariant: every example of a dataset comes once, with a response
or with one reason why it has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from respsel.graph import names as step_names
from respsel.records import Example, Message, Response, Score
from respsel.scoring.trained_turns import common_turns, trained_chat
from respsel.selection.standing import barred_in
from respsel.tables.problems import is_failed_call
from respsel.training.apply import Applied
from respsel.training.conversations import said, tools_of
from respsel.training.judged import judged_out

CUT_SHORT = "cut short at max_tokens"
NO_SCORE = "no strategy has a score"
ALL_BARRED = "no strategy may be recommended"


@dataclass(frozen=True)
class TrainingExample:
    """An input and the response to be trained on.

    correct: the answer check's result, if there is one.
    member: the strategy that the strategy took the response from; empty if it is its own.
    weight: how much it is to count.
    turns: the whole conversation that is trained; empty where the response answers the input alone.
    """

    dataset: str
    id: str
    input: str
    response: str
    strategy: str
    correct: bool | None
    member: str = ""
    weight: float = 1.0
    turns: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Pair:
    """An input with the response that suits the target best and the one that suits it least.

    strategy, rejected_strategy: whose responses the two are.
    correct: the answer check's result for the chosen one.
    turns: what the two conversations begin with, their tools too; empty where there is none.
    chosen_turns, rejected_turns: the turns of each behind that.
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
    turns: tuple[Message, ...] = ()
    chosen_turns: tuple[Message, ...] = ()
    rejected_turns: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Dropped:
    """An example that is left out, and why."""

    dataset: str
    id: str
    reason: str


def training_examples(applied: Applied) -> Iterator[TrainingExample | Dropped]:
    """Each example of the datasets with the selected response, or why it has none."""
    chosen = _one_strategys if applied.selected.mode == "strategy" else _best
    for dataset in datasets_of(applied):
        judged = judged_out(applied, dataset)
        for example, response, strategy in chosen(applied, dataset):
            if response is None:
                open_to = applied.selected.mode == "strategy" or has_open(applied, dataset)
                yield Dropped(dataset, example.id, NO_SCORE if open_to else ALL_BARRED)
            elif reason := _fault(applied, response) or judged.get((strategy, example.id)):
                yield Dropped(dataset, example.id, reason)
            else:
                member = _member(applied, strategy, response)
                yield TrainingExample(
                    dataset=dataset,
                    id=example.id,
                    input=example.input,
                    response=response.text,
                    strategy=strategy,
                    correct=response.correct,
                    member=member,
                    weight=applied.graph.loaded.recipe.training.weight_of(strategy, member),
                    turns=_conversation(example, response),
                )


def _conversation(example: Example, response: Response) -> tuple[Message, ...]:
    """The whole conversation that is trained; empty where an input alone is asked."""
    return trained_chat(example, response) if example.turns else ()


def _member(applied: Applied, strategy: str, response: Response) -> str:
    members = applied.graph.loaded.strategy(strategy).members
    return members[response.member - 1] if response.member else ""


def training_pairs(applied: Applied) -> Iterator[Pair | Dropped]:
    """Each example's best response against its worst by the selection metric.

    An example without such a pair gives the reason. A best response that is known to be wrong makes
    no pair: it would be preferred for its style alone. What the judge leaves out can be the worst,
    but not the best.
    """
    for dataset in datasets_of(applied):
        for example, candidates in _candidates(applied, dataset):
            usable = _usable(applied, candidates)
            preferable = [candidate for candidate in usable if not candidate.judged_out]
            if len(usable) < 2:
                yield Dropped(dataset, example.id, "fewer than two usable responses")
            elif not preferable:
                yield Dropped(dataset, example.id, min(usable, key=_rank).judged_out)
            else:
                best = min(preferable, key=_rank)
                worst = max(usable, key=_rank)
                yield _pair(dataset, example, best, worst)


def _pair(dataset: str, example: Example, best: _Candidate, worst: _Candidate) -> Pair | Dropped:
    chosen = best.response
    rejected = worst.response
    better = _conversation(example, chosen)
    worse = _conversation(example, rejected)
    shared = common_turns(better, worse)
    same = chosen.text == rejected.text
    if better or worse:
        same = len(better) == len(worse) == shared
    if same or best.rank == worst.rank:
        return Dropped(dataset, example.id, "best and worst are the same")
    if chosen.correct is False:
        return Dropped(dataset, example.id, "the best has a wrong answer")
    if reason := _unpaired(better, worse, shared):
        return Dropped(dataset, example.id, reason)
    return Pair(
        dataset=dataset,
        id=example.id,
        input=example.input,
        chosen=chosen.text,
        rejected=rejected.text,
        strategy=best.strategy,
        rejected_strategy=worst.strategy,
        chosen_score=best.score,
        rejected_score=worst.score,
        correct=chosen.correct,
        turns=better[:shared],
        chosen_turns=better[shared:],
        rejected_turns=worse[shared:],
    )


def _unpaired(better: Sequence[Message], worse: Sequence[Message], shared: int) -> str:
    """Why two conversations make no pair; empty if they do, or are none."""
    if not better and not worse:
        return ""
    if tools_of(better) != tools_of(worse):
        return "best and worst have different tools"
    if shared in (len(better), len(worse)):
        return "one of best and worst is the beginning of the other"
    if not said(better[:shared]):
        return "best and worst begin differently, so that there is no prompt"
    ends = (better[shared], better[-1], worse[shared], worse[-1])
    if not all(turn.trained for turn in ends):
        return "best and worst differ in a turn that is not trained"
    return ""


def datasets_of(applied: Applied) -> list[str]:
    """The datasets that a set is made of."""
    names = [entry.name for entry in applied.graph.loaded.recipe.datasets]
    return [name for name in names if step_names.examples(name) in applied.graph.steps]


def has_conversations(applied: Applied) -> bool:
    """Whether an example of the datasets is a conversation."""
    return any(
        example.turns
        for dataset in datasets_of(applied)
        for example in applied.rows(step_names.examples(dataset))
    )


def barred_strategies(applied: Applied, dataset: str) -> Mapping[str, str]:
    """By strategy that may be in no choice between responses, why."""
    return barred_in(applied.rows(step_names.gates(dataset)))


def has_open(applied: Applied, dataset: str) -> bool:
    """Whether a strategy of a dataset may be chosen."""
    strategies = applied.graph.loaded.recipe.strategies_for(dataset)
    return len(barred_strategies(applied, dataset)) < len(strategies)


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
    """Each example with its best usable response; without any, with the best of all."""
    for example, candidates in _candidates(applied, dataset):
        usable = _usable(applied, candidates)
        kept = [candidate for candidate in usable if not candidate.judged_out]
        best = min(kept or usable or candidates, key=_rank, default=None)
        yield (example, best.response, best.strategy) if best else (example, None, "")


@dataclass(frozen=True)
class _Candidate:
    """A response that has a score.

    rank: the lower the better.
    judged_out: why the judge leaves it out; empty if it does not.
    """

    strategy: str
    response: Response
    score: float
    rank: float
    judged_out: str


def _candidates(applied: Applied, dataset: str) -> Iterator[tuple[Example, list[_Candidate]]]:
    """Each example with the responses that have a score, of all strategies that pass the gates."""
    loaded = applied.graph.loaded
    barred = barred_strategies(applied, dataset)
    names = [
        strategy.name
        for strategy in loaded.recipe.strategies_for(dataset)
        if strategy.name not in barred
    ]
    metric = loaded.selected_metric.label
    judged = judged_out(applied, dataset)
    sign = 1 if loaded.selected_metric.direction == "lower" else -1
    examples: Sequence[Example] = applied.rows(step_names.examples(dataset))
    responses: list[Sequence[Response]] = [
        applied.rows(step_names.responses(dataset, name)) for name in names
    ]
    scores: list[Sequence[Score]] = [
        applied.rows(step_names.scores(dataset, name, metric)) for name in names
    ]
    for place, example in enumerate(examples):
        scored = [
            (name, rows[place], values[place].value)
            for name, rows, values in zip(names, responses, scores, strict=True)
        ]
        yield (
            example,
            [
                _Candidate(n, response, score, sign * score, judged.get((n, example.id), ""))
                for n, response, score in scored
                if score is not None
            ],
        )


def _usable(applied: Applied, candidates: Sequence[_Candidate]) -> Sequence[_Candidate]:
    return [candidate for candidate in candidates if not _fault(applied, candidate.response)]


def _rank(candidate: _Candidate) -> float:
    return candidate.rank


def _fault(applied: Applied, response: Response) -> str:
    """Why a response is left out; nothing if it is kept."""
    if response.problem:
        # The rest is about one call. As a reason to count by, all failed calls are one.
        return "the call failed" if is_failed_call(response.problem) else response.problem
    cut = response.truncated and applied.graph.loaded.recipe.training.if_truncated == "drop"
    return CUT_SHORT if cut else ""
