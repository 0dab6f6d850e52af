"""The first screen: which strategy, how sure that is, what to mind, and what to do next.

Invariant: it repeats the verdict and never judges again; what could make a clear ranking a bad choice is
said beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from respsel.loading import LoadedRecipe
from respsel.recipe import OVERALL, DatasetEntry
from respsel.report.plots import percent, share
from respsel.runner import RunResult
from respsel.selection import FEWEST_EXAMPLES, Verdict

# Deciding with more than this many times the examples is not worth their cost.
_TOO_MANY_MORE = 10
# Below these shares (above, for texts cut short) the first screen says so.
_FEWEST_RIGHT, _FEWEST_PAIRED, _MOST_CUT = 0.9, 0.8, 0.1


@dataclass(frozen=True)
class Headline:
    """The three answers of the first screen, and what a user should mind about them."""

    which: str
    how_sure: str
    cautions: tuple[str, ...]
    next_step: str
    command: str
    decided: bool


def headline(result: RunResult) -> Headline:
    """The answers that a user wants first; several datasets without an overall verdict have one each."""
    overall = [verdict for verdict in result.verdicts if verdict.dataset == OVERALL]
    verdicts = overall or list(result.verdicts)
    answers = [_answer(result, verdict) for verdict in verdicts]
    if len(answers) == 1:
        return answers[0]
    named = [(verdict.dataset, answer) for verdict, answer in zip(verdicts, answers, strict=True)]
    return Headline(
        "; ".join(f"{name}: {answer.which}" for name, answer in named),
        " ".join(f"{name}: {answer.how_sure}" for name, answer in named),
        tuple(f"{name}: {caution}" for name, answer in named for caution in answer.cautions),
        " ".join(f"{name}: {answer.next_step}" for name, answer in named),
        answers[0].command,
        all(answer.decided for answer in answers),
    )


def _answer(result: RunResult, verdict: Verdict) -> Headline:
    loaded = result.graph.loaded
    command = f"respsel run {loaded.shown}"
    if verdict.winner is None:
        sure = "No example has a score for every strategy, so none can be compared."
        step = "See the audit for what was not scored, mend it and run again."
        return Headline("No strategy can be ranked", sure, (), step, command, False)
    best, asked = share(verdict.ranking[0].p_best), percent(verdict.confidence)
    over = f"over {verdict.examples} examples by {verdict.metric}"
    cautions = _cautions(result, verdict)
    if verdict.decided:
        beats = "it beats every other strategy" if len(verdict.ranking) > 1 else "it is the only strategy"
        sure = f"Decided at {asked}: {beats} {over}, and is the best in {best} of resamples."
        return Headline(f"Fine-tune on {verdict.winner}", sure, cautions, _use_it(loaded, verdict.winner), command, True)
    few = f"fewer than {FEWEST_EXAMPLES} examples decide nothing"
    what = f"it is not told apart from {_listed(verdict.tied)}" if verdict.tied else few
    sure = f"Undecided at {asked}: {verdict.winner} leads {over} and is the best in {best} of resamples, but {what}."
    step = _more_examples(result, verdict)
    return Headline(f"No clear winner yet; {verdict.winner} leads", sure, cautions, step, command, False)


def _cautions(result: RunResult, verdict: Verdict) -> tuple[str, ...]:
    """What can make a clear ranking a bad choice: wrong answers, missing scores, texts cut short."""
    datasets = [entry.name for entry in _datasets(result, verdict)]
    notes = []
    assert verdict.winner is not None
    responses = [r for d in datasets for r in result.rows(f"responses:{d}/{verdict.winner}")]
    used = [r for r in responses if not r.problem]
    judged, right = sum(r.correct is not None for r in used), sum(r.correct is True for r in used)
    if right < _FEWEST_RIGHT * judged:
        notes.append(
            f"only {right} of {judged} responses of {verdict.winner} have the right answer. The metric does not see that, "
            "and fine-tuning teaches wrong answers too: raise 'attempts' and set if_wrong = \"drop\", or choose another."
        )
    available = sum(result.count(f"examples:{d}") for d in datasets)
    if verdict.examples < _FEWEST_PAIRED * available:
        missing = _listed([f"{name} ({count})" for name, count in verdict.unscored.items() if count])
        notes.append(f"only {verdict.examples} of {available} examples have a score for every strategy. Missing: {missing}.")
    cut = sum(r.truncated for r in used)
    if cut > _MOST_CUT * len(used):
        notes.append(f"{cut} of {len(used)} responses of {verdict.winner} were cut short at max_tokens.")
    return tuple(notes)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"


def _use_it(loaded: LoadedRecipe, winner: str) -> str:
    where = f"{loaded.workspace.runs.name}/{loaded.name}/responses.parquet"
    text = f"Train on the rows of {where} with strategy == '{winner}'."
    if any(entry.sample for entry in loaded.recipe.datasets):
        text += (
            " To have them for the whole dataset, take 'sample' out of the recipe and run again: only the new examples are made."
        )
    return text


def _more_examples(result: RunResult, verdict: Verdict) -> str:
    entries = _datasets(result, verdict)
    if any(entry.sample and result.count(f"examples:{entry.name}") >= entry.sample for entry in entries):
        how = "raise 'sample' and run again. Only the new examples are computed."
    else:
        how = "add some to the dataset and run again. Only the new ones are computed."
    if not verdict.tied:
        return f"Take at least {FEWEST_EXAMPLES} examples: {how}"
    leaders = _listed([str(verdict.winner), *verdict.tied])
    if verdict.examples_needed is None:
        return f"Choose between {leaders} by what they cost to make, or add examples: nothing here tells them apart."
    need = max(verdict.examples_needed, verdict.examples + 1, FEWEST_EXAMPLES)
    if need > _TOO_MANY_MORE * verdict.examples:
        return (
            f"It would take about {need} examples to tell {leaders} apart, so the difference is small: "
            "choose between them by what they cost to make."
        )
    return f"About {need} examples would probably decide it: {how}"


def _datasets(result: RunResult, verdict: Verdict) -> list[DatasetEntry]:
    entries = result.graph.loaded.recipe.datasets
    return [entry for entry in entries if verdict.dataset in (OVERALL, entry.name)]
