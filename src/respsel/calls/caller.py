"""Getting requests answered: from the store, or by one call each.

Neither requests, calls nor answers are all in memory at once: requests are made again where they
are looked at, calls are made a few at a time, and answers beyond the first few are read back from
the store.

Invariants: one call is made for equal requests; an answer is stored before it is used; failures,
empty texts and numbers that are not finite are never stored as answers.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Protocol

from respsel.backends.contract import Model, ScoreCall
from respsel.calls.batch import Batch, ModelRequests, PromptRequests
from respsel.calls.beginnings import Beginnings, ScoringWork, fewest_tokens
from respsel.calls.context_check import ContextCheck
from respsel.calls.events import AnsweredCall, CallEvents, CallKind, CallMeter, NoMeter
from respsel.calls.keys import call_key, find_call, remembered, request_key
from respsel.calls.lazy import Lazy
from respsel.calls.model_answers import answers_of, is_usable, unanswered, usage_of
from respsel.calls.records import Trail, from_record, to_record
from respsel.calls.requests import (
    Answer,
    GenerateRequest,
    RepresentRequest,
    Request,
    Resolved,
    Scored,
    answer_tokens,
)
from respsel.calls.tokens import Resolver
from respsel.records import TokenUsage
from respsel.store.store import Store
from respsel.tables.problems import OVER_CONTEXT

# So many calls are given to a model at once.
_CALLS_AT_ONCE = 2048


class Models(Protocol):
    """Opens models when they are first needed."""

    def identity(self, name: str) -> str: ...

    def open(self, name: str) -> Model: ...


@dataclass(frozen=True)
class PendingAnswers:
    """Requests that were looked up in the store, before any call is made.

    trail: the keys of the requests and of the calls that are stored; once `answers` has returned,
        those of all calls.
    answers: makes the calls that are missing, and returns one answer per request, in order. They
        are to be taken once. Raises InputError, before any call, naming every request that does
        not fit its model's context.
    """

    trail: Trail
    answers: Callable[[], Sequence[Answer]]


class Caller:
    """Answers requests; counts what was reused and what was called."""

    def __init__(
        self,
        store: Store,
        models: Models,
        events: CallEvents,
        before_asking: Callable[[], None] = lambda: None,
        meter: CallMeter | None = None,
    ) -> None:
        """before_asking: called before requests that the store does not answer become calls."""
        self.meter = meter or NoMeter()
        self._store = store
        self._models = models
        self._events = events
        self._before_asking = before_asking
        self.made = 0
        self.reused = 0
        # By model, what the calls took that were made now.
        self.took: dict[str, TokenUsage] = {}
        self.work = ScoringWork()

    def look_up(self, requests: Sequence[Request]) -> PendingAnswers:
        """Find what the store has of some requests; no model is opened yet."""
        batch = Batch(requests)
        missing = self._missing(batch)
        return PendingAnswers(batch.trail, partial(self._answers, batch, missing))

    def check(self, requests: Iterable[Request]) -> None:
        """Raise InputError for requests, not answered yet, that exceed their model's context."""
        check = ContextCheck()
        resolvers: dict[str, Resolver] = {}
        for request in requests:
            if find_call(self._store, self._models.identity(request.model), request) is None:
                model = self._models.open(request.model)
                if request.model not in resolvers:
                    resolvers[request.model] = Resolver(model.text)
                resolved = resolvers[request.model].resolve(request)
                check.fits(model.context_tokens, request, resolved.call)
        check.raise_errors()

    def _answers(self, batch: Batch, missing: Mapping[str, Sequence[int]]) -> Sequence[Answer]:
        """See PendingAnswers.answers."""
        reused = len(batch.requests) - sum(map(len, missing.values()))
        self.reused += reused
        if missing:
            self._before_asking()
        for name, asked in self._resolve_all(batch, missing).items():
            # One process at a time asks a model. It first looks what others have stored meanwhile.
            with self._store.lock(
                self._models.identity(name), partial(self._events.waits_for, name)
            ):
                self._ask(name, asked, batch, reused)
            reused = 0
        if reused:
            self._events.calls_wanted("", 0, reused, 0)
        return Lazy(len(batch.requests), partial(self._take, batch))

    def _missing(self, batch: Batch) -> dict[str, list[int]]:
        """Note what the store knows of the requests; return by model those without an answer."""
        missing: dict[str, list[int]] = {}
        for index, request in enumerate(batch.requests):
            asked = request_key(self._models.identity(request.model), request)
            became, told = remembered(self._store.get(asked))
            batch.trail.note(index, asked, became)
            batch.place(index, told)
            answer = self._load(became) if became else None
            if answer is None:
                missing.setdefault(request.model, []).append(index)
            else:
                batch.hold([index], answer)
        return missing

    def _resolve_all(
        self, batch: Batch, missing: Mapping[str, Sequence[int]]
    ) -> dict[str, ModelRequests]:
        """Note the calls that requests become; return by model those that are to be made.

        Raises InputError naming all that are too long and may not be left out.
        """
        check = ContextCheck()
        by_model: dict[str, ModelRequests] = {}
        for name, indices in missing.items():
            model = self._models.open(name)
            resolver = Resolver(model.text)
            identity = self._models.identity(name)
            asked = by_model[name] = ModelRequests()
            for index in indices:
                request = batch.requests[index]
                resolved = resolver.resolve(request)
                call = resolved.call
                if resolved.problem or not check.fits(model.context_tokens, request, call):
                    problem = resolved.problem or OVER_CONTEXT
                    batch.hold([index], unanswered(call, problem), stored=False)
                    continue
                batch.place(index, resolved.told)
                key = call_key(identity, call, request)
                batch.trail.note(index, batch.trail.request(index), key)
                asked.add(index, call)
        check.raise_errors()
        return by_model

    def _ask(self, name: str, asked: ModelRequests, batch: Batch, reused: int) -> None:
        """Answer requests to one model: from calls that are stored by now, or by one call each."""
        # The first request of each call, and by it all of those that share their call.
        wanted = array("L")
        shared = dict[int, list[int]]()
        tokens = 0
        for prompt in asked.by_prompt():
            stored, missing, needed = self._sort_out(prompt, batch)
            reused += stored
            wanted.extend(indices[0] for indices in missing)
            shared |= {indices[0]: indices for indices in missing if len(indices) > 1}
            tokens += needed
        self._events.calls_wanted(name, len(wanted), reused, tokens)
        model = self._models.open(name)
        self.meter.asks(name, len(wanted), tokens, lambda: model.tokens_evaluated)
        resolver = Resolver(model.text)
        rest = iter(wanted)
        while some := [shared.get(index, [index]) for index in islice(rest, _CALLS_AT_ONCE)]:
            resolved = [resolver.resolve(batch.requests[indices[0]]) for indices in some]
            self._make_some(name, model, resolved, some, batch)

    def _sort_out(self, prompt: PromptRequests, batch: Batch) -> tuple[int, list[list[int]], int]:
        """Sort a prompt's requests by whether they are answered by now.

        Returns how many are; the others, grouped by the call that they share; and how many tokens
        those calls take.
        """
        by_key: dict[str, list[int]] = {}
        for index in prompt.indices:
            by_key.setdefault(batch.trail.call(index), []).append(index)
        stored = 0
        missing = []
        tokens = 0
        sizes = dict(zip(prompt.indices, prompt.response_tokens, strict=True))
        for key, indices in by_key.items():
            answer = self._load(key)
            if answer is None:
                missing.append(indices)
                tokens += sizes[indices[0]]
                continue
            self._remember(key, indices, batch)
            batch.hold(indices, answer)
            stored += len(indices)
        self.reused += stored
        return stored, missing, tokens + (prompt.tokens if missing else 0)

    def _make_some(
        self,
        name: str,
        model: Model,
        resolved: Sequence[Resolved],
        wanted: Sequence[Sequence[int]],
        batch: Batch,
    ) -> None:
        """Make a few calls, each for the requests of some indices; store and hold the answers."""
        beginnings = Beginnings()
        before = model.tokens_evaluated
        for place, answer in answers_of(model, resolved):
            indices = wanted[place]
            usable = is_usable(answer)
            if usable:
                self._keep(batch.trail.call(indices[0]), answer, indices, batch)
            batch.hold(indices, answer, stored=usable)
            self.made += 1
            self.took[name] = self.took.get(name, TokenUsage()) + usage_of(answer)
            self.reused += len(indices) - 1
            # A prompt is evaluated once, since its responses branch from it. So is a turn.
            prompt, response = beginnings.new_tokens(resolved[place].call)
            written = min(response, answer_tokens(answer))
            request = batch.requests[indices[0]]
            self.meter.answered(
                AnsweredCall(name, _kind_of(request), request.about, prompt, written)
            )
            self._events.call_made(prompt + written)
        scored = [item.call for item in resolved if isinstance(item.call, ScoreCall)]
        if len(scored) == len(resolved):
            self.work = self.work.more(model.tokens_evaluated - before, fewest_tokens(scored))

    def _keep(self, key: str, answer: Answer, indices: Sequence[int], batch: Batch) -> None:
        """Store an answer and what led to it; when this returns the call is acknowledged."""
        with self._store.together():
            self._store.save_json(key, to_record(answer))
            self._remember(key, indices, batch)

    def _remember(self, key: str, indices: Sequence[int], batch: Batch) -> None:
        for index in indices:
            record = f"{key} {batch.told(index)}".rstrip().encode()
            self._store.put(batch.trail.request(index), record)

    def _load(self, key: str) -> Answer | None:
        record = self._store.load_json(key)
        return None if record is None else from_record(record)

    def _take(self, batch: Batch, index: int) -> Answer:
        """An answer that was at hand or stored a moment ago; asked for again if it is damaged."""
        answer = batch.at_hand.pop(index, None) or self._load(batch.trail.call(index))
        if answer is None:
            answer = self.look_up([batch.requests[index]]).answers()[0]
        told = batch.told(index)
        return replace(answer, told=told) if told and isinstance(answer, Scored) else answer


def _kind_of(request: Request) -> CallKind:
    if isinstance(request, GenerateRequest):
        return "write"
    return "represent" if isinstance(request, RepresentRequest) else "score"
