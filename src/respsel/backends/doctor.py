"""Pre-flight: load each model of a recipe, say what it is, how fast it is here, and whether it
makes sense.

Knows nothing of data or strategies. Invariant: it stores no answer and leaves no file behind.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from respsel.backends.contract import TEXT, Failure, GenerateCall, Model, ScoreCall
from respsel.backends.registry import KnownModel, identify, open_gguf, open_model
from respsel.backends.sampling import BROKEN_REMEDY, NOT_FINITE
from respsel.backends.tokenizer_check import TokenizerCheck, check_tokenizers
from respsel.backends.training_text import TrainingText, show_training
from respsel.errors import PreflightError, Problem, RespselError
from respsel.hashing import DigestMemo
from respsel.recipe.schema import ModelStrategy
from respsel.records import Message, Sampling
from respsel.replies.completions import NOTHING_YET, STILL_REASONING
from respsel.system.atomic_folder import is_refused
from respsel.workspace.loading import LoadedRecipe

if TYPE_CHECKING:
    from respsel.records import FloatArray

# English that no model finds hard; with its words in reverse order every model does.
_KNOWN_TEXT = (
    "A long time ago there was a king who lived in a castle on a hill. Every morning he went to "
    "the window and "
    "looked at the sea. One day he saw a small boat, and in the boat there was a boy who had lost "
    "his way home."
)
_LEAST_GAP = 1.5
_READ_TOKENS = 512
_SHORT = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=16)
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
    """Weights prepared as another type: file size, reading speed, that speed over the present one,
    and how far the known text's scores move (mean over tokens, nats)."""

    prepare: str
    size_mib: float
    read_tokens_s: float
    gain: float
    moved_nats: float


@dataclass(frozen=True)
class Checkup:
    """What was found of one model. perplexity: of a known text, and of its words in reverse order;
    memory_mib: the most that this process has held so far; hint: what would be faster; problems:
    what to mend before a run; training: an example as the target is trained on it; tokenizers:
    whether two readings of its tokenizer agree."""

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


@dataclass(frozen=True)
class EndpointCheckup:
    """What was found of a model behind an endpoint. answered_s: how long one short answer took;
    scores_by: the way in which it gives log-probabilities that can be trusted, or why it is not
    asked for any."""

    name: str
    backend: str
    about: Mapping[str, str]
    answered_s: float
    scores_by: str
    problems: tuple[str, ...]
    training: TrainingText | None = None


class _UnwellError(Exception):
    """A loaded model gives no answer to measure it by."""


def examine(
    loaded: LoadedRecipe, memo: DigestMemo, store_folder: Path
) -> Iterator[Checkup | EndpointCheckup | RespselError]:
    """Yield what is found of each model, or the error that keeps it from being loaded or from
    answering.
    """
    recipe = loaded.recipe
    names = dict.fromkeys(
        [recipe.target.model, *(s.model for s in recipe.strategies if isinstance(s, ModelStrategy))]
    )
    seen: list[KnownModel] = []
    for name in names:
        try:
            known = identify(loaded.models[name], memo)
            trained_by = loaded if name == recipe.target.model else None
            if known.named.entry.backend == "openai":
                yield _examine_endpoint(known, store_folder, trained_by)
                continue
            checks = tuple(check_tokenizers(known, seen))
            seen.append(known)
            found = _examine(known, store_folder, trained_by)
            wrong = tuple(
                f"its tokenizer is read differently: {check.told}"
                for check in checks
                if check.serious
            )
            yield replace(found, tokenizers=checks, problems=(*found.problems, *wrong))
        except RespselError as error:
            yield error
        except OSError as error:
            if not is_refused(error):
                raise
            what = f"its prepared weights cannot be written: {error}"
            remedy = "Make the store writable, or take 'prepare' out of the model entry"
            yield PreflightError(
                Problem(loaded.models[name].declared_in, f"models.{name}", what, remedy)
            )
        except _UnwellError as error:
            remedy = BROKEN_REMEDY if str(error) == NOT_FINITE else ""
            yield PreflightError(
                Problem(loaded.models[name].declared_in, f"models.{name}", str(error), remedy)
            )


def _examine(known: KnownModel, store_folder: Path, trained_by: LoadedRecipe | None) -> Checkup:
    begun = time.perf_counter()
    model = open_model(known, store_folder)
    load_s = time.perf_counter() - begun
    try:
        nll = _known_nll(model, _KNOWN_TEXT)
        perplexity = _perplexity(nll)
        turned = _perplexity(_known_nll(model, " ".join(reversed(_KNOWN_TEXT.split()))))
        read = _fastest(lambda: _read(model))
        write = _fastest(lambda: _write(model))
        problems = []
        if known.named.entry.backend != "fake" and not perplexity * _LEAST_GAP < turned:
            problems.append(
                "it finds English hardly likelier than the same words in reverse order: are these "
                "the right weights?"
            )
        alternatives = tuple(_alternatives(known, nll, read))
        entry = known.named.entry
        return Checkup(
            known.named.name,
            entry.backend,
            {
                **model.about(),
                "chat template": "the recipe's own" if known.chat_template else "the model's own",
            },
            model.context_tokens,
            load_s,
            read,
            write,
            _peak_memory_mib(),
            perplexity,
            turned,
            alternatives,
            _hint(known, load_s, alternatives),
            tuple(problems),
            show_training(trained_by, model) if trained_by else None,
        )
    finally:
        model.close()


def _examine_endpoint(
    known: KnownModel, store_folder: Path, trained_by: LoadedRecipe | None
) -> EndpointCheckup:
    """One short answer, and whether it scores; more would cost money."""
    from respsel.backends.openai.model import EndpointModel

    model = open_model(known, store_folder)
    entry = known.named.entry
    assert isinstance(model, EndpointModel)
    try:
        asked = (Message("user", "Say hello."),)
        begun = time.perf_counter()
        problems = list[str]()
        scores_by = "not asked for: its tokenizer is not given"
        reasons = ""
        try:
            ((_, answer),) = model.generate(
                [GenerateCall(model.text.prompt_ids(asked), _SHORT, 0, asked)]
            )
            if isinstance(answer, Failure) and answer.problem in (STILL_REASONING, NOTHING_YET):
                reasons = (
                    f"it reasons: {_SHORT.max_tokens} tokens were not enough for an answer. "
                    "Give max_tokens room for that"
                )
            elif isinstance(answer, Failure):
                problems.append(f"it does not answer: {answer.problem}")
        except RespselError as error:
            problems += [f"{problem.what}. {problem.remedy}" for problem in error.problems]
        answered_s = time.perf_counter() - begun
        if not problems and (entry.path or entry.package or entry.repo):
            try:
                scores_by = str(model.probe().way)
            except RespselError as error:
                scores_by = "no way that can be trusted"
                problems += [problem.what for problem in error.problems]
        about = {**model.about(), **({"answers": reasons} if reasons else {})}
        training = show_training(trained_by, model) if trained_by else None
        return EndpointCheckup(
            known.named.name, entry.backend, about, answered_s, scores_by, tuple(problems), training
        )
    finally:
        model.close()


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
        raise _UnwellError(scores.problem)
    if not np.isfinite(scores.nll).all():
        raise _UnwellError(NOT_FINITE)
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
            raise _UnwellError(made.problem)
        tokens += made.n_tokens
    return tokens / (time.perf_counter() - begun)


def _fastest(measure: Callable[[], float]) -> float:
    return max(measure() for _ in range(_ROUNDS))


def _alternatives(known: KnownModel, nll: FloatArray, read_now: float) -> Iterator[Alternative]:
    """Try a llama.cpp model's weights as other types, fastest first."""
    import numpy as np

    entry = known.named.entry
    weights = known.weights
    if (
        entry.backend != "llama-cpp"
        or weights is None
        or weights.stat().st_size > _LARGEST_TRIAL_BYTES
    ):
        return
    found = []
    with tempfile.TemporaryDirectory(prefix="respsel-doctor-") as folder:
        for kind in _TRIAL_TYPES:
            if kind == entry.prepare:
                continue
            trial = Path(folder) / f"{kind}.gguf"
            model = open_gguf(known, (trial, kind))
            try:
                moved = float(np.abs(_known_nll(model, _KNOWN_TEXT) - nll).mean())
                read = _fastest(lambda model=model: _read(model))  # type: ignore[misc]
                found.append(
                    Alternative(kind, trial.stat().st_size / 2**20, read, read / read_now, moved)
                )
            except _UnwellError:
                pass  # float16 may be too narrow for the weights: no alternative
            finally:
                model.close()
                trial.unlink()
    yield from sorted(found, key=lambda item: -item.read_tokens_s)


def _peak_memory_mib() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    import platform

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10
