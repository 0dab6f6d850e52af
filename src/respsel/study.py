"""An open recipe with its store: the flow of each command, written once.

Knows nothing of terminals: it prints nothing, and reports to `progress` how a run goes. Commands
and notebooks use it alike. Invariant: what was made before an error or an interruption is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from respsel.backends.open_models import OpenModels
from respsel.errors import InputError, Problem, RunError, suggest
from respsel.graph import Graph, Step, build_graph
from respsel.graph.downloads import Downloads
from respsel.graph.ledger import Ledger, load_unrecorded
from respsel.run.events import RunEvents
from respsel.run.result import RunResult, refuse_closed, refuse_unscored
from respsel.run.runner import Runner
from respsel.store.locks import Holder
from respsel.store.store import Store
from respsel.watch.watcher import Watcher
from respsel.workspace.loaded_recipe import LoadedRecipe
from respsel.workspace.loading import load_recipe
from respsel.workspace.variant import NO_CHANGES, Changes

if TYPE_CHECKING:
    from respsel.backends.registry import KnownModel
    from respsel.plan.explain import Explanation
    from respsel.plan.plan import Plan, Walked
    from respsel.report.summary import Summary
    from respsel.store.unfinished_runs import RunNote
    from respsel.training.apply import Selected, Wish
    from respsel.training.export import TrainingSet
    from respsel.training.modes import Mode
    from respsel.watch.outlook import Outlook
    from respsel.watch.status import Status


class Progress(RunEvents, Protocol):
    """Gets the events of a run, and for whom it waits."""

    def waits_for_gc(self, holder: Holder) -> None: ...

    def waits_for_report(self, holder: Holder) -> None: ...

    def waits_for_export(self, holder: Holder) -> None: ...

    def waits_for_download(self, holder: Holder) -> None: ...

    def downloading(self, what: str, done: int, total: int | None) -> None: ...


class Silent:
    """The Progress that does nothing."""

    def run_begins(self, steps: int) -> None: ...

    def step_found(self, step: Step) -> None: ...

    def stage_begins(self, steps: Sequence[Step]) -> None: ...

    def step_done(self, step: Step) -> None: ...

    def calls_wanted(self, model: str, missing: int, reused: int, tokens: int) -> None: ...

    def call_made(self, tokens: int) -> None: ...

    def waits_for(self, model: str, holder: Holder) -> None: ...

    def waits_for_gc(self, holder: Holder) -> None: ...

    def waits_for_report(self, holder: Holder) -> None: ...

    def waits_for_export(self, holder: Holder) -> None: ...

    def waits_for_download(self, holder: Holder) -> None: ...

    def downloading(self, what: str, done: int, total: int | None) -> None: ...


@dataclass(frozen=True)
class ApplyResult:
    """What an apply made.

    selected: which strategy's responses were taken, and by what it was selected.
    run: the run that made those that were missing.
    training_set: the training set that it wrote, in the format parquet.
    """

    selected: Selected
    run: RunResult
    training_set: TrainingSet


def open_study(
    path: str | Path,
    *,
    changes: Mapping[str, Any] | Changes | None = None,
    limit: int | None = None,
    reading: bool = False,
    offline: bool = False,
    warn: Callable[[Problem], None] = lambda problem: None,
) -> Study:
    """Open a recipe and its store; close the study again, or use it in a `with` block.

    changes: values by their keys, as `{"strategies.terse.sampling.temperature": 0.2}`. The file
    stays as it is, and the runs of the changed recipe are kept apart from its own.
    limit: take at most so many examples of each dataset.
    reading: nothing is to be run or applied, so a store that cannot be written is opened too.
    offline: download nothing, as with RESPSEL_OFFLINE=1 in the environment.
    warn: is called with what the store has lost, see Study.lost.
    Raises InputError or PreflightError if the recipe or its files are wrong.
    Raises StoreError if the store cannot be used.
    """
    loaded = load_recipe(Path(path), _asked(changes, limit))
    with ExitStack() as opened:
        store = opened.enter_context(Store(loaded.workspace.store, reading))
        store.about = loaded.place
        # Told at once, since no later command knows of it.
        for problem in store.lost:
            warn(problem)
        downloads = Downloads(store, loaded, offline)
        return Study(build_graph(loaded, store), store, opened.pop_all(), downloads)


class Study:
    """A recipe as it was when it was opened, and the open store of its workspace."""

    def __init__(self, graph: Graph, store: Store, opened: ExitStack, downloads: Downloads) -> None:
        """opened: is closed with the study, and closes the store."""
        self._downloads = downloads
        self.loaded = graph.loaded
        self._graph = graph
        self._store = store
        self._opened = opened
        self._summary: Summary | None = None
        # What went wrong when the last run's verdict was logged.
        self.untracked: Sequence[Problem] = ()

    def __enter__(self) -> Study:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Study {self.loaded.typed}{' (closed)' if self._store.closed else ''}>"

    def close(self) -> None:
        """Close the store. Tables can then no longer be read; verdicts and counts can."""
        self._opened.close()

    @property
    def lost(self) -> Sequence[Problem]:
        """What the store had lost when it was opened."""
        return tuple(self._store.lost)

    @property
    def damage(self) -> Sequence[Problem]:
        """What was found damaged in the store since it was opened. It is made again."""
        return tuple(self._store.damage)

    @property
    def read_only(self) -> bool:
        """Whether the store cannot be written."""
        return self._store.read_only

    def plan(self, selected: Selected | None = None) -> Plan:
        """Say what a run would do, or what it takes to apply a selection.

        Opens no model and downloads nothing.
        """
        from respsel.plan.plan import make_plan

        store = self._open_store()
        graph = self._graph if selected is None else self._applied_graph(selected)
        self._downloads.refuse(graph)
        return make_plan(graph, store)

    def fetch(self, progress: Progress | None = None) -> Sequence[str]:
        """Download all data that the recipe names by address; return what was not there before.

        Opens no model.
        """
        self._open_store()
        return self._downloads.bring_all(progress or Silent())

    def outlook(self, selected: Selected | None = None) -> tuple[Plan, Outlook]:
        """The same with how long it takes, by what was measured on this machine."""
        from respsel.watch.outlook import plan_with_outlook

        graph = self._graph if selected is None else self._applied_graph(selected)
        self._downloads.refuse(graph)
        return plan_with_outlook(graph, self._open_store())

    def status(self) -> Status:
        """Say whether a run goes on and how far it is, or what became of the latest one."""
        from respsel.watch.status import find_status

        return find_status(self._graph, self._open_store())

    def walk(self, asked: set[str]) -> Iterator[Walked]:
        """Say step by step what a run would do after others.

        asked: the keys of what these ask for; those of this run are added.
        """
        from respsel.plan.plan import walk

        self._downloads.refuse(self._graph)
        return walk(self._graph, self._open_store(), asked)

    def explain(self, step: str | None = None) -> Sequence[Explanation]:
        """Say why steps are cached or would run. Opens no model.

        step: a step's name, how it begins, or a part of it, such as a strategy's name.
        """
        from respsel.plan.explain import explain

        return explain(self._graph, self._open_store(), step)

    def run(self, progress: Progress | None = None) -> RunResult:
        """Run what the store lacks, write the report and record the run.

        Raises RespselError; what is done is kept.
        """
        from respsel.history.recorded_runs import record_run
        from respsel.report.write import write_report
        from respsel.store.notes import save_latest

        store = self._open_store()
        told = progress or Silent()
        if self._downloads.bring(self._graph, told):
            self._graph = build_graph(self.loaded, store)
        events = Watcher(told, self._graph, store)
        with (
            self._models(self._graph.models, events) as models,
            self._registration(self.loaded, events) as note,
            events.publishing(lambda: note.live),
        ):
            result = Runner(
                self._graph, store, models, events, register=note.begin, meter=events
            ).run()
            finished_at = _now()
            report = write_report(result, finished_at, events.waits_for_report)
            record = record_run(result, report.page, finished_at, events.waits_for_report)
            save_latest(store, result.graph.loaded.key, result.latest_run())
            note.finish()
        self._summary = report.summary
        if self.loaded.workspace.tracking.to:
            from respsel.history.tracking import track

            self.untracked = track(result, report.summary.headline, record)
        refuse_unscored(result)
        return result

    @property
    def summary(self) -> Summary:
        """What the report of the last run says in short. Raises RunError before a run."""
        if self._summary is None:
            _refuse_unrun(self.loaded, "it was not run since the study was opened")
        return self._summary

    def stored_result(self, progress: Progress | None = None) -> RunResult:
        """The result of the recipe's run, from the store alone.

        Raises RunError if the present recipe was not run, or something stored is damaged.
        """
        store = self._open_store()
        unrecorded = load_unrecorded(store, self.loaded.key)
        ledger = Ledger(self._graph, store, unrecorded)
        missing = [step.name for step in self._graph.steps.values() if not ledger.recall(step)]
        if missing:
            count = f"{len(missing)} of {len(self._graph.steps)} steps are not in the store"
            _refuse_unrun(self.loaded, f"{count}, the first is {missing[0]}")
        # What turns out damaged is not made again here, since that may take a model.
        refuse = partial(_refuse_damaged, self.loaded, ledger)
        with self._models({}) as models:
            runner = Runner(
                self._graph,
                store,
                models,
                progress or Silent(),
                refuse_work=refuse,
                unrecorded=unrecorded,
            )
            return runner.run()

    def report(self, progress: Progress | None = None, result: RunResult | None = None) -> Path:
        """Write the report again, and return its page. result: by default stored_result."""
        from respsel.report.write import write_report

        events = progress or Silent()
        known = result or self.stored_result(events)
        return write_report(known, _now(), events.waits_for_report, again=True).page

    def report_text(
        self, kind: str, progress: Progress | None = None, result: RunResult | None = None
    ) -> str:
        """The report as text instead of files; kind: html, md or json. result: see report."""
        from respsel.report.write import FORMATS, render_report

        if kind not in FORMATS:
            raise InputError(
                Problem("", "kind", f"'{kind}' is not a format of a report", suggest(kind, FORMATS))
            )
        return render_report(result or self.stored_result(progress), _now(), [kind])[kind]

    def select(self, wish: Wish) -> Selected:
        """What a wish comes to by the stored verdicts. Raises RespselError if nothing allows it."""
        from respsel.training.apply import select

        return select(self._graph, self._open_store(), wish)

    def apply(
        self,
        strategy: str | None = None,
        *,
        mode: Mode = "strategy",
        accept_undecided: bool = False,
        progress: Progress | None = None,
    ) -> ApplyResult:
        """Make the selected strategy's responses for the whole datasets; write a training set.

        strategy: apply this one, whatever the verdict.
        mode: "per-example" takes each example's best response, of all strategies.
        accept_undecided: take the leader of a verdict that is undecided.
        Raises RunError if the recipe has no verdict yet or it does not allow to apply it.
        """
        from respsel.store.notes import save_latest
        from respsel.training.apply import Wish, note_applied
        from respsel.training.export import write_sets

        events = progress or Silent()
        wish = Wish(mode, strategy, accept_undecided)
        selected = self.select(wish)
        store = self._store
        whole = self._brought(selected, events)
        watcher = Watcher(events, whole, store)
        with (
            self._models(whole.models, watcher) as models,
            self._registration(whole.loaded, watcher) as note,
            watcher.publishing(lambda: note.live),
        ):
            result = Runner(whole, store, models, watcher, register=note.begin, meter=watcher).run()
            # Looked at while models are open, so that a damaged table is made again here.
            for name in whole.steps:
                result.look_at(name)
            save_latest(store, result.graph.loaded.key, result.latest_run())
            applied = note_applied(store, result, wish, selected)
            note.finish()
        (training_set,) = write_sets(applied, ["parquet"], None, events.waits_for_export)
        return ApplyResult(selected, result, training_set)

    def export(
        self,
        *formats: str,
        mode: Mode | None = None,
        folder: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Sequence[TrainingSet]:
        """Write what was applied last as training sets, one a format. Opens no model.

        mode: which applied set; by default "strategy", and for pairs "per-example".
        folder: write to folder/FORMAT instead of below the workspace's runs.
        Raises RunError if nothing was applied, or the recipe or its verdict has changed since.
        """
        from respsel.training.apply import find_applied
        from respsel.training.export import write_sets
        from respsel.training.formats import formats_by_mode

        by_mode = formats_by_mode(formats, mode)
        store = self._open_store()
        # All are found before any is written.
        applied_sets = [
            (find_applied(self._graph, store, which), names) for which, names in by_mode.items()
        ]
        out = None if folder is None else Path(folder)
        events = progress or Silent()
        return tuple(
            made
            for applied, names in applied_sets
            for made in write_sets(applied, names, out, events.waits_for_export)
        )

    def _open_store(self) -> Store:
        refuse_closed(self._store, self.loaded)
        return self._store

    def _brought(self, selected: Selected, events: Progress) -> Graph:
        """What it takes to apply a selection, with its data downloaded."""
        graph = self._applied_graph(selected)
        return self._applied_graph(selected) if self._downloads.bring(graph, events) else graph

    def _applied_graph(self, selected: Selected) -> Graph:
        from respsel.training.apply import applied_graph

        return applied_graph(self.loaded, selected, self._store)

    @contextmanager
    def _models(
        self, known: Mapping[str, KnownModel], watcher: Watcher | None = None
    ) -> Iterator[OpenModels]:
        loads = (watcher.loads,) if watcher else ()
        with OpenModels(known, self._store.folder, *loads) as models:
            # A result that finds a table damaged later makes it again, and opens models for that.
            self._opened.callback(models.close)
            yield models

    def _registration(self, loaded: LoadedRecipe, events: Progress) -> RunNote:
        """The note by which gc knows of a run."""
        from respsel.store.unfinished_runs import RunNote

        return RunNote(self._store, loaded.key, loaded.recipe_place, events.waits_for_gc)


def _asked(changes: Mapping[str, Any] | Changes | None, limit: int | None) -> Changes:
    if isinstance(changes, Changes):
        return changes
    if not changes and limit is None:
        return NO_CHANGES
    from respsel.workspace.changes import changes_of

    return changes_of(values=changes or {}, limit=limit)


def _refuse_damaged(loaded: LoadedRecipe, ledger: Ledger) -> NoReturn:
    # All are looked at, and none counts as done any more.
    ledger.forget_damaged()
    _refuse_unrun(loaded, "a stored result is damaged")


def _refuse_unrun(loaded: LoadedRecipe, what: str) -> NoReturn:
    raise RunError(Problem(loaded.shown, "", what, f"Run: respsel run {loaded.typed}"))


def _now() -> datetime:
    return datetime.now(UTC)
