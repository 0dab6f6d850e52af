"""Keys of requests and calls: golden values, and that every field that changes an answer changes the key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from respsel.backends.base import ScoreCall
from respsel.records import Message, Sampling
from respsel.requests import GenerateRequest, Request, ScoreRequest, draw_seed, generate_key, request_key, score_key

SAMPLING = Sampling(0.7, 0.95, 0, 0.0, 100)
GENERATE = GenerateRequest("m", (Message("user", "hi"),), SAMPLING, 0, 0, "about")
SCORE = ScoreRequest("m", (Message("user", "hi"),), "text", "about")


def test_golden_keys() -> None:
    """These keys are pinned: other ones make every user's calls again."""
    assert request_key("id", GENERATE) == "request/6a68ae01f7d73b6fbbf51005514dd1dfb7d1f7e7181e6a10b697bd262292b0b4"
    assert request_key("id", SCORE) == "request/6ffcb0111604e469c80eb60edb9338aadf8d8cb360324adb433291f9eaa20ebe"
    assert score_key("id", ScoreCall((1, 2), (3,))) == "call/79f05390b8256726cd7ffcb100c4fac658c8b85b4e6b5f78a58932e1f6d5852f"
    assert generate_key("id", (1, 2), SAMPLING, 0, 0) == "call/a0a6ee1e879f3e4f7b062b609dafd21bdf05e4fedecae6426c5575bbe016e03a"
    assert draw_seed((1, 2), 0, 0) == 12363019002185090285


@pytest.mark.parametrize(
    "other",
    [
        replace(GENERATE, messages=(Message("system", "hi"),)),
        replace(GENERATE, messages=(Message("user", "hi "),)),
        replace(GENERATE, messages=(Message("user", "h"), Message("user", "i"))),
        replace(GENERATE, seed=1),
        replace(GENERATE, sample=1),
        *[replace(GENERATE, sampling=replace(SAMPLING, **{name: 1})) for name in ("temperature", "top_p", "top_k", "max_tokens")],
        replace(GENERATE, sampling=replace(SAMPLING, min_p=0.5)),
        SCORE,
        replace(SCORE, response="text "),
    ],
)
def test_what_changes_the_answer_changes_the_key(other: Request) -> None:
    """Messages, sampling, seed, sample and response are in the key, and so is the model's identity."""
    assert request_key("id", other) != request_key("id", GENERATE)
    assert request_key("other", other) != request_key("id", other)


@pytest.mark.parametrize("request_", [GENERATE, SCORE])
def test_what_does_not_change_the_answer_is_in_no_key(request_: GenerateRequest | ScoreRequest) -> None:
    """The model's name in the recipe and the words for errors are not in the key."""
    assert request_key("id", replace(request_, model="x", about="y")) == request_key("id", request_)


def test_greedy_requests_share_their_key_whatever_the_filters() -> None:
    """At temperature 0 the sampling filters change nothing, so they are not in the key."""
    greedy = replace(GENERATE, sampling=replace(SAMPLING, temperature=0.0))
    assert request_key("id", greedy) == request_key("id", replace(greedy, sampling=replace(greedy.sampling, top_p=0.5)))


def test_prompt_and_response_do_not_run_together() -> None:
    """The same tokens split otherwise between prompt and response are another call."""
    assert score_key("id", ScoreCall((1, 2), (3,))) != score_key("id", ScoreCall((1,), (2, 3)))
