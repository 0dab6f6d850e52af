"""Requests to models and calls of them, and their keys.

A request is text; a call is token ids. Steps ask in requests. The store remembers, for each request,
which call it became, so a request seen before needs neither tokeniser nor model. The call's own key holds
the token ids, so two templates or prompts that give the same ids share the call.

Invariant: a key holds everything that changes the answer and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from respsel.backends.base import GenerateCall, Generation, Model, ScoreCall
from respsel.hashing import canonical_json, digest
from respsel.records import Message, Sampling, TokenScores
from respsel.store import Store

# Raised when the same messages would become other token ids.
RENDERING_VERSION = 1


@dataclass(frozen=True)
class GenerateRequest:
    """Sample the `sample`-th response to the messages. `about` names it in errors and is in no key."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    sample: int
    about: str


@dataclass(frozen=True)
class ScoreRequest:
    """Score a response, given the messages. `about` names it in errors and is in no key."""

    model: str
    messages: tuple[Message, ...]
    response: str
    about: str


@dataclass(frozen=True)
class Scored:
    """The answer to a ScoreRequest; scores is None where `problem` says why."""

    prompt_tokens: int
    scores: TokenScores | None
    problem: str = ""


Request = GenerateRequest | ScoreRequest
Answer = Generation | Scored
Call = GenerateCall | ScoreCall


def request_key(identity: str, request: Request) -> str:
    """The key of a request: everything in it that changes the answer, and the model's identity."""
    messages = [[message.role, message.content] for message in request.messages]
    if isinstance(request, ScoreRequest):
        parts: list[Any] = ["score", messages, request.response]
    else:
        parts = ["generate", messages, _sampling_parts(request.sampling), request.seed, request.sample]
    return f"request/{digest('request', str(RENDERING_VERSION), identity, canonical_json(parts))}"


def score_key(identity: str, call: ScoreCall) -> str:
    """The key of a score call."""
    return f"call/{digest('call/score', identity, _ids(call.prompt_ids), _ids(call.response_ids))}"


def generate_key(identity: str, prompt_ids: Sequence[int], sampling: Sampling, seed: int, sample: int) -> str:
    """The key of a generate call."""
    parts = canonical_json([_sampling_parts(sampling), seed, sample])
    return f"call/{digest('call/generate', identity, _ids(prompt_ids), parts)}"


def draw_seed(prompt_ids: Sequence[int], seed: int, sample: int) -> int:
    """The 64-bit seed of one draw; other prompts and other samples get other noise."""
    return int(digest("draw", _ids(prompt_ids), str(seed), str(sample))[:16], 16)


def find_call(store: Store, identity: str, request: Request) -> str | None:
    """Return the key of the stored call that answers a request, or None; no model is opened."""
    call = store.get(request_key(identity, request))
    key = None if call is None else call.decode()
    return key if key is not None and store.has(key) else None


def _sampling_parts(sampling: Sampling) -> Mapping[str, Any]:
    if sampling.temperature == 0:
        # Greedy: the filters change nothing.
        return {"temperature": 0.0, "max_tokens": sampling.max_tokens}
    return asdict(sampling)


def _ids(tokens: Sequence[int]) -> bytes:
    return b"".join(token.to_bytes(4, "little") for token in tokens)


def to_call(model: Model, request: Request) -> Call:
    """The call that a request becomes with a loaded model."""
    prompt = model.prompt_ids(request.messages)
    if isinstance(request, ScoreRequest):
        return ScoreCall(prompt, model.response_ids(request.response))
    return GenerateCall(prompt, request.sampling, draw_seed(prompt, request.seed, request.sample))


def call_key(identity: str, call: Call, request: Request) -> str:
    """The key of the call that a request became."""
    if isinstance(call, ScoreCall):
        return score_key(identity, call)
    assert isinstance(request, GenerateRequest)
    return generate_key(identity, call.prompt_ids, request.sampling, request.seed, request.sample)
