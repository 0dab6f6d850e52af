"""The fields of a GGUF file, and where its tensors are.

Knows nothing of what fields mean. Invariants: it reads no tensor, and an array is read only if it
was asked for. What a file says of its own sizes is believed only within the file, and within a
limit far above what a vocabulary takes.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STRING = 8
_ARRAY = 9
_BOOL = 7
# How far into a file its fields may reach: a file of a terabyte may be made of nothing.
_MOST_BYTES = 1 << 26
# A name without letters, a type, a byte.
_LEAST_FIELD_BYTES = 13
# A name without letters, no dimension, a type, a place.
_LEAST_TENSOR_BYTES = 24
_MOST_DIMENSIONS = 8
_ALIGNMENT = 32
_FORMATS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}


@dataclass(frozen=True)
class TensorPlace:
    """Where a tensor is in a file.

    kind: GGML's number of its type: 0 is F32, 1 is F16, 30 is BF16; others are blocks.
    count: how many values it has.
    start: its first byte's place in the file.
    """

    name: str
    kind: int
    count: int
    start: int


def read_fields(path: Path, arrays: Collection[str]) -> dict[str, Any]:
    """All single values of a GGUF file, and those arrays that are named.

    Raises ValueError where the file is not a GGUF file, or is cut short.
    """
    with _opened(path) as reader:
        return reader.fields(arrays)


def find_tensors(path: Path) -> list[TensorPlace]:
    """Where all tensors of a GGUF file are. Raises ValueError as read_fields does."""
    with _opened(path) as reader:
        return reader.tensors()


@contextmanager
def _opened(path: Path) -> Iterator[_Reader]:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            raise ValueError("it is not a GGUF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                yield _Reader(data)
            except (struct.error, UnicodeDecodeError, IndexError) as error:
                raise ValueError(f"its fields cannot be read: {error}") from error


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._end = min(len(data), _MOST_BYTES)
        self._at = 0
        self._tensors = 0

    def fields(self, arrays: Collection[str]) -> dict[str, Any]:
        if self._data[:4] != b"GGUF":
            raise ValueError("it is not a GGUF file")
        self._at = 4
        (version,) = self._take("I")
        if version not in (2, 3):
            raise ValueError(f"it is of GGUF version {version}, which is not read here")
        self._tensors, count = self._take("QQ")
        self._check_room(count, _LEAST_FIELD_BYTES)
        found = {}
        for _ in range(count):
            name = self._string()
            (kind,) = self._take("I")
            value = self._array(name in arrays) if kind == _ARRAY else self._value(kind)
            if value is not None:
                found[name] = value
        return found

    def tensors(self) -> list[TensorPlace]:
        fields = self.fields(())
        alignment = fields.get("general.alignment", _ALIGNMENT)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError(f"its tensors are aligned to {alignment}")
        self._check_room(self._tensors, _LEAST_TENSOR_BYTES)
        found = [self._tensor() for _ in range(self._tensors)]
        first = -(-self._at // alignment) * alignment
        return [TensorPlace(name, kind, count, first + at) for name, kind, count, at in found]

    def _tensor(self) -> tuple[str, int, int, int]:
        name = self._string()
        (dimensions,) = self._take("I")
        if dimensions > _MOST_DIMENSIONS:
            raise ValueError(f"it has a tensor of {dimensions} dimensions")
        count = math.prod(self._take(f"{dimensions}Q"))
        kind, start = self._take("IQ")
        return name, kind, count, start

    def _take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return values

    def _string(self) -> str:
        (size,) = self._take("Q")
        self._check_room(size, 1)
        start = self._at
        self._at = self._at + size
        return self._data[start : self._at].decode("utf-8")

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind not in _FORMATS:
            raise ValueError(f"it has a field of the unknown type {kind}")
        return self._take(_FORMATS[kind])[0]

    def _array(self, wanted: bool) -> list[Any] | None:
        kind, count = self._take("IQ")
        if kind == _ARRAY:
            raise ValueError("it has an array of arrays")
        if kind == _STRING:
            self._check_room(count, struct.calcsize("<Q"))
        if kind != _STRING:
            if kind not in _FORMATS:
                raise ValueError(f"it has an array of the unknown type {kind}")
            self._check_room(count, struct.calcsize(f"<{_FORMATS[kind]}"))
            if wanted:
                return list(self._take(f"{count}{_FORMATS[kind]}"))
            self._at += count * struct.calcsize(f"<{_FORMATS[kind]}")
            return None
        found = [self._string() for _ in range(count)] if wanted else None
        if not wanted:
            for _ in range(count):
                (size,) = self._take("Q")
                self._check_room(size, 1)
                self._at += size
        return found

    def _check_room(self, count: int, size: int) -> None:
        """Raise IndexError if so many things of some size cannot be in the rest of the file.

        Nor in the rest of what is read of it.
        """
        if count * size > self._end - self._at:
            limit = "the file holds" if self._end == len(self._data) else f"{_MOST_BYTES >> 20} MiB"
            raise IndexError(f"it names more than {limit}")
