"""A graph to results: run what the store lacks, stage by stage.

Knows nothing of terminals; who watches gets events. Invariant: an interruption at any point loses
no acknowledged call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from respsel.backends.open_models import OpenModels
from respsel.errors import Problem, RunError
from respsel.graph import Graph, Inputs, Step, roles
from respsel.graph.ledger import Ledger
from respsel.records import Response
from respsel.run.counts import RunCounts
from respsel.run.events import RunEvents, RunMeter
from respsel.run.result import RunResult
from respsel.run.tables import Tables
from respsel.store.notes import Unrecorded, load_latest
from respsel.store.store import Store

if TYPE_CHECKING:
    from respsel.run.stage import StageContext


class Runner:
    """Runs one graph once."""

    def __init__(
        self,
        graph: Graph,
        store: Store,
        models: OpenModels,
        events: RunEvents,
        register: Callable[[], None] = lambda: None,
        refuse_work: Callable[[], None] = lambda: None,
        unrecorded: Mapping[str, Unrecorded] = MappingProxyType({}),
        meter: RunMeter | None = None,
    ) -> None:
        """Prepare a run.

        register: makes the run known to gc. Called before the run relies on what gc may delete, and
            before it makes steps. It may be called again, also after the run is finished, when a
            table turns out damaged; gc lists nothing next to damage.
        refuse_work: raises if no step may be made. Called before steps are made.
        unrecorded: see Ledger; a run that may ask models takes none.
        meter: measures how it goes, and can neither stop nor change it.
        """
        self._meter = meter
        self._graph = graph
        self._store = store
        self._models = models
        self._events = events
        self._register = register
        self._refuse_work = refuse_work
        self._ledger = Ledger(graph, store, unrecorded)
        self._tables = Tables(graph, store, self._ledger, self._make_again)
        self._counts = RunCounts(models)
        # The stage whose first call the later stages are checked before; None once they are.
        self._unchecked: tuple[int, int] | None = None

    def run(self) -> RunResult:
        """Run every step that the store lacks. Raises RespselError; what is done stays stored."""
        steps = list(self._graph.steps.values())
        self._events.run_begins(len(steps))
        if not self._is_latest():
            # Hazard: gc may have deleted some of it since. It is looked up again below, when gc
            # knows of this run.
            self._ledger.clear()
            self._register()
        for stage in sorted({step.stage for step in steps}):
            missing = [step for step in steps if step.stage == stage and not self._is_stored(step)]
            # Given responses first: what is wrong with them is reported before any model is asked.
            self._perform([step for step in missing if not step.asks])
            self._unchecked = stage
            self._perform([step for step in missing if step.asks])
        return RunResult(self._graph, self._tables, self._counts)

    def _is_latest(self) -> bool:
        """Whether all is stored, and is what the recipe's latest run reached.

        gc keeps that in any case.
        """
        steps = self._graph.steps.values()
        if not all(map(self._ledger.recall, steps)):
            return False
        latest = load_latest(self._store, self._graph.loaded.key)
        keys = {*map(self._ledger.key, steps)}
        return latest is not None and keys <= {*latest.steps.values()}

    def _is_stored(self, step: Step) -> bool:
        """Whether a step's output is known; if so, the step counts as found."""
        if not (self._ledger.knows([step.name]) or self._ledger.recall(step)):
            return False
        self._store.save_last(self._graph.loaded.key, step.name, self._tables.key(step.name))
        self._events.step_found(step)
        return True

    def _perform(self, steps: Sequence[Step]) -> None:
        if steps:
            self._refuse_work()
            self._register()
            if self._meter is not None:
                self._meter.look(steps, self._ledger)
            self._events.stage_begins(steps)
            # Late: a cached run has no stage to perform.
            from respsel.run.stage import Stage

            Stage(steps, self._context).perform()

    @cached_property
    def _context(self) -> StageContext:
        """What all stages share."""
        from respsel.calls.caller import Caller
        from respsel.run.stage import StageContext

        caller = Caller(
            self._store, self._models, self._events, self._check_later_stages, self._meter
        )
        self._counts.caller = caller
        return StageContext(
            recipe=self._graph.loaded.key,
            store=self._store,
            ledger=self._ledger,
            tables=self._tables,
            caller=caller,
            events=self._events,
            counts=self._counts,
        )

    def _make_again(self, step: Step) -> None:
        """Make a step again whose table turned out damaged.

        Raises RunError if that gives other content than before.
        """
        before = self._ledger.output(step.name)
        # Until then it is not done; nor afterwards, if a call of it fails now.
        self._store.forget_step(self._tables.key(step.name))
        self._perform([step])
        if self._ledger.output(step.name) == before:
            return
        # Hazard: what follows it was made from the content before, and must not be in one report
        # with this one.
        self._ledger.forget_damaged()
        what = "its stored table was damaged, and made again it came out differently"
        remedy = "Run again: what follows from it is then made again"
        raise RunError(Problem(self._graph.loaded.shown, step.name, what, remedy))

    def _check_later_stages(self) -> None:
        """Before a stage's first call: what will be scored must fit the target's context.

        Only what is known by then is checked.
        """
        stage = self._unchecked
        self._unchecked = None
        if stage is None:
            return
        for step in self._graph.steps.values():
            if step.op != "token-scores" or step.stage <= stage or self._ledger.recall(step):
                continue
            tables = self._tables_before(step)
            if tables is not None:
                operation: Any = step.make(tables)
                self._context.caller.check(next(operation))
                for name in step.inputs.values():
                    self._ledger.drop(name)

    def _tables_before(self, step: Step) -> Inputs | None:
        """The inputs of a step of token scores as far as its prompts need them; None if unknown."""
        # Without a race's laps: before the race, all that it might come to must fit.
        names = {role: name for role, name in step.inputs.items() if role != roles.RACE}
        if self._ledger.knows(names.values()):
            return {role: self._tables.rows(name) for role, name in names.items()}
        # The responses are not there yet, but their prompts are.
        known = {role: name for role, name in names.items() if role != roles.RESPONSES}
        if not self._ledger.knows(known.values()):
            return None
        tables = {role: self._tables.rows(name) for role, name in known.items()}
        empty = [Response(example.id, "") for example in tables[roles.EXAMPLES]]
        return {**tables, roles.RESPONSES: empty}
