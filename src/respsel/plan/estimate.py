"""About how many tokens requests take, by their characters.

Knows nothing of tokenizers and stores. Invariant: an estimate takes no model.
"""

from __future__ import annotations

from collections.abc import Sequence

from respsel.calls.requests import GenerateRequest, Request, ScoreRequest
from respsel.records import Message, TokenUsage

# English text has about four characters to a token; good enough for "about how many tokens".
_CHARS_PER_TOKEN = 4
# What a chat template adds to a turn, and to open the answer.
_TEMPLATE_TOKENS = 6


def about_tokens(requests: Sequence[Request]) -> int:
    """About how many tokens are evaluated: each prompt once, and each turn of a conversation."""
    plain = [request for request in requests if not _is_of_turn(request)]
    prompts = {request.messages for request in plain}
    # Of each conversation the last turn that is asked about has all the others before it.
    chats: dict[tuple[Message, ...], int] = {}
    for request in requests:
        if _is_of_turn(request):
            length = len(_before(request)) + 1
            chats[request.messages] = max(length, chats.get(request.messages, 0))
    turns = {chat[:stop] for chat, length in chats.items() for stop in range(1, length + 1)}
    return (
        sum(_prompt_tokens(messages) for messages in prompts)
        + sum(_prompt_tokens(messages[-1:]) for messages in turns)
        + sum(map(_response_tokens, plain))
    )


def about_usage(requests: Sequence[Request]) -> TokenUsage:
    """About what an endpoint counts: every prompt in full, and a scored response like a prompt."""
    output = sum(
        _response_tokens(request) for request in requests if isinstance(request, GenerateRequest)
    )
    read = sum(
        _response_tokens(request)
        for request in requests
        if not isinstance(request, GenerateRequest)
    )
    return TokenUsage(
        len(requests), read + sum(_prompt_tokens(_before(request)) for request in requests), output
    )


def new_prompt_tokens(request: Request, known: set[int]) -> int:
    """About how many tokens of a request's prompt no request before it had.

    With what a chat template adds. known: hashes of the beginnings so far, which it adds to.
    """
    before = _before(request)
    tokens = 0
    for stop in range(1, len(before) + 1):
        key = hash((request.model, isinstance(request, GenerateRequest), before[:stop]))
        if key not in known:
            known.add(key)
            opened = _TEMPLATE_TOKENS if stop == len(before) else 0
            tokens += _prompt_tokens(before[stop - 1 : stop]) + _TEMPLATE_TOKENS + opened
    return tokens


def response_tokens(request: Request) -> int:
    """About how many tokens a request's response has; the most, if it is still to be written."""
    return _response_tokens(request)


def _is_of_turn(request: Request) -> bool:
    return isinstance(request, ScoreRequest) and request.turn is not None


def _before(request: Request) -> Sequence[Message]:
    """The messages before what is asked for."""
    place = request.turn if isinstance(request, ScoreRequest) else None
    return request.messages if place is None else request.messages[:place]


def _prompt_tokens(messages: Sequence[Message]) -> int:
    characters = sum(len(message.content) + len(message.fields) for message in messages)
    return characters // _CHARS_PER_TOKEN


def _response_tokens(request: Request) -> int:
    """Those of a response; the most that it may have, if it is still to be written."""
    if isinstance(request, GenerateRequest):
        return request.sampling.max_tokens
    return (
        request.characters if isinstance(request, ScoreRequest) else len(request.response)
    ) // _CHARS_PER_TOKEN
