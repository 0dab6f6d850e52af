"""About how many tokens requests take, by their characters."""

from __future__ import annotations

from respsel.calls.requests import GenerateRequest, ScoreRequest
from respsel.plan.estimate import about_tokens, about_usage
from respsel.records import Message, Sampling, TokenUsage


def text(tokens: int) -> str:
    return "abc " * tokens


USER = Message("user", text(10))
ONE = Message("assistant", text(20), f'{{"a":"{text(1)}--"}}')  # 3 tokens of fields
MORE = Message("user", text(30))
TWO = Message("assistant", text(40))
THREE = Message("assistant", text(50))


def turn(*messages: Message) -> ScoreRequest:
    """A request for the last of some messages."""
    return ScoreRequest("m", (*messages, USER), "", "", "", turn=len(messages) - 1)


def test_prompts_count_once_and_responses_each() -> None:
    """An endpoint counts each prompt in full."""
    draw = GenerateRequest("m", (USER,), Sampling(1.0, 1.0, 0, 0.0, 99), "", 0, 0, "", "")
    requests = [ScoreRequest("m", (USER,), text(n), "", "") for n in (5, 6)]
    assert about_tokens([*requests, draw]) == 10 + 5 + 6 + 99
    assert about_usage([*requests, draw]) == TokenUsage(3, 3 * 10 + 5 + 6, 99)


def test_turns_of_conversations_count_once() -> None:
    """With their fields, and whatever the other conversations of the same beginning; what is behind
    the last turn that is asked for counts nothing.
    """
    first = turn(USER, ONE)
    second = turn(USER, ONE, MORE, TWO)
    other = turn(USER, ONE, MORE, THREE)
    assert about_tokens([first]) == 10 + 23
    assert about_tokens([second]) == 10 + 23 + 30 + 40
    assert about_tokens([other, first, second]) == 10 + 23 + 30 + 40 + 50
    assert about_usage([first, second]) == TokenUsage(2, 10 + 23 + (10 + 23 + 30) + 40, 0)
