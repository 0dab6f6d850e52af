"""A graph to results: run what the store lacks, stage by stage.

All steps of a stage ask their models together, so responses of different strategies to one prompt
share its computation. Knows nothing of terminals; who watches gets events. Invariant: a step is
recorded only after its output is stored, and an interruption at any point loses no acknowledged
call.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple
from functools import partial
from itertools import accumulate
from pathlib import Path
from types import GeneratorType, MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from respsel.backends.open_models import OpenModels
from respsel.calls.caller import Caller, CallEvents
from respsel.calls.lazy import Lazy, joined, part
from respsel.calls.model_answers import usage_of
from respsel.calls.records import Trail
from respsel.calls.requests import Answer, Request
from respsel.errors import InputError, Problem, RunError, StoreError, suggest
from respsel.graph import STAGES, Graph, LazyInputs, Rows, Step, roles
from respsel.graph.ledger import Ledger
from respsel.graph.names import StepName
from respsel.records import Response, TokenUsage
from respsel.scoring.token_scores import NOT_REACHED
from respsel.selection.verdict import Verdict, html_text
from respsel.store.notes import LatestRun, Unrecorded, load_latest
from respsel.store.store import Store
from respsel.strategies.base import Operation
from respsel.tables.table import Table
from respsel.workspace.loaded_recipe import LoadedRecipe

if TYPE_CHECKING:
    import polars


class RunEvents(CallEvents, Protocol):
    """Who is told how a run goes."""

    def run_begins(self, steps: int) -> None: ...

    def step_found(self, step: Step) -> None: ...

    def stage_begins(self, steps: Sequence[Step]) -> None: ...

    def step_done(self, step: Step) -> None: ...


class RunResult:
    """What a run did and found.

    `steps_run` and the like go on counting while damaged rows are made again. Tables are read from
    the store when they are asked for, so only while the study is open.
    """

    def __init__(
        self, graph: Graph, runner: Runner, ledger: Ledger, caller: Caller, models: OpenModels
    ) -> None:
        self.graph = graph
        self._runner = runner
        self._ledger = ledger
        self._caller = caller
        self._models = models
        verdicts = [step.name for step in graph.steps.values() if step.op == "verdict"]
        self.verdicts: tuple[Verdict, ...] = tuple(self.rows(name)[0] for name in verdicts)

    def rows(self, name: str) -> Rows:
        """A step's output, read anew each time, so that one table at a time is in memory; made
        again, with open models, if its stored copy turns out damaged. Raises RunError if it then
        comes out otherwise."""
        refuse_closed(self.store, self.graph.loaded)
        rows = self._runner.rows(name)
        self._ledger.drop(name)
        return rows

    def frame(self, name: str, *columns: str) -> polars.DataFrame:
        """A step's output, or some columns of it, as a data frame, which takes far less memory than
        rows; see `rows`.
        """
        refuse_closed(self.store, self.graph.loaded)
        return self._runner.frame(name, columns)

    def examples(self, dataset: str) -> polars.DataFrame:
        """A dataset's examples.

        Columns: id, input, reference, label, columns (the row's fields as JSON), copies.
        """
        return self.frame(self._step("examples", dataset))

    def responses(self, dataset: str, strategy: str) -> polars.DataFrame:
        """A strategy's responses.

        Columns: id, text, problem (why it is not used, or ""), correct, truncated, attempts,
        changed.
        """
        return self.frame(self._step("responses", dataset, strategy))

    def scores(self, dataset: str, strategy: str, metric: str) -> polars.DataFrame:
        """A metric's values, one for each response.

        Columns: id, value (null where `problem` says why), problem, weight (of the response in the
        strategy's score, for metrics that are ratios of means).
        """
        return self.frame(self._step("scores", dataset, strategy, metric))

    def verdict(self, dataset: str) -> Verdict:
        """The verdict of a dataset, or over all of several ("overall")."""
        found = {verdict.dataset: verdict for verdict in self.verdicts}
        if dataset not in found:
            self._refuse("dataset", dataset, found)
        return found[dataset]

    @property
    def page(self) -> Path:
        """The report's page."""
        loaded = self.graph.loaded
        return loaded.workspace.runs / loaded.name / "report.html"

    def _repr_html_(self) -> str:
        """The verdicts, for notebooks."""
        said = "".join(verdict._repr_html_() for verdict in self.verdicts)
        return f"{said}<p>What else to mind is in the report: {html_text(self.page)}</p>"

    def _step(self, op: str, dataset: str, strategy: str = "", metric: str = "") -> str:
        """The name of a step. Raises InputError naming what of it there is not."""
        name = str(StepName(op, dataset, strategy, metric))
        recipe = self.graph.loaded.recipe
        if name in self.graph.steps:
            return name
        if dataset not in (datasets := [entry.name for entry in recipe.datasets]):
            self._refuse("dataset", dataset, datasets)
        if strategy and strategy not in (
            names := [entry.name for entry in recipe.strategies_for(dataset)]
        ):
            self._refuse("strategy", strategy, names)
        if metric and metric not in (
            labels := [chosen.label for chosen in self.graph.loaded.metrics]
        ):
            self._refuse("metric", metric, labels)
        # An apply makes no more than it needs.
        remedy = "See the result of Study.run"
        raise InputError(Problem(self.graph.loaded.shown, name, "is not part of this run", remedy))

    def _refuse(self, kind: str, name: str, known: Iterable[str]) -> NoReturn:
        what = f"'{name}' is no {kind} of this recipe"
        raise InputError(Problem(self.graph.loaded.shown, kind, what, suggest(name, known)))

    def count(self, name: str) -> int:
        """The number of a step's output rows."""
        return self._ledger.counts[name]

    @property
    def store(self) -> Store:
        """Where everything that it found is kept."""
        return self._runner.store

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
        return [
            path for known in self.graph.models.values() if (path := known.prepared) is not None
        ]

    @property
    def unrecorded(self) -> Mapping[str, Unrecorded]:
        """By name, the steps without a record, since a call of theirs failed."""
        found = {}
        for name, step in self.graph.steps.items():
            if not self.store.has(f"step/{self.key(name)}"):
                took = {
                    model: list(astuple(counts))
                    for model, counts in self._ledger.took.get(name, {}).items()
                }
                made = (
                    self.key(name),
                    step.table.name,
                    self._ledger.output(name),
                    self.count(name),
                )
                found[name] = Unrecorded(*made, took)
        return found

    def latest_run(self) -> LatestRun:
        """What the store is to note of it as its recipe's latest run, which finished now."""
        loaded = self.graph.loaded
        return LatestRun(
            place=loaded.recipe_place,
            purpose=loaded.purpose,
            steps={name: self.key(name) for name in self.graph.steps},
            weights=tuple(path.name for path in self.weights),
            unrecorded=self.unrecorded,
            finished=time.time(),
        )

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
    def took_now(self) -> Mapping[str, TokenUsage]:
        """By model, what the calls took that were made now."""
        return self._caller.took

    @property
    def took(self) -> Mapping[str, TokenUsage]:
        """By model, what all calls that the recipe's steps use took, whenever they were made."""
        found: dict[str, TokenUsage] = {}
        for counts in (self._ledger.took.get(name, {}) for name in self.graph.steps):
            for model, more in counts.items():
                found[model] = found.get(model, TokenUsage()) + more
        return found

    @property
    def models_opened(self) -> tuple[str, ...]:
        """The models that were loaded."""
        return tuple(self._models.opened)


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
    ) -> None:
        """Prepare a run.

        register: makes the run known to gc. Called before the run relies on what gc may delete, and
        before it makes anything; it may be called again. refuse_work: raises if no step may be
        made. Called before steps are made. unrecorded: see Ledger; a run that may ask models takes
        none.
        """
        self._graph = graph
        self.store = store
        self._models = models
        self._events = events
        self._register = register
        self._refuse_work = refuse_work
        self._unrecorded = unrecorded
        self._ledger = Ledger(graph, store, unrecorded)
        self._caller = Caller(store, models, events, self._check_later_stages)
        # The stage whose first call the later stages are checked before; None once they are.
        self._unchecked: int | None = None
        # By step that asks, the keys of its calls so far, and which of them are counted in the
        # ledger's `took`.
        self._uses: dict[str, bytes] = {}
        self._counted: dict[str, set[int]] = {}
        self.steps_run = 0

    def run(self) -> RunResult:
        """Run every step that the store lacks. Raises RespselError; what is done stays stored."""
        steps = list(self._graph.steps.values())
        self._events.run_begins(len(steps))
        known = Ledger(self._graph, self.store, self._unrecorded)
        if self._is_latest(known):
            self._ledger = known
        else:
            # Hazard: gc may have freed some of it since. It is looked up once more below, when gc
            # knows of this run.
            self._register()
        for stage in range(len(STAGES)):
            todo = []
            for step in steps:
                if step.stage != stage:
                    continue
                if self._ledger.knows([step.name]) or self._ledger.recall(step):
                    self._note_last(step)
                    self._events.step_found(step)
                else:
                    todo.append(step)
            # Given responses first: what is wrong with them is told before any model is asked.
            self._perform([step for step in todo if not step.asks])
            self._unchecked = stage
            self._perform([step for step in todo if step.asks])
        return RunResult(self._graph, self, self._ledger, self._caller, self._models)

    def _is_latest(self, known: Ledger) -> bool:
        """Whether all is stored, and is what the recipe's latest run reached, which gc keeps in any
        case.
        """
        steps = self._graph.steps.values()
        if not all(map(known.recall, steps)):
            return False
        latest = load_latest(self.store, self._graph.loaded.key)
        return latest is not None and {*map(known.key, steps)} <= {*latest.steps.values()}

    def rows(self, name: str) -> Rows:
        """A step's output; made again if its stored copy turns out damaged.

        Raises RunError if it comes out otherwise.
        """
        rows = self._ledger.rows(name)
        if rows is None:
            self._make_again(self._graph.steps[name])
            rows = self._ledger.rows(name)
            assert rows is not None
        return rows

    def frame(self, name: str, columns: Sequence[str] = ()) -> polars.DataFrame:
        """A step's output, or some columns of it, as a data frame; see `rows`."""
        step = self._graph.steps[name]
        assert isinstance(step.table, Table)
        frame = self.store.load_frame(step.table, self._ledger.output(name), columns)
        if frame is None:
            self._make_again(step)
            frame = self.store.load_frame(step.table, self._ledger.output(name), columns)
            assert frame is not None
        return frame

    def _make_again(self, step: Step) -> None:
        """Make a step anew whose table turned out damaged.

        Raises RunError if that gives other content than before.
        """
        before = self._ledger.output(step.name)
        # Until then it is not done; nor afterwards, if a call of it fails now.
        self.store.forget_step(self.key(step))
        self._perform([step])
        if self._ledger.output(step.name) == before:
            return
        # Hazard: what follows it was made from the content before, and would stand beside this one
        # in a report.
        self._ledger.forget_damaged()
        what = "its stored table was damaged, and made again it came out differently"
        raise RunError(
            Problem(
                self._graph.loaded.shown,
                step.name,
                what,
                "Run again: what follows from it is then made again",
            )
        )

    def _perform(self, steps: Sequence[Step]) -> None:
        if not steps:
            return
        self._refuse_work()
        self._register()
        self._events.stage_begins(steps)
        # Steps that take the same tables follow each other, and a table is let go after the last of
        # them.
        steps = sorted(steps, key=lambda step: tuple(step.inputs.values()))
        uses_left = Counter(name for step in steps for name in step.inputs.values())
        waiting: dict[str, Operation] = {}
        asked: dict[str, Sequence[Request]] = {}
        for step in steps:
            self._ledger.took.pop(step.name, None)
            made = step.make(LazyInputs(step.inputs, partial(self._input, uses_left)))
            if isinstance(made, GeneratorType):
                waiting[step.name] = made
                self._advance(step, made, None, waiting, asked)
            else:
                self._finish(step, made)
            del made
            uses_left.subtract(step.inputs.values())
        while asked:
            self._answer(waiting, asked)

    def _input(self, uses_left: Mapping[str, int], name: str) -> Rows:
        """An input of a step; let go of if no further step of the stage takes it."""
        rows = self.rows(name)
        if uses_left[name] == 1:
            self._ledger.drop(name)
        return rows

    def _answer(self, waiting: dict[str, Operation], asked: dict[str, Sequence[Request]]) -> None:
        """Get what steps have asked answered, together, and send each its answers."""
        steps = [self._graph.steps[name] for name in asked]
        counts = [len(asked[step.name]) for step in steps]
        places = list(zip(steps, accumulate(counts, initial=0), counts, strict=False))
        before = {step.name: self._uses.get(step.name, b"") for step in steps}

        pending = self._caller.look_up(joined(list(asked.values())))
        trail = pending.trail

        def note() -> None:
            for step, start, count in places:
                self._uses[step.name] = before[step.name] + trail.part(start, count)
                self.store.save_uses(self.key(step), self._uses[step.name])

        # Noted before any call is made: gc then keeps what this run has found, too.
        note()
        answers = pending.answers()
        note()
        for step, start, count in places:
            given: Sequence[Answer] = part(answers, start, count)
            if step.asks and count:
                given = self._counting(
                    step, asked[step.name][0].model, given, partial(_call_at, trail, start)
                )
            self._advance(step, waiting[step.name], given, waiting, asked)

    def _counting(
        self, step: Step, model: str, answers: Sequence[Answer], call_at: Callable[[int], str]
    ) -> Lazy[Answer]:
        """The same answers; what each call took is counted for the step when its answer is first
        looked at.
        """
        counts = self._ledger.took.setdefault(step.name, {})
        seen = self._counted.setdefault(step.name, set())

        def take(index: int) -> Answer:
            answer = answers[index]
            call = hash(call_at(index))
            if not answer.problem and call not in seen:
                seen.add(call)
                counts[model] = counts.get(model, TokenUsage()) + usage_of(answer)
            return answer

        return Lazy(len(answers), take)

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

    def _finish(self, step: Step, rows: Iterable[Any]) -> None:
        packed = self.store.save_rows(step.table, rows)
        self._ledger.learn(step, packed.digest, packed.count)
        self._uses.pop(step.name, None)
        self._counted.pop(step.name, None)
        with self.store.together():
            # A step with a failed call is not done: the next run asks for that call once more.
            if not any(problem.startswith(step.failed) for problem in packed.problems):
                self.store.save_step(self.key(step), self._ledger.record(step, packed.count))
            self._note_last(step)
        # What follows from calls is made again for nothing; the calls themselves cost.
        if step.asks:
            self.store.checkpoint()
        self.steps_run += 1
        self._events.step_done(step)

    def _note_last(self, step: Step) -> None:
        self.store.save_last(self._graph.loaded.key, step.name, self.key(step))

    def key(self, step: Step) -> str:
        """The key of a step whose inputs are known."""
        key = self._ledger.key(step)
        assert key is not None, "a step that runs has all its inputs"
        return key

    def _check_later_stages(self) -> None:
        """Before a stage's first call: what will be scored, as far as it is known, must fit the
        target's context.
        """
        stage = self._unchecked
        self._unchecked = None
        if stage is None:
            return
        for step in self._graph.steps.values():
            if step.op != "token-scores" or step.stage <= stage or self._ledger.recall(step):
                continue
            # A race is no input here: before it, all that it might come to must fit.
            names = {role: name for role, name in step.inputs.items() if role != roles.RACE}
            if self._ledger.knows(names.values()):
                inputs = {role: self.rows(name) for role, name in names.items()}
            elif roles.OWN_OUTPUTS not in names:
                # The responses are not there yet, but their prompts are.
                examples = self.rows(names[roles.EXAMPLES])
                empty = [Response(example.id, "") for example in examples]
                inputs = {roles.EXAMPLES: examples, roles.RESPONSES: empty}
            else:
                continue
            made: Any = step.make(inputs)
            self._caller.check(next(made))
            for name in step.inputs.values():
                self._ledger.drop(name)


def _call_at(trail: Trail, start: int, index: int) -> str:
    return trail.call(start + index)


def refuse_closed(store: Store, loaded: LoadedRecipe) -> None:
    """Raise StoreError if a store is closed in which a result would be looked up."""
    if store.closed:
        what = "the study is closed, and its results are read from the store"
        remedy = "Use them inside the `with` block, or open the study again"
        raise StoreError(Problem(loaded.shown, "", what, remedy))


def refuse_unscored(result: RunResult) -> None:
    """Raise RunError if the recipe wants every response to have a value of every metric, and some
    have none.
    """
    loaded = result.graph.loaded
    if loaded.recipe.selection.if_unscored != "fail":
        return
    problems = []
    for name in (step.name for step in result.graph.steps.values() if step.table.name == "scores"):
        frame = result.frame(name, "id", "problem")
        bad = frame.filter(~frame["problem"].is_in(["", NOT_REACHED]))
        if len(bad):
            first = bad.row(0, named=True)
            what = (
                f"{len(bad)} of {len(frame)} responses have no value, e.g. '{first['id']}': "
                f"{first['problem']}"
            )
            remedy = 'Fix or drop them, or set selection.if_unscored = "report"'
            problems.append(Problem(loaded.shown, name, what, remedy))
    if problems:
        raise RunError(problems)
