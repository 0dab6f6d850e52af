"""One stage: steps that ask their models together, so that equal prompts are evaluated once.

Knows nothing of the order of stages. Invariant: a step is recorded only after its output is stored,
and not if a call of it failed.

Each step is begun in turn. One that asks models stops at its first requests and waits. When all are
begun, the requests of all that wait are answered together, and each goes on with its own answers to
its next requests, or to its end. This is repeated until no step waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from types import GeneratorType
from typing import Any

from respsel.calls.caller import Caller
from respsel.calls.lazy import Lazy, joined, part
from respsel.calls.model_answers import usage_of
from respsel.calls.records import Trail
from respsel.calls.requests import Answer, Request
from respsel.graph import LazyInputs, Rows, Step
from respsel.graph.ledger import Ledger
from respsel.records import TokenUsage
from respsel.run.counts import RunCounts
from respsel.run.events import RunEvents
from respsel.run.tables import Tables
from respsel.store.store import Store
from respsel.strategies.base import Operation


@dataclass(frozen=True)
class StageContext:
    """What all stages of a run share.

    recipe: the key of the recipe.
    store: where outputs and records go.
    ledger: the outputs that are known.
    tables: reads them.
    caller: answers requests.
    events: is told when a step is done.
    counts: counts the steps.
    """

    recipe: str
    store: Store
    ledger: Ledger
    tables: Tables
    caller: Caller
    events: RunEvents
    counts: RunCounts


class _Waiting:
    """A step that waits for answers.

    uses: the keys of its calls so far, as a Trail holds them.
    counted: the calls whose tokens are counted; hashes of their keys, since there may be many.
    """

    def __init__(self, step: Step, operation: Operation) -> None:
        self.step = step
        self.operation = operation
        self.requests: Sequence[Request] = ()
        self.uses = b""
        self.counted: set[int] = set()


class Stage:
    """Steps that are made together, once."""

    def __init__(self, steps: Sequence[Step], of: StageContext) -> None:
        # Steps that take the same tables follow each other, and a table is let go after the last
        # of them.
        self._steps = sorted(steps, key=lambda step: tuple(step.inputs.values()))
        self._uses_left = Counter(name for step in steps for name in step.inputs.values())
        self._waiting: list[_Waiting] = []
        self._of = of

    def perform(self) -> None:
        """Make all steps."""
        for step in self._steps:
            self._begin(step)
            self._uses_left.subtract(step.inputs.values())
        while self._waiting:
            self._answer()

    def _begin(self, step: Step) -> None:
        self._of.ledger.took.pop(step.name, None)
        rows = step.make(LazyInputs(step.inputs, self._input))
        if isinstance(rows, GeneratorType):
            self._advance(_Waiting(step, rows), None)
        else:
            self._finish(step, rows)

    def _input(self, name: str) -> Rows:
        """An input of the step that is begun; let go of if no further step takes it."""
        last = self._uses_left[name] == 1
        return self._of.tables.take_rows(name) if last else self._of.tables.rows(name)

    def _advance(self, waiting: _Waiting, answers: Sequence[Answer] | None) -> None:
        """Go on with a step to its next requests, or finish it."""
        try:
            waiting.requests = (
                next(waiting.operation) if answers is None else waiting.operation.send(answers)
            )
        except StopIteration as done:
            self._finish(waiting.step, done.value)
            waiting.counted.clear()
        else:
            self._waiting.append(waiting)

    def _answer(self) -> None:
        """Have the requests of all waiting steps answered together; send each its answers."""
        waiting = self._waiting
        self._waiting = []
        starts = list(accumulate((len(one.requests) for one in waiting), initial=0))[:-1]
        places = list(zip(waiting, starts, [one.uses for one in waiting], strict=True))

        pending = self._of.caller.look_up(joined([one.requests for one in waiting]))
        trail = pending.trail
        self._of.caller.meter.round_begins({one.step.name: len(one.requests) for one in waiting})

        def note() -> None:
            for one, start, uses in places:
                one.uses = uses + trail.part(start, len(one.requests))
                self._of.store.save_uses(self._of.tables.key(one.step.name), one.uses)

        # Noted before any call is made: gc then keeps what this run has found, too.
        note()
        answers = pending.answers()
        note()
        for one, start, _ in places:
            own: Sequence[Answer] = part(answers, start, len(one.requests))
            if one.step.asks and own:
                own = self._counting(one, own, trail, start)
            self._advance(one, own)

    def _counting(
        self, waiting: _Waiting, answers: Sequence[Answer], trail: Trail, start: int
    ) -> Lazy[Answer]:
        """The same answers; a call's tokens are counted when its answer is first looked at."""
        model = waiting.requests[0].model
        usage = self._of.ledger.took.setdefault(waiting.step.name, {})

        def take(index: int) -> Answer:
            answer = answers[index]
            call = hash(trail.call(start + index))
            if not answer.problem and call not in waiting.counted:
                waiting.counted.add(call)
                usage[model] = usage.get(model, TokenUsage()) + usage_of(answer)
            return answer

        return Lazy(len(answers), take)

    def _finish(self, step: Step, rows: Iterable[Any]) -> None:
        """Store a step's output and, if no call of it failed, its record."""
        of = self._of
        packed = of.store.save_rows(step.table, rows)
        of.ledger.learn(step, packed.digest, packed.count)
        with of.store.together():
            # A step with a failed call is not done: the next run asks for that call once more.
            if not any(map(step.failures.include, packed.problems)):
                record = of.ledger.record(step, packed.count)
                of.store.save_step(of.tables.key(step.name), record)
            of.store.save_last(of.recipe, step.name, of.tables.key(step.name))
        # What follows from calls is made again at no cost; the calls themselves cost.
        if step.asks:
            of.store.checkpoint()
        of.counts.steps_run += 1
        of.events.step_done(step)
