"""`request = { ... }` of a model entry: further parameters of each request to an endpoint.

Knows nothing of servers. Invariants: it sets nothing that respsel sets itself. It holds no secret,
since a recipe is kept and shown. A parameter is in a model's identity unless it is known to change
no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from respsel.recipe.validation import json_only
from respsel.replies.endings import names

_SAMPLING = "Set it in 'sampling'"
_LIMIT = "Set max_tokens in 'sampling'"
_SCORES = "respsel asks for what it needs"
_SDK = "Write the parameters themselves, as they are in the request's JSON"
_OURS = {
    "model": "Set 'model' of the entry",
    "messages": "Write the strategy's 'prompt' and 'system'",
    "prompt": "Write the strategy's 'prompt' and 'system'",
    "input": "Write the strategy's 'prompt' and 'system'",
    **dict.fromkeys(("temperature", "top_p", "top_k", "min_p", "seed"), _SAMPLING),
    **dict.fromkeys(
        (
            "max_tokens",
            "max_completion_tokens",
            "max_output_tokens",
            "max_new_tokens",
            "num_predict",
        ),
        _LIMIT,
    ),
    **dict.fromkeys(("logprobs", "top_logprobs", "prompt_logprobs", "echo", "best_of"), _SCORES),
    "n": "respsel asks for each sample alone. Set 'samples' of own_outputs, or 'attempts' of a "
    "strategy",
    "stream": "respsel reads whole answers only",
    "stream_options": "respsel reads whole answers only",
    **dict.fromkeys(("extra_body", "extra_query"), _SDK),
    "timeout": "Set 'timeout_s' of the entry",
    "extra_headers": "The key is sent from api_key_env; no other header can be set",
}
# They decide who pays, what is logged and how soon an answer comes, but not what it says.
_NO_CHANGE = names(
    "user store metadata service_tier safety_identifier prompt_cache_key prompt_cache_retention "
    "priority request_id"
)
# How a text is written. Scoring writes none, and sends ids or plain text instead of a chat.
_WRITING = names(
    "chat_template chat_template_kwargs add_generation_prompt continue_final_message documents "
    "enable_thinking thinking thinking_budget reasoning reasoning_effort reasoning_format "
    "include_reasoning verbosity response_format tools tool_choice parallel_tool_calls functions "
    "function_call modalities audio prediction web_search_options stop stop_token_ids "
    "frequency_penalty presence_penalty repetition_penalty repeat_penalty logit_bias bad_words "
    "min_tokens ignore_eos structured_outputs length_penalty"
)
_SECRET_WORDS = names(
    "secret password passwd authorization credential credentials bearer apikey cookie"
)
_SECRET_ENDS = frozenset(["key", "token", "auth"])
_NO_SECRETS = re.compile(
    r"prompt_cache_key|(?:bos|eos|pad|unk|sep|cls|mask|stop|start|end|think\w*|special)_token"
)
_KEY_VALUE = re.compile(r"(?:sk-|gsk_|hf_|xai-|AIza|ghp_|Bearer\s)[\w.\-]{8,}")


def check_request(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values.

    Raises ValueError naming what is not JSON, what respsel sets itself, and what looks like a
    secret.
    """
    json_only(values)
    faults = [f"'{name}' is not for 'request'. {_OURS[name]}" for name in values if name in _OURS]
    faults += [
        f"'{place}' looks like a secret, and a recipe is kept and shown. Name the variable that "
        "holds the key in 'api_key_env'"
        for place in _secrets(values, "")
    ]
    if faults:
        raise ValueError("; ".join(faults))
    return values


def identity_of(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters of a request that change answers."""
    return {name: value for name, value in request.items() if name not in _NO_CHANGE}


def is_for_scores(name: str) -> bool:
    """Whether a parameter is also sent with requests for scores."""
    return name not in _WRITING and not name.startswith("guided_")


def _secrets(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            inner = f"{place}.{name}" if place else str(name)
            if _is_secret_name(str(name)) and isinstance(item, str):
                yield inner
            else:
                yield from _secrets(item, inner)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _secrets(item, f"{place}[{i}]")
    elif isinstance(value, str) and _KEY_VALUE.match(value):
        yield place


def _is_secret_name(name: str) -> bool:
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    if not words or _NO_SECRETS.fullmatch("_".join(words)):
        return False
    return words[-1] in _SECRET_ENDS or bool(_SECRET_WORDS.intersection(words))
