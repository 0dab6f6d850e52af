"""Where positions begin to be turned otherwise, on configurations of transformers and on tiny
models of these kinds.
"""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from respsel.backends.rope import steady_tokens_of_config
from respsel.records import TokenScores
from tests.backends.transformers.test_branching import SHAPE, ids, make
from tests.conftest import needs

TURNS = SHAPE["hidden_size"] // SHAPE["num_attention_heads"] // 2
DYNAMIC = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0}
FACTORS = {"short_factor": [1.0] * TURNS, "long_factor": [1.0 + 3 * turn for turn in range(TURNS)]}
LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "original_max_position_embeddings": 64,
    **FACTORS,
}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 64}},
            64,
        ),
        ({"rope_scaling": {"type": "longrope"}, "original_max_position_embeddings": 32}, 32),
        ({"rope_scaling": {"type": "longrope"}}, 512),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 4.0}}, 512),
        ({"rope_parameters": {"full": {"rope_type": "default"}, "sliding": {**LONGROPE}}}, 64),
        ({"rope_parameters": {"rope_type": "yarn", "original_max_position_embeddings": 64}}, None),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, None),
        (
            {"rope_parameters": {"rope_type": "llama3", "original_max_position_embeddings": 64}},
            None,
        ),
        ({"rope_parameters": None}, None),
        ({}, None),
    ],
)
def test_the_length_is_what_the_configuration_says(
    fields: dict[str, Any], expected: int | None
) -> None:
    """LongRoPE ends at its original length, dynamic NTK at the model's; what turns all texts alike
    has no end.
    """
    assert (
        steady_tokens_of_config(SimpleNamespace(max_position_embeddings=512, **fields)) == expected
    )


@needs("torch", "transformers")
@pytest.mark.filterwarnings(
    "ignore"
)  # of transformers' own making, about these made-up configurations
@pytest.mark.parametrize(
    ("kind", "fields", "asked", "told"),
    [
        (
            "Phi3Config",
            {**SHAPE, "original_max_position_embeddings": 64, "rope_parameters": LONGROPE},
            512,
            True,
        ),
        ("LlamaConfig", {**SHAPE, "rope_parameters": LONGROPE}, None, True),
        (
            "LlamaConfig",
            {**SHAPE, "max_position_embeddings": 64, "rope_parameters": DYNAMIC},
            512,
            False,
        ),
    ],
)
def test_a_transformers_context_ends_there(
    kind: str, fields: dict[str, Any], asked: int | None, told: bool
) -> None:
    """Whatever the recipe asks for; and a short text scores the same beside the longest one that
    fits.
    """
    from respsel.backends.contract import ScoreCall
    from respsel.backends.transformers.branching import Branching
    from respsel.backends.transformers.model import Settings, TransformersModel

    made = make(kind, fields)
    text: Any = SimpleNamespace(ends=set(), about=dict)
    model = TransformersModel(
        made, Branching(made, kind), text, Settings("float32", "cpu", asked, None, 1, 1000, 4), kind
    )
    assert model.context_tokens == 64
    assert ("positions" in model.about()) == told
    stream = random.Random(1)
    short = ScoreCall(ids(stream, 20), ids(stream, 20))
    long = ScoreCall(ids(stream, 34), ids(stream, 30))
    ((_, alone),) = model.score([short])
    beside = dict(model.score([short, long]))[0]
    assert isinstance(alone, TokenScores)
    assert isinstance(beside, TokenScores)
    assert beside.nll == pytest.approx(alone.nll, abs=1e-4)
    model.close()
