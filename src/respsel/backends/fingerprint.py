"""Whether two models have the same weights, whatever they are stored as.

A model's norms are small, differ in every layer, and no quantisation changes them: GGUF files keep
them in float32, and 8-bit and 4-bit checkpoints in the type that the model was trained in. So two
files with the same norms hold the same weights, or a fine-tune that left the norms alone (a merged
LoRA). Knows nothing of recipes. Invariant: a file that cannot be read has no fingerprint; it raises
nothing, since it will be read and complained of where it is opened.
"""

from __future__ import annotations

import json
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from respsel.backends.gguf.fields import find_tensors
from respsel.hashing import digest

# By what a safetensors file calls a type, the number that GGML gives it.
_KINDS = {"F32": 0, "F16": 1, "BF16": 30}
_WIDTHS = {0: 4, 1: 2, 30: 2}
# A norm has as many values as the model is wide. A header names some ten thousand tensors.
_MOST_VALUES = 1 << 17
_MOST_HEADER_BYTES = 1 << 26
# Two models are the same if they share this much of the norms that the smaller set has: a converter
# may leave one out.
_SHARED = 0.9


def fingerprint(weights: Path) -> frozenset[str]:
    """The digests of a model's norms; empty where they cannot be read.

    weights: a GGUF file, or a directory of safetensors files.
    """
    try:
        norms = _of_directory(weights) if weights.is_dir() else _of_gguf(weights)
        return frozenset(digest("norm", values) for values in norms if _varies(values))
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError):
        return frozenset()


def is_same(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two fingerprints are of the same weights."""
    fewest = min(len(one), len(other))
    return fewest > 0 and len(one & other) >= _SHARED * fewest


def _of_gguf(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for tensor in find_tensors(path):
            if _is_norm(tensor.name) and tensor.kind in _WIDTHS and tensor.count <= _MOST_VALUES:
                file.seek(tensor.start)
                yield _as_float32(file.read(tensor.count * _WIDTHS[tensor.kind]), tensor.kind)


def _of_directory(folder: Path) -> Iterator[bytes]:
    # A GGUF of Gemma holds 1 + norm, since that is what llama.cpp multiplies by.
    config = json.loads((folder / "config.json").read_bytes())
    more = 1.0 if str(config.get("model_type", "")).startswith("gemma") else 0.0
    for path in sorted(folder.glob("*.safetensors")):
        for values in _of_safetensors(path):
            yield _plus(values, more) if more else values


def _of_safetensors(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        if size > _MOST_HEADER_BYTES:
            raise ValueError("its header is too long")
        header: Mapping[str, Mapping[str, object]] = json.loads(file.read(size))
        for name, tensor in header.items():
            kind = _KINDS.get(str(tensor.get("dtype")))
            if not _is_norm(name) or kind is None:
                continue
            start, stop = _ends(tensor["data_offsets"])
            if stop - start <= _MOST_VALUES * _WIDTHS[kind]:
                file.seek(8 + size + start)
                yield _as_float32(file.read(stop - start), kind)


def _ends(offsets: object) -> Sequence[int]:
    if not isinstance(offsets, list) or len(offsets) != 2:
        raise ValueError("a tensor has no place")
    return [int(offset) for offset in offsets]


def _is_norm(name: str) -> bool:
    return "norm" in name and name.endswith(".weight")


def _as_float32(values: bytes, kind: int) -> bytes:
    """Little-endian float32 of the same values."""
    if kind == _KINDS["F32"]:
        return values
    count = len(values) // 2
    if kind == _KINDS["F16"]:
        return struct.pack(f"<{count}f", *struct.unpack(f"<{count}e", values))
    whole = bytearray(4 * count)
    whole[2::4] = values[0::2]
    whole[3::4] = values[1::2]
    return bytes(whole)


def _plus(values: bytes, more: float) -> bytes:
    count = len(values) // 4
    return struct.pack(f"<{count}f", *(v + more for v in struct.unpack(f"<{count}f", values)))


def _varies(values: bytes) -> bool:
    """Whether a norm says anything: those of an untrained model are all ones."""
    return len(set(array("I", values))) > 1
