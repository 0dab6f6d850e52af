"""A graph to a plan: which steps the store already has, which must run, and why.

Steps that need no model and whose inputs are known are made in memory, so that a first plan can
already count the calls of what follows and report bad input. Invariant: planning opens no model and
stores nothing but file digests.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import GeneratorType
from typing import Literal

from respsel.calls.keys import find_call, request_key
from respsel.calls.requests import GenerateRequest, Request, ScoreRequest
from respsel.graph import Graph, Inputs, Rows, Step
from respsel.graph import names as step_names
from respsel.graph.ledger import Ledger
from respsel.graph.names import StepName
from respsel.plan.changes import changes_between, reading_of_tokenizer
from respsel.plan.nearest import Nearest, StoredSteps, input_slot
from respsel.records import Message, TokenUsage
from respsel.store.store import Store

# English text has about four characters to a token; good enough for "about how many tokens".
_CHARS_PER_TOKEN = 4
# With more changes than these, another step is not what a step "was".
_FEW_CHANGES = 2


@dataclass(frozen=True)
class PlannedStep:
    """What a run would do with a step. calls: the model calls that it makes for certain, without
    those that a step before it makes too; calls_at_most: with all attempts, or if nothing that it
    waits for is known; tokens: about how many the calls take (None where that cannot be told yet),
    a shared prompt once; examples: how many examples they are for. model: whom it asks; takes:
    about what its certain calls take, with every prompt and at most so much output."""

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
    """All steps in the order in which they would run."""

    steps: tuple[PlannedStep, ...]

    @property
    def takes(self) -> Mapping[str, TokenUsage]:
        """By model, about what the calls take that are certain."""
        found: dict[str, TokenUsage] = {}
        for step in self.steps:
            if step.model:
                found[step.model] = found.get(step.model, TokenUsage()) + step.takes
        return found

    @property
    def calls_later(self) -> int:
        """How many calls more there may be at most, whose tokens are not known yet and in no
        `takes`.
        """
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
        waits = f", {self.count('waits')} wait for them" if self.count("waits") else ""
        return (
            f"{self.count('cached')} steps cached, {self.count('run')} to run{waits}: {now} "
            f"calls for certain{more}."
        )

    def __str__(self) -> str:
        return self.summary

    def count(self, state: str) -> int:
        """How many steps are in a state."""
        return sum(step.state == state for step in self.steps)


@dataclass(frozen=True)
class Walked:
    """A step, what a run would do with it, the stored step that is nearest to it, unless it is
    cached, and what is known of the steps so far."""

    step: Step
    planned: PlannedStep
    nearest: Nearest | None
    ledger: Ledger


def make_plan(graph: Graph, store: Store) -> Plan:
    """Say what a run of the graph would do. Raises InputError for bad data that can be seen now."""
    return Plan(tuple(walked.planned for walked in walk(graph, store)))


def walk(graph: Graph, store: Store) -> Iterator[Walked]:
    """Yield each step with what a run would do with it."""
    ledger = Ledger(graph, store)
    stored = StoredSteps(store, graph.loaded)
    asked = set[str]()
    uses_left = Counter(name for step in graph.steps.values() for name in step.inputs.values())
    for step in graph.steps.values():
        nearest = None if ledger.recall(step) else _find_nearest(graph, step, ledger, store, stored)
        yield Walked(step, _plan_step(graph, step, ledger, store, nearest, asked), nearest, ledger)
        uses_left.subtract(step.inputs.values())
        for name in step.inputs.values():
            if not uses_left[name]:
                ledger.drop(name)


def _find_nearest(
    graph: Graph, step: Step, ledger: Ledger, store: Store, stored: StoredSteps
) -> Nearest | None:
    """What to compare a step with; nothing where its last run had this very key."""
    key = ledger.key(step)
    if key is not None and store.last_key(graph.loaded.key, step.name) == key:
        return None
    return stored.nearest(step, ledger.known_inputs(step))


def _why_run(
    graph: Graph, step: Step, ledger: Ledger, store: Store, nearest: Nearest | None
) -> str:
    """In words, why a step with a known key is not in the store."""
    key = ledger.key(step)
    if key is not None and store.last_key(graph.loaded.key, step.name) == key:
        failed = step.asks and store.has(f"uses/{key}")
        return (
            "a call failed in its last run, or its record was damaged"
            if failed
            else "its stored result is damaged or gone"
        )
    if nearest is None:
        return "not run before"
    if graph.loaded.purpose and step.op == "examples":
        return "the whole dataset"
    record = nearest.record
    new = ledger.inputs(step)
    changed = [
        name
        for name in sorted({*record.fields, *step.fields})
        if record.fields.get(name) != step.fields.get(name)
    ]
    read_differently = reading_of_tokenizer(changes_between(record.fields, step.fields)) is not None
    words = {"file": "the file"} | (
        {"model": "reading of its tokenizer"} if read_differently else {}
    )
    changed = [words.get(name, name) for name in changed]
    if record.version != step.version:
        changed.append("operation")
    before = {input_slot(name, step.op): value for name, value in record.inputs.items()}
    after = {input_slot(name, step.op): value for name, value in new.items()}
    changed += [
        StepName.parse(slot).op
        for slot in {**before, **after}
        if before.get(slot) != after.get(slot)
    ]
    if not nearest.own and len(set(changed)) > _FEW_CHANGES:
        # Nothing that a user would call the same step.
        return "not run before"
    against = "" if nearest.own else f" (against {described(nearest)})"
    return f"{', '.join(dict.fromkeys(changed))} changed{against}"


def described(nearest: Nearest) -> str:
    """In words, which stored step another is compared with."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(nearest.stored.stored_at))
    return nearest.stored.called or f"a step stored {when} that no latest run has"


def _plan_step(
    graph: Graph, step: Step, ledger: Ledger, store: Store, nearest: Nearest | None, asked: set[str]
) -> PlannedStep:
    """asked: the keys of what the steps before it ask for, to which this one's are added."""
    if step.name in ledger.counts:
        return PlannedStep(step.name, step.op, "cached", "unchanged", rows=ledger.counts[step.name])
    if ledger.key(step) is None:
        kinds = dict.fromkeys(
            StepName.parse(name).op for name in step.inputs.values() if name not in ledger.counts
        )
        at_most = _most_calls(step, ledger)
        return PlannedStep(
            step.name,
            step.op,
            "waits",
            f"for {', '.join(kinds)}",
            calls_at_most=at_most,
            tokens=None,
        )
    reason = _why_run(graph, step, ledger, store, nearest)
    inputs = _known_rows(step, ledger)
    if inputs is None:
        return PlannedStep(step.name, step.op, "run", reason)
    made = step.make(inputs)
    if not isinstance(made, GeneratorType):
        rows: Rows = made  # type: ignore[assignment]
        ledger.learn(step, step.table.digest(rows), len(rows))
        ledger.keep(step.name, rows)
        return PlannedStep(step.name, step.op, "run", reason, rows=ledger.counts[step.name])
    wanted = _missing(graph, store, next(made))
    missing = [request for key, request in wanted.items() if key not in asked]
    asked.update(wanted)
    fewest, most = step.calls_per_example
    # Of what a step before it asks for too, further attempts may be its own. A race is certain of
    # its first batch only.
    at_most = (
        len(wanted) * most // fewest - len(wanted) + len(missing)
        if fewest
        else _most_calls(step, ledger)
    )
    examples = len({request.example for request in missing})
    takes = _about_taken(missing)
    model = missing[0].model if missing else ""
    return PlannedStep(
        step.name,
        step.op,
        "run",
        reason,
        len(missing),
        at_most,
        _about_tokens(missing),
        examples,
        model=model,
        takes=takes,
    )


def _known_rows(step: Step, ledger: Ledger) -> Inputs | None:
    """The inputs of a step that a plan makes, to count the calls of what follows.

    None if an input is not known, or if no call follows.
    """
    if step.op in ("scores", "mixes", "choices", "verdict"):
        return None
    tables = {role: ledger.rows(name) for role, name in step.inputs.items()}
    known = {role: rows for role, rows in tables.items() if rows is not None}
    return known if len(known) == len(tables) else None


def _most_calls(step: Step, ledger: Ledger) -> int:
    examples = step_names.examples(StepName.parse(step.name).dataset)
    return step.calls_per_example[1] * ledger.counts.get(examples, 0)


def _missing(graph: Graph, store: Store, requests: Sequence[Request]) -> Mapping[str, Request]:
    """By key, what the store has no answer to."""
    missing: dict[str, Request] = {}
    for request in requests:
        identity = graph.models[request.model].identity
        if find_call(store, identity, request) is None:
            missing[request_key(identity, request)] = request
    return missing


def _about_tokens(requests: Sequence[Request]) -> int:
    """What there is to evaluate: each prompt once."""
    prompts = {request.messages for request in requests}
    return sum(_prompt_tokens(messages) for messages in prompts) + sum(
        map(_response_tokens, requests)
    )


def _about_taken(requests: Sequence[Request]) -> TokenUsage:
    """The same as an endpoint counts it: every prompt, and what is scored like it."""
    output = sum(
        _response_tokens(request) for request in requests if isinstance(request, GenerateRequest)
    )
    read = sum(
        _response_tokens(request)
        for request in requests
        if not isinstance(request, GenerateRequest)
    )
    return TokenUsage(
        len(requests), read + sum(_prompt_tokens(request.messages) for request in requests), output
    )


def _prompt_tokens(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages) // _CHARS_PER_TOKEN


def _response_tokens(request: Request) -> int:
    """Of a response that is still to be written, at most."""
    if isinstance(request, GenerateRequest):
        return request.sampling.max_tokens
    return (
        request.characters if isinstance(request, ScoreRequest) else len(request.response)
    ) // _CHARS_PER_TOKEN
