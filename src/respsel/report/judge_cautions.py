"""What a user should mind about the recipe's judge: does it see what is right, and its own text.

Knows nothing of the other cautions. Invariant: without a judge there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from respsel.graph import names as step_names
from respsel.recipe.judge import JUDGE
from respsel.report.analysis.judged import judge_agreement, own_text_notes, written_by_judge
from respsel.report.verdict_facts import VerdictFacts

# Above this share of responses without a score, the judge is not up to its task.
_MANY_UNSCORED = 0.1
# The same for the share of scores that are one and the same, of at least so many.
_MANY_ALIKE = 0.9
_FEWEST_ALIKE = 12


def about_the_judge(facts: VerdictFacts) -> Iterator[str]:
    """The cautions about a judge."""
    if facts.recipe.judge is None:
        return
    yield from _blind(facts)
    yield from _speechless(facts)
    graph = facts.result.graph
    if graph.judge_is_target or facts.winner in written_by_judge(graph):
        yield " ".join(own_text_notes(graph))


def _blind(facts: VerdictFacts) -> Iterator[str]:
    agreement = judge_agreement(facts.result, facts.datasets)
    if agreement is None or agreement.sees == "yes":
        return
    if agreement.sees == "unknown":
        yield (
            f"It is not known whether the judge sees what is right. {agreement.words} More "
            "examples would tell."
        )
        return
    more = "" if agreement.shown else ", or show it the references (judge.reference = true)"
    yield (f"The judge does not see what is right. {agreement.words} Take a stronger judge{more}.")


def _speechless(facts: VerdictFacts) -> Iterator[str]:
    asked = 0
    values: Counter[float | None] = Counter()
    for dataset in facts.datasets:
        for strategy in facts.recipe.strategies_for(dataset.name):
            responses = facts.result.rows(step_names.responses(dataset.name, strategy.name))
            scores = facts.result.rows(step_names.rewards(dataset.name, strategy.name, JUDGE))
            usable = [s for s, r in zip(scores, responses, strict=True) if not r.problem]
            asked += len(usable)
            values.update(score.value for score in usable)
    silent = values.pop(None, 0)
    if silent > _MANY_UNSCORED * asked:
        yield (
            f"The judge gave no score for {silent} of {asked} responses. The report says why: give "
            "it examples, more max_tokens, or take a stronger one."
        )
    scored = values.total()
    ((value, alike),) = values.most_common(1) or [(None, 0)]
    if scored >= _FEWEST_ALIKE and alike >= _MANY_ALIKE * scored:
        yield (
            f"The judge gives {alike} of {scored} responses the same score, {value:g}: it hardly "
            "tells them apart."
        )
