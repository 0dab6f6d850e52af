"""The keys of requests and calls, the seeds of draws, and the stored call of a request.

The store remembers, for each request, which call it became, so a request seen before needs neither
tokeniser nor model. The call's own key holds the token ids, so two templates or prompts that give
the same ids share the call.

Invariant: a key holds everything that changes the answer and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from respsel.backends.contract import ScoreCall
from respsel.calls.records import is_whole
from respsel.calls.requests import (
    Call,
    GenerateRequest,
    Part,
    RepresentCall,
    RepresentRequest,
    Request,
    ScoreRequest,
    TurnCall,
)
from respsel.hashing import Beginning, canonical_json, digest
from respsel.records import Message
from respsel.store.store import Store

# Raised when the same messages would become other token ids.
RENDERING_VERSION = 1
# Raised when a response's place behind the same messages would be another.
PLACING_VERSION = 1
# Raised when other tokens of the same conversation would be trained, be of another kind, or have
# something else told of them.
TURNS_VERSION = 2


def request_key(identity: str, request: Request) -> str:
    """The key of a request: everything in it that changes the answer, and the model's identity."""
    if isinstance(request, ScoreRequest) and request.part is not None:
        return _part_key(identity, request, request.part)
    if isinstance(request, ScoreRequest) and request.turn is not None:
        return _turn_key(identity, request)
    messages = _chat(request.messages)
    if isinstance(request, ScoreRequest | RepresentRequest):
        kind = "score" if isinstance(request, ScoreRequest) else "represent"
        parts: list[Any] = [kind, messages, request.response, PLACING_VERSION]
    else:
        parts = ["generate", messages, _draw_parts(request)]
    return f"request/{digest('request', str(RENDERING_VERSION), identity, canonical_json(parts))}"


def _chat(messages: Sequence[Message]) -> list[list[str]]:
    """What of messages is in keys: turns without further fields are as in earlier versions."""
    return [
        [turn.role, turn.content, turn.fields] if turn.fields else [turn.role, turn.content]
        for turn in messages
    ]


def _part_key(identity: str, request: ScoreRequest, part: Part) -> str:
    """The key of a request for a part.

    Hazard: a text is not digested again for each of its parts.
    """
    rest = b"," + canonical_json([part.context, part.start, part.end]) + b"]"
    shared = ("score", request.messages, request.response, PLACING_VERSION)
    return f"request/{_beginning(identity, shared, len(rest)).digest(rest)}"


def _turn_key(identity: str, request: ScoreRequest) -> str:
    """The key of a request for a turn.

    Hazard: a conversation is not digested again for each of its turns.
    """
    alone = ["alone"] if request.alone else []
    rest = b"," + canonical_json([request.turn, TURNS_VERSION, *alone])[1:]
    return f"request/{_beginning(identity, ('turn', request.messages), len(rest)).digest(rest)}"


@lru_cache(maxsize=8)
def _beginning(identity: str, shared: tuple[Any, ...], rest: int) -> Beginning:
    """What the keys of some requests begin with: its kind, its messages, and what is behind them.

    rest: how many bytes are left to each key.
    """
    kind, messages, *more = shared
    begun = canonical_json([kind, _chat(messages), *more])[:-1]
    return Beginning(
        "request", str(RENDERING_VERSION), identity, begun=begun, size=len(begun) + rest
    )


def score_key(identity: str, call: ScoreCall) -> str:
    """The key of a call for scores, or for hidden states."""
    kinds = {RepresentCall: "call/represent", TurnCall: "call/turn"}
    kind = kinds.get(type(call), "call/score")
    return f"call/{digest(kind, identity, _ids(call.prompt_ids), _ids(call.response_ids))}"


def generate_key(identity: str, prompt_ids: Sequence[int], request: GenerateRequest) -> str:
    """The key of a generate call."""
    drawn = canonical_json(_draw_parts(request))
    return f"call/{digest('call/generate', identity, _ids(prompt_ids), drawn)}"


def draw_seed(prompt_ids: Sequence[int], request: GenerateRequest) -> int:
    """The 64-bit seed of one draw; other prompts, streams and samples get other noise."""
    seed = str(request.seed)
    sample = str(request.sample)
    return int(digest("draw", _ids(prompt_ids), request.stream, seed, sample)[:16], 16)


def find_call(store: Store, identity: str, request: Request) -> str | None:
    """Return the key of the stored call that answers a request, or None; no model is opened."""
    key, _ = remembered(store.get(request_key(identity, request)))
    if not key or not store.has(key):
        return None
    # Only records of scores had fewer parts in earlier versions.
    if isinstance(request, ScoreRequest):
        record = store.load_json(key)
        return key if record is not None and is_whole(record) else None
    return key


def remembered(record: bytes | None) -> tuple[str, str]:
    """What the store keeps of a request: its call's key, and how its place differs (see Resolved).

    Both may be empty.
    """
    key, _, told = (record or b"").decode().partition(" ")
    return key, told


def call_key(identity: str, call: Call, request: Request) -> str:
    """The key of the call that a request became."""
    if isinstance(call, ScoreCall):
        return score_key(identity, call)
    assert isinstance(request, GenerateRequest)
    return generate_key(identity, call.prompt_ids, request)


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
