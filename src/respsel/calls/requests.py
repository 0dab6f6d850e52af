"""Requests to models and calls of them, and their keys.

A request is text; a call is token ids. Steps ask in requests. The store remembers, for each
request, which call it became, so a request seen before needs neither tokeniser nor model. The
call's own key holds the token ids, so two templates or prompts that give the same ids share the
call.

Invariant: a key holds everything that changes the answer and nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar, overload

from respsel.backends.contract import GenerateCall, Generation, Model, Placed, ScoreCall
from respsel.hashing import Beginning, canonical_json, digest
from respsel.records import Message, Sampling, TokenScores
from respsel.store.store import Store

if TYPE_CHECKING:
    from respsel.records import FloatArray

Item = TypeVar("Item")

# Raised when the same messages would become other token ids.
RENDERING_VERSION = 1
# Raised when a response's place behind the same messages would be another.
PLACING_VERSION = 1
# The problem of a response whose scores hold NaN or infinity.
NOT_FINITE = "a score is not a finite number"
# How the problem of a call begins that the backend could not answer; like NOT_FINITE it is asked
# again next time.
FAILED = "the call failed: "
# The problem of a response that does not fit the target's context, where the recipe says to leave
# it out.
OVER_CONTEXT = "longer than the context"


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """Sample the `sample`-th response to the messages.

    stream: what it is for; a strategy's response and an own output to one prompt are separate
    draws, or alignment would compare a text with itself. `about` and `example` name it in errors
    and are in no key.
    """

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    stream: str
    seed: int
    sample: int
    about: str
    example: str


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a response, from the token that spells the byte at place `start` to before that
    at `end`, behind those from `context` on: places in its UTF-8 bytes."""

    context: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """Score a response, given the messages; or a part of it, given the messages and what stands
    before it.

    `about` and `example` name it in errors; if_too_long: "fail", or "drop" for a Scored with the
    problem OVER_CONTEXT. These are in no key.
    """

    model: str
    messages: tuple[Message, ...]
    response: str
    about: str
    example: str
    if_too_long: str = "fail"
    part: Part | None = None

    @property
    def characters(self) -> int:
        """About how long the text is that is evaluated behind the messages."""
        return len(self.response) if self.part is None else self.part.end - self.part.context


@dataclass(frozen=True, slots=True)
class RepresentRequest:
    """The mean hidden state of a response, given the messages.

    `about` and `example` name it and are in no key.
    """

    model: str
    messages: tuple[Message, ...]
    response: str
    about: str
    example: str


@dataclass(frozen=True, slots=True)
class RepresentCall(ScoreCall):
    """A call for hidden states instead of scores."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The call that a request became.

    lengths: how many bytes of a response each of its tokens spells; None where that is not known.
    told: how the response's place differs from the end of the prompt, in words (see
    backends.base.Placed). problem: why there is nothing to call for; the call then only counts
    tokens.
    """

    call: Call
    lengths: tuple[int, ...] | None = None
    told: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Vector:
    """The answer to a RepresentRequest: hidden states (width,), None where `problem` says why."""

    response_tokens: int
    values: FloatArray | None
    problem: str = ""
    prompt_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """The answer to a ScoreRequest; scores is None where `problem` says why. Tokens as they were
    asked for.

    told: see Resolved.
    """

    prompt_tokens: int
    response_tokens: int
    scores: TokenScores | None
    problem: str = ""
    told: str = ""


Request = GenerateRequest | ScoreRequest | RepresentRequest
Answer = Generation | Scored | Vector
Call = GenerateCall | ScoreCall


class Lazy(Sequence[Item]):
    """Items that are made when they are looked at and not kept: prompts and answers take more room
    than rows.
    """

    def __init__(self, count: int, make: Callable[[int], Item]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._make(index)


def joined(parts: Sequence[Sequence[Request]]) -> Lazy[Request]:
    """Several steps' requests as one sequence."""
    starts = [0, *accumulate(len(part) for part in parts)]

    def make(index: int) -> Request:
        place = bisect_right(starts, index) - 1
        return parts[place][index - starts[place]]

    return Lazy(starts[-1], make)


def part(items: Sequence[Item], start: int, count: int) -> Lazy[Item]:
    """Some of a sequence's items."""
    return Lazy(count, lambda index: items[start + index])


def request_key(identity: str, request: Request) -> str:
    """The key of a request: everything in it that changes the answer, and the model's identity."""
    if isinstance(request, ScoreRequest) and request.part is not None:
        return _part_key(identity, request, request.part)
    messages = [[message.role, message.content] for message in request.messages]
    if isinstance(request, ScoreRequest | RepresentRequest):
        kind = "score" if isinstance(request, ScoreRequest) else "represent"
        parts: list[Any] = [kind, messages, request.response, PLACING_VERSION]
    else:
        parts = ["generate", messages, _draw_parts(request)]
    return f"request/{digest('request', str(RENDERING_VERSION), identity, canonical_json(parts))}"


def _part_key(identity: str, request: ScoreRequest, part: Part) -> str:
    """The key of a request for a part.

    Hazard: a text is not digested again for each of its parts.
    """
    rest = b"," + canonical_json([part.context, part.start, part.end]) + b"]"
    beginning = _beginning(identity, request.messages, request.response, len(rest))
    return f"request/{beginning.digest(rest)}"


@lru_cache(maxsize=8)
def _beginning(identity: str, messages: tuple[Message, ...], response: str, rest: int) -> Beginning:
    said = [
        "score",
        [[message.role, message.content] for message in messages],
        response,
        PLACING_VERSION,
    ]
    begun = canonical_json(said)[:-1]
    return Beginning(
        "request", str(RENDERING_VERSION), identity, begun=begun, size=len(begun) + rest
    )


def score_key(identity: str, call: ScoreCall) -> str:
    """The key of a call for scores, or for hidden states."""
    kind = "call/represent" if isinstance(call, RepresentCall) else "call/score"
    return f"call/{digest(kind, identity, _ids(call.prompt_ids), _ids(call.response_ids))}"


def generate_key(identity: str, prompt_ids: Sequence[int], request: GenerateRequest) -> str:
    """The key of a generate call."""
    drawn = canonical_json(_draw_parts(request))
    return f"call/{digest('call/generate', identity, _ids(prompt_ids), drawn)}"


def draw_seed(prompt_ids: Sequence[int], request: GenerateRequest) -> int:
    """The 64-bit seed of one draw; other prompts, streams and samples get other noise."""
    return int(
        digest("draw", _ids(prompt_ids), request.stream, str(request.seed), str(request.sample))[
            :16
        ],
        16,
    )


def find_call(store: Store, identity: str, request: Request) -> str | None:
    """Return the key of the stored call that answers a request, or None; no model is opened."""
    key, _ = remembered(store.get(request_key(identity, request)))
    return key if key and store.has(key) else None


def remembered(record: bytes | None) -> tuple[str, str]:
    """What the store keeps of a request: its call's key, and how its place differs (see Resolved);
    both may be empty.
    """
    key, _, told = (record or b"").decode().partition(" ")
    return key, told


def _draw_parts(request: GenerateRequest) -> Mapping[str, Any]:
    if request.sampling.temperature == 0:
        # Greedy: neither the filters nor the seed change anything, so one call answers all samples.
        return {"temperature": 0.0, "max_tokens": request.sampling.max_tokens}
    return {
        **asdict(request.sampling),
        "stream": request.stream,
        "seed": request.seed,
        "sample": request.sample,
    }


def _ids(tokens: Sequence[int]) -> bytes:
    return b"".join(token.to_bytes(4, "little") for token in tokens)


def resolve(model: Model, request: Request) -> Resolved:
    """What a request becomes with a loaded model."""
    if isinstance(request, GenerateRequest):
        prompt = model.prompt_ids(request.messages)
        return Resolved(
            GenerateCall(prompt, request.sampling, draw_seed(prompt, request), request.messages)
        )
    placed, ends = _placed(model, request.messages, request.response)  # type: ignore[arg-type]  # hashed by its identity
    if isinstance(request, RepresentRequest):
        return Resolved(
            RepresentCall(placed.prompt_ids, placed.response_ids),
            placed.lengths,
            placed.told,
            placed.problem,
        )
    if request.part is None or placed.problem:
        return Resolved(
            ScoreCall(placed.prompt_ids, placed.response_ids),
            placed.lengths,
            placed.told,
            placed.problem,
        )
    before, ids, lengths = _part_tokens(model, placed, ends, request.response, request.part)
    return Resolved(ScoreCall(placed.prompt_ids + before, ids), lengths, placed.told)


def _part_tokens(
    model: Model, placed: Placed, ends: Sequence[int], text: str, part: Part
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None]:
    """The tokens before a part and of it, as they are in the whole text, and how many bytes each of
    the latter spells.

    Where the tokeniser does not tell its tokens' places, both stretches are tokenised alone and the
    last is None.
    """
    if placed.lengths is None:
        data = text.encode("utf-8")
        before = data[part.context : part.start]
        within = data[part.start : part.end]
        return (
            model.response_ids(before.decode("utf-8")),
            model.response_ids(within.decode("utf-8")),
            None,
        )
    context, start, end = (
        bisect_right(ends, place) if place else 0 for place in (part.context, part.start, part.end)
    )
    return (
        placed.response_ids[context:start],
        placed.response_ids[start:end],
        placed.lengths[start:end],
    )


@lru_cache(maxsize=4)
def _placed(model: Model, messages: tuple[Message, ...], text: str) -> tuple[Placed, Sequence[int]]:
    """A text's place, and where its tokens end.

    A text of thousands of steps is asked about for each of them.
    """
    placed = model.placed(messages, text)
    return placed, list(accumulate(placed.lengths or ()))


def call_key(identity: str, call: Call, request: Request) -> str:
    """The key of the call that a request became."""
    if isinstance(call, ScoreCall):
        return score_key(identity, call)
    assert isinstance(request, GenerateRequest)
    return generate_key(identity, call.prompt_ids, request)
