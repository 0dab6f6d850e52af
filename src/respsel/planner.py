"""A graph to a plan: which steps the store already has, which must run, and why.

Steps that need no model and whose inputs are known are made in memory, so that a first plan can already
count the calls of what follows and report bad input. Invariant: planning opens no model and stores
nothing but file digests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import GeneratorType
from typing import Literal

from respsel.graph import Graph, Step
from respsel.ledger import Ledger
from respsel.requests import GenerateRequest, Request, find_call, request_key
from respsel.store import Store

# English text has about four characters to a token; good enough for "about how many tokens".
_CHARS_PER_TOKEN = 4


@dataclass(frozen=True)
class PlannedStep:
    """What a run would do with a step. calls: the model calls that it makes for certain; calls_at_most:
    with all attempts, or if nothing that it waits for is known; tokens: about how many the calls take
    (None where that cannot be told yet); examples: how many examples those calls are for."""

    name: str
    op: str
    state: Literal["cached", "run", "waits"]
    reason: str
    calls: int = 0
    calls_at_most: int = 0
    tokens: int | None = 0
    examples: int = 0
    rows: int | None = None


@dataclass(frozen=True)
class Plan:
    """All steps in the order in which they would run."""

    steps: tuple[PlannedStep, ...]

    def count(self, state: str) -> int:
        """How many steps are in a state."""
        return sum(step.state == state for step in self.steps)


def make_plan(graph: Graph, store: Store) -> Plan:
    """Say what a run of the graph would do. Raises InputError for bad data that can be seen now."""
    return Plan(tuple(planned for _, planned, _ in walk(graph, store)))


def walk(graph: Graph, store: Store) -> Iterator[tuple[Step, PlannedStep, Ledger]]:
    """Yield each step with what a run would do with it, and what is known of the steps so far."""
    ledger = Ledger(graph, store)
    for step in graph.steps.values():
        yield step, _plan_step(graph, step, ledger, store), ledger


def _plan_step(graph: Graph, step: Step, ledger: Ledger, store: Store) -> PlannedStep:
    if ledger.recall(step):
        return PlannedStep(step.name, step.op, "cached", "unchanged", rows=ledger.counts[step.name])
    if ledger.key(step) is None:
        kinds = dict.fromkeys(name.split(":")[0] for name in step.inputs if name not in ledger.counts)
        at_most = _most_calls(step, ledger)
        return PlannedStep(step.name, step.op, "waits", f"for {', '.join(kinds)}", calls_at_most=at_most, tokens=None)
    reason = ledger.why_run(step, store.load_last(graph.loaded.key, step.name))
    inputs = [ledger.rows(name) for name in step.inputs]
    if step.op in ("scores", "choices", "verdict") or None in inputs:
        return PlannedStep(step.name, step.op, "run", reason)
    made = step.make([rows for rows in inputs if rows is not None])
    if not isinstance(made, GeneratorType):
        ledger.learn(step, made, step.table.digest(made))  # type: ignore[arg-type]
        return PlannedStep(step.name, step.op, "run", reason, rows=ledger.counts[step.name])
    missing = _missing(graph, store, next(made))
    fewest, most = step.calls_per_example
    # A race is certain of its first batch only.
    at_most = len(missing) * most // fewest if fewest else _most_calls(step, ledger)
    examples = len({request.example for request in missing})
    return PlannedStep(step.name, step.op, "run", reason, len(missing), at_most, _about_tokens(missing), examples)


def _most_calls(step: Step, ledger: Ledger) -> int:
    dataset = step.name.split(":")[1].split("/")[0]
    return step.calls_per_example[1] * ledger.counts.get(f"examples:{dataset}", 0)


def _missing(graph: Graph, store: Store, requests: Sequence[Request]) -> list[Request]:
    missing: dict[str, Request] = {}
    for request in requests:
        identity = graph.models[request.model].identity
        if find_call(store, identity, request) is None:
            missing[request_key(identity, request)] = request
    return list(missing.values())


def _about_tokens(requests: Sequence[Request]) -> int:
    prompts, total = set(), 0
    for request in requests:
        if isinstance(request, GenerateRequest):
            total += request.sampling.max_tokens
        else:
            total += len(request.response) // _CHARS_PER_TOKEN
        if request.messages not in prompts:
            prompts.add(request.messages)
            total += sum(len(message.content) for message in request.messages) // _CHARS_PER_TOKEN
    return total
