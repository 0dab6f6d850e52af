"""Load a model, and measure how fast it is here and whether it makes sense.

Knows nothing of data or strategies, apart from the one example whose training text is shown.
Invariant: it stores no answer and leaves no file behind, except for weights that the recipe
prepares.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from respsel.backends.contract import TEXT, Failure, GenerateCall, Model, ScoreCall
from respsel.backends.opening import open_gguf, open_model
from respsel.backends.registry import KnownModel
from respsel.backends.sampling import NOT_FINITE
from respsel.backends.tokenizer_check import TokenizerCheck
from respsel.backends.training_text import TrainingText, show_training
from respsel.records import Message, Sampling
from respsel.workspace.loaded_recipe import LoadedRecipe

if TYPE_CHECKING:
    from respsel.records import FloatArray

# English that no model finds hard; with its words in reverse order every model does.
_KNOWN_TEXT = (
    "A long time ago there was a king who lived in a castle on a hill. Every morning he went to "
    "the window and looked at the sea. One day he saw a small boat, and in the boat there was a "
    "boy who had lost his way home."
)
_LEAST_GAP = 1.5
_READ_TOKENS = 512
_WRITE = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=32)
_ROUNDS = 2
# Types that keep what a file says to within rounding. Larger files are not converted on trial.
_TRIAL_TYPES = ("bf16", "f16", "q8_0", "f32")
_LARGEST_TRIAL_BYTES = 2 << 30
# Below this a conversion is not worth its place on the disk.
_WORTH_PREPARING = 1.15
_SLOW_LOAD_S = 5.0


@dataclass(frozen=True)
class Alternative:
    """Weights prepared as another type.

    prepare: the type.
    size_mib: of the file.
    read_tokens_s: tokens read in a second.
    gain: that speed over the present one.
    moved_nats: how far the known text's scores move, as a mean over tokens.
    """

    prepare: str
    size_mib: float
    read_tokens_s: float
    gain: float
    moved_nats: float


@dataclass(frozen=True)
class Checkup:
    """What was found of a model that was loaded.

    about: see Model.about.
    load_s, read_tokens_s, write_tokens_s: how fast it loads, reads and writes.
    memory_mib: the most that this process has held so far; None where that is not known.
    perplexity, perplexity_reversed: of a known text, and of its words in reverse order.
    alternatives: its weights as other types, fastest first.
    hint: what would be faster.
    problems: what to fix before a run.
    training: an example as the target is trained on it; None for other models.
    tokenizers: whether two readings of its tokenizer agree.
    """

    name: str
    backend: str
    about: Mapping[str, str]
    context_tokens: int
    load_s: float
    read_tokens_s: float
    write_tokens_s: float
    memory_mib: float | None
    perplexity: float
    perplexity_reversed: float
    alternatives: tuple[Alternative, ...]
    hint: str
    problems: tuple[str, ...]
    training: TrainingText | None = None
    tokenizers: tuple[TokenizerCheck, ...] = ()


class UnwellError(Exception):
    """A loaded model gives no answer that could be measured."""


def examine_loaded(
    known: KnownModel, store_folder: Path, trained_by: LoadedRecipe | None
) -> Checkup:
    """Load a model and measure it. Raises UnwellError if it gives no answer.

    trained_by: the recipe whose target it is.
    """
    begun = time.perf_counter()
    model = open_model(known, store_folder)
    load_s = time.perf_counter() - begun
    try:
        return _measure(known, model, load_s, trained_by)
    finally:
        model.close()


def _measure(
    known: KnownModel, model: Model, load_s: float, trained_by: LoadedRecipe | None
) -> Checkup:
    entry = known.named.entry
    nll = _known_nll(model, _KNOWN_TEXT)
    perplexity = _perplexity(nll)
    perplexity_reversed = _perplexity(_known_nll(model, " ".join(reversed(_KNOWN_TEXT.split()))))
    read = _fastest(partial(_read, model))
    write = _fastest(partial(_write, model))
    problems = []
    if entry.backend != "fake" and not perplexity * _LEAST_GAP < perplexity_reversed:
        problems.append(
            "it finds English hardly likelier than the same words in reverse order: are these "
            "the right weights?"
        )
    alternatives = tuple(_alternatives(known, nll, read))
    template = "the recipe's own" if known.chat_template else "the model's own"
    return Checkup(
        name=known.named.name,
        backend=entry.backend,
        about={**model.about(), "chat template": template},
        context_tokens=model.context_tokens,
        load_s=load_s,
        read_tokens_s=read,
        write_tokens_s=write,
        memory_mib=_peak_memory_mib(),
        perplexity=perplexity,
        perplexity_reversed=perplexity_reversed,
        alternatives=alternatives,
        hint=_hint(known, load_s, alternatives),
        problems=tuple(problems),
        training=show_training(trained_by, model) if trained_by else None,
    )


def _hint(known: KnownModel, load_s: float, alternatives: Sequence[Alternative]) -> str:
    name = known.named.name
    entry = known.named.entry
    if alternatives and alternatives[0].gain > _WORTH_PREPARING:
        return (
            f'Set prepare = "{alternatives[0].prepare}" in [models.{name}]: the weights are '
            "then converted once."
        )
    is_gguf = known.weights is not None and known.weights.is_file()
    if entry.backend == "transformers" and is_gguf and not entry.prepare and load_s > _SLOW_LOAD_S:
        return (
            f'Set prepare = "safetensors" in [models.{name}]: the GGUF is then converted once, '
            "and loads in a second."
        )
    return ""


def _known_nll(model: Model, text: str) -> FloatArray:
    import numpy as np

    call = ScoreCall(model.text.prompt_ids(()), model.text.response_ids(text))
    ((_, scores),) = model.score([call])
    if isinstance(scores, Failure):
        raise UnwellError(scores.problem)
    if not np.isfinite(scores.nll).all():
        raise UnwellError(NOT_FINITE)
    return scores.nll


def _perplexity(nll: FloatArray) -> float:
    import numpy as np

    return float(np.exp(nll.mean(dtype=np.float64)))


def _read(model: Model) -> float:
    """Tokens a second of one long prompt."""
    count = min(_READ_TOKENS, model.context_tokens - 1)
    prompt = tuple(islice(cycle(model.text.prompt_ids([Message(TEXT, _KNOWN_TEXT)])), count))
    begun = time.perf_counter()
    dict(model.score([ScoreCall(prompt, prompt[:1])]))
    return count / (time.perf_counter() - begun)


def _write(model: Model) -> float:
    """Tokens a second of sixteen samples."""
    prompt = model.text.prompt_ids([Message("user", "Tell me a story about a king.")])
    begun = time.perf_counter()
    tokens = 0
    for _, made in model.generate([GenerateCall(prompt, _WRITE, seed) for seed in range(16)]):
        if isinstance(made, Failure):
            raise UnwellError(made.problem)
        tokens += made.n_tokens
    return tokens / (time.perf_counter() - begun)


def _fastest(measure: Callable[[], float]) -> float:
    return max(measure() for _ in range(_ROUNDS))


def _alternatives(known: KnownModel, nll: FloatArray, read_now: float) -> list[Alternative]:
    """Try a llama.cpp model's weights as other types, fastest first."""
    entry = known.named.entry
    weights = known.weights
    if entry.backend != "llama-cpp" or weights is None:
        return []
    if weights.stat().st_size > _LARGEST_TRIAL_BYTES:
        return []
    tried = []
    with tempfile.TemporaryDirectory(prefix="respsel-doctor-") as folder:
        for kind in _TRIAL_TYPES:
            if kind != entry.prepare:
                # float16 may be too narrow for the weights: then it is no alternative.
                with suppress(UnwellError):
                    trial = Path(folder) / f"{kind}.gguf"
                    tried.append(_try_type(known, kind, trial, nll, read_now))
    return sorted(tried, key=lambda alternative: -alternative.read_tokens_s)


def _try_type(
    known: KnownModel, kind: str, trial: Path, nll: FloatArray, read_now: float
) -> Alternative:
    """Convert the weights to a type, and measure the model that they make."""
    import numpy as np

    model = open_gguf(known, (trial, kind))
    try:
        moved = float(np.abs(_known_nll(model, _KNOWN_TEXT) - nll).mean())
        read = _fastest(partial(_read, model))
        return Alternative(kind, trial.stat().st_size / 2**20, read, read / read_now, moved)
    finally:
        model.close()
        trial.unlink()


def _peak_memory_mib() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    import platform

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10
