"""`request = { ... }` of a model entry: what it may hold, what it is part of, and where
it is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from respsel.backends.contract import ScoreCall
from respsel.backends.registry import identify
from respsel.errors import PreflightError
from respsel.hashing import canonical_json, digest
from respsel.recipe.model import ModelEntry, NamedModel
from respsel.recipe.request_parameters import check_request, identity_of
from respsel.records import Message
from tests.backends.openai.test_model import KEY, Scorer, model_of, remote, written
from tests.conftest import Bench, needs
from tests.endpoints import chat, serving

ENTRY = {"backend": "openai", "base_url": "http://127.0.0.1:1/v1", "model": "m"}


def identity(**more: Any) -> str:
    entry = ModelEntry.model_validate({**ENTRY, **more})
    return identify(NamedModel("m", entry, Path(), "a.toml"), None).identity  # type: ignore[arg-type]


def test_an_entry_without_parameters_is_the_model_that_it_was() -> None:
    """Bit for bit: what was answered before is found."""
    fields = {
        "backend": "openai",
        "endpoint": ENTRY["base_url"],
        "model": "m",
        "chat_template": None,
    }
    assert identity() == identity(request={}) == digest("model", canonical_json(fields))
    assert identity() == "d62a10572cf7941823c01e4b9dcd269e94473973bc1e04811d5e046654dd954b"


@pytest.mark.parametrize(
    "request_",
    [
        {"reasoning_effort": "low"},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"stop": ["\n\n"]},
        {"x": 1},
    ],
)
def test_a_parameter_makes_another_model(request_: dict[str, Any]) -> None:
    """And another value another one; the order of keys does not matter."""
    assert identity(request=request_) != identity()
    (name,) = request_
    assert (
        identity(request={**request_, "y": 2})
        == identity(request={"y": 2, **request_})
        != identity(request=request_)
    )
    assert identity(request={name: "other"}) != identity(request=request_)


def test_what_changes_no_answer_is_not_in_the_identity() -> None:
    """Who is billed and how soon it is answered."""
    billed = {
        "user": "me",
        "service_tier": "flex",
        "store": False,
        "metadata": {"a": "b"},
        "prompt_cache_key": "k",
    }
    assert identity(request=billed) == identity()
    assert identity_of({**billed, "top_a": 0.1}) == {"top_a": 0.1}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"model": "x"}, "'model' is not for 'request'. Set 'model' of the entry"),
        ({"temperature": 1}, "Set it in 'sampling'"),
        ({"max_completion_tokens": 5}, "Set max_tokens in 'sampling'"),
        ({"messages": []}, "'prompt'"),
        ({"stream": True}, "whole answers"),
        ({"n": 2}, "each sample alone"),
        ({"logprobs": True}, "asks for what it needs"),
        ({"extra_body": {"a": 1}}, "Write the parameters themselves"),
        ({"timeout": 3}, "timeout_s"),
        ({"seed": 1, "top_k": 2}, "'top_k'"),
        ({"api_key": KEY}, "'api_key' looks like a secret"),
        ({"provider": {"apiKey": KEY}}, "'provider.apiKey' looks like a secret"),
        ({"tools": [{"authorization": KEY}]}, "'tools[0].authorization' looks like a secret"),
        ({"hf_token": KEY}, "'hf_token' looks like a secret"),
        ({"password": KEY}, "'password' looks like a secret"),
        ({"note": KEY}, "'note' looks like a secret"),
        ({"note": f"Bearer {KEY}"}, "'note' looks like a secret"),
        ({"a": float("inf")}, "not a JSON value: a = inf"),
    ],
)
def test_what_is_not_for_it_is_refused(values: dict[str, Any], told: str) -> None:
    """With the right place for it; a secret is not shown."""
    with pytest.raises(ValueError, match=r"for 'request'|a secret|not a JSON") as caught:
        check_request(values)
    assert told in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {
            "stop_token_ids": [2],
            "min_tokens": 3,
            "thinking": {"type": "enabled", "budget_tokens": 99},
            "eos_token": "</s>",
        },
        {
            "prompt_cache_key": "a",
            "keyboard": 1,
            "skip_special_tokens": True,
            "return_token_ids": True,
            "use_token": False,
        },
        {
            "provider": {"order": ["x"], "require_parameters": True},
            "response_format": {"type": "text"},
        },
    ],
)
def test_what_servers_know_is_taken(values: dict[str, Any]) -> None:
    """Names that only resemble a secret's are none."""
    assert check_request(values) == values


def test_it_is_refused_in_a_recipe_at_its_place(bench: Bench) -> None:
    """Only an endpoint takes parameters; a key of another tool's is recognised; the remedy is with
    it.
    """
    bench.edit(
        'backend = "fake"\nvariant = "teacher"\n',
        'backend = "fake"\nvariant = "teacher"\nrequest = { a = 1 }\n',
    )
    done = bench.respsel("plan", "a.toml")
    assert "'request' is for backend 'openai'" in done.err
    entry = 'backend = "openai"\nbase_url = "http://127.0.0.1:1/v1"\nmodel = "m"\n'
    bench.edit(
        'backend = "fake"\nvariant = "teacher"\nrequest = { a = 1 }\n',
        f"{entry}extra_body = {{ a = 1 }}\n",
    )
    assert (
        "model 'teacher', extra_body: unknown key. Did you mean 'request'?"
        in bench.respsel("plan", "a.toml").err
    )
    bench.edit("extra_body = { a = 1 }", f'request = {{ temperature = 1, api_key = "{KEY}" }}\n')
    done = bench.respsel("plan", "a.toml")
    assert done.code == 2
    assert (
        "model 'teacher', request: 'temperature' is not for 'request'. Set it in 'sampling'"
        in done.err
    )
    assert KEY not in done.err


@pytest.mark.parametrize("given", ["x", {"enable_thinking": True}])
def test_variables_of_a_template_that_is_known_here_are_template_options(given: Any) -> None:
    """Else the server's template would be given what the one here is not, or another value."""
    with pytest.raises(
        ValueError, match=r"'chat_template_kwargs' in 'request' is .* Use 'template_options'"
    ):
        ModelEntry.model_validate(
            {**ENTRY, "path": "a.gguf", "request": {"chat_template_kwargs": given}}
        )
    options = {"path": "a.gguf", "template_options": {"enable_thinking": True}}
    assert ModelEntry.model_validate({**ENTRY, **options}).template_options == {
        "enable_thinking": True
    }


@needs("openai")
def test_it_goes_with_each_chat() -> None:
    """Beside what respsel sets, which it cannot change."""
    more = {
        "reasoning_effort": "low",
        "chat_template_kwargs": {"enable_thinking": False},
        "provider": {"order": ["a"]},
    }
    with serving(lambda asked: chat("hi")) as endpoint:
        written(endpoint, 2, request=more)
    for asked in endpoint.asked:
        assert {name: asked.body[name] for name in more} == more
        assert (asked.body["model"], asked.body["temperature"]) == ("m", 0.7)


@needs("openai", "llama_cpp")
@pytest.mark.parametrize("ids", [True, False])
def test_of_scores_it_goes_without_what_is_for_writing(
    ids: bool, make_tiny_gguf: Callable[..., Path]
) -> None:
    """Who answers is as for chats; how it thinks or stops is no part of a score."""
    more = {
        "provider": {"order": ["a"]},
        "user": "me",
        "reasoning_effort": "low",
        "stop": ["x"],
        "chat_template_kwargs": {},
    }
    gguf = make_tiny_gguf()
    with serving(Scorer(gguf, ids)) as endpoint:
        model = model_of(endpoint, gguf, retries=0, request=more)
        text = model.text
        ((_, found),) = model.score(
            [ScoreCall(text.prompt_ids([Message("user", "Why?")]), text.response_ids("so"))]
        )
        model.close()
    assert len(found.nll)
    for asked in endpoint.asked:
        assert asked.body["provider"] == {"order": ["a"]}
        assert not {"reasoning_effort", "stop", "chat_template_kwargs"} & set(asked.body)


@needs("openai")
def test_the_key_itself_is_refused_under_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is asked, and it is not shown."""
    monkeypatch.setenv("MY_KEY", "a plain word".replace(" ", "-"))
    with serving(lambda asked: chat("hi")) as endpoint:
        with pytest.raises(PreflightError, match="request: holds the API key") as caught:
            written(endpoint, api_key_env="MY_KEY", request={"user": "a-plain-word"})
        assert not endpoint.asked
    assert "a-plain-word" not in str(caught.value)


@needs("openai")
def test_another_parameter_asks_again(bench: Bench) -> None:
    """In a run: a parameter that changes answers makes other calls, one that does not
    makes none.
    """
    with serving(lambda asked: chat("It is 4.")) as endpoint:
        remote(bench, endpoint)
        assert bench.run()["calls_made"] > 0
        bench.edit("parallel = 4\n", 'parallel = 4\nrequest = { user = "me" }\n')
        assert bench.run()["calls_made"] == 0
        bench.edit('user = "me"', 'user = "me", reasoning_effort = "low"')
        assert bench.run()["calls_made"] > 0
        assert endpoint.asked[-1].body["reasoning_effort"] == "low"
