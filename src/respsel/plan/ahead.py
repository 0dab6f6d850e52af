"""About what the steps of a run will ask of models, from what is known so far.

A step's requests are made for a few of its examples, and counted up. Texts that are not written
yet are stood in for by texts of the length that is expected. Knows nothing of time. Invariants: no
model is opened, nothing is stored, and what cannot be foreseen is left at what a step asks at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import GeneratorType
from typing import Any, Protocol

from respsel.calls.events import CallKind
from respsel.calls.keys import find_call, request_key
from respsel.calls.requests import GenerateRequest, RepresentRequest, Request, ScoreRequest
from respsel.graph import Graph, Step, names, roles
from respsel.graph.ledger import Ledger
from respsel.graph.names import StepName
from respsel.plan.estimate import new_prompt_tokens, response_tokens
from respsel.plan.plan import MOST_ROWS
from respsel.records import OwnOutput, Response
from respsel.selection.race_rule import FIRST
from respsel.store.store import Store

# A step's requests are made for so many of its examples.
_MOST_EXAMPLES = 24
_CHARS_PER_TOKEN = 4
# Behind its first lap a race scores about this share; see race_rule.
RACED = 0.24
# About how often a text is wrong or empty and asked for again.
WRONG = 0.5


class Lengths(Protocol):
    """How long texts are that are not written yet."""

    def expected(self, model: str, about: str, most: int) -> float:
        """About how many tokens a model writes; about: see AnsweredCall; most: its limit."""


@dataclass(frozen=True)
class Ahead:
    """About what a step will ask of a model.

    step, op: the step's name and operation.
    model: the model; empty where the step asks none.
    kind: what it asks; None where it asks none.
    about: what its requests are for, as errors name it.
    calls: how many calls, without those that are stored.
    read: how many tokens of prompts they take, each prompt once.
    written: how many tokens of responses, written or scored.
    attempts: how many times more a text may be asked for, if it is wrong.
    at_most: how many requests it makes at most; more than `calls` where it is a race.
    guessed: whether the texts that it scores were guessed by their letters; else `written` is in
        tokens.
    limit: how many tokens a text may have that it writes.
    """

    step: str
    op: str
    model: str = ""
    kind: CallKind | None = None
    about: str = ""
    calls: float = 0
    read: float = 0
    written: float = 0
    attempts: int = 0
    at_most: float = 0
    guessed: bool = True
    limit: float = 0


def look_ahead(graph: Graph, store: Store, ledger: Ledger, lengths: Lengths) -> list[Ahead]:
    """What each step will ask that is not known yet, in the order of the graph."""
    return list(_Scout(graph, store, ledger, lengths).steps())


class _Scout:
    """Looks at the steps of a graph in their order, once."""

    def __init__(self, graph: Graph, store: Store, ledger: Ledger, lengths: Lengths) -> None:
        self._graph = graph
        self._store = store
        self._ledger = ledger
        self._lengths = lengths
        self._asked = set[str]()
        self._prompts = set[int]()
        self._chosen: dict[str, Sequence[Any]] = {}
        self._counts: dict[str, int] = {}
        # By step, which share of its calls is not stored, and how long its texts will be.
        self._missing: dict[str, float] = {}
        self._long: dict[str, float] = {}

    def steps(self) -> Iterator[Ahead]:
        for step in self._graph.steps.values():
            if self._ledger.knows([step.name]) or self._ledger.recall(step):
                continue
            if not step.asks:
                yield Ahead(step.name, step.op)
                continue
            try:
                yield self._asking(step)
            except Exception:
                # Hazard: what stands in for unknown texts may be refused by templates or plug-ins.
                yield self._at_most(step)
        self._drop()

    def _drop(self) -> None:
        for name in self._chosen:
            self._ledger.drop(names.examples(name))

    def _asking(self, step: Step) -> Ahead:
        dataset = StepName.parse(step.name).dataset
        examples = self._examples(dataset)
        if not examples:
            return self._at_most(step)
        requests = self._requests(step, examples)
        if not requests:
            return Ahead(step.name, step.op)
        calls, read, written, share = self._count(requests)
        missing = self._missing_share(step, share)
        scale = self._scale(step, dataset, examples) * (missing / share if share else 1.0)
        self._missing[step.name] = missing
        if calls:
            self._long[step.name] = written / calls
        fewest, most = step.calls_per_example
        texts = [name for name in step.inputs.values() if self._is_text(name)]
        return Ahead(
            step=step.name,
            op=step.op,
            model=requests[0].model,
            kind=_kind_of(requests[0]),
            about=requests[0].about,
            calls=calls * scale,
            read=read * scale,
            written=written * scale,
            attempts=most // fewest - 1 if fewest and step.op == "responses" else 0,
            at_most=self._most(step, dataset),
            guessed=self._ledger.knows(texts),
            limit=max(map(_limit_of, requests)),
        )

    def _is_text(self, name: str) -> bool:
        return self._graph.steps[name].op in ("responses", "composites")

    def _count(self, requests: Sequence[Request]) -> tuple[int, float, float, float]:
        """How many calls are not stored, their tokens, and the share of requests without one."""
        identity = self._graph.models[requests[0].model].identity
        calls = 0
        read = 0.0
        written = 0.0
        found = 0
        for request in requests:
            key = request_key(identity, request)
            if find_call(self._store, identity, request) is not None:
                found += 1
            elif key not in self._asked:
                calls += 1
                read += new_prompt_tokens(request, self._prompts)
                written += self._written(request)
            self._asked.add(key)
        return calls, read, written, 1 - found / len(requests)

    def _missing_share(self, step: Step, share: float) -> float:
        """Where what it scores is not known yet, as much is stored as of the calls behind that."""
        unknown = [name for name in step.inputs.values() if name in self._missing]
        return max([self._missing[name] for name in unknown], default=share) if unknown else share

    def _scale(self, step: Step, dataset: str, examples: Sequence[Any]) -> float:
        count = self._counts[dataset]
        if step.op == "race":
            first = min(FIRST, len(examples))
            return (first + (count - first) * RACED) / first if first else 1.0
        raced = roles.RACE in step.inputs and not self._ledger.knows([step.inputs[roles.RACE]])
        share = (FIRST + max(count - FIRST, 0) * RACED) / count if raced and count else 1.0
        return count / len(examples) * min(share, 1.0)

    def _most(self, step: Step, dataset: str) -> float:
        return float(step.calls_per_example[1] * self._counts.get(dataset, 0))

    def _at_most(self, step: Step) -> Ahead:
        """A step whose requests cannot be made now."""
        dataset = StepName.parse(step.name).dataset
        count = self._counts.get(dataset) or self._ledger.counts.get(names.examples(dataset), 0)
        calls = float(max(step.calls_per_example[0], 1) * count)
        model = self._graph.loaded.recipe.target.model
        kind: CallKind = "write" if step.op in ("responses", "own-outputs") else "score"
        self._missing.setdefault(step.name, 1.0)
        return Ahead(step.name, step.op, model, kind, "", calls, 100 * calls, 100 * calls)

    def _examples(self, dataset: str) -> Sequence[Any]:
        """A few of a dataset's examples, evenly from its sample."""
        name = names.examples(dataset)
        if dataset not in self._chosen and self._ledger.knows([name]):
            rows = self._ledger.rows(name) or ()
            self._counts[dataset] = len(rows)
            few = min(_MOST_EXAMPLES, len(rows))
            self._chosen[dataset] = [rows[i * len(rows) // few] for i in range(few)]
        return self._chosen.get(dataset, ())

    def _requests(self, step: Step, examples: Sequence[Any]) -> Sequence[Request]:
        tables = {
            role: self._table(name, examples)
            for role, name in step.inputs.items()
            if role != roles.RACE
        }
        made = step.make(tables)
        if not isinstance(made, GeneratorType):
            return ()
        requests: Sequence[Request] = next(made)
        made.close()
        return [requests[index] for index in range(len(requests))]

    def _table(self, name: str, examples: Sequence[Any]) -> Sequence[Any]:
        """Rows of an input to some examples, or what stands in for them."""
        ids = {example.id for example in examples}
        step = self._graph.steps[name]
        if step.op == "examples":
            return examples
        if self._ledger.knows([name]) and self._ledger.counts[name] <= MOST_ROWS:
            rows: Sequence[Any] = self._ledger.rows(name) or ()
            self._ledger.drop(name)
            if step.op in ("validation", "gates"):
                return rows
            return [row for row in rows if row.id in ids]
        if step.op in ("responses", "composites"):
            return [Response(example.id, self._filler(name, example.id)) for example in examples]
        if step.op == "own-outputs":
            return [
                OwnOutput(example.id, 0, self._filler(name, example.id)) for example in examples
            ]
        return ()

    def _filler(self, name: str, example: str) -> str:
        """A text of the expected length that no other step has for any example."""
        tokens = self._long.get(name)
        if tokens is None:
            before = self._graph.steps[name].inputs.values()
            known = [self._long[other] for other in before if other in self._long]
            tokens = max(known, default=100.0)
        letters = max(int(tokens * _CHARS_PER_TOKEN), 1)
        return f"{name} {example} ".ljust(letters, "x")

    def _written(self, request: Request) -> float:
        if isinstance(request, GenerateRequest):
            most = request.sampling.max_tokens
            return self._lengths.expected(request.model, request.about, most)
        return response_tokens(request)


def _limit_of(request: Request) -> int:
    return request.sampling.max_tokens if isinstance(request, GenerateRequest) else 0


def _kind_of(request: Request) -> CallKind:
    if isinstance(request, GenerateRequest):
        return "write"
    if isinstance(request, RepresentRequest):
        return "represent"
    assert isinstance(request, ScoreRequest)
    return "score"
