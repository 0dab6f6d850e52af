"""llama.cpp through its low-level batch API: GGUF weights on a CPU, or on a GPU.

Scoring. See `scoring`. The context holds one sequence.

Sampling. Many sequences are in one batch, one cache each (`kv_unified=False`).

Knows nothing of the store. Invariant: an answer does not depend on what else was asked. Several
sequences in one scoring batch, or a cache shared by the sampled sequences, shift log-probabilities
by up to 0.3 nats (BF16 weights). They do not make scoring faster on a CPU, so both are avoided.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respsel.backends.contract import Failure, GenerateCall, Generation, ScoreCall
from respsel.backends.llama_cpp.context import CACHE_PADDING, LlamaContext
from respsel.backends.llama_cpp.library import capture_log, load_file
from respsel.backends.llama_cpp.scoring import Scoring
from respsel.backends.llama_cpp.text import LlamaText
from respsel.backends.rope import steady_tokens_of_gguf, told
from respsel.backends.sampling import Drawn
from respsel.errors import PreflightError, Problem
from respsel.records import TokenScores

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from respsel.records import FloatArray

# With two busy processes OpenMP's spinning threads slow both tenfold. Read when the library is
# loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "5000")

_LOGITS_BYTES = 128 << 20
_MAX_BATCH_TOKENS = 512


@dataclass(frozen=True)
class LlamaSettings:
    """How a model is run.

    parallel: responses sampled at once.
    context_tokens: the longest text; None for what the model was trained for.
    chat_template: used in place of the file's own.
    threads: None for as many as there are processors.
    gpu_layers: how many layers run on a GPU.
    template_options: variables of the chat template.
    """

    parallel: int
    context_tokens: int | None = None
    chat_template: str | None = None
    threads: int | None = None
    gpu_layers: int = 0
    template_options: Mapping[str, Any] = field(default_factory=dict)


def open_model(
    weights: Path, prepared: tuple[Path, str] | None, settings: LlamaSettings
) -> LlamaCppModel:
    """Load a GGUF file; prepared = (file, type) is made from it first if it is not there.

    Raises PreflightError if llama-cpp-python is not installed, or if the file or its template
    cannot be used.
    """
    try:
        import llama_cpp
    except ImportError as error:
        what = "llama-cpp-python is not installed"
        remedy = "Run: pip install 'respsel[llama]'"
        raise PreflightError(Problem("", "backend 'llama-cpp'", what, remedy)) from error
    log = capture_log(llama_cpp)
    if prepared:
        from respsel.backends.llama_cpp.prepare import prepare_weights

        prepare_weights(weights, *prepared)
        weights = prepared[0]
    return LlamaCppModel(llama_cpp, log, weights, settings)


class LlamaCppModel:
    """A GGUF model. Contexts are made for the work at hand and freed after it."""

    def __init__(self, api: Any, log: list[str], weights: Path, settings: LlamaSettings) -> None:
        self._api = api
        self._log = log
        self._evaluated = 0
        self._context_now: LlamaContext | None = None
        self._threads = settings.threads or _cpu_count()
        self._parallel = settings.parallel
        params = api.llama_model_default_params()
        params.n_gpu_layers = settings.gpu_layers
        self._model = load_file(api, log, weights, params, "load this file")
        self.text = LlamaText(
            api, self._model, weights, settings.chat_template, settings.template_options
        )
        self._weights = weights
        self._goes_back = not (
            api.llama_model_is_recurrent(self._model) or api.llama_model_is_hybrid(self._model)
        )
        trained = int(api.llama_model_n_ctx_train(self._model))
        steady = steady_tokens_of_gguf(api, self._model, weights, CACHE_PADDING)
        self._told_of_rope = told(steady, trained)
        self.context_tokens = min(settings.context_tokens or trained, steady or trained, trained)
        # Logits are n_tokens x n_vocab floats: a large vocabulary gets smaller batches, not more
        # memory.
        fit = _LOGITS_BYTES // (4 * self.text.size)
        self._batch_tokens = max(32, min(_MAX_BATCH_TOKENS, 1 << (fit.bit_length() - 1)))

    @property
    def tokens_evaluated(self) -> int:
        """See Model.tokens_evaluated."""
        now = self._context_now
        return self._evaluated + (now.tokens if now else 0)

    def about(self) -> Mapping[str, str]:
        """See Model.about."""
        where = f"{self._weights}, {self._threads} threads"
        return {"weights": where, "special tokens": self.text.special_tokens, **self._told_of_rope}

    def score(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, TokenScores]]:
        """See Model.score."""
        if not calls:
            return
        longest = max(len(call.prompt_ids) + len(call.response_ids) for call in calls)
        with self._context(longest, sequences=1, flash=True) as context:
            yield from Scoring(context, calls, self._batch_tokens, self._goes_back).run()

    def represent(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, FloatArray]]:
        """See Model.represent."""
        if not calls:
            return iter(())
        what = "llama.cpp hands out no hidden states"
        raise PreflightError(
            Problem(
                "", "backend 'llama-cpp'", what, "Use backend 'transformers' with the same weights"
            )
        )

    def generate(self, calls: Sequence[GenerateCall]) -> Iterator[tuple[int, Generation | Failure]]:
        """See Model.generate. A sequence that ends makes room for the next call at once."""
        if not calls:
            return
        room = max(len(call.prompt_ids) + call.sampling.max_tokens for call in calls)
        waiting = list(reversed(range(len(calls))))
        running: dict[int, Drawn] = {}
        # One sequence more than are sampled: it keeps the newest prompt.
        with self._context(room, self._parallel + 1, flash=False) as context:
            prompt = _Prompt(context, self._parallel)
            unclean = False
            while waiting or running:
                if unclean and not running:
                    context.clear()
                    prompt = _Prompt(context, self._parallel)
                    unclean = False
                for sequence in range(self._parallel):
                    if sequence not in running and waiting and not unclean:
                        index = waiting.pop()
                        sampled = Drawn(index, calls[index], self.text.ends)
                        sampled.take(prompt.branch(calls[index].prompt_ids, sequence))
                        running[sequence] = sampled
                        unclean = bool(sampled.problem)
                for sequence, sampled in list(running.items()):
                    if sampled.done:
                        # Hazard: NaN that is masked is NaN all the same (0 * NaN), and dropped
                        # tokens are only masked: it would reach the next calls. They wait until
                        # everything can be cleared.
                        unclean = unclean or bool(sampled.problem)
                        yield sampled.index, self._result(sampled)
                        del running[sequence]
                        context.drop(sequence, 0)
                if running:
                    self._sample_step(context, running)

    def _sample_step(self, context: LlamaContext, running: dict[int, Drawn]) -> None:
        # Hazard: matrix kernels differ by the number of rows, so an idle sequence is fed a token
        # that is dropped again; with fewer rows, the others' texts would depend on what has ended
        # (BF16).
        idle = [sequence for sequence in range(self._parallel) if sequence not in running]
        rows = [(0, 0, sequence) for sequence in idle]
        rows += [
            (sampled.tokens[-1], sampled.position, sequence)
            for sequence, sampled in running.items()
        ]
        rows.sort(key=lambda row: row[2])
        logits = context.decode(rows, [sequence in running for _, _, sequence in rows])
        for row, sequence in enumerate(sorted(running)):
            running[sequence].take(logits[row])
        for sequence in idle:
            context.drop(sequence, 0)

    def _result(self, drawn: Drawn) -> Generation | Failure:
        """The text without leading and trailing blanks; a character cut in half is left out."""
        if drawn.problem:
            return Failure(drawn.problem)
        data = b"".join(map(self.text.piece, drawn.tokens))
        text = data.decode("utf-8", errors="ignore" if drawn.truncated else "replace").strip()
        return Generation(text, len(drawn.tokens), drawn.truncated)

    @contextmanager
    def _context(self, tokens: int, sequences: int, flash: bool) -> Iterator[LlamaContext]:
        context = LlamaContext(
            self._api,
            self._model,
            self.text.size,
            tokens,
            sequences,
            flash,
            max(self._batch_tokens, sequences),
            self._threads,
            self._log,
        )
        self._context_now = context
        try:
            yield context
        finally:
            self._context_now = None
            self._evaluated += context.tokens
            context.free()

    def close(self) -> None:
        """See Model.close."""
        if self._model:
            self._api.llama_model_free(self._model)
            self._model = None


class _Prompt:
    """The newest prompt, kept in a sequence of its own for the next calls that share it."""

    def __init__(self, context: LlamaContext, sequence: int) -> None:
        self._context = context
        self._sequence = sequence
        self._tokens: tuple[int, ...] = ()
        self._logits: list[npt.NDArray[np.float32]] = []

    def branch(self, tokens: tuple[int, ...], sequence: int) -> npt.NDArray[np.float32]:
        """Give `sequence` a copy of the evaluated prompt; return the logits (n_vocab,) after it."""
        if tokens != self._tokens:
            self._context.drop(self._sequence, 0)
            self._logits = self._context.evaluate(
                self._sequence, tokens, 0, logits_from=len(tokens) - 1
            )
            self._tokens = tokens
        self._context.copy(self._sequence, sequence)
        logits: npt.NDArray[np.float32] = self._logits[0][0]
        return logits


def _cpu_count() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
