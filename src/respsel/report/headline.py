"""The first screen: which strategy, how sure that is, what to mind, and what to do next.

Invariant: it repeats the verdict and never judges again; what could make a clear ranking a bad
choice is said beside it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from respsel.backends.placement import LEFT_OUT
from respsel.data.prompts import shows_label
from respsel.graph import names as step_names
from respsel.recipe.schema import OVERALL, DatasetEntry, ModelStrategy
from respsel.records import Response
from respsel.report.analysis.confounds import Confounds
from respsel.report.analysis.summaries import AuditRow
from respsel.report.analysis.unmatched import explain_unmatched
from respsel.run.runner import RunResult
from respsel.selection.race_rule import Lap, dropped_in
from respsel.selection.verdict import FEWEST_EXAMPLES, Verdict, listed

# Deciding with more than this many times the examples is not worth their cost.
_TOO_MANY_MORE = 10
# So many reasons of missing scores are told for a strategy.
_REASONS = 3
# Below these shares (above, for texts cut short) the first screen says so.
_FEWEST_RIGHT = 0.9
_FEWEST_PAIRED = 0.8
_MOST_CUT = 0.1


@dataclass(frozen=True)
class Headline:
    """The answers of the first screen, and what a user should mind about them; command may be
    empty.

    ready: whether the verdict is one to apply as it stands, which needs more than that it is
    decided."""

    which: str
    how_sure: str
    cautions: tuple[str, ...]
    next_step: str
    command: str
    decided: bool
    ready: bool


def headline(
    result: RunResult, confounds: Mapping[str, Confounds], audits: Mapping[str, Sequence[AuditRow]]
) -> Headline:
    """The answers that a user wants first; several datasets without an overall verdict have one
    each.

    confounds: by dataset, what its ranking may really be about; audits: by dataset, what was
    scored.
    """
    overall = [verdict for verdict in result.verdicts if verdict.dataset == OVERALL]
    verdicts = overall or list(result.verdicts)
    answers = [_answer(result, verdict, confounds, audits) for verdict in verdicts]
    if len(answers) == 1:
        return answers[0]
    ready = all(answer.ready for answer in answers)
    if not ready and any(answer.ready for answer in answers):
        answers = _together(answers, result.graph.loaded.typed)
    named = [(verdict.dataset, answer) for verdict, answer in zip(verdicts, answers, strict=True)]
    return Headline(
        "; ".join(f"{name}: {answer.which}" for name, answer in named),
        " ".join(f"{name}: {answer.how_sure}" for name, answer in named),
        tuple(f"{name}: {caution}" for name, answer in named for caution in answer.cautions),
        " ".join(f"{name}: {answer.next_step}" for name, answer in named),
        "\n".join(dict.fromkeys(answer.command for answer in answers if answer.command)),
        all(answer.decided for answer in answers),
        ready,
    )


def _together(answers: Sequence[Headline], recipe: str) -> list[Headline]:
    """The answers for several datasets of which some are ready and some are not: one command
    applies them all.
    """
    apply = f"respsel apply {recipe}"
    waits = any(not answer.ready and not answer.command.startswith(apply) for answer in answers)
    made = []
    for answer in answers:
        if answer.ready:
            step = "It waits for the others." if waits else "It is applied with the others."
            answer = replace(answer, next_step=step, command="")
        elif not waits:
            # Hazard: a strategy that is chosen for one dataset would be applied to those too that
            # decided for another.
            answer = replace(answer, command=f"{apply} --accept-undecided")
        made.append(answer)
    return made


def _answer(
    result: RunResult,
    verdict: Verdict,
    confounds: Mapping[str, Confounds],
    audits: Mapping[str, Sequence[AuditRow]],
) -> Headline:
    loaded = result.graph.loaded
    command = f"respsel run {loaded.typed}"
    apply = f"respsel apply {loaded.typed}"
    if verdict.winner is None:
        none = [own.dataset for own in _own_verdicts(result, verdict) if own.winner is None]
        where = f" of {listed(none)}" if verdict.dataset == OVERALL else ""
        sure = (
            f"No example{where} has a score for every strategy, so none can be compared. "
            f"{_unscored(result, verdict)}"
        )
        step = "Fix what was not scored, or take those strategies out of the recipe, and run again."
        return Headline(
            "No strategy can be ranked",
            sure,
            tuple(_unmatched(result, verdict)),
            step,
            command,
            False,
            False,
        )
    sure = verdict.how_sure(len(_datasets(result, verdict)), _fewest(result, verdict))
    cautions = (
        *_cautions(result, verdict),
        *_partly_trained(result, verdict, audits),
        *_extremes(result, verdict, confounds),
    )
    judged, right = _judged(_responses(result, verdict))
    if verdict.decided:
        if right < judged / 2:
            which = f"{verdict.winner} suits the target best, but most of its answers are wrong"
            step = "Fix its answers, or choose another strategy, and run again."
            return Headline(which, sure, cautions, step, command, True, False)
        step = (
            "Have it applied to the whole dataset, which writes the training set; what is "
            "there is reused."
        )
        return Headline(f"Fine-tune on {verdict.winner}", sure, cautions, step, apply, True, True)
    which = f"No clear winner yet; {verdict.winner} leads"
    if right < judged / 2:
        step = (
            f"Fix the answers of {verdict.winner} or choose another strategy first: most of "
            "them are wrong. Then run again."
        )
        return Headline(which, sure, cautions, step, command, False, False)
    step, runs = _more_examples(result, verdict)
    choices = "\n".join(f"{apply} --strategy {name}" for name in (verdict.winner, *verdict.tied))
    return Headline(which, sure, cautions, step, command if runs else choices, False, False)


def _cautions(result: RunResult, verdict: Verdict) -> tuple[str, ...]:
    """What can make a clear ranking a bad choice: wrong answers, leaked labels, missing scores,
    texts cut short.
    """
    assert verdict.winner is not None
    datasets = [entry.name for entry in _datasets(result, verdict)]
    used = _responses(result, verdict)
    own = [
        r
        for d in datasets
        if step_names.own_outputs(d) in result.graph.steps
        for r in result.rows(step_names.own_outputs(d))
    ]
    recipe = result.graph.loaded.recipe
    entry = next(strategy for strategy in recipe.strategies if strategy.name == verdict.winner)
    notes = []
    if result.graph.loaded.models[recipe.target.model].entry.backend == "fake":
        notes.append("The fake backend stands in for a model: these numbers mean nothing.")
    notes += [note for d in datasets if (note := _equal_rows(result, d))]
    if verdict.datasets_disagree:
        notes.append(
            f"The datasets disagree: by the mean of ranks {verdict.first_by_rank} comes first, by "
            "the mean of standardised "
            f"scores {verdict.winner}. Look at the verdicts of the single datasets."
        )
    others = [
        own
        for own in _own_verdicts(result, verdict)
        if own.decided and own.winner != verdict.winner
    ]
    if others:
        notes.append(
            "On its own, "
            f"{listed([f'{own.dataset} decides for {own.winner}' for own in others])}. If you "
            "train on the datasets "
            "separately, give each a recipe."
        )
    judged, right = _judged(used)
    if right < _FEWEST_RIGHT * judged:
        drop = (
            "raise 'attempts' and set if_wrong = \"drop\""
            if isinstance(entry, ModelStrategy)
            else "fix or drop those"
        )
        notes.append(
            f"{right} of {judged} checked responses of {verdict.winner} have the right answer. "
            "The metric does not see that, "
            f"and fine-tuning teaches wrong answers too: {drop}, or choose another strategy."
        )
        notes += _unmatched(result, verdict)
    elif (
        isinstance(entry, ModelStrategy)
        and judged
        and any(shows_label(entry, d) for d in _datasets(result, verdict))
    ):
        notes.append(
            f"The prompt of {verdict.winner} contains the label, so the answer check is passed "
            "easily: "
            "read some of its responses before you train on them."
        )
    available = sum(_available(result, d) for d in datasets)
    if verdict.examples < _FEWEST_PAIRED * available:
        notes.append(
            f"Only {verdict.examples} of {available} examples have a score for every strategy. "
            f"{_unscored(result, verdict)}"
        )
    cut = sum(response.truncated for response in used)
    if cut > _MOST_CUT * len(used):
        rest = (
            " and `respsel apply` leaves those out"
            if recipe.training.if_truncated == "drop"
            else ""
        )
        notes.append(
            f"{cut} of {len(used)} responses of {verdict.winner} were cut short at "
            f"max_tokens{rest}: raise max_tokens."
        )
    cut = sum(output.truncated for output in own)
    if cut > _MOST_CUT * len(own):
        notes.append(
            f"{cut} of {len(own)} own outputs of the target were cut short: raise "
            "own_outputs.sampling.max_tokens."
        )
    return tuple(notes)


def _partly_trained(
    result: RunResult, verdict: Verdict, audits: Mapping[str, Sequence[AuditRow]]
) -> list[str]:
    """A warning where the chat template leaves out a part of the leader's responses."""
    cut = 0
    total = 0
    for entry in _datasets(result, verdict):
        rows = [row for row in audits[entry.name] if row.strategy == verdict.winner]
        counts = [
            sum(n for told, n in row.places.items() if told.startswith(LEFT_OUT)) for row in rows
        ]
        cut += max(counts, default=0)
        total += max((row.responses for row in rows), default=0)
    if not cut:
        return []
    return [
        f"The target's chat template leaves out a part of {cut} of {total} responses of "
        f"{verdict.winner} (their thinking, "
        "mostly). Only the rest is trained, so only the rest was scored: look at the doctor's "
        "training text."
    ]


def _equal_rows(result: RunResult, dataset: str) -> str:
    """A note of the rows that stand for nothing of their own, which there are only where ids are
    made.
    """
    frame = result.frame(step_names.examples(dataset), "copies")
    # A table that an earlier version has stored has no such column, and no equal rows.
    more = int((frame["copies"] - 1).sum()) if "copies" in frame.columns else 0
    told = "row is equal to another" if more == 1 else "rows are equal to others"
    return f"{more} {told} in {dataset}: without ids, equal rows are one example." if more else ""


def _extremes(result: RunResult, verdict: Verdict, confounds: Mapping[str, Confounds]) -> list[str]:
    """A warning where the leader is simply the shortest or the longest of all strategies, in every
    dataset.
    """
    about = [confounds[entry.name] for entry in _datasets(result, verdict)]
    kinds = {found.extreme_of(str(verdict.winner)) for found in about}
    if len(kinds) > 1 or "" in kinds or len(verdict.ranking) < 2:
        return []
    first = {found.controlled[0].strategy for found in about if found.controlled}
    if any(not found.controlled for found in about):
        rest = "There is too little to tell what is left of its lead at equal length."
    elif first == {verdict.winner}:
        rest = "With length controlled it still comes first."
    else:
        rest = (
            f"With length controlled {listed(sorted(first))} would come "
            f"first{' in a dataset' if len(first) > 1 else ''}."
        )
    of = "of both" if len(verdict.ranking) == 2 else "of all strategies"
    return [
        f"{verdict.winner} is also the {kinds.pop()} {of}: is it more than a matter of length? "
        f"{rest}"
    ]


def _responses(result: RunResult, verdict: Verdict) -> list[Response]:
    """The leader's usable responses."""
    steps = [
        step_names.responses(entry.name, str(verdict.winner))
        for entry in _datasets(result, verdict)
    ]
    return [response for step in steps for response in result.rows(step) if not response.problem]


def _judged(responses: Sequence[Response]) -> tuple[int, int]:
    return sum(r.correct is not None for r in responses), sum(r.correct is True for r in responses)


def _unmatched(result: RunResult, verdict: Verdict) -> list[str]:
    """For datasets of which no response at all has the right answer: why that may be."""
    notes = []
    for dataset in _datasets(result, verdict):
        strategies = result.graph.loaded.recipe.strategies_for(dataset.name)
        rows = [
            r
            for entry in strategies
            for r in result.rows(step_names.responses(dataset.name, entry.name))
            if r.text
        ]
        if (
            dataset.check is None
            or any(r.correct for r in rows)
            or all(r.correct is None for r in rows)
        ):
            continue
        labels = [
            example.label
            for example in result.rows(step_names.examples(dataset.name))
            if example.label
        ]
        why = explain_unmatched(dataset.check, labels, [r.text for r in rows])
        notes.append(
            f"No response of {dataset.name} has the right answer by its answer check. {why}".strip()
        )
    return notes


def _unscored(result: RunResult, verdict: Verdict) -> str:
    """Which strategies lack scores, and the commonest reason for each."""
    said = []
    for name, count in verdict.unscored.items():
        if count:
            scores = [
                step_names.scores(entry.name, name, verdict.metric)
                for entry in _datasets(result, verdict)
            ]
            reasons = Counter(
                score.problem for step in scores for score in result.rows(step) if score.problem
            )
            most = reasons.most_common(_REASONS)
            told = ", ".join(
                f"{number} {reason}" if len(reasons) > 1 else reason for reason, number in most
            )
            said.append(
                f"{name} lacks {count} "
                f"({told}{', and other reasons' if len(reasons) > _REASONS else ''})"
            )
    return f"Not scored: {listed(said)}." if said else ""


def _available(result: RunResult, dataset: str) -> int:
    """The examples, as far as a race came, if there was one."""
    laps = _laps(result, dataset)
    return laps[-1].examples if laps else result.count(step_names.examples(dataset))


def _laps(result: RunResult, dataset: str) -> Sequence[Lap]:
    name = step_names.race(dataset)
    return result.rows(name) if name in result.graph.steps else []


def _more_examples(result: RunResult, verdict: Verdict) -> tuple[str, bool]:
    """What to do about an undecided verdict, and whether the recipe is to be run again for it."""
    entries = _datasets(result, verdict)
    if any(
        entry.sample and result.count(step_names.examples(entry.name)) >= entry.sample
        for entry in entries
    ):
        how = (
            "raise 'sample' (and add examples, if the dataset has no more) and run again. Only "
            "the new ones are computed."
        )
    else:
        how = "add some to the dataset and run again. Only the new ones are computed."
    datasets = len(entries)
    fewest = _fewest(result, verdict)
    each = " in each dataset" if datasets > 1 else ""
    if not verdict.tied:
        return f"Take at least {FEWEST_EXAMPLES} examples{each}: {how}", True
    if any(set(verdict.tied) & dropped_in(_laps(result, entry.name)) for entry in entries):
        # More examples would not help: a race with the same beginning ends as early.
        return (
            "The race dropped what it could not tell apart at that confidence. To be surer, set "
            'selection.budget = "all" and run '
            "again: what is scored is not scored again.",
            True,
        )
    enough = 2 * FEWEST_EXAMPLES
    needed = (
        None if verdict.examples_needed is None else math.ceil(verdict.examples_needed / datasets)
    )
    if fewest < enough and (needed or enough) >= enough:
        return (
            f"Take {enough} examples{each} or more: from {fewest} it cannot be told how many it "
            f"would take; {how}",
            True,
        )
    leaders = listed([str(verdict.winner), *verdict.tied])
    if needed is None:
        return (
            f"Choose between {leaders} by what they cost to make and apply one, or add examples: "
            "nothing here tells them apart.",
            False,
        )
    need = max(needed, fewest + 1, FEWEST_EXAMPLES)
    if need > _TOO_MANY_MORE * fewest:
        return (
            f"It would take about {need} examples{each} to tell {leaders} apart, so the "
            "difference is small: "
            "choose between them by what they cost to make, and apply one.",
            False,
        )
    return f"About {need} examples{each} would probably decide it: {how}", True


def _own_verdicts(result: RunResult, verdict: Verdict) -> list[Verdict]:
    """Those of the single datasets that a verdict is about."""
    return [
        own
        for own in result.verdicts
        if own.dataset != OVERALL and verdict.dataset in (OVERALL, own.dataset)
    ]


def _fewest(result: RunResult, verdict: Verdict) -> int:
    """Over how many examples of a dataset strategies are compared, at the least."""
    return min(own.examples for own in _own_verdicts(result, verdict))


def _datasets(result: RunResult, verdict: Verdict) -> list[DatasetEntry]:
    entries = result.graph.loaded.recipe.datasets
    return [entry for entry in entries if verdict.dataset in (OVERALL, entry.name)]
