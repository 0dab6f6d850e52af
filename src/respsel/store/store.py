"""The store: every result that must not be computed twice, as records of kinds.

On top of sealed records it keeps finished steps, their tables, which calls they used, the last run
of each step, and digests of files.

Knows nothing of recipes or models. Invariant: a step's record is stored after its table, so a step
that has a record is finished.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from respsel.hashing import FileStat, canonical_json, digest
from respsel.store.sealed import SealedRecords
from respsel.tables.table import Document, Packed, Table

if TYPE_CHECKING:
    import polars


Row = TypeVar("Row")


@dataclass(frozen=True)
class StepRecord:
    """What a finished step left.

    op: its operation.
    version: the operation's version.
    fields: the parameters in its key.
    inputs: by name, the digests of its inputs in its key.
    table: the kind of its output table.
    output: the digest of its output table.
    rows: how many rows that has.
    asks: whether it may have asked a model.
    took: by model, the usage of its calls, whenever they were made: (calls, prompt tokens, output
        tokens). Earlier versions did not record it.
    """

    op: str
    version: int
    fields: Mapping[str, Any]
    inputs: Mapping[str, str]
    table: str
    output: str
    rows: int
    asks: bool
    took: Mapping[str, Sequence[int]] = field(default_factory=dict)


class Store(SealedRecords):
    """An open store; see SealedRecords for its fields."""

    def load_json(self, key: str) -> Any:
        """Return the JSON value under a key, or None."""
        body = self.get(key)
        return None if body is None else json.loads(body)

    def save_json(self, key: str, value: object) -> None:
        """Store a JSON value."""
        self.put(key, canonical_json(value))

    def load_step(self, key: str) -> StepRecord | None:
        """Return the record of a finished step, or None. Its output is not read."""
        record = self.load_json(f"step/{key}")
        return None if record is None else StepRecord(**record)

    def save_step(self, key: str, record: StepRecord) -> None:
        """Record a finished step, after its output was stored."""
        self.save_json(f"step/{key}", asdict(record))

    def forget_step(self, key: str) -> None:
        """Have the next run make a step again. Its calls stay stored."""
        self.forget(f"step/{key}")

    def last_key(self, recipe: str, step: str) -> str | None:
        """Return the key of a step's last run in a recipe, for "what changed"; never for reuse."""
        key = self.get(f"last/{digest('last', recipe, step)}")
        return key.decode() if key else None

    def save_last(self, recipe: str, step: str, key: str) -> None:
        """Note the key of a step's newest run in a recipe."""
        place = f"last/{digest('last', recipe, step)}"
        if not self.read_only and self.get(place) != key.encode():
            self.put(place, key.encode())

    def load_uses(self, step: str) -> list[str] | None:
        """Return the keys of a step's requests and calls, for `cache gc`; None if not known."""
        body = self.get(f"uses/{step}")
        if body is None:
            return None
        digests = [body[i : i + 32].hex() for i in range(0, len(body), 32)]
        return [f"request/{value}" for value in digests[::2]] + [
            f"call/{value}" for value in digests[1::2]
        ]

    def save_uses(self, step: str, digests: bytes) -> None:
        """Note the keys of the requests and calls of a step, as a Trail holds them."""
        self.put(f"uses/{step}", digests)

    def load_rows(self, table: Table[Row] | Document[Row], output: str) -> Sequence[Row] | None:
        """Return a step's output table, or None if it is missing or damaged."""
        body = self.get(f"rows/{table.name}/{output}")
        return None if body is None else table.decode(body)

    def load_frame(
        self, table: Table[Any], output: str, columns: Sequence[str] = ()
    ) -> polars.DataFrame | None:
        """Return a step's output table as a data frame, or None if it is missing or damaged.

        columns: the names of those to read; all if there are no names.
        """
        body = self.get(f"rows/{table.name}/{output}")
        return None if body is None else table.read(body, columns)

    def holds_rows(self, table: Table[Any] | Document[Any], output: str) -> bool:
        """Whether an output table is there whole; a damaged one moves to quarantine."""
        return self.get(f"rows/{table.name}/{output}") is not None

    def save_rows(self, table: Table[Row] | Document[Row], rows: Iterable[Row]) -> Packed:
        """Store an output table under the digest of its content."""
        packed = table.pack(rows)
        self.put(f"rows/{table.name}/{packed.digest}", packed.data)
        return packed

    def load_file_digest(self, path: str, stat: FileStat) -> str | None:
        """Return a file's digest if its stat is as it was; see hashing.DigestMemo."""
        known = self.load_json(f"file/{digest('path', path)}")
        return known["digest"] if known and known["stat"] == asdict(stat) else None

    def save_file_digest(self, path: str, stat: FileStat, value: str) -> None:
        """Remember a file's digest, unless the store is read-only; see hashing.DigestMemo."""
        if not self.read_only:
            self.save_json(f"file/{digest('path', path)}", {"stat": asdict(stat), "digest": value})
