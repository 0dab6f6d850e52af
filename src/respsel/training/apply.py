"""From a verdict to the whole dataset: what is applied, by which steps, and the note of it.

Knows nothing of training sets. Invariants: an undecided verdict is applied only if the user says
so. An applied set whose recipe or verdict has changed since is never taken for the present one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from respsel.errors import InputError, Problem, RunError, suggest
from respsel.graph import Graph, Rows, build_graph
from respsel.graph import names as step_names
from respsel.graph.ledger import Ledger, load_unrecorded
from respsel.graph.names import StepName
from respsel.hashing import DigestMemo, canonical_json, digest
from respsel.recipe.judge import JUDGE
from respsel.recipe.schema import OVERALL, Recipe
from respsel.run.result import RunResult
from respsel.selection.verdict import Verdict
from respsel.store.notes import AppliedNote, AppliedStep, load_applied, save_applied
from respsel.store.store import Store
from respsel.training.modes import Mode, check_mode
from respsel.workspace.loaded_recipe import LoadedRecipe


@dataclass(frozen=True)
class Wish:
    """What a user asks to apply. Raises InputError where its parts do not go together.

    strategy: its name; None for the verdict's.
    accept_undecided: take the verdict's even if it is not decided.
    """

    mode: Mode = "strategy"
    strategy: str | None = None
    accept_undecided: bool = False

    def __post_init__(self) -> None:
        check_mode(self.mode)
        if self.strategy is not None and self.mode == "per-example":
            what = "goes with one strategy, not with the mode per-example"
            raise InputError(Problem("", "strategy", what, "Give one of them"))


@dataclass(frozen=True)
class Selected:
    """What is applied.

    strategies: by dataset, which one; empty in the mode per-example.
    basis: by what it was selected.
    verdicts: those of the recipe, as far as they are known.
    """

    mode: Mode
    strategies: Mapping[str, str]
    basis: Literal["verdict", "undecided verdict", "choice", "each example's best score"]
    verdicts: tuple[Verdict, ...]

    def reason(self, dataset: str) -> str:
        """Why a dataset's strategy was taken, in a few words."""
        if self.basis == "choice":
            return "chosen by you"
        if self.basis == "undecided verdict":
            return "leads; the verdict is not decided"
        by_dataset = {verdict.dataset: verdict for verdict in self.verdicts}
        verdict = by_dataset.get(OVERALL) or by_dataset.get(dataset)
        alone = verdict is not None and verdict.is_alone
        return "the only one; compared with no other" if alone else "decided"


@dataclass(frozen=True)
class Applied:
    """A selection that was applied.

    graph: its steps over the whole datasets.
    outputs: by step, the digest of its table.
    """

    selected: Selected
    graph: Graph
    outputs: Mapping[str, str]
    store: Store

    @property
    def key(self) -> str:
        """The digest of all that was applied and of its tables."""
        return digest("applied", canonical_json([asdict(self.selected), dict(self.outputs)]))

    def rows(self, name: str) -> Rows:
        """A step's output. Raises RunError if it is damaged or gone."""
        rows = self.store.load_rows(self.graph.steps[name].table, self.outputs[name])
        if rows is None:
            raise _again(
                self.graph.loaded,
                self.selected.mode,
                f"{name} is damaged or no longer in the store",
            )
        return rows


def select(graph: Graph, store: Store, wish: Wish) -> Selected:
    """What a wish selects, by the stored verdicts.

    Raises InputError for an unknown strategy.
    Raises RunError if no verdict is stored or one does not allow to apply it.
    """
    ledger = _last_ledger(graph, store)
    verdicts = _stored_verdicts(graph, ledger)
    if wish.mode == "per-example":
        return Selected("per-example", {}, "each example's best score", verdicts or ())
    if wish.strategy is not None:
        chosen = _chosen(graph.loaded, wish.strategy)
        return Selected("strategy", chosen, "choice", verdicts or ())
    if verdicts is None:
        loaded = graph.loaded
        what = "there is no verdict on the recipe as it stands now"
        remedy = f"Run: respsel run {loaded.typed} (or name a strategy: --strategy NAME)"
        raise RunError(Problem(loaded.shown, "", what, remedy))
    return _by_verdict(graph, verdicts, wish.accept_undecided)


def _chosen(loaded: LoadedRecipe, strategy: str) -> Mapping[str, str]:
    """A strategy that the user named, for each dataset that it is for."""
    recipe = loaded.recipe
    # The others are made only where they are needed.
    names = [entry.name for entry in recipe.strategies if entry.compare]
    if strategy not in names:
        remedy = suggest(strategy, names)
        what = f"'{strategy}' is not a strategy"
        raise InputError(Problem(loaded.shown, "strategy", what, remedy))
    limits = loaded.strategy(strategy).datasets
    return {
        entry.name: strategy for entry in recipe.datasets if limits is None or entry.name in limits
    }


def _by_verdict(graph: Graph, verdicts: tuple[Verdict, ...], accept_undecided: bool) -> Selected:
    """The winners of the verdicts. Raises RunError if one does not allow to apply it."""
    deciding = [verdict for verdict in verdicts if verdict.dataset == OVERALL] or verdicts
    objections = [
        problem
        for verdict in deciding
        for problem in _objections(graph.loaded.shown, verdict, accept_undecided)
    ]
    if objections:
        raise RunError(objections)
    winners = {verdict.dataset: str(verdict.winner) for verdict in deciding}
    strategies = {
        entry.name: winners.get(entry.name) or winners[OVERALL]
        for entry in graph.loaded.recipe.datasets
    }
    decided = all(verdict.decided for verdict in deciding)
    return Selected("strategy", strategies, "verdict" if decided else "undecided verdict", verdicts)


def applied_graph(loaded: LoadedRecipe, selected: Selected, memo: DigestMemo) -> Graph:
    """The steps that a selection takes over the whole datasets; see build_graph."""
    recipe = loaded.recipe
    whole = [entry.model_copy(update={"sample": None}) for entry in recipe.datasets]
    # Every response has a say in what is the best for an example, so none is dropped on the way.
    selection = recipe.selection.model_copy(update={"budget": "all"})
    changed = recipe.model_copy(update={"datasets": tuple(whole), "selection": selection})
    graph = build_graph(replace(loaded, recipe=changed, purpose=f"apply {selected.mode}"), memo)
    if selected.mode == "per-example":
        names = [
            step_names.scores(dataset, strategy, recipe.selection_metric)
            for dataset, strategy in recipe.compared()
        ]
        names += [step_names.gates(entry.name) for entry in recipe.datasets]
    else:
        names = [
            step_names.responses(dataset, strategy)
            for dataset, strategy in selected.strategies.items()
        ]
    return graph.needed_for([*names, *_judgements(recipe, names)])


def _judgements(recipe: Recipe, names: Sequence[str]) -> list[str]:
    """The steps that judge the responses of some steps, if the judge leaves out any."""
    if recipe.training.least_reward is None:
        return []
    parsed = [StepName.parse(name) for name in names]
    about = dict.fromkeys((step.dataset, step.strategy) for step in parsed if step.strategy)
    return [step_names.rewards(dataset, strategy, JUDGE) for dataset, strategy in about]


def note_applied(store: Store, result: RunResult, wish: Wish, selected: Selected) -> Applied:
    """Note what was applied, for exports."""
    outputs = result.outputs
    note = AppliedNote(
        mode=wish.mode,
        strategy=wish.strategy,
        accept_undecided=wish.accept_undecided,
        strategies=selected.strategies,
        basis=selected.basis,
        steps={name: AppliedStep(result.key(name), outputs[name]) for name in outputs},
    )
    save_applied(store, result.graph.loaded.key, note)
    return Applied(selected, result.graph, outputs, store)


def find_applied(graph: Graph, store: Store, mode: Mode) -> Applied:
    """What was applied last in a mode.

    Raises RunError if nothing was applied, or the recipe or its verdict has changed since.
    """
    loaded = graph.loaded
    note = load_applied(store, replace(loaded, purpose=f"apply {mode}").key)
    if note is None:
        what = (
            "nothing was applied yet"
            if mode == "strategy"
            else "nothing was applied yet in the mode per-example"
        )
        raise _again(loaded, mode, what)
    selected = select(graph, store, Wish(mode, note.strategy, note.accept_undecided))
    if (dict(selected.strategies), selected.basis) != (note.strategies, note.basis):
        raise _again(loaded, mode, "the verdict has changed since it was applied")
    whole = applied_graph(loaded, selected, store)
    outputs: dict[str, str] = {}
    for step in whole.steps.values():
        noted = note.steps.get(step.name)
        if noted is None or step.key([outputs[name] for name in step.inputs.values()]) != noted.key:
            raise _again(
                loaded,
                mode,
                f"the recipe or its data has changed since it was applied ({step.name})",
            )
        outputs[step.name] = noted.output
    return Applied(selected, whole, outputs, store)


def _again(loaded: LoadedRecipe, mode: Mode, what: str) -> RunError:
    command = f"respsel apply {loaded.typed}" + (
        " --mode per-example" if mode == "per-example" else ""
    )
    return RunError(Problem(loaded.shown, "", what, f"Run: {command}"))


def _last_ledger(graph: Graph, store: Store) -> Ledger:
    """What is stored of a recipe's steps, also of those in whose last run a call failed."""
    ledger = Ledger(graph, store, load_unrecorded(store, graph.loaded.key))
    for step in graph.steps.values():
        ledger.recall(step)
    return ledger


def _stored_verdicts(graph: Graph, ledger: Ledger) -> tuple[Verdict, ...] | None:
    """The recipe's verdicts, if all are stored."""
    names = [step.name for step in graph.steps.values() if step.op == "verdict"]
    tables = [ledger.rows(name) for name in names if ledger.knows([name])]
    return (
        tuple(rows[0] for rows in tables if rows)
        if len(tables) == len(names) and all(tables)
        else None
    )


def _objections(shown: str, verdict: Verdict, accept_undecided: bool) -> list[Problem]:
    """Why a verdict of the recipe that is shown so is not to be applied."""
    where = f"verdict {verdict.dataset}"
    choose = "choose a strategy with --strategy NAME"
    if verdict.winner is None:
        what = (
            "no strategy may be recommended" if verdict.ranking else "no strategy could be ranked"
        )
        return [Problem(shown, where, what, f"See the report, or {choose}")]
    if not verdict.decided and not accept_undecided:
        others = f" but is not told apart from {', '.join(verdict.tied)}" if verdict.tied else ""
        what = f"is undecided: {verdict.winner} leads over {verdict.examples} examples{others}"
        return [
            Problem(
                shown,
                where,
                what,
                f"Decide it (see the report), {choose}, or take the leader with --accept-undecided",
            )
        ]
    return []
