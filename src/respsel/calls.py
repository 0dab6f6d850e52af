"""Getting requests answered: from the store, or by one call each.

Invariants: one call is made for equal requests; an answer is stored before it is used; failures, empty
texts and numbers that are not finite are never stored as answers.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from respsel.backends.base import Failure, GenerateCall, Generation, Model, ScoreCall
from respsel.errors import InputError, Problem, RunError
from respsel.records import TokenScores
from respsel.requests import (
    FAILED,
    NOT_FINITE,
    OVER_CONTEXT,
    Answer,
    Call,
    GenerateRequest,
    Request,
    Scored,
    ScoreRequest,
    call_key,
    find_call,
    request_key,
    to_call,
)
from respsel.store import Holder, Store

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_MOST_PROBLEMS = 20


class Models(Protocol):
    """Opens models when they are first needed."""

    def identity(self, name: str) -> str: ...

    def open(self, name: str) -> Model: ...


class CallEvents(Protocol):
    """Who is told about calls as they are answered (the progress display)."""

    def calls_wanted(self, model: str, missing: int, reused: int, tokens: int) -> None: ...

    def call_made(self, tokens: int) -> None: ...

    def waits_for(self, model: str, holder: Holder) -> None: ...


class Caller:
    """Answers requests; counts what was reused and what was called."""

    def __init__(self, store: Store, models: Models, events: CallEvents) -> None:
        self._store, self._models, self._events = store, models, events
        self.made = 0
        self.reused = 0
        # (request key, call key) of each request of the newest `answer`, in order.
        self.trail: list[tuple[str, str]] = []
        # Called once, before the first request that the store does not answer.
        self.before_asking: Callable[[], None] = _nothing

    def answer(self, requests: Sequence[Request]) -> list[Answer]:
        """Return one answer per request, in order.

        Raises InputError, before any call of a model, naming every request that does not fit its context.
        """
        answers: dict[int, Answer] = {}
        by_model: dict[str, list[int]] = {}
        self.trail = []
        for index, request in enumerate(requests):
            asked = request_key(self._models.identity(request.model), request)
            became = (self._store.get(asked) or b"").decode()
            self.trail.append((asked, became))
            found = self._load(became, isinstance(request, GenerateRequest)) if became else None
            if found is None:
                by_model.setdefault(request.model, []).append(index)
            else:
                answers[index] = found
        reused = len(answers)
        self.reused += reused
        if by_model:
            before, self.before_asking = self.before_asking, _nothing
            before()
        calls, too_long = self._fitting_calls({index: requests[index] for indices in by_model.values() for index in indices})
        answers |= too_long
        for name, asked_for in by_model.items():
            identity = self._models.identity(name)
            indices = [index for index in asked_for if index in calls]
            for index in indices:
                key = call_key(identity, calls[index], requests[index])
                self.trail[index] = (self.trail[index][0], key)
            places = {index: self.trail[index] for index in indices}
            # One process at a time asks a model, and looks first what the others have stored meanwhile.
            with self._store.turn(identity, partial(self._events.waits_for, name)):
                answers |= self._call(name, places, calls, reused)
            reused = 0
        if reused:
            self._events.calls_wanted("", 0, reused, 0)
        return [answers[index] for index in range(len(requests))]

    def check(self, requests: Sequence[Request]) -> None:
        """Raise InputError for requests, not answered yet, that do not fit their model's context."""
        identity = self._models.identity
        unknown = [r for r in requests if find_call(self._store, identity(r.model), r) is None]
        self._fitting_calls(dict(enumerate(unknown)))

    def _fitting_calls(self, requests: Mapping[int, Request]) -> tuple[dict[int, Call], dict[int, Answer]]:
        """The calls that the requests become, and the answers to those that are too long and may be.

        Raises InputError naming all others that are too long.
        """
        calls: dict[int, Call] = {}
        dropped: dict[int, Answer] = {}
        problems: dict[str, Problem] = {}
        for index, request in requests.items():
            model = self._models.open(request.model)
            call = to_call(model, request)
            problem = _misfit(model, request, call)
            if problem is None:
                calls[index] = call
            elif isinstance(call, ScoreCall) and isinstance(request, ScoreRequest) and request.if_too_long == "drop":
                dropped[index] = Scored(len(call.prompt_ids), len(call.response_ids), None, OVER_CONTEXT)
            else:
                problems.setdefault(str(problem), problem)
        _raise_unfit(list(problems.values()))
        return calls, dropped

    def _call(self, name: str, trail: Mapping[int, tuple[str, str]], calls: Mapping[int, Call], reused: int) -> dict[int, Answer]:
        """Answer requests by index: load the calls that are stored by now, make the others once each."""
        by_key: dict[str, list[int]] = {}
        for index, (_, key) in trail.items():
            by_key.setdefault(key, []).append(index)
        answers: dict[int, Answer] = {}
        missing = []
        for key, indices in by_key.items():
            found = self._load(key, isinstance(calls[indices[0]], GenerateCall))
            if found is None:
                missing.append(key)
                continue
            self._remember(key, [trail[index][0] for index in indices])
            reused += len(indices)
            self.reused += len(indices)
            answers |= dict.fromkeys(indices, found)
        wanted = _Evaluated()
        tokens = sum(wanted.count(call, _most_tokens(call)) for call in (calls[by_key[key][0]] for key in missing))
        self._events.calls_wanted(name, len(missing), reused, tokens)
        done = _Evaluated()
        for key, answer in self._make(self._models.open(name), [(key, calls[by_key[key][0]]) for key in missing]):
            indices = by_key[key]
            self._keep(key, answer, [trail[index][0] for index in indices])
            self.made += 1
            self.reused += len(indices) - 1
            self._events.call_made(done.count(calls[indices[0]], _tokens_of(answer)))
            answers |= dict.fromkeys(indices, answer)
        return answers

    def _make(self, model: Model, wanted: Sequence[tuple[str, Call]]) -> Iterator[tuple[str, Answer]]:
        generate = [(key, call) for key, call in wanted if isinstance(call, GenerateCall)]
        score = [(key, call) for key, call in wanted if isinstance(call, ScoreCall)]
        for index, generation in model.generate([call for _, call in generate]):
            if isinstance(generation, Failure):
                generation = Generation("", 0, False, FAILED + generation.problem)
            yield generate[index][0], generation
        for index, scores in model.score([call for _, call in score]):
            key, call = score[index]
            if isinstance(scores, Failure):
                yield key, Scored(len(call.prompt_ids), len(call.response_ids), None, FAILED + scores.problem)
                continue
            if tuple(scores.token_ids.tolist()) != call.response_ids:
                what = f"the backend scored {len(scores)} tokens where {len(call.response_ids)} were asked for"
                raise RunError(Problem("", "", what, "This is a fault of the backend: report it"))
            if _is_finite(scores):
                yield key, Scored(len(call.prompt_ids), len(call.response_ids), scores)
            else:
                yield key, Scored(len(call.prompt_ids), len(call.response_ids), None, NOT_FINITE)

    def _keep(self, key: str, answer: Answer, requests: Sequence[str]) -> None:
        usable = answer.text if isinstance(answer, Generation) else answer.scores is not None
        if not usable:
            return
        with self._store.together():
            self._store.save_json(key, _to_record(answer))
            self._remember(key, requests)

    def _remember(self, key: str, requests: Sequence[str]) -> None:
        for request in requests:
            self._store.put(request, key.encode())

    def _load(self, key: str, generated: bool) -> Answer | None:
        record = self._store.load_json(key)
        if record is None:
            return None
        return _generation_of(record) if generated else _scored_of(record)


def _nothing() -> None:
    pass


def _misfit(model: Model, request: Request, call: Call) -> Problem | None:
    prompt = len(call.prompt_ids)
    if isinstance(call, ScoreCall):
        more, what, remedy = len(call.response_ids), "response", "Shorten it, or take the example out"
    else:
        more, what, remedy = call.sampling.max_tokens, "max_tokens", "Lower max_tokens, or shorten the prompt"
    if prompt + more <= model.context_tokens:
        return None
    text = f"prompt of {prompt} tokens and {what} of {more} exceed the context of {model.context_tokens}"
    return Problem(f"{request.about}, example '{request.example}'", "", text, remedy)


def _raise_unfit(problems: list[Problem]) -> None:
    if len(problems) > _MOST_PROBLEMS:
        rest = Problem("", "", f"and {len(problems) - _MOST_PROBLEMS} more that are too long", "")
        problems = [*problems[:_MOST_PROBLEMS], rest]
    if problems:
        raise InputError(problems)


class _Evaluated:
    """Counts the tokens that a model evaluates: each prompt once, since its responses branch from it."""

    def __init__(self) -> None:
        self._prompts: set[tuple[int, ...]] = set()

    def count(self, call: Call, response_tokens: int) -> int:
        prompt = 0 if call.prompt_ids in self._prompts else len(call.prompt_ids)
        self._prompts.add(call.prompt_ids)
        return prompt + response_tokens


def _most_tokens(call: Call) -> int:
    return len(call.response_ids) if isinstance(call, ScoreCall) else call.sampling.max_tokens


def _tokens_of(answer: Answer) -> int:
    return answer.n_tokens if isinstance(answer, Generation) else answer.response_tokens


def _is_finite(scores: TokenScores) -> bool:
    import numpy as np

    return bool(np.isfinite(scores.nll).all() and np.isfinite(scores.entropy).all())


def _to_record(answer: Answer) -> Mapping[str, Any]:
    if isinstance(answer, Generation):
        return {"text": answer.text, "n_tokens": answer.n_tokens, "truncated": answer.truncated}
    assert answer.scores is not None
    scores = answer.scores
    return {
        "prompt_tokens": answer.prompt_tokens,
        "response_tokens": answer.response_tokens,
        "token_ids": _pack(scores.token_ids, "<i4"),
        "nll": _pack(scores.nll, "<f4"),
        "rank": _pack(scores.rank, "<i4"),
        "entropy": _pack(scores.entropy, "<f4"),
    }


def _generation_of(record: Mapping[str, Any]) -> Generation:
    return Generation(record["text"], record["n_tokens"], record["truncated"])


def _scored_of(record: Mapping[str, Any]) -> Scored:
    ids, rank = _unpack(record["token_ids"], "<i4"), _unpack(record["rank"], "<i4")
    nll, entropy = _unpack(record["nll"], "<f4"), _unpack(record["entropy"], "<f4")
    return Scored(record["prompt_tokens"], record["response_tokens"], TokenScores(ids, nll, rank, entropy))


def _pack(array: npt.NDArray[Any], kind: str) -> str:
    return base64.b64encode(array.astype(kind).tobytes()).decode("ascii")


def _unpack(text: str, kind: str) -> npt.NDArray[Any]:
    import numpy as np

    array: npt.NDArray[np.generic] = np.frombuffer(base64.b64decode(text), kind)
    return array
