"""Keys of requests and calls: golden values, and that every field that changes an answer changes
the key.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from respsel.backends.contract import ScoreCall
from respsel.calls.keys import draw_seed, generate_key, request_key, score_key
from respsel.calls.requests import GenerateRequest, Request, ScoreRequest
from respsel.graph import build_graph
from respsel.records import Message, Sampling
from respsel.store.store import Store
from respsel.workspace.loading import load_recipe
from tests.conftest import Bench

SAMPLING = Sampling(0.7, 0.95, 0, 0.0, 100)
GENERATE = GenerateRequest("m", (Message("user", "hi"),), SAMPLING, "response", 0, 0, "about", "e1")
SCORE = ScoreRequest("m", (Message("user", "hi"),), "text", "about", "e1")


def test_golden_keys() -> None:
    """These keys are pinned: other ones make every user's calls again."""
    assert (
        request_key("id", GENERATE)
        == "request/18e9c1a4cd800a3f41fe91b37bebb45f7e538f7f78728285aaa3179fee8940c8"
    )
    assert (
        request_key("id", SCORE)
        == "request/05866073c7de792432e5767d6ee87721dc8891dd0cf257f97eed1cb3900c1b4e"
    )
    assert (
        score_key("id", ScoreCall((1, 2), (3,)))
        == "call/79f05390b8256726cd7ffcb100c4fac658c8b85b4e6b5f78a58932e1f6d5852f"
    )
    assert (
        generate_key("id", (1, 2), GENERATE)
        == "call/eea6675f5a17e09926ef9007bfe929abd636c0d50488ddd1458e9a7e79446c2b"
    )
    assert draw_seed((1, 2), GENERATE) == 12956845451529090217


def test_golden_step_keys(bench: Bench) -> None:
    """The keys of a recipe's steps are pinned too."""
    with Store(bench.folder / "cache") as store:
        steps = build_graph(load_recipe(bench.recipe), store).steps
    assert (
        steps["responses:sums/teacher"].key(["x"])
        == "24bdba75c8b8dc54302a667781e8683f7984ff79d50d87046c7ac0ffb1115dbe"
    )
    assert (
        steps["token-scores:sums/human/self-aligned-2"].key(["x", "y", "z"])
        == "6b4bc0998be177027b24e5ea2d1974c096b8e936467bbd4b9123d360b15db11c"
    )
    assert (
        steps["own-outputs:sums"].key(["x"])
        == "724793ef85453c3641f87cf373c508cd7bef585b3164d3e02d556c2d3d97edb4"
    )
    assert (
        steps["verdict:sums"].key(["x", "y"])
        == "0484dacce780c48c1002e43c1984a361ae821735b2d3b9c83557bd2013a472ed"
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(GENERATE, messages=(Message("system", "hi"),)),
        replace(GENERATE, messages=(Message("user", "hi "),)),
        replace(GENERATE, messages=(Message("user", "h"), Message("user", "i"))),
        replace(GENERATE, seed=1),
        replace(GENERATE, stream="own-output"),
        replace(GENERATE, sample=1),
        *[
            replace(GENERATE, sampling=replace(SAMPLING, **{name: 1}))
            for name in ("temperature", "top_p", "top_k", "max_tokens")
        ],
        replace(GENERATE, sampling=replace(SAMPLING, min_p=0.5)),
        SCORE,
        replace(SCORE, response="text "),
    ],
)
def test_what_changes_the_answer_changes_the_key(other: Request) -> None:
    """Messages, sampling, seed, sample and response are in the key, and so is the
    model's identity.
    """
    assert request_key("id", other) != request_key("id", GENERATE)
    assert request_key("other", other) != request_key("id", other)


@pytest.mark.parametrize("request_", [GENERATE, SCORE])
def test_what_does_not_change_the_answer_is_in_no_key(
    request_: GenerateRequest | ScoreRequest,
) -> None:
    """The model's name in the recipe and the words for errors are not in the key."""
    assert request_key("id", replace(request_, model="x", about="y", example="z")) == request_key(
        "id", request_
    )


def test_greedy_requests_share_their_key() -> None:
    """At temperature 0 neither filters nor seed nor sample change anything, so they are not in the
    key.
    """
    greedy = replace(GENERATE, sampling=replace(SAMPLING, temperature=0.0))
    assert request_key("id", greedy) == request_key(
        "id", replace(greedy, sampling=replace(greedy.sampling, top_p=0.5), seed=3, sample=4)
    )


def test_prompt_and_response_do_not_run_together() -> None:
    """The same tokens split otherwise between prompt and response are another call."""
    assert score_key("id", ScoreCall((1, 2), (3,))) != score_key("id", ScoreCall((1,), (2, 3)))
