"""transformers: PyTorch weights on CUDA, MPS or a CPU; from a hub, a directory or a GGUF file.

Scoring evaluates what calls share of prompts and responses once (`branching`), and the
output head at scored positions only (`scoring`). Out of memory halves the batch and goes on.

Knows nothing of files (see `files`). Invariant: in float32 a token score moves by less than 1e-4
nats with what else is scored; see docs/backends.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from respsel.backends.contract import Failure, GenerateCall, Generation, ScoreCall
from respsel.backends.rope import steady_tokens_of_config, told
from respsel.backends.transformers.text import HfText
from respsel.errors import PreflightError, Problem
from respsel.records import TokenScores

if TYPE_CHECKING:
    from respsel.backends.transformers.branching import Branching
    from respsel.backends.transformers.files import Source
    from respsel.records import FloatArray

_FEWEST_TOKENS = 64
Answer = TypeVar("Answer")
Call = TypeVar("Call")


@dataclass(frozen=True)
class Settings:
    """How a model is run.

    context_tokens: the longest text; None for what the model was trained for.
    chat_template: used in place of the model's own.
    threads: None for PyTorch's choice.
    batch_tokens: most tokens evaluated at once.
    rows: responses sampled at once.
    template_options: variables of the chat template.
    """

    dtype: str
    device: str
    context_tokens: int | None
    chat_template: str | None
    threads: int | None
    batch_tokens: int
    rows: int
    template_options: Mapping[str, Any] = field(default_factory=dict)


def open_model(source: Source, prepared: Path | None, settings: Settings) -> TransformersModel:
    """Load a model.

    Raises PreflightError if a package, a device, a file or a chat template is missing.
    """
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        what = f"{error.name} is not installed"
        raise PreflightError(
            Problem("", "backend 'transformers'", what, "Run: pip install 'respsel[torch]'")
        ) from error
    from respsel.backends.transformers.branching import Branching
    from respsel.backends.transformers.files import load

    _check_device(torch, settings.device)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    model, tokenizer = load(source, settings.dtype, prepared)
    text = HfText(tokenizer, settings.chat_template, source.shown, settings.template_options)
    branching = Branching(model.to(settings.device), source.shown)
    branching.check()
    return TransformersModel(model, branching, text, settings, source.shown)


class TransformersModel:
    """See Model."""

    def __init__(
        self, model: Any, branching: Branching, text: HfText, settings: Settings, shown: str
    ) -> None:
        self._model = model
        self._branching = branching
        self.text = text
        self._settings = settings
        self._shown = shown
        config = model.config.get_text_config()
        trained = int(getattr(config, "max_position_embeddings", 0) or 1 << 20)
        steady = steady_tokens_of_config(config)
        self._told_of_rope = told(steady, trained)
        self.context_tokens = min(settings.context_tokens or trained, steady or trained, trained)
        self._n_vocab = int(config.vocab_size)
        generation = getattr(model.generation_config, "eos_token_id", None) or []
        self._ends = self.text.ends | set(
            [generation] if isinstance(generation, int) else generation
        )
        self._batch_tokens = settings.batch_tokens
        self._rows = settings.rows

    @property
    def tokens_evaluated(self) -> int:
        """See Model.tokens_evaluated."""
        return self._branching.tokens

    def about(self) -> Mapping[str, str]:
        """See Model.about."""
        where = f"{self._shown}, as {self._settings.dtype} on {self._settings.device}"
        return {"weights": where, **self.text.about(), **self._told_of_rope}

    def score(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, TokenScores | Failure]]:
        """See Model.score."""
        return self._halving(calls, self._score, _span)

    def represent(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, FloatArray | Failure]]:
        """See Model.represent."""
        return self._halving(calls, self._represent, _span)

    def generate(self, calls: Sequence[GenerateCall]) -> Iterator[tuple[int, Generation | Failure]]:
        """See Model.generate."""
        return self._halving(
            calls, self._generate, lambda call: len(call.prompt_ids) + call.sampling.max_tokens
        )

    def close(self) -> None:
        """See Model.close."""
        self._branching.close()
        del self._model, self._branching

    def _halving(
        self,
        calls: Sequence[Call],
        answer: Callable[[Sequence[Call]], Iterator[tuple[int, Answer]]],
        size: Callable[[Call], int],
    ) -> Iterator[tuple[int, Answer | Failure]]:
        """Answer calls. Out of memory, go on with half the batch, and at last one by one."""
        import torch

        left = list(range(len(calls)))
        alone = False
        while left:
            now = left[:1] if alone else left
            done: set[int] = set()
            try:
                for place, found in answer([calls[index] for index in now]):
                    done.add(now[place])
                    yield now[place], found
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
            else:
                done.update(now)
            left = [index for index in left if index not in done]
            if set(now) <= done:
                continue
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if alone:
                yield left[0], Failure(f"out of memory at {size(calls[left.pop(0)])} tokens")
                continue
            self._batch_tokens = max(self._batch_tokens // 2, _FEWEST_TOKENS)
            self._rows = max(self._rows // 2, 1)
            alone = self._batch_tokens == _FEWEST_TOKENS and self._rows == 1

    def _score(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, TokenScores]]:
        from respsel.backends.transformers.scoring import score

        return score(self._branching, calls, self._batch_tokens, self._n_vocab)

    def _represent(self, calls: Sequence[ScoreCall]) -> Iterator[tuple[int, FloatArray]]:
        from respsel.backends.transformers.scoring import represent

        return represent(self._branching, calls, self._batch_tokens)

    def _generate(
        self, calls: Sequence[GenerateCall]
    ) -> Iterator[tuple[int, Generation | Failure]]:
        from respsel.backends.transformers.decoding import Decoding

        for drawn in Decoding(self._branching, self._rows, self._batch_tokens, self._ends).run(
            calls
        ):
            if drawn.problem:
                yield drawn.index, Failure(drawn.problem)
                continue
            text = self.text.text(drawn.tokens, drawn.truncated)
            yield drawn.index, Generation(text, len(drawn.tokens), drawn.truncated)


def _span(call: ScoreCall) -> int:
    return len(call.prompt_ids) + len(call.response_ids)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether an error says so: CUDA by its type, a CPU's allocator in words."""
    words = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(text in str(error).lower() for text in words)


def _check_device(torch: Any, device: str) -> None:
    kind = device.partition(":")[0]
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }.get(kind, False)
    if not there:
        what = f"PyTorch finds no device '{device}' here"
        raise PreflightError(
            Problem(
                "", "backend 'transformers'", what, 'Set device = "cpu", or install PyTorch for it'
            )
        )
