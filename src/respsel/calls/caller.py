"""Getting requests answered: from the store, or by one call each.

Neither requests, calls nor answers are all in memory at once: requests are made anew where they are
looked at, calls are made a few at a time, and answers beyond the first few are read back from the
store.

Invariants: one call is made for equal requests; an answer is stored before it is used; failures,
empty texts and numbers that are not finite are never stored as answers.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby, islice
from typing import TYPE_CHECKING, Protocol

from respsel.backends.contract import Failure, GenerateCall, Generation, Model, ScoreCall
from respsel.calls.keys import call_key, find_call, remembered, request_key
from respsel.calls.lazy import Lazy
from respsel.calls.records import Trail, from_record, to_record
from respsel.calls.requests import (
    FAILED,
    NOT_FINITE,
    OVER_CONTEXT,
    Answer,
    Call,
    RepresentCall,
    Request,
    Resolved,
    Scored,
    ScoreRequest,
    Vector,
)
from respsel.calls.tokens import resolve
from respsel.errors import InputError, Problem, RunError
from respsel.records import TokenScores, TokenUsage
from respsel.store.locks import Holder
from respsel.store.store import Store

if TYPE_CHECKING:
    from respsel.records import FloatArray

_MOST_PROBLEMS = 20
# So many calls are given to a model at once, and answers of so many tokens are kept at hand.
_CALLS_AT_ONCE = 2048
_TOKENS_AT_HAND = 1_000_000
# What an answer takes besides its tokens, counted in tokens.
_ANSWER_COSTS = 50
# How many places of responses are told apart in one batch; more than a few say something of their
# examples.
_MOST_PLACES = 1000
_ELSEWHERE = "in yet another place"


class Models(Protocol):
    """Opens models when they are first needed."""

    def identity(self, name: str) -> str: ...

    def open(self, name: str) -> Model: ...


class CallEvents(Protocol):
    """Who is told about calls as they are answered (the progress display)."""

    def calls_wanted(self, model: str, missing: int, reused: int, tokens: int) -> None: ...

    def call_made(self, tokens: int) -> None: ...

    def waits_for(self, model: str, holder: Holder) -> None: ...


@dataclass(slots=True)
class _Prompt:
    """The requests that ask one model with one prompt, and how many tokens prompt and responses
    take.
    """

    tokens: int
    indices: list[int]
    response_tokens: list[int]


@dataclass(slots=True)
class _Asked:
    """The requests that ask one model: a few bytes each, since they may be many. numbers: of their
    prompts.
    """

    indices: array[int] = field(default_factory=partial(array, "L"))
    numbers: array[int] = field(default_factory=partial(array, "L"))
    response_tokens: array[int] = field(default_factory=partial(array, "L"))
    prompt_tokens: array[int] = field(default_factory=partial(array, "L"))

    def add(self, index: int, number: int, call: Call) -> None:
        """Note a request and the number of its prompt, which is new or one of those before."""
        self.indices.append(index)
        self.numbers.append(number)
        self.response_tokens.append(_most_tokens(call))
        if number == len(self.prompt_tokens):
            self.prompt_tokens.append(len(call.prompt_ids))

    def prompts(self) -> Iterator[_Prompt]:
        """One prompt after another, each with its requests."""
        order = sorted(range(len(self.indices)), key=self.numbers.__getitem__)
        for number, places in groupby(order, self.numbers.__getitem__):
            found = list(places)
            indices = [self.indices[i] for i in found]
            tokens = [self.response_tokens[i] for i in found]
            yield _Prompt(self.prompt_tokens[number], indices, tokens)


class _Batch:
    """Requests with their keys, and the answers that are at hand."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests = requests
        self.trail = Trail(len(requests))
        self.at_hand: dict[int, Answer] = {}
        self._room = _TOKENS_AT_HAND
        # How the place of each request's response differs, as a number in `_told`.
        self._told = [""]
        self._places = array("H", bytes(2 * len(requests)))

    def hold(self, indices: Iterable[int], answer: Answer, stored: bool = True) -> None:
        """Keep an answer at hand, if there is room or it is nowhere else."""
        self._room -= _ANSWER_COSTS + _tokens_of(answer)
        if self._room > 0 or not stored:
            self.at_hand |= dict.fromkeys(indices, answer)

    def place(self, index: int, told: str) -> None:
        """Note how the place of a request's response differs from the end of its prompt."""
        if told not in self._told:
            told = told if len(self._told) < _MOST_PLACES else _ELSEWHERE
            self._told += [] if told in self._told else [told]
        self._places[index] = self._told.index(told)

    def told(self, index: int) -> str:
        """What `place` was given."""
        return self._told[self._places[index]]


class Caller:
    """Answers requests; counts what was reused and what was called."""

    def __init__(
        self,
        store: Store,
        models: Models,
        events: CallEvents,
        before_asking: Callable[[], None] = lambda: None,
    ) -> None:
        """before_asking: called before requests that the store does not answer become calls."""
        self._store = store
        self._models = models
        self._events = events
        self._before_asking = before_asking
        self.made = 0
        self.reused = 0
        # By model, what the calls took that were made now.
        self.took: dict[str, TokenUsage] = {}

    def answer(
        self, requests: Sequence[Request], found: Callable[[Trail], None] = lambda _: None
    ) -> tuple[Sequence[Answer], Trail]:
        """Return one answer per request, in order, and the keys of their calls. The answers are to
        be taken once.

        found: is given the keys of the calls that are stored, before any is made. Raises
        InputError, before any call of a model, naming every request that does not fit its context.
        """
        batch = _Batch(requests)
        missing = self._look_up(batch)
        found(batch.trail)
        reused = len(requests) - sum(map(len, missing.values()))
        self.reused += reused
        if missing:
            self._before_asking()
        prompts = self._prompts(batch, missing)
        for name, asked in prompts.items():
            # One process at a time asks a model, and looks first what the others have stored
            # meanwhile.
            with self._store.lock(
                self._models.identity(name), partial(self._events.waits_for, name)
            ):
                self._ask(name, asked.prompts(), batch, reused)
            reused = 0
        if reused:
            self._events.calls_wanted("", 0, reused, 0)
        return Lazy(len(requests), partial(self._take, batch)), batch.trail

    def check(self, requests: Iterable[Request]) -> None:
        """Raise InputError for requests, not answered yet, that do not fit their
        model's context.
        """
        problems: dict[str, Problem] = {}
        for request in requests:
            if find_call(self._store, self._models.identity(request.model), request) is None:
                model = self._models.open(request.model)
                _fits(model, request, resolve(model, request).call, problems)
        _raise_unfit(list(problems.values()))

    def _look_up(self, batch: _Batch) -> dict[str, list[int]]:
        """Note what the requests became, as far as the store knows; return by model those without
        an answer.
        """
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

    def _prompts(self, batch: _Batch, missing: Mapping[str, Sequence[int]]) -> dict[str, _Asked]:
        """Note the calls that requests become; return them by model. Raises InputError naming all
        that are too long and may not be left out."""
        problems: dict[str, Problem] = {}
        found: dict[str, _Asked] = {}
        for name, indices in missing.items():
            model = self._models.open(name)
            identity = self._models.identity(name)
            asked = found[name] = _Asked()
            numbers: dict[int, int] = {}
            for index in indices:
                request = batch.requests[index]
                resolved = resolve(model, request)
                call = resolved.call
                if resolved.problem or not _fits(model, request, call, problems):
                    batch.hold(
                        [index], _unanswered(call, resolved.problem or OVER_CONTEXT), stored=False
                    )
                    continue
                batch.place(index, resolved.told)
                batch.trail.note(
                    index, batch.trail.request(index), call_key(identity, call, request)
                )
                # Two prompts of one hash are only taken for one in the count of tokens and the
                # order.
                asked.add(index, numbers.setdefault(hash(call.prompt_ids), len(numbers)), call)
        _raise_unfit(list(problems.values()))
        return found

    def _ask(self, name: str, prompts: Iterable[_Prompt], batch: _Batch, reused: int) -> None:
        """Answer requests to one model: from calls that are stored by now, or by one call each."""
        # The first request of each call, and by it all of those that share their call.
        wanted = array("L")
        shared = dict[int, list[int]]()
        tokens = 0
        for prompt in prompts:
            found, missing, needed = self._sort_out(prompt, batch)
            reused += found
            wanted.extend(indices[0] for indices in missing)
            shared |= {indices[0]: indices for indices in missing if len(indices) > 1}
            tokens += needed
        self._events.calls_wanted(name, len(wanted), reused, tokens)
        model = self._models.open(name)
        rest = iter(wanted)
        while some := [shared.get(index, [index]) for index in islice(rest, _CALLS_AT_ONCE)]:
            self._make_some(name, model, some, batch)

    def _sort_out(self, prompt: _Prompt, batch: _Batch) -> tuple[int, list[list[int]], int]:
        """Return how many of a prompt's requests are answered by now, the others by the call that
        they share, and the tokens which those take."""
        by_key: dict[str, list[int]] = {}
        for index in prompt.indices:
            by_key.setdefault(batch.trail.call(index), []).append(index)
        found = 0
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
            found += len(indices)
        self.reused += found
        return found, missing, tokens + (prompt.tokens if missing else 0)

    def _make_some(
        self, name: str, model: Model, wanted: Sequence[Sequence[int]], batch: _Batch
    ) -> None:
        """Make a few calls, each for the requests of some indices; store and hold the answers."""
        resolved = [resolve(model, batch.requests[indices[0]]) for indices in wanted]
        calls = [item.call for item in resolved]
        evaluated: set[tuple[int, ...]] = set()
        for place, answer in _answers(model, calls):
            if isinstance(answer, Scored) and answer.scores is not None:
                answer = replace(answer, scores=_with_lengths(answer.scores, resolved[place]))
            indices = wanted[place]
            prompt = calls[place].prompt_ids
            usable = _is_usable(answer)
            if usable:
                self._keep(batch.trail.call(indices[0]), answer, indices, batch)
            batch.hold(indices, answer, stored=usable)
            self.made += 1
            self.took[name] = self.took.get(name, TokenUsage()) + took(answer)
            self.reused += len(indices) - 1
            # A prompt is evaluated once, since its responses branch from it.
            self._events.call_made(_tokens_of(answer) + (0 if prompt in evaluated else len(prompt)))
            evaluated.add(prompt)

    def _keep(self, key: str, answer: Answer, indices: Sequence[int], batch: _Batch) -> None:
        """Store an answer and what led to it; when this returns the call is acknowledged."""
        with self._store.together():
            self._store.save_json(key, to_record(answer))
            self._remember(key, indices, batch)

    def _remember(self, key: str, indices: Sequence[int], batch: _Batch) -> None:
        for index in indices:
            self._store.put(
                batch.trail.request(index), f"{key} {batch.told(index)}".rstrip().encode()
            )

    def _load(self, key: str) -> Answer | None:
        record = self._store.load_json(key)
        return None if record is None else from_record(record)

    def _take(self, batch: _Batch, index: int) -> Answer:
        """An answer that was at hand or stored a moment ago; asked for again if something befell
        it.
        """
        answer = batch.at_hand.pop(index, None) or self._load(batch.trail.call(index))
        if answer is None:
            answers, _ = self.answer([batch.requests[index]])
            answer = answers[0]
        told = batch.told(index)
        return replace(answer, told=told) if told and isinstance(answer, Scored) else answer


def _answers(model: Model, calls: Sequence[Call]) -> Iterator[tuple[int, Answer]]:
    """Yield (index in calls, answer), each as soon as it is known."""
    generate = {place: call for place, call in enumerate(calls) if isinstance(call, GenerateCall)}
    score = {
        p: call
        for p, call in enumerate(calls)
        if isinstance(call, ScoreCall) and not isinstance(call, RepresentCall)
    }
    represent = {place: call for place, call in enumerate(calls) if isinstance(call, RepresentCall)}
    places = list(generate)
    for index, generation in model.generate(list(generate.values())):
        if isinstance(generation, Generation) and not _is_unicode(generation.text):
            generation = Failure("the text holds half a surrogate pair, which is no Unicode")
        if isinstance(generation, Failure):
            generation = Generation(
                "", 0, False, FAILED + _unicode(generation.problem), prompt_tokens=0
            )
        elif generation.prompt_tokens is None:
            generation = replace(generation, prompt_tokens=len(generate[places[index]].prompt_ids))
        yield places[index], generation
    places = list(score)
    for index, scores in model.score(list(score.values())):
        call = score[places[index]]
        if isinstance(scores, Failure):
            yield (
                places[index],
                Scored(
                    len(call.prompt_ids),
                    len(call.response_ids),
                    None,
                    FAILED + _unicode(scores.problem),
                ),
            )
            continue
        if tuple(scores.token_ids.tolist()) != call.response_ids:
            what = (
                f"the backend scored {len(scores)} tokens where {len(call.response_ids)} were "
                "asked for"
            )
            raise RunError(Problem("", "", what, "This is a fault of the backend: report it"))
        kept, problem = (scores, "") if _is_finite(scores) else (None, NOT_FINITE)
        yield places[index], Scored(len(call.prompt_ids), len(call.response_ids), kept, problem)
    places = list(represent)
    for index, found in model.represent(list(represent.values())) if represent else ():
        yield places[index], _vector(represent[places[index]], found)


def _unicode(text: str) -> str:
    """A message as it can be stored."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _is_unicode(text: str) -> bool:
    # Hazard: JSON can spell half a surrogate pair; stored, such a text would fail every later run.
    return _unicode(text) == text


def _vector(call: ScoreCall, found: FloatArray | Failure) -> Vector:
    import numpy as np

    problem = (
        FAILED + found.problem
        if isinstance(found, Failure)
        else ""
        if np.isfinite(found).all()
        else NOT_FINITE
    )
    values = None if problem or isinstance(found, Failure) else found
    return Vector(len(call.response_ids), values, problem, len(call.prompt_ids))


def _unanswered(call: Call, problem: str) -> Answer:
    if isinstance(call, RepresentCall):
        return Vector(len(call.response_ids), None, problem)
    return Scored(len(call.prompt_ids), _most_tokens(call), None, problem)


def _with_lengths(scores: TokenScores, resolved: Resolved) -> TokenScores:
    import numpy as np

    return (
        scores
        if resolved.lengths is None
        else replace(scores, lengths=np.array(resolved.lengths, np.int32))
    )


def _is_usable(answer: Answer) -> bool:
    if isinstance(answer, Generation):
        return bool(answer.text)
    return (answer.values if isinstance(answer, Vector) else answer.scores) is not None


def _fits(model: Model, request: Request, call: Call, problems: dict[str, Problem]) -> bool:
    """Whether a call fits the model's context; notes the problem where it does not and may not be
    left out.
    """
    prompt = len(call.prompt_ids)
    if isinstance(call, ScoreCall):
        more = len(call.response_ids)
        what = "response"
        remedy = "Shorten it, or take the example out"
    else:
        more = call.sampling.max_tokens
        what = "max_tokens"
        remedy = "Lower max_tokens, or shorten the prompt"
    if prompt + more <= model.context_tokens:
        return True
    if not (isinstance(request, ScoreRequest) and request.if_too_long == "drop"):
        text = (
            f"prompt of {prompt} tokens and {what} of {more} exceed the context of "
            f"{model.context_tokens}"
        )
        problem = Problem(f"{request.about}, example '{request.example}'", "", text, remedy)
        problems.setdefault(str(problem), problem)
    return False


def _raise_unfit(problems: list[Problem]) -> None:
    if len(problems) > _MOST_PROBLEMS:
        rest = Problem("", "", f"and {len(problems) - _MOST_PROBLEMS} more that are too long", "")
        problems = [*problems[:_MOST_PROBLEMS], rest]
    if problems:
        raise InputError(problems)


def _most_tokens(call: Call) -> int:
    return len(call.response_ids) if isinstance(call, ScoreCall) else call.sampling.max_tokens


def took(answer: Answer) -> TokenUsage:
    """What the call took that gave an answer; a scored response is read like its prompt."""
    prompt = answer.prompt_tokens or 0
    return (
        TokenUsage(1, prompt, answer.n_tokens)
        if isinstance(answer, Generation)
        else TokenUsage(1, prompt + answer.response_tokens, 0)
    )


def _tokens_of(answer: Answer) -> int:
    return answer.n_tokens if isinstance(answer, Generation) else answer.response_tokens


def _is_finite(scores: TokenScores) -> bool:
    import numpy as np

    # All NaN: the engine gives no entropies.
    entropies = np.isfinite(scores.entropy).all() or np.isnan(scores.entropy).all()
    return bool(np.isfinite(scores.nll).all() and entropies)
