"""Answers to the JSON that the store keeps of them, and back; and which call each request became.

Knows nothing of models. Invariant: what was written comes back bit for bit.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from respsel.backends.contract import Generation
from respsel.calls.requests import Answer, Scored, Vector
from respsel.records import TokenScores

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_DIGEST_BYTES = 32


class Trail:
    """The keys of requests and of the calls that they became, in 64 bytes each.

    The store keeps these bytes as the `uses` of a step.
    """

    def __init__(self, count: int) -> None:
        self._digests = bytearray(2 * _DIGEST_BYTES * count)

    def note(self, index: int, request: str, call: str = "") -> None:
        """Note a request's key, and its call's where that is known."""
        start = 2 * _DIGEST_BYTES * index
        digests = bytes.fromhex(request.removeprefix("request/"))
        digests += bytes.fromhex(call.removeprefix("call/"))
        self._digests[start : start + len(digests)] = digests

    def request(self, index: int) -> str:
        """The key of a request."""
        start = 2 * _DIGEST_BYTES * index
        return f"request/{self._digests[start : start + _DIGEST_BYTES].hex()}"

    def call(self, index: int) -> str:
        """The key of the call that a request became."""
        start = 2 * _DIGEST_BYTES * index + _DIGEST_BYTES
        return f"call/{self._digests[start : start + _DIGEST_BYTES].hex()}"

    def part(self, start: int, count: int) -> bytes:
        """The digests of some requests and their calls; zeros for a call that is not known yet."""
        return bytes(self._digests[2 * _DIGEST_BYTES * start : 2 * _DIGEST_BYTES * (start + count)])


def to_record(answer: Answer) -> Mapping[str, Any]:
    """What the store keeps of an answer that has a text or scores."""
    if isinstance(answer, Generation):
        return {
            "text": answer.text,
            "n_tokens": answer.n_tokens,
            "truncated": answer.truncated,
            "prompt_tokens": answer.prompt_tokens,
        }
    if isinstance(answer, Vector):
        assert answer.values is not None
        return {
            "response_tokens": answer.response_tokens,
            "prompt_tokens": answer.prompt_tokens,
            "vector": _pack(answer.values, "<f4"),
        }
    assert answer.scores is not None
    scores = answer.scores
    turn = {}
    if scores.kinds is not None:
        turn = {"kinds": _pack(scores.kinds, "<i4"), "spelled": answer.text}
    return {
        **turn,
        "lengths": None if scores.lengths is None else _pack(scores.lengths, "<i4"),
        "prompt_tokens": answer.prompt_tokens,
        "response_tokens": answer.response_tokens,
        "token_ids": _pack(scores.token_ids, "<i4"),
        "nll": _pack(scores.nll, "<f4"),
        "rank": _pack(scores.rank, "<i4"),
        "entropy": _pack(scores.entropy, "<f4"),
        "squares": None if scores.squares is None else _pack(scores.squares, "<f4"),
    }


def from_record(record: Mapping[str, Any]) -> Answer | None:
    """The answer that a record was made of; None for an earlier form, which lacks a part of it."""
    if "text" in record:
        # Earlier records do not say how long the prompt was.
        return Generation(
            record["text"],
            record["n_tokens"],
            record["truncated"],
            prompt_tokens=record.get("prompt_tokens"),
        )
    if "vector" in record:
        vector = _unpack(record["vector"], "<f4")
        return Vector(record["response_tokens"], vector, prompt_tokens=record.get("prompt_tokens"))
    if not is_whole(record):
        return None
    lengths = None if record["lengths"] is None else _unpack(record["lengths"], "<i4")
    ids = _unpack(record["token_ids"], "<i4")
    rank = _unpack(record["rank"], "<i4")
    nll = _unpack(record["nll"], "<f4")
    entropy = _unpack(record["entropy"], "<f4")
    packed = record.get("squares")
    squares = None if packed is None else _unpack(packed, "<f4")
    kinds = _unpack(record["kinds"], "<i4") if "kinds" in record else None
    scores = TokenScores(ids, nll, rank, entropy, lengths, squares, kinds)
    text = record.get("spelled", "")
    return Scored(record["prompt_tokens"], record["response_tokens"], scores, text=text)


def is_whole(record: Mapping[str, Any]) -> bool:
    """Whether a record has all that an answer has; those of earlier versions may lack a part.

    An endpoint gives no sums of squares, so its records are whole without them. They are known by
    their entropies, which an endpoint does not give either.
    """
    if "nll" not in record or "squares" in record:
        return True
    return "lengths" in record and _has_no_entropy(record)


def _has_no_entropy(record: Mapping[str, Any]) -> bool:
    import numpy as np

    return bool(np.isnan(_unpack(record["entropy"], "<f4")).all())


def _pack(array: npt.NDArray[Any], kind: str) -> str:
    return base64.b64encode(array.astype(kind).tobytes()).decode("ascii")


def _unpack(text: str, kind: str) -> npt.NDArray[Any]:
    import numpy as np

    array: npt.NDArray[np.generic] = np.frombuffer(base64.b64decode(text), kind)
    return array
