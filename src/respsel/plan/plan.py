"""A graph to a plan: which steps the store already has, which must run, and why.

Steps that need no model and whose inputs are known are made in memory, so that a first plan can
already count the calls of what follows and report bad input. Invariant: planning opens no model and
stores nothing but file digests.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import GeneratorType
from typing import Literal

from respsel.calls.keys import find_call, request_key
from respsel.calls.requests import Request
from respsel.graph import Graph, Inputs, Rows, Step
from respsel.graph import names as step_names
from respsel.graph.ledger import Ledger
from respsel.graph.names import StepName
from respsel.plan.changes import changes_between, reading_of_tokenizer
from respsel.plan.estimate import about_tokens, about_usage
from respsel.plan.nearest import Nearest, StoredSteps, earlier_inputs, input_slot
from respsel.records import TokenUsage, trained_places
from respsel.store.store import StepRecord, Store

# Larger tables are not kept at hand.
MOST_ROWS = 20_000
# With more changes than these, another step is not what a step "was".
_FEW_CHANGES = 2


@dataclass(frozen=True)
class PlannedStep:
    """What a run would do with a step.

    name: the step's name.
    op: its operation.
    state: whether it is stored, would run, or waits for steps that run before it.
    reason: why, in words.
    calls: the model calls that it makes for certain, without those that a step before it makes too.
    calls_at_most: with all attempts, or if nothing that it waits for is known.
    tokens: about how many the calls take, a shared prompt once; None where that is not known yet.
    examples: how many examples the calls are for.
    rows: how many rows its table has; None where that is not known yet.
    model: the model that it asks.
    takes: about what its certain calls take, with every prompt and at most so much output.
    """

    name: str
    op: str
    state: Literal["cached", "run", "waits"]
    reason: str
    calls: int = 0
    calls_at_most: int = 0
    tokens: int | None = 0
    examples: int = 0
    rows: int | None = None
    model: str = ""
    takes: TokenUsage = field(default_factory=TokenUsage)


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    steps: all steps in the order in which they would run.
    downloads: the addresses that it would download first; their sizes are not known.
    is_bounded: whether it is known how many calls there may be at most.
    """

    steps: tuple[PlannedStep, ...]
    downloads: tuple[str, ...] = ()
    is_bounded: bool = True

    @property
    def takes(self) -> Mapping[str, TokenUsage]:
        """By model, about what the calls take that are certain."""
        usage: dict[str, TokenUsage] = {}
        for step in self.steps:
            if step.model:
                usage[step.model] = usage.get(step.model, TokenUsage()) + step.takes
        return usage

    @property
    def calls_later(self) -> int:
        """How many more calls there may be at most; their tokens are in no `takes`."""
        return sum(
            step.calls_at_most - (step.calls if step.state == "run" else 0) for step in self.steps
        )

    @property
    def summary(self) -> str:
        """The plan in one sentence."""
        now = sum(step.calls for step in self.steps if step.state == "run")
        later = self.calls_later
        more = (
            f", and at most {later} more after them; what is stored is not asked again"
            if later
            else ""
        )
        more += "" if self.is_bounded else "; how many follow is not known before the download"
        first = "".join(f" Would download {name} (size unknown)." for name in self.downloads)
        waits = f", {self.count('waits')} wait for them" if self.count("waits") else ""
        return (
            f"{self.count('cached')} steps cached, {self.count('run')} to run{waits}: {now} "
            f"calls for certain{more}.{first}"
        )

    def __str__(self) -> str:
        return self.summary

    def count(self, state: str) -> int:
        """How many steps are in a state."""
        return sum(step.state == state for step in self.steps)


@dataclass(frozen=True)
class Walked:
    """A step, and what a run would do with it.

    step: the step.
    planned: what a run would do.
    nearest: the stored step that is nearest to it, unless it is cached.
    ledger: what is known of the steps so far.
    """

    step: Step
    planned: PlannedStep
    nearest: Nearest | None
    ledger: Ledger

    @property
    def is_bounded(self) -> bool:
        """Whether it is known how many calls there may be at most: not before a download."""
        if self.planned.state != "waits" or not self.step.asks:
            return True
        return step_names.examples(StepName.parse(self.step.name).dataset) in self.ledger.counts


def make_plan(graph: Graph, store: Store) -> Plan:
    """Say what a run of the graph would do. Raises InputError for bad data that can be seen now."""
    return _plan_of(walk(graph, store), graph)


def plan_with_ledger(graph: Graph, store: Store) -> tuple[Plan, Ledger]:
    """The same, with what is known of the steps; the rows of small tables are at hand in it."""
    planner = _Planner(graph, store, keeps=True)
    return _plan_of(planner.walk(), graph), planner.ledger


def _plan_of(walk: Iterable[Walked], graph: Graph) -> Plan:
    steps = []
    downloads: dict[str, None] = {}
    is_bounded = True
    for walked in walk:
        steps.append(walked.planned)
        is_bounded = is_bounded and walked.is_bounded
        if walked.planned.state != "cached":
            addresses = walked.step.awaits.addresses
            downloads |= dict.fromkeys(graph.loaded.show(address) for address in addresses)
    return Plan(tuple(steps), tuple(downloads), is_bounded)


def walk(graph: Graph, store: Store, asked: set[str] | None = None) -> Iterator[Walked]:
    """Yield each step with what a run would do with it.

    asked: the keys of what runs before it ask for; those of this one are added.
    """
    return _Planner(graph, store, asked).walk()


class _Planner:
    """Plans the steps of a graph in their order, once."""

    def __init__(
        self, graph: Graph, store: Store, asked: set[str] | None = None, keeps: bool = False
    ) -> None:
        """asked: see walk. keeps: small tables that are in no store stay in the ledger."""
        self._graph = graph
        self._store = store
        self._keeps = keeps
        self._ledger = Ledger(graph, store)
        self._stored = StoredSteps(store, graph.loaded)
        # The keys of what the steps so far ask for.
        self._asked = set[str]() if asked is None else asked

    @property
    def ledger(self) -> Ledger:
        """What is known of the steps so far."""
        return self._ledger

    def walk(self) -> Iterator[Walked]:
        """Yield each step with what a run would do with it."""
        ledger = self._ledger
        steps = self._graph.steps.values()
        uses_left = Counter(name for step in steps for name in step.inputs.values())
        for step in steps:
            nearest = None if ledger.recall(step) else self._nearest(step)
            yield Walked(step, self._plan(step, nearest), nearest, ledger)
            uses_left.subtract(step.inputs.values())
            for name in step.inputs.values():
                if not uses_left[name] and not self._is_kept(name):
                    ledger.drop(name)

    def _is_kept(self, name: str) -> bool:
        return self._keeps and self._ledger.counts.get(name, 0) <= MOST_ROWS

    def _nearest(self, step: Step) -> Nearest | None:
        """What to compare a step with; nothing where its last run had this very key."""
        if self._ran_last(step):
            return None
        return self._stored.nearest(step, self._ledger.known_inputs(step))

    def _ran_last(self, step: Step) -> bool:
        """Whether the step's last run in this recipe had this very key."""
        key = self._ledger.key(step)
        return key is not None and self._store.last_key(self._graph.loaded.key, step.name) == key

    def _plan(self, step: Step, nearest: Nearest | None) -> PlannedStep:
        counts = self._ledger.counts
        if step.name in counts:
            return PlannedStep(step.name, step.op, "cached", "unchanged", rows=counts[step.name])
        if step.awaits.addresses or self._ledger.key(step) is None:
            return self._waiting(step)
        reason = self._why_run(step, nearest)
        inputs = _known_rows(step, self._ledger)
        if inputs is None:
            return PlannedStep(step.name, step.op, "run", reason)
        made = step.make(inputs)
        if isinstance(made, GeneratorType):
            return self._asking(step, reason, next(made))
        rows: Rows = made  # type: ignore[assignment]
        self._ledger.learn(step, step.table.digest(rows), len(rows))
        self._ledger.keep(step.name, rows)
        return PlannedStep(step.name, step.op, "run", reason, rows=len(rows))

    def _waiting(self, step: Step) -> PlannedStep:
        """A step with inputs that are not known yet."""
        unknown = [name for name in step.inputs.values() if name not in self._ledger.counts]
        kinds = dict.fromkeys(StepName.parse(name).op for name in unknown)
        kinds |= {"the download": None} if step.awaits.addresses else {}
        return PlannedStep(
            step.name,
            step.op,
            "waits",
            f"for {', '.join(kinds)}",
            calls_at_most=self._most_calls(step),
            tokens=None,
        )

    def _asking(self, step: Step, reason: str, requests: Sequence[Request]) -> PlannedStep:
        """A step that asks models, given its first requests."""
        wanted = _missing(self._graph, self._store, requests)
        missing = [request for key, request in wanted.items() if key not in self._asked]
        self._asked.update(wanted)
        fewest, most = step.calls_per_example
        # Of what a step before it asks for too, further attempts may be its own. A race is certain
        # of its first batch only.
        at_most = (
            len(wanted) * most // fewest - len(wanted) + len(missing)
            if fewest
            else self._most_calls(step)
        )
        return PlannedStep(
            step.name,
            step.op,
            "run",
            reason,
            calls=len(missing),
            calls_at_most=at_most,
            tokens=about_tokens(missing),
            examples=len({request.example for request in missing}),
            model=missing[0].model if missing else "",
            takes=about_usage(missing),
        )

    def _most_calls(self, step: Step) -> int:
        examples = step_names.examples(StepName.parse(step.name).dataset)
        count = self._ledger.counts.get(examples, 0)
        if step.asks_each_turn and count:
            rows: Rows = self._ledger.rows(examples) or ()
            count = sum(max(1, len(trained_places(row.turns))) for row in rows)
        return step.calls_per_example[1] * count

    def _why_run(self, step: Step, nearest: Nearest | None) -> str:
        """In words, why a step with a known key is not in the store."""
        if self._ran_last(step):
            failed = step.asks and self._store.has(f"uses/{self._ledger.key(step)}")
            return (
                "a call failed in its last run, or its record was damaged"
                if failed
                else "its stored result is damaged or gone"
            )
        if nearest is None:
            return "not run before"
        if self._graph.loaded.purpose and step.op == "examples":
            return "the whole dataset"
        changed = [
            *_changed_fields(step, nearest.record),
            *(["operation"] if nearest.record.version != step.version else []),
            *_changed_inputs(step, self._ledger.inputs(step), nearest.record),
        ]
        if not nearest.own and len(set(changed)) > _FEW_CHANGES:
            # Nothing that a user would call the same step.
            return "not run before"
        against = "" if nearest.own else f" (against {described(nearest)})"
        return f"{', '.join(dict.fromkeys(changed))} changed{against}"


def _changed_fields(step: Step, record: StepRecord) -> list[str]:
    """In words, the fields in which a step differs from a stored one."""
    old = record.fields
    new = step.fields
    words = {"file": "the file"}
    if reading_of_tokenizer(changes_between(old, new)) is not None:
        words["model"] = "reading of its tokenizer"
    names = sorted({*old, *new})
    return [words.get(name, name) for name in names if old.get(name) != new.get(name)]


def _changed_inputs(step: Step, inputs: Mapping[str, str], record: StepRecord) -> list[str]:
    """The kinds of inputs whose content differs from that of a stored step."""
    before = earlier_inputs(step, inputs, record)
    after = {input_slot(name, step.op): value for name, value in inputs.items()}
    slots = {**before, **after}
    return [StepName.parse(slot).op for slot in slots if before.get(slot) != after.get(slot)]


def described(nearest: Nearest) -> str:
    """In words, which stored step another is compared with."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(nearest.stored.stored_at))
    return nearest.stored.called or f"a step stored {when} that no latest run has"


def _known_rows(step: Step, ledger: Ledger) -> Inputs | None:
    """The inputs of a step that a plan makes, to count the calls of what follows.

    None if an input is not known, or if no call follows.
    """
    if step.op in ("scores", "mixes", "choices", "verdict"):
        return None
    tables = {role: ledger.rows(name) for role, name in step.inputs.items()}
    known = {role: rows for role, rows in tables.items() if rows is not None}
    return known if len(known) == len(tables) else None


def _missing(graph: Graph, store: Store, requests: Sequence[Request]) -> Mapping[str, Request]:
    """By key, what the store has no answer to."""
    missing: dict[str, Request] = {}
    for request in requests:
        identity = graph.models[request.model].identity
        if find_call(store, identity, request) is None:
            missing[request_key(identity, request)] = request
    return missing
