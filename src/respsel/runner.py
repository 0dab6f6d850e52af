"""A graph to results: run what the store lacks, stage by stage.

All steps of a stage ask their models together, so responses of different strategies to one prompt share
its computation. Knows nothing of terminals; who watches gets events. Invariant: a step is recorded only
after its output is stored, and an interruption at any point loses no acknowledged call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import GeneratorType
from typing import Any, Protocol

from respsel.calls import Caller, CallEvents
from respsel.graph import STAGES, Graph, Rows, Step
from respsel.ledger import Ledger
from respsel.models import OpenModels
from respsel.records import Response
from respsel.requests import Answer, Request
from respsel.selection import Verdict
from respsel.store import Store
from respsel.strategies.base import Operation


class RunEvents(CallEvents, Protocol):
    """Who is told how a run goes."""

    def run_begins(self, steps: int) -> None: ...

    def step_found(self, step: Step) -> None: ...

    def stage_begins(self, steps: Sequence[Step]) -> None: ...

    def step_done(self, step: Step) -> None: ...


class RunResult:
    """What a run did and found; `steps_run` and the like go on counting while damaged rows are made again."""

    def __init__(self, graph: Graph, runner: Runner, ledger: Ledger, caller: Caller, models: OpenModels) -> None:
        self.graph, self._runner, self._ledger, self._caller, self._models = graph, runner, ledger, caller, models
        verdicts = [step.name for step in graph.steps.values() if step.op == "verdict"]
        self.verdicts: tuple[Verdict, ...] = tuple(self.rows(name)[0] for name in verdicts)

    def rows(self, name: str) -> Rows:
        """A step's output; made again, with open models, if its stored copy turns out damaged."""
        return self._runner.rows(name)

    def count(self, name: str) -> int:
        """The number of a step's output rows."""
        return self._ledger.counts[name]

    @property
    def outputs(self) -> Mapping[str, str]:
        """By step name, the digest of its output."""
        return {name: self._ledger.output(name) for name in self.graph.steps}

    def key(self, name: str) -> str:
        """A step's key."""
        return self._runner.key(self.graph.steps[name])

    @property
    def weights(self) -> list[Path]:
        """The prepared weights that the recipe's models use, relative to the store."""
        return [path for known in self.graph.models.values() if (path := known.prepared) is not None]

    @property
    def steps_total(self) -> int:
        """How many steps the recipe has."""
        return len(self.graph.steps)

    @property
    def steps_run(self) -> int:
        """How many were not in the store."""
        return self._runner.steps_run

    @property
    def calls_made(self) -> int:
        """How many requests a model answered now."""
        return self._caller.made

    @property
    def calls_reused(self) -> int:
        """How many requests of the steps that ran were answered from the store."""
        return self._caller.reused

    @property
    def models_opened(self) -> tuple[str, ...]:
        """The models that were loaded."""
        return tuple(self._models.opened)


class Runner:
    """Runs one graph once."""

    def __init__(self, graph: Graph, store: Store, models: OpenModels, events: RunEvents) -> None:
        self._graph, self._store, self._models, self._events = graph, store, models, events
        self._ledger = Ledger(graph, store)
        self._caller = Caller(store, models, events)
        self._uses: dict[str, list[tuple[str, str]]] = {}
        self.steps_run = 0
        # Called once, before the first step that must run; a fully cached run has none.
        self.before_work: Callable[[], None] = lambda: None

    def run(self) -> RunResult:
        """Run every step that the store lacks. Raises RespselError; what is done stays stored."""
        steps = list(self._graph.steps.values())
        self._events.run_begins(len(steps))
        for stage in range(len(STAGES)):
            todo = []
            for step in steps:
                if step.stage != stage:
                    continue
                if self._ledger.recall(step):
                    self._note_last(step)
                    self._events.step_found(step)
                else:
                    todo.append(step)
            # Given responses first: what is wrong with them is told before any model is asked.
            self._perform([step for step in todo if not step.asks])
            self._caller.before_asking = partial(self._check_known_responses, stage)
            self._perform([step for step in todo if step.asks])
        return RunResult(self._graph, self, self._ledger, self._caller, self._models)

    def rows(self, name: str) -> Rows:
        """A step's output; made again if its stored copy turns out damaged."""
        rows = self._ledger.rows(name)
        if rows is None:
            self._perform([self._graph.steps[name]])
            rows = self._ledger.rows(name)
            assert rows is not None
        return rows

    def _perform(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        self.before_work()
        self.before_work = lambda: None
        self._events.stage_begins(steps)
        waiting: dict[str, Operation] = {}
        asked: dict[str, Sequence[Request]] = {}
        for step in steps:
            made = step.make([self.rows(name) for name in step.inputs])
            if not isinstance(made, GeneratorType):
                self._finish(step, made)  # type: ignore[arg-type]
                continue
            waiting[step.name] = made
            self._advance(step, made, None, waiting, asked)
        while asked:
            names = list(asked)
            answers = self._caller.answer([request for name in names for request in asked[name]])
            trail = self._caller.trail
            for name in names:
                count = len(asked[name])
                mine, answers = answers[:count], answers[count:]
                self._uses.setdefault(name, []).extend(trail[:count])
                trail = trail[count:]
                self._advance(self._graph.steps[name], waiting[name], mine, waiting, asked)

    def _advance(
        self,
        step: Step,
        operation: Operation,
        answers: Sequence[Answer] | None,
        waiting: dict[str, Operation],
        asked: dict[str, Sequence[Request]],
    ) -> None:
        """Send a step's operation its answers; note what it asks next, or finish the step."""
        try:
            asked[step.name] = next(operation) if answers is None else operation.send(answers)
        except StopIteration as done:
            waiting.pop(step.name)
            asked.pop(step.name, None)
            self._finish(step, done.value)

    def _finish(self, step: Step, rows: Rows) -> None:
        output = self._store.save_rows(step.table, rows)
        self._ledger.learn(step, rows, output)
        if step.asks:
            self._store.save_uses(self.key(step), self._uses.pop(step.name, []))
        # A step with a failed call is not done: the next run asks for that call once more.
        if not (step.failed and any(row.problem.startswith(step.failed) for row in rows)):
            self._store.save_step(self.key(step), self._ledger.record(step, len(rows)))
        self._note_last(step)
        self.steps_run += 1
        self._events.step_done(step)

    def _note_last(self, step: Step) -> None:
        self._store.save_last(self._graph.loaded.key, step.name, self.key(step))

    def key(self, step: Step) -> str:
        """The key of a step whose inputs are known."""
        key = self._ledger.key(step)
        assert key is not None, "a step that runs has all its inputs"
        return key

    def _check_known_responses(self, stage: int) -> None:
        """Before the first call: what will be scored, as far as it is known, must fit the target's context."""
        for step in self._graph.steps.values():
            if step.op != "token-scores" or step.stage <= stage or self._ledger.recall(step):
                continue
            # A race is no input here: before it, all that it might come to must fit.
            names = [name for name in step.inputs if not name.startswith("race:")]
            if self._ledger.knows(names):
                inputs = [self.rows(name) for name in names]
            elif len(names) == 2:
                # The responses are not there yet, but their prompts are.
                examples = self.rows(names[0])
                inputs = [examples, [Response(example.id, "") for example in examples]]
            else:
                continue
            made: Any = step.make(inputs)
            self._caller.check(next(made))
