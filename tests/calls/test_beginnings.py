"""How many tokens calls take, where each beginning that they share is evaluated once."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from respsel.backends.contract import GenerateCall, ScoreCall
from respsel.calls.beginnings import Beginnings, fewest_tokens
from respsel.calls.requests import RepresentCall, TurnCall
from respsel.records import Sampling

Ids = tuple[int, ...]
IDS = st.lists(st.integers(0, 1), max_size=6).map(tuple)
PROMPTS = st.lists(st.integers(0, 1), min_size=1, max_size=6).map(tuple)
SCORE_CALLS = st.builds(ScoreCall, PROMPTS, IDS) | st.builds(RepresentCall, PROMPTS, IDS)


def turns_of(text: Ids, *turns: tuple[int, int]) -> list[TurnCall]:
    """The calls of a conversation, one for each trained turn [start, end)."""
    cuts = [place for start, end in turns for place in (start, end - 1)]
    return [
        TurnCall(text[:start], text[start:end], tuple(cuts[: 2 * place]))
        for place, (start, end) in enumerate(turns)
    ]


@given(st.lists(SCORE_CALLS, max_size=12))
def test_the_fewest_tokens_are_the_nodes_of_a_trie(calls: list[ScoreCall]) -> None:
    """Against every beginning of every call, each counted once."""
    nodes = set()
    for call in calls:
        ids = call.prompt_ids + call.response_ids
        last = len(ids) if isinstance(call, RepresentCall) else len(ids) - 1
        if call.response_ids:
            nodes |= {ids[:end] for end in range(1, last + 1)}
    assert fewest_tokens(calls) == len(nodes)


def test_the_fewest_tokens_of_a_conversation_are_its_own() -> None:
    """Whichever of its turns are asked for; the last token predicts nothing."""
    calls = turns_of(tuple(range(20)), (3, 5), (8, 9), (12, 18))
    assert fewest_tokens(calls) == fewest_tokens(calls[2:]) == 17
    assert fewest_tokens(calls[:1]) == 4
    assert fewest_tokens([]) == fewest_tokens([ScoreCall((1, 2), ())]) == 0
    assert fewest_tokens([RepresentCall((1, 2), (3,)), ScoreCall((1, 2), (3,))]) == 3


def total(calls: Sequence[ScoreCall | GenerateCall]) -> int:
    beginnings = Beginnings()
    return sum(sum(beginnings.new_tokens(call)) for call in calls)


def test_prompts_are_new_once_and_responses_always() -> None:
    """Equal prompts are one; a plain response is evaluated for each call."""
    beginnings = Beginnings()
    assert beginnings.new_tokens(ScoreCall((1, 2), (3, 4, 5))) == (2, 3)
    assert beginnings.new_tokens(ScoreCall((1, 2), (3, 4, 6))) == (0, 3)
    assert beginnings.new_tokens(ScoreCall((1, 3), ())) == (2, 0)
    sampling = Sampling(1.0, 1.0, 0, 0.0, 9)
    assert beginnings.new_tokens(GenerateCall((1, 2), sampling, 1)) == (0, 9)


@given(st.randoms(use_true_random=False))
def test_a_conversation_is_counted_once_in_any_order(stream: Random) -> None:
    """All turns take the conversation's tokens; one that parts behind the first turn takes its own
    besides, and a turn that is left out is counted as a part of the prompt.
    """
    text = tuple(range(20))
    calls = turns_of(text, (3, 5), (8, 9), (12, 18))
    other = turns_of((*text[:6], *range(50, 60)), (3, 5), (9, 14))
    stream.shuffle(calls)
    assert total(calls) == 18
    both = [*calls, *other]
    stream.shuffle(both)
    # Both have the message behind the first turn for themselves.
    assert total(both) == 18 + (14 - 5)
    some = turns_of(text, (3, 5), (8, 9), (12, 18))[::2]
    stream.shuffle(some)
    assert total(some) == 18
