"""A llama.cpp context: a key-value cache and a batch, behind five verbs.

Knows tokens, not text. Invariant: no more tokens are evaluated at once than the batch holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from respsel.errors import PreflightError, Problem, RunError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CACHE_PADDING = 256


class LlamaContext:
    """A key-value cache and a batch buffer."""

    def __init__(
        self,
        api: Any,
        model: Any,
        n_vocab: int,
        tokens: int,
        sequences: int,
        flash: bool,
        batch_tokens: int,
        threads: int,
        log: list[str],
    ) -> None:
        self._api = api
        self._n_vocab = n_vocab
        self._batch_tokens = batch_tokens
        self._log = log
        self.tokens = 0
        params = api.llama_context_default_params()
        per_sequence = -(-tokens // CACHE_PADDING) * CACHE_PADDING
        params.n_ctx = per_sequence * sequences
        params.n_batch = params.n_ubatch = batch_tokens
        params.n_seq_max = sequences
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = False
        # Flash attention is faster, but in a batch of several sequences its sums depend on the
        # batch.
        params.flash_attn_type = int(flash)
        self._context = api.llama_init_from_model(model, params)
        if not self._context:
            why = log[-1] if log else "unknown reason"
            problem = Problem(
                "",
                "llama.cpp",
                f"no context of {params.n_ctx} tokens: {why}",
                "Lower 'parallel' or 'max_tokens'",
            )
            raise PreflightError(problem)
        self._memory = api.llama_get_memory(self._context)
        self._batch = api.llama_batch_init(batch_tokens, 0, 1)

    def evaluate(
        self,
        sequence: int,
        tokens: Sequence[int],
        start: int,
        logits_from: int,
        chunk_tokens: int | None = None,
    ) -> list[npt.NDArray[np.float32]]:
        """Evaluate tokens of one sequence from position `start`; return their logits.

        Those of tokens[logits_from:], one array (n, n_vocab) per chunk that has any. A chunk is
        a batch, or `chunk_tokens` if that is less.
        """
        found = []
        size = min(chunk_tokens or self._batch_tokens, self._batch_tokens)
        for begin in range(0, len(tokens), size):
            chunk = tokens[begin : begin + size]
            wanted = [begin + i >= logits_from for i in range(len(chunk))]
            logits = self.decode(
                [(token, start + begin + i, sequence) for i, token in enumerate(chunk)], wanted
            )
            if len(logits):
                # The buffer is overwritten by the next decode: what outlives it is copied.
                found.append(logits.copy() if len(logits) == 1 else logits)
        return found

    def decode(
        self, rows: Sequence[tuple[int, int, int]], wanted: Sequence[bool]
    ) -> npt.NDArray[np.float32]:
        """Run one batch of (token, position, sequence).

        Returns a view (n wanted, n_vocab) of its logits. Raises RunError if llama.cpp refuses the
        batch.
        """
        import numpy as np

        batch = self._batch
        batch.n_tokens = len(rows)
        for i, (token, position, sequence) in enumerate(rows):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
            batch.logits[i] = wanted[i]
        self.tokens += len(rows)
        code = self._api.llama_decode(self._context, batch)
        if code != 0:
            why = self._log[-1] if self._log else ""
            raise RunError(
                Problem(
                    "",
                    "llama.cpp",
                    f"decode failed with code {code} {why}".rstrip(),
                    "Lower 'parallel' or the context",
                )
            )
        count = sum(wanted)
        if not count:
            return np.empty((0, self._n_vocab), np.float32)
        return np.ctypeslib.as_array(
            self._api.llama_get_logits(self._context), shape=(count, self._n_vocab)
        )

    def copy(self, source: int, sequence: int) -> None:
        """Make a sequence's cache equal to another's."""
        self._api.llama_memory_seq_cp(self._memory, source, sequence, -1, -1)

    def drop(self, sequence: int, position: int) -> None:
        """Forget a sequence's tokens from `position` on.

        Raises RunError where the model's memory cannot (recurrent layers only forget everything).
        """
        if not self._api.llama_memory_seq_rm(self._memory, sequence, position, -1):
            what = "this model's memory cannot forget the end of a text"
            raise RunError(
                Problem(
                    "",
                    "llama.cpp",
                    what,
                    "This is a fault of respsel: report it with the model's name",
                )
            )

    def clear(self) -> None:
        """Forget everything, down to the numbers."""
        self._api.llama_memory_clear(self._memory, True)

    def free(self) -> None:
        """Give the memory back."""
        self._api.llama_batch_free(self._batch)
        self._api.llama_free(self._context)
