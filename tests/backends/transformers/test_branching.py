"""Branching through transformers' attention interface, on tiny random models of many
architectures.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from respsel.backends.contract import GenerateCall, ScoreCall
from respsel.errors import PreflightError
from respsel.records import Sampling
from tests.conftest import needs

pytestmark = needs("torch", "transformers")
N_VOCAB = 300
SHAPE = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SLIDING = {"sliding_window": 24}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
LATENT = {
    "kv_lora_rank": 16,
    "q_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
}
OWN_NAMES = {
    "vocab_size": N_VOCAB,
    "n_embd": 64,
    "n_layer": 3,
    "n_head": 4,
    "n_positions": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# Each has something of its own: sliding windows, capped logits, scaled heads, sinks, experts,
# latent heads, learned positions.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", SHAPE),
    "qwen3": ("Qwen3Config", {**SHAPE, "head_dim": 16}),
    "mistral": ("MistralConfig", {**SHAPE, **SLIDING}),
    "gemma2": ("Gemma2Config", {**SHAPE, **SLIDING, "head_dim": 16}),
    "gemma3": ("Gemma3TextConfig", {**SHAPE, **SLIDING, "head_dim": 16}),
    "phi3": ("Phi3Config", SHAPE),
    "cohere2": ("Cohere2Config", {**SHAPE, **SLIDING}),
    "granite": ("GraniteConfig", {**SHAPE, "logits_scaling": 3.0, "attention_multiplier": 0.1}),
    "gpt2": ("GPT2Config", OWN_NAMES),
    "gpt-oss": (
        "GptOssConfig",
        {**SHAPE, **SLIDING, "head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "qwen3-moe": ("Qwen3MoeConfig", {**SHAPE, **EXPERTS, "head_dim": 16}),
    "deepseek": (
        "DeepseekV3Config",
        {
            **SHAPE,
            **LATENT,
            "num_key_value_heads": 4,
            "n_routed_experts": 4,
            "n_group": 1,
            "topk_group": 1,
        },
    ),
}


def make(kind: str, fields: dict[str, Any]) -> Any:
    import torch
    import transformers

    torch.manual_seed(0)
    auto: Any = transformers.AutoModelForCausalLM
    model = auto.from_config(getattr(transformers, kind)(**fields))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, 0, 0.15)
    return model.eval()


def ids(stream: random.Random, count: int) -> tuple[int, ...]:
    return tuple(stream.randrange(3, N_VOCAB) for _ in range(count))


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def branching(request: pytest.FixtureRequest) -> Any:
    from respsel.backends.transformers.branching import Branching

    made = Branching(make(*ARCHITECTURES[request.param]), request.param)
    made.check()
    yield made
    made.close()


def check_scores(branching: Any, calls: list[ScoreCall], scores: dict[int, Any]) -> None:
    """Each score is that of one plain pass over its call's tokens."""
    import torch

    assert sorted(scores) == list(range(len(calls)))
    for index, call in enumerate(calls):
        plain = branching._plain(call.prompt_ids + call.response_ids)[
            len(call.prompt_ids) - 1 : -1
        ].log_softmax(-1)
        chosen = plain.gather(1, torch.tensor(call.response_ids)[:, None])[:, 0]
        assert scores[index].token_ids.tolist() == list(call.response_ids)
        assert torch.tensor(scores[index].nll).numpy() == pytest.approx(-chosen.numpy(), abs=2e-5)
        assert scores[index].entropy == pytest.approx(
            (-(plain.exp() * plain).sum(1)).numpy(), abs=2e-5
        )
        assert scores[index].squares == pytest.approx((plain * 2).exp().sum(1).numpy(), rel=1e-4)
        assert (scores[index].rank == 1 + (plain > chosen[:, None]).sum(1).numpy()).all()


def turns_of(text: tuple[int, ...], *turns: tuple[int, int]) -> list[ScoreCall]:
    """The calls of a conversation, one for each trained turn [start, end)."""
    cuts = [place for start, end in turns for place in (start, end - 1)]
    return [
        ScoreCall(text[:start], text[start:end], tuple(cuts[: 2 * place]))
        for place, (start, end) in enumerate(turns)
    ]


@pytest.mark.filterwarnings(
    "ignore"
)  # of transformers' own making, about these made-up configurations
def test_branched_scores_are_those_of_plain_forward_passes(branching: Any) -> None:
    """With shared beginnings, cut prompts and many responses to a batch, each score is as if its
    call were alone.
    """
    from respsel.backends.transformers.scoring import represent, score

    stream = random.Random(1)
    stem = ids(stream, 50)
    prompts = [(*stem, *ids(stream, 20)), (*stem, *ids(stream, 90)), ids(stream, 40)]
    calls = [ScoreCall(prompt, ids(stream, n)) for prompt in prompts for n in (1, 17, 60)]
    branching.tokens = 0
    scores = dict(score(branching, calls, 70, N_VOCAB))
    assert branching.tokens == 50 + 20 + 90 + 40 + 3 * (0 + 16 + 59)
    check_scores(branching, calls, scores)
    alone = {index: next(represent(branching, [call], 1000))[1] for index, call in enumerate(calls)}
    for index, mean in represent(branching, calls, 70):
        assert mean == pytest.approx(alone[index], abs=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("budget", [45, 1000])
def test_turns_of_conversations_are_scored_as_if_alone(branching: Any, budget: int) -> None:
    """Three trajectories, the second parting in the message behind the first turn and the third
    within the second turn: each token that they share is evaluated once, in whatever order and
    with a turn left out, and each score is that of a plain pass.
    """
    from respsel.backends.transformers.scoring import represent, score

    stream = random.Random(3)
    one = ids(stream, 160)
    two = one[:50] + ids(stream, 60)
    three = one[:100] + ids(stream, 30)
    calls = [
        *turns_of(one, (30, 41), (60, 120), (125, 160)),
        *turns_of(two, (30, 41), (70, 110)),
        *turns_of(three, (30, 41), (60, 130)),
    ]
    for some, tokens in (
        (calls, 159 + 59 + 29),
        (calls[::-1], 159 + 59 + 29),
        ([calls[0], calls[2]], 159),
        ([calls[2]], 159),
        ([calls[1], calls[6]], 119 + 29),
    ):
        branching.tokens = 0
        check_scores(branching, some, dict(score(branching, some, budget, N_VOCAB)))
        assert branching.tokens == tokens
    alone = [next(represent(branching, [call], 1000))[1] for call in calls]
    branching.tokens = 0
    found = dict(represent(branching, calls, budget))
    assert branching.tokens == 160 + 60 + 30
    for index, mean in enumerate(alone):
        assert found[index] == pytest.approx(mean, abs=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_rows_decode_as_plain_forward_passes_would(branching: Any) -> None:
    """Greedy texts of several rows, some taking up a call later than others, follow the plain model
    token by token.
    """
    from respsel.backends.transformers.decoding import Decoding

    stream = random.Random(2)
    greedy = Sampling(0.0, 1.0, 0, 0.0, 40)
    calls = [GenerateCall(ids(stream, n), greedy, 0) for n in (5, 30, 60, 11)]
    drawn = {
        item.index: item.tokens
        for item in Decoding(branching, 3, 64, set()).run([*calls, calls[1]])
    }
    assert drawn[4] == drawn[1]
    for index, call in enumerate(calls):
        plain = branching._plain(call.prompt_ids + tuple(drawn[index]))[
            len(call.prompt_ids) - 1 : -1
        ]
        assert plain.argmax(-1).tolist() == drawn[index]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("MambaConfig", {"vocab_size": N_VOCAB, "hidden_size": 64, "num_hidden_layers": 2}),
        ("BloomConfig", {"vocab_size": N_VOCAB, "hidden_size": 64, "n_layer": 2, "n_head": 4}),
    ],
)
def test_a_model_that_cannot_branch_is_refused(kind: str, fields: dict[str, Any]) -> None:
    """Layers that do not attend through transformers' interface would mix the responses: an error,
    not wrong scores.
    """
    from respsel.backends.transformers.branching import Branching

    made = Branching(make(kind, fields), "the model")
    with pytest.raises(
        PreflightError, match=r"the model: responses cannot branch .* Use backend 'llama-cpp'"
    ):
        made.check()


def test_weights_that_are_no_numbers_are_refused_as_such() -> None:
    """NaN weights are told for what they are, and not as an architecture that cannot branch."""
    import torch

    from respsel.backends.transformers.branching import Branching

    model = make("LlamaConfig", SHAPE)
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    with pytest.raises(
        PreflightError,
        match=r"the model: the model's logits are not finite numbers\. Are the weights whole\?",
    ):
        Branching(model, "the model").check()
