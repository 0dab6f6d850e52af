"""The three answers of the first screen: which strategy, how sure that is, and what to do next.

Knows nothing of markup. Invariant: it repeats the verdict and never judges again; what could make a
clear ranking a bad choice is in the cautions next to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from respsel.recipe.schema import OVERALL
from respsel.report.analysis.confounds import Confounds
from respsel.report.analysis.faulty_texts import FaultyTexts
from respsel.report.analysis.summaries import AuditRow
from respsel.report.cautions import cautions_of, unmatched
from respsel.report.summary import Headline
from respsel.report.verdict_facts import VerdictFacts
from respsel.run.result import RunResult
from respsel.selection.race_rule import dropped_in
from respsel.selection.verdict import FEWEST_EXAMPLES, listed

# Deciding with more than this many times the examples is not worth their cost.
_TOO_MANY_MORE = 10


def headline(
    result: RunResult,
    confounds: Mapping[str, Confounds],
    audits: Mapping[str, Sequence[AuditRow]],
    texts: Mapping[str, FaultyTexts],
) -> Headline:
    """The answers that a user wants first.

    Several datasets without an overall verdict have one answer each.
    confounds: by dataset, what its ranking may really be about.
    audits: by dataset, what was scored.
    texts: by dataset, what was found in the texts.
    """
    overall = [verdict for verdict in result.verdicts if verdict.dataset == OVERALL]
    verdicts = overall or list(result.verdicts)
    answers = [
        _answer(VerdictFacts(result, verdict, confounds, audits, texts)) for verdict in verdicts
    ]
    if len(answers) == 1:
        return answers[0]
    ready = all(answer.ready for answer in answers)
    if not ready and any(answer.ready for answer in answers):
        answers = _together(answers, result.graph.loaded.typed)
    return _joined([verdict.dataset for verdict in verdicts], answers)


def _joined(datasets: Sequence[str], answers: Sequence[Headline]) -> Headline:
    """The answers for several datasets as one, each behind its dataset's name."""
    named = list(zip(datasets, answers, strict=True))
    return Headline(
        which="; ".join(f"{name}: {answer.which}" for name, answer in named),
        how_sure=" ".join(f"{name}: {answer.how_sure}" for name, answer in named),
        cautions=tuple(
            f"{name}: {caution}" for name, answer in named for caution in answer.cautions
        ),
        next_step=" ".join(f"{name}: {answer.next_step}" for name, answer in named),
        command="\n".join(dict.fromkeys(answer.command for answer in answers if answer.command)),
        decided=all(answer.decided for answer in answers),
        ready=all(answer.ready for answer in answers),
        checked=all(answer.checked for answer in answers),
        compared=all(answer.compared for answer in answers),
    )


def _together(answers: Sequence[Headline], recipe: str) -> list[Headline]:
    """The answers for several datasets of which only some are ready: one command applies all."""
    apply = f"respsel apply {recipe}"
    waits = any(not answer.ready and not answer.command.startswith(apply) for answer in answers)
    changed = []
    for answer in answers:
        if answer.ready:
            step = "It waits for the others." if waits else "It is applied with the others."
            answer = replace(answer, next_step=step, command="")
        elif not waits:
            # Hazard: a strategy that is chosen for one dataset would be applied to those too that
            # decided for another.
            answer = replace(answer, command=f"{apply} --accept-undecided")
        changed.append(answer)
    return changed


def _answer(facts: VerdictFacts) -> Headline:
    if not facts.verdict.ranking:
        return _without_ranking(facts)
    if facts.verdict.winner is None:
        return _without_leader(facts)
    return _decided(facts) if facts.verdict.decided else _undecided(facts)


def _without_leader(facts: VerdictFacts) -> Headline:
    """None of the strategies may be recommended."""
    reasons = [f"{name}: {why}." for name, why in facts.verdict.barred.items()]
    by_target = all(
        standing.by_target for rows in facts.standings.values() for standing in rows.values()
    )
    remedy = (
        "Add a strategy that the target did not write, labels with an answer check, or a judge"
        if by_target
        else "Fix the responses, or say in [selection.require] what they need not pass"
    )
    remedy = _own_winners(facts) or remedy
    return _without_winner(
        facts,
        which="No strategy can be recommended",
        how_sure=f"None passes the gates before the ranking. {' '.join(reasons)}",
        next_step=f"{remedy}, and run again.",
    )


def _own_winners(facts: VerdictFacts) -> str:
    """That single datasets have a winner, though none may be recommended for all; else empty."""
    winners = [f"{own.winner} for {own.dataset}" for own in facts.own_verdicts if own.winner]
    if facts.verdict.dataset != OVERALL or not winners:
        return ""
    return f"On its own, a dataset has one: {listed(winners)}. Give each dataset a recipe"


def _without_ranking(facts: VerdictFacts) -> Headline:
    none = [own.dataset for own in facts.own_verdicts if not own.ranking]
    where = f" of {listed(none)}" if none and facts.verdict.dataset == OVERALL else ""
    return _without_winner(
        facts,
        which="No strategy can be ranked",
        how_sure=f"No example{where} has a score for every strategy, so none can be compared. "
        f"{facts.unscored()}",
        next_step="Fix what was not scored, or take those strategies out of the recipe, and run "
        "again.",
    )


def _without_winner(facts: VerdictFacts, which: str, how_sure: str, next_step: str) -> Headline:
    return Headline(
        which=which,
        how_sure=how_sure,
        cautions=tuple(unmatched(facts)),
        next_step=next_step,
        command=_run(facts),
        decided=False,
        ready=False,
        checked=facts.is_checked,
        compared=True,
    )


def _decided(facts: VerdictFacts) -> Headline:
    step = (
        "Have it applied to the whole dataset, which writes the training set; what is there is "
        "reused."
    )
    return _with_winner(facts, f"Fine-tune on {facts.winner}", step, _apply(facts))


def _undecided(facts: VerdictFacts) -> Headline:
    more = _more_examples(facts)
    if more is not None:
        command = f"respsel run {facts.result.graph.loaded.typed_without_limit}"
        step = more
        if _may_end_here(facts):
            # There may be no more examples, and the user is not to be left there.
            command += f"\n{_apply(facts)} --accept-undecided"
            step += " Or go on with what there is: apply the leader, undecided."
    else:
        leaders = (facts.winner, *facts.verdict.tied)
        command = "\n".join(f"{_apply(facts)} --strategy {name}" for name in leaders)
        step = _choose(facts)
    return _with_winner(facts, f"No clear winner yet; {facts.winner} leads", step, command)


def _with_winner(facts: VerdictFacts, which: str, next_step: str, command: str) -> Headline:
    """which: what to say of a winner that was compared with others."""
    decided = facts.verdict.decided
    return Headline(
        which=_alone(facts) or which,
        how_sure=_how_sure(facts),
        cautions=cautions_of(facts),
        next_step=next_step,
        command=command,
        decided=decided,
        ready=decided,
        checked=facts.is_checked,
        compared=not facts.verdict.is_alone,
    )


def _alone(facts: VerdictFacts) -> str:
    """That there is nothing to compare the winner with; empty if there is."""
    if not facts.verdict.is_alone:
        return ""
    which = "that may be recommended" if facts.verdict.barred else "in the recipe"
    return f"{facts.winner} is the only strategy {which}"


def _more_examples(facts: VerdictFacts) -> str | None:
    """How another run may decide an undecided verdict; None where the user has to choose."""
    verdict = facts.verdict
    each = _each(facts)
    if not verdict.tied:
        has = _has(facts, FEWEST_EXAMPLES)
        how = _how_to_add(facts, FEWEST_EXAMPLES)
        return f"Take at least {FEWEST_EXAMPLES} examples{each}, and {has}: {how}"
    if any(set(verdict.tied) & dropped_in(facts.laps(entry.name)) for entry in facts.datasets):
        # More examples would not help: a race with the same beginning ends as early.
        return (
            "The race dropped what it could not tell apart at that confidence. To be surer, set "
            'selection.budget = "all" and run again: what is scored is not scored again.'
        )
    enough = 2 * FEWEST_EXAMPLES
    needed = _examples_needed(facts)
    if facts.fewest < enough and (needed or enough) >= enough:
        return (
            f"Take {enough} examples{each} or more: from {facts.fewest} it cannot be told how "
            f"many it would take, and {_has(facts, enough)}. To take more, "
            f"{_how_to_add(facts, enough)}"
        )
    if needed is None or _asks_too_many(facts, needed):
        return None
    count = _at_least(facts, needed)
    return (
        f"About {count} examples{each} would probably decide it, and {_has(facts, count)}: "
        f"{_how_to_add(facts, count)}"
    )


def _choose(facts: VerdictFacts) -> str:
    """How to choose between strategies that more examples would not separate at a fair cost."""
    leaders = listed([facts.winner, *facts.verdict.tied])
    needed = _examples_needed(facts)
    if needed is None:
        unused = any(facts.size(d.name) > facts.examples(d.name) for d in facts.datasets)
        more = "raise 'sample'" if unused else "add examples"
        return (
            f"Choose between {leaders} by what they cost to make and apply one, or {more}: "
            "nothing here tells them apart."
        )
    count = _at_least(facts, needed)
    return (
        f"It would take about {count} examples{_each(facts)} to tell {leaders} apart, and "
        f"{_has(facts, count)}. The difference is small: choose between them by what they cost to "
        "make, and apply one."
    )


def _may_end_here(facts: VerdictFacts) -> bool:
    """Whether some dataset has no further examples, and this is the only answer."""
    recipe = facts.result.graph.loaded.recipe
    return len(facts.datasets) == len(recipe.datasets) and any(
        entry.sample is None or entry.sample >= facts.size(entry.name) for entry in facts.datasets
    )


def _has(facts: VerdictFacts, count: int) -> str:
    """Whether the datasets have so many examples."""
    if len(facts.datasets) == 1:
        size = facts.size(facts.datasets[0].name)
        return f"the dataset has {'only ' if size < count else ''}{size}"
    lacking = [entry.name for entry in facts.datasets if facts.size(entry.name) < count]
    if not lacking:
        return "each has so many"
    sizes = listed([str(facts.size(name)) for name in lacking])
    return f"{listed(lacking)} {'has' if len(lacking) == 1 else 'have'} only {sizes}"


def _how_to_add(facts: VerdictFacts, count: int) -> str:
    """What to do for so many examples of each dataset."""
    alone = len(facts.datasets) == 1
    lacking = [entry.name for entry in facts.datasets if facts.size(entry.name) < count]
    limited = [entry.name for entry in facts.datasets if entry.sample and entry.sample < count]
    steps = []
    if lacking:
        steps.append(f"add examples to {'it' if alone else listed(lacking)}")
    if limited and facts.result.graph.loaded.variant.limit is not None:
        steps.append("leave out --limit")
    elif limited:
        of = "" if alone else f" of {listed(limited)}"
        steps.append(f"raise 'sample'{of} to {count}")
    if not steps:
        # Some examples have no score for every strategy.
        steps.append("fix what was not scored, or add examples")
    return f"{', '.join(steps)} and run again. Only the new ones are computed."


def _examples_needed(facts: VerdictFacts) -> int | None:
    """How many examples of each dataset would decide the verdict; None if that is not known."""
    needed = facts.verdict.examples_needed
    each = facts.result.graph.loaded.selected_metric.examples_per_value
    return None if needed is None else math.ceil(needed * each / len(facts.datasets))


def _at_least(facts: VerdictFacts, needed: int) -> int:
    """So many examples, in two digits: the number is an estimate."""
    count = max(needed, facts.fewest + 1, FEWEST_EXAMPLES)
    step = int(10 ** max(0, len(str(count)) - 2))
    return -(-count // step) * step


def _asks_too_many(facts: VerdictFacts, needed: int) -> bool:
    return _at_least(facts, needed) > _TOO_MANY_MORE * facts.fewest


def _each(facts: VerdictFacts) -> str:
    return " in each dataset" if len(facts.datasets) > 1 else ""


def _how_sure(facts: VerdictFacts) -> str:
    return facts.verdict.how_sure(len(facts.datasets), facts.fewest)


def _run(facts: VerdictFacts) -> str:
    return f"respsel run {facts.typed}"


def _apply(facts: VerdictFacts) -> str:
    return f"respsel apply {facts.typed}"
