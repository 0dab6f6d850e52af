"""What can make a clear ranking a bad choice: one small check a caution, in a fixed order.

A check reads the facts of one verdict and yields its sentences; most yield one or none. Knows
nothing of the answers next to the cautions. Invariant: a check judges no strategy again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from respsel.backends.left_out import TO_READ, parts_left_out
from respsel.backends.placement import LEFT_OUT
from respsel.data.prompts import shows_label
from respsel.graph import names as step_names
from respsel.health.faults import Fault
from respsel.recipe.schema import DatasetEntry, ModelStrategy
from respsel.report.analysis.confounds import Controlled
from respsel.report.analysis.faulty_texts import find_uncommon_faults
from respsel.report.analysis.own_look import own_look
from respsel.report.analysis.unmatched import explain_unmatched
from respsel.report.judge_cautions import about_the_judge
from respsel.report.response_counts import MANY_CUT_SHORT, label_caution
from respsel.report.summary import FAKE_TARGET
from respsel.report.verdict_facts import VerdictFacts
from respsel.selection.verdict import listed
from respsel.text.numbers import number, share

# Below these shares the first screen says so.
_FEWEST_RIGHT = 0.9
_FEWEST_PAIRED = 0.8


def cautions_of(facts: VerdictFacts) -> tuple[str, ...]:
    """What a user should mind about a verdict that has a winner."""
    return tuple(caution for check in _CHECKS for caution in check(facts))


def unmatched(facts: VerdictFacts) -> Iterator[str]:
    """For datasets of which no response at all has the right answer: why that may be."""
    for dataset in facts.datasets:
        yield from _unmatched_in(facts, dataset)


def _fake_target(facts: VerdictFacts) -> Iterator[str]:
    models = facts.result.graph.loaded.models
    if models[facts.recipe.target.model].entry.backend == "fake":
        yield FAKE_TARGET


def _barred(facts: VerdictFacts) -> Iterator[str]:
    """Strategies that may not be recommended, those first that score better than the leader."""
    leader = facts.verdict.ranking[0]
    sign = 1 if facts.verdict.direction == "lower" else -1
    scores = {one.strategy: one.score for one in facts.verdict.ranking}
    lead = sign * leader.score
    better = [name for name in facts.verdict.barred if sign * scores.get(name, lead) < lead]
    for name in better:
        numbers = f"{number(scores[name])} against {number(leader.score)}"
        why = facts.verdict.barred[name]
        yield f"{name} scores better ({numbers}) but is not recommended: {why}."
    for name, why in facts.verdict.barred.items():
        if name not in better:
            yield f"{name} is not recommended: {why}."


def _advocate(facts: VerdictFacts) -> Iterator[str]:
    """The leader is the target's own text, and something but its likelihood speaks for it."""
    advocates = {rows[facts.winner].advocate for rows in facts.standings.values()}
    if advocates - {""}:
        yield (
            f"The target itself wrote {facts.winner}, so its likelihood says little. It may be "
            f"recommended because {listed(sorted(advocates - {''}))}."
        )


def _chosen_by_likelihood(facts: VerdictFacts) -> Iterator[str]:
    """The leader's texts were chosen to be likely, so a likelihood finds them so."""
    label = facts.leader.chosen_by
    metrics = {metric.label: metric for metric in facts.result.graph.loaded.metrics}
    if label in metrics and metrics[label].favours_own_text:
        yield (
            f"The responses of {facts.winner} were chosen by {label}, which makes them look better "
            "by any likelihood. Compare it with the others by something else."
        )


def _looks_like_own_text(facts: VerdictFacts) -> Iterator[str]:
    """The target may have written the leader's texts, though nobody says so."""
    if facts.result.graph.authors[facts.winner].is_target:
        return
    looks = [own_look(facts.result, entry.name, facts.winner) for entry in facts.datasets]
    for look in looks:
        if look is not None and look.is_own:
            yield (
                f"The texts of {facts.winner} look as if the target wrote them: on average a "
                f"token is {number(look.below)} nats likelier than the target's own choices, and "
                f"{share(look.first)} of the tokens are its first choice. If it did, say "
                f'written_by = "{facts.recipe.target.model}".'
            )
            return


def _unchecked(facts: VerdictFacts) -> Iterator[str]:
    if not facts.is_checked:
        yield (
            "No answer was checked, and a likelihood does not see what is wrong: read some, or "
            "give labels with an answer check, or a judge."
        )


def _metric_unnamed(facts: VerdictFacts) -> Iterator[str]:
    recipe = facts.recipe
    if recipe.selection.metric is None and len(recipe.metrics) > 1:
        first = recipe.selection_metric
        yield (
            f"{first} decides since it is the first of {len(recipe.metrics)} metrics: write "
            f'[selection] metric = "{first}" into the recipe if that is meant.'
        )


def _equal_rows(facts: VerdictFacts) -> Iterator[str]:
    """Rows that are equal to others, which there are only where respsel makes the ids."""
    for dataset in facts.datasets:
        frame = facts.result.frame(step_names.examples(dataset.name), "copies")
        # A table that an earlier version has stored has no such column, and no equal rows.
        more = int((frame["copies"] - 1).sum()) if "copies" in frame.columns else 0
        which = "row is equal to another" if more == 1 else "rows are equal to others"
        if more:
            yield f"{more} {which} in {dataset.name}: without ids, equal rows are one example."


def _datasets_disagree(facts: VerdictFacts) -> Iterator[str]:
    if facts.verdict.datasets_disagree:
        yield (
            f"The datasets disagree: by the mean of ranks {facts.verdict.first_by_rank} comes "
            f"first, by the mean of standardised scores {facts.winner}. Look at the verdicts of "
            "the single datasets."
        )


def _other_winners(facts: VerdictFacts) -> Iterator[str]:
    others = [
        f"{own.dataset} decides for {own.winner}"
        for own in facts.own_verdicts
        if own.decided and own.winner != facts.winner
    ]
    if others:
        yield (
            f"On its own, {listed(others)}. If you train on the datasets separately, give each a "
            "recipe."
        )


def _wrong_answers(facts: VerdictFacts) -> Iterator[str]:
    if not _often_wrong(facts):
        return
    counts = facts.responses
    remedy = (
        "raise 'attempts' and set if_wrong = \"drop\""
        if isinstance(facts.leader, ModelStrategy)
        else "fix or drop those"
    )
    yield (
        f"{counts.right} of {counts.judged} checked responses of {facts.winner} have the right "
        "answer. The metric does not see that, and fine-tuning teaches wrong answers too: "
        f"{remedy}, or choose another strategy."
    )
    yield from unmatched(facts)


def _label_in_prompt(facts: VerdictFacts) -> Iterator[str]:
    if not facts.responses.judged or _often_wrong(facts):
        return
    origins = facts.recipe.origins(facts.leader)
    if any(shows_label(entry, dataset) for entry in origins for dataset in facts.datasets):
        yield label_caution([facts.winner], "some of its responses")


def _few_scored(facts: VerdictFacts) -> Iterator[str]:
    paired = facts.verdict.examples
    available = facts.available
    if paired < _FEWEST_PAIRED * available:
        yield (
            f"Only {paired} of {available} examples have a score for every strategy. "
            f"{facts.unscored()}"
        )


def _cut_short(facts: VerdictFacts) -> Iterator[str]:
    counts = facts.responses
    if counts.truncated > MANY_CUT_SHORT * counts.total:
        dropped = facts.recipe.training.if_truncated == "drop"
        rest = " and `respsel apply` leaves those out" if dropped else ""
        yield (
            f"{counts.truncated} of {counts.total} responses of {facts.winner} were cut short at "
            f"max_tokens{rest}: raise max_tokens."
        )


def _faulty_texts(facts: VerdictFacts) -> Iterator[str]:
    """A fault of the leader's texts that most other strategies do not share."""
    for dataset in facts.datasets:
        healths = facts.texts[dataset.name].healths
        for found in find_uncommon_faults(facts.result, dataset.name, facts.winner, healths):
            if found.fault is Fault.CUT_SHORT and facts.responses.truncated:
                continue
            where = f" to {dataset.name}" if len(facts.datasets) > 1 else ""
            beside = ", which most other strategies are not" if found.compared else ""
            purpose = " Mind it unless the task is to translate, or the like."
            yield (
                f"{found.count} of {found.total} responses of {facts.winner}{where} are "
                f"{found.fault.words}{beside} (one is that to {found.first}). The metric may not "
                "see that, and fine-tuning teaches it: read some before you train."
                f"{purpose if found.fault is Fault.LANGUAGE else ''}"
            )


def _own_outputs_cut_short(facts: VerdictFacts) -> Iterator[str]:
    outputs, cut = facts.own_outputs
    if cut > MANY_CUT_SHORT * outputs:
        yield (
            f"{cut} of {outputs} own outputs of the target were cut short: raise "
            "own_outputs.sampling.max_tokens."
        )


def _partly_trained(facts: VerdictFacts) -> Iterator[str]:
    """The chat template leaves out a part of the leader's responses."""
    cut = 0
    total = 0
    for dataset in facts.datasets:
        rows = [row for row in facts.audits[dataset.name] if row.strategy == facts.winner]
        counts = [
            sum(n for place, n in row.places.items() if place.startswith(LEFT_OUT)) for row in rows
        ]
        cut += max(counts, default=0)
        total += max((row.responses for row in rows), default=0)
    if cut:
        yield (
            f"The target's chat template leaves out a part of {cut} of {total} responses of "
            f"{facts.winner} (their thinking, mostly). Only the rest is trained, so only the rest "
            "was scored: look at the doctor's training text."
        )


def _without_what_it_reads(facts: VerdictFacts) -> Iterator[str]:
    """The chat template does not show the target what conversations have for it."""
    left_out = {
        part
        for dataset in facts.datasets
        for row in facts.audits[dataset.name]
        for place in row.places
        for part in parts_left_out(place)
    }
    if lacking := [part for part in TO_READ if part in left_out]:
        yield (
            f"The target's chat template leaves out {listed(lacking)}, so the target is scored and "
            "trained without: give a template of your own with 'chat_template'."
        )


def _extreme_length(facts: VerdictFacts) -> Iterator[str]:
    """The leader is simply the shortest or the longest of all strategies, in every dataset."""
    kinds = {facts.confounds[dataset.name].extreme_of(facts.winner) for dataset in facts.datasets}
    if len(kinds) > 1 or "" in kinds or facts.verdict.is_alone:
        return
    of = "of both" if len(facts.verdict.ranking) == 2 else "of all strategies"
    yield (
        f"{facts.winner} is also the {kinds.pop()} {of}: is it more than a matter of length? "
        f"{_at_equal_length(facts)}"
    )


def _at_equal_length(facts: VerdictFacts) -> str:
    """What is left of the lead with length controlled, as far as intervals tell."""
    about = [facts.confounds[dataset.name] for dataset in facts.datasets]
    if any(not confounds.controlled for confounds in about):
        return "There is too little to tell what is left of its lead at equal length."
    if any(confounds.strategies[0] != facts.winner for confounds in about):
        return "Look at each dataset for what is left of its lead at equal length."
    others = [
        one
        for confounds in about
        for one in confounds.controlled
        if one.difference is not None and one.strategy not in facts.verdict.barred
    ]
    better = dict.fromkeys(one.strategy for one in others if _side(facts, one) < 0)
    equal = dict.fromkeys(one.strategy for one in others if _side(facts, one) == 0)
    if better:
        where = " in a dataset" if len(about) > 1 else ""
        return f"At equal length {listed(list(better))} would beat it{where}."
    if equal:
        return f"At equal length it cannot be told apart from {listed(list(equal))}."
    return "With length controlled it still comes first."


def _side(facts: VerdictFacts, one: Controlled) -> int:
    """1 if a strategy is surely worse than the leader at equal length, -1 if it is better."""
    assert one.low is not None
    assert one.high is not None
    none = 1.0 if facts.verdict.scale == "log" else 0.0
    above = (one.low > none) - (one.high < none)
    return above if facts.verdict.direction == "lower" else -above


def _often_wrong(facts: VerdictFacts) -> bool:
    return facts.responses.right < _FEWEST_RIGHT * facts.responses.judged


def _unmatched_in(facts: VerdictFacts, dataset: DatasetEntry) -> Iterator[str]:
    responses = [
        response
        for entry in facts.recipe.strategies_for(dataset.name)
        for response in facts.result.rows(step_names.responses(dataset.name, entry.name))
        if response.text
    ]
    if dataset.check is None or any(response.correct for response in responses):
        return
    if all(response.correct is None for response in responses):
        return
    examples = facts.result.rows(step_names.examples(dataset.name))
    labels = [example.label for example in examples if example.label]
    why = explain_unmatched(dataset.check, labels, [response.text for response in responses])
    yield f"No response of {dataset.name} has the right answer by its answer check. {why}".strip()


# The order in which the first screen shows them.
_CHECKS: tuple[Callable[[VerdictFacts], Iterator[str]], ...] = (
    _fake_target,
    _barred,
    _advocate,
    _looks_like_own_text,
    _chosen_by_likelihood,
    _unchecked,
    _metric_unnamed,
    _equal_rows,
    _datasets_disagree,
    _other_winners,
    _wrong_answers,
    _label_in_prompt,
    about_the_judge,
    _few_scored,
    _cut_short,
    _faulty_texts,
    _own_outputs_cut_short,
    _partly_trained,
    _without_what_it_reads,
    _extreme_length,
)
