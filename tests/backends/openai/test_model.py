"""The openai backend: what it asks, what it makes of failures, and whom it believes
log-probabilities.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from respsel.backends.contract import Failure, GenerateCall, Generation, ScoreCall
from respsel.errors import PreflightError, RunError
from respsel.recipe.places import plain_place
from respsel.records import Message, Sampling
from tests.conftest import Bench, jsonl, needs, rows
from tests.endpoints import Asked, Endpoint, Reply, chat, error, serving

pytestmark = needs("openai")
SAMPLING = Sampling(0.7, 0.9, 0, 0.0, 20)
KEY = "sk-canary-0123456789"


HELLO = Message("user", "Hello.")


def model_of(endpoint: Endpoint, weights: Path | None = None, **settings: Any) -> Any:
    from respsel.backends.openai.client import EndpointSettings
    from respsel.backends.openai.model import EndpointModel

    given = {"api_key_env": None, "timeout_s": 5.0, "retries": 2, "parallel": 4, **settings}
    return EndpointModel(
        EndpointSettings(endpoint.url, "m", place=plain_place("a.toml", "models", "m"), **given),
        None,
        weights,
        None,
        None,
    )


def calls(model: Any, count: int = 1, sampling: Sampling = SAMPLING) -> list[GenerateCall]:
    chats = [(Message("system", "Be brief."), Message("user", f"Say {i}.")) for i in range(count)]
    return [
        GenerateCall(model.text.prompt_ids(asked), sampling, (1 << 40) + i, asked)
        for i, asked in enumerate(chats)
    ]


def written(endpoint: Endpoint, count: int = 1, **settings: Any) -> dict[int, Any]:
    model = model_of(endpoint, **settings)
    try:
        return dict(model.generate(calls(model, count)))
    finally:
        model.close()


def test_what_is_asked_and_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chat, sampling with its filters even where they are off, seed and key go out; text and counts
    come back.
    """
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "of somebody else")
    with serving(lambda asked: chat("  hello \n", 11, 2)) as endpoint:
        assert written(endpoint, api_key_env="MY_KEY") == {
            0: Generation("hello", 2, False, prompt_tokens=11)
        }
    (asked,) = endpoint.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert dict(asked.body) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Say 0."},
        ],
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 20,
        "seed": (1 << 40) % (1 << 31),
        "top_k": 0,
        "min_p": 0.0,
    }


def test_tools_and_fields_of_turns_are_sent() -> None:
    """Tools as a request has them, each turn with what else it has, and no text where it has none;
    a server that counts no tokens has them estimated from all of it.
    """
    tools = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
    asks = [{"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]
    fields = json.dumps({"content": None, "tool_calls": asks})
    messages = (
        Message("tools", json.dumps(tools)),
        Message("user", "Add."),
        Message("assistant", "", fields),
        Message("tool", "3", '{"tool_call_id":"1"}'),
    )
    with serving(lambda asked: chat("3", None, 1)) as endpoint:
        model = model_of(endpoint)
        prompt = model.text.prompt_ids(messages)
        assert prompt != model.text.prompt_ids((*messages[:3], Message("tool", "3")))
        found = dict(model.generate([GenerateCall(prompt, SAMPLING, 1, messages)]))
        dict(model.generate([GenerateCall((), SAMPLING, 1, (Message("tools", "[]"), HELLO))]))
        model.close()
    length = sum(len(message.content) + len(message.fields) for message in messages)
    assert found[0].prompt_tokens == -(-length // 4)
    first, second = (asked.body for asked in endpoint.asked)
    assert first["tools"] == tools
    assert first["messages"] == [
        {"role": "user", "content": "Add."},
        {"role": "assistant", "content": None, "tool_calls": asks},
        {"role": "tool", "content": "3", "tool_call_id": "1"},
    ]
    assert "tools" not in second
    assert second["messages"] == [{"role": "user", "content": "Hello."}]


def test_a_key_is_sent_only_where_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the SDK would take from the environment is not sent to a server that it is not for, and
    stays there.
    """
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"Authorization: Bearer {KEY}\nX-Secret: {KEY}")
    with serving(lambda asked: chat("hi")) as endpoint:
        written(endpoint)
    assert KEY not in str(endpoint.asked[0].headers)
    assert os.environ["OPENAI_API_KEY"] == KEY


@pytest.mark.parametrize("odd", ["sk-one\nsk-two", "sk one", "sk-\u00e9", "a\tb"])
def test_an_odd_key_is_refused(odd: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key of two lines could not be told apart in messages: it is refused, and not shown."""
    monkeypatch.setenv("MY_KEY", odd)
    with (
        serving(lambda asked: chat("hi")) as endpoint,
        pytest.raises(PreflightError, match="holds no API key") as caught,
    ):
        written(endpoint, api_key_env="MY_KEY")
    assert odd not in str(caught.value)


def test_a_missing_key_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable."""
    monkeypatch.delenv("MY_KEY", raising=False)
    with (
        serving(lambda asked: chat("hi")) as endpoint,
        pytest.raises(PreflightError, match="MY_KEY is not set"),
    ):
        written(endpoint, api_key_env="MY_KEY")
    assert not endpoint.asked


def test_requests_go_out_together_up_to_the_limit() -> None:
    """As many at once as `parallel` says, and no more."""
    with serving(lambda asked: Reply(chat("hi").body, wait_s=0.05)) as endpoint:
        assert len(written(endpoint, 12, parallel=4)) == 12
    assert endpoint.most_at_once == 4


def test_retry_after_is_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """After 429 with Retry-After: 1 the next request comes a second later, and its
    answer counts.
    """
    with serving(
        lambda asked: (
            error(429, "slow down", retry_after="1") if asked.number == 0 else chat("late")
        )
    ) as endpoint:
        assert written(endpoint)[0].text == "late"
    first, second = endpoint.asked
    assert 0.95 <= second.at - first.at < 4
    # The same request: a seed and a sample are one draw however often they are asked for.
    assert first.body == second.body


@pytest.mark.parametrize(
    "bad",
    [error(500, "out of order"), error(503, "overloaded"), Reply(chat("hello").body, cut=True)],
    ids=["500", "503", "cut"],
)
def test_what_may_pass_is_tried_again(bad: Reply) -> None:
    """A server error and an answer that breaks off are followed by another try."""
    with serving(lambda asked: bad if asked.number == 0 else chat("second")) as endpoint:
        assert written(endpoint)[0].text == "second"
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (error(500, "out of order"), "out of order"),
        (error(400, "your prompt is odd"), "your prompt is odd"),
        (Reply(b'{"choices": [', 200), "cannot be used"),
        (Reply(b"<html>", 200), ""),
        (Reply({"choices": []}), "0 choices"),
        (Reply({"choices": chat("a").body["choices"] * 2}), "2 choices"),
        (Reply({"nothing": 1}), "no choices"),
        (chat(None), "no text"),
        (chat("half", ended="content_filter"), "content filter"),
        (Reply(chat("late").body, wait_s=2), "timed out"),
    ],
)
def test_a_bad_answer_is_a_failure_of_its_call(bad: Reply, told: str) -> None:
    """It is named, and the calls beside it are answered all the same."""
    with serving(
        lambda asked: bad if asked.body["messages"][1]["content"] == "Say 1." else chat("good")
    ) as endpoint:
        found = written(endpoint, 3, retries=0, timeout_s=1.0)
    assert isinstance(found[1], Failure)
    assert told in found[1].problem.lower()
    assert [found[0].text, found[2].text] == ["good", "good"]


@pytest.mark.parametrize(
    "usage",
    [{"prompt_tokens": -3, "completion_tokens": "many"}, {"prompt_tokens": 2.5}, None, "odd"],
)
def test_wrong_counts_are_not_believed(usage: Any) -> None:
    """Counts that cannot be are replaced by four characters a token; the answer stands, since it
    was paid.
    """
    with serving(lambda asked: Reply({**chat("x" * 81).body, "usage": usage})) as endpoint:
        found = written(endpoint)[0]
    assert (found.n_tokens, found.prompt_tokens) == (21, 4)
    with serving(lambda asked: chat("hi", 7.0, 2.0)) as endpoint:
        assert written(endpoint)[0] == Generation("hi", 2, False, prompt_tokens=7)


def test_what_was_answered_is_handed_on_when_another_call_ends_the_run() -> None:
    """One of sixteen is refused for good: the others, which were on their way, are
    handed on first.
    """
    refused = error(401, "no")
    with serving(
        lambda asked: refused if asked.number == 3 else Reply(chat("good").body, wait_s=0.3)
    ) as endpoint:
        model = model_of(endpoint, parallel=16)
        answers = model.generate(calls(model, 40))
        assert [next(answers)[1].text for _ in range(15)] == ["good"] * 15
        with pytest.raises(RunError, match="refuses"):
            next(answers)
        model.close()
    assert len(endpoint.asked) == 16


def test_a_model_may_be_closed_amid_its_answers() -> None:
    """As after an error in storing one: what is on its way is let go of without another error."""
    with serving(
        lambda asked: chat("good") if asked.number == 0 else Reply({}, wait_s=5)
    ) as endpoint:
        model = model_of(endpoint)
        answers = model.generate(calls(model, 8))
        assert next(answers)[1].text == "good"
        model.close()
        answers.close()


def test_length_is_cut_short() -> None:
    """finish_reason "length" is a text that was cut short."""
    with serving(lambda asked: chat("half a", ended="length")) as endpoint:
        assert written(endpoint)[0].truncated


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "MY_KEY"), (403, "MY_KEY"), (404, "base_url"), (429, "parallel")]
)
def test_what_no_call_can_pass_ends_the_run(
    status: int, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused key, an unknown model and a rate limit that stays end the run at once, with the
    remedy, without the key.
    """
    monkeypatch.setenv("MY_KEY", KEY)
    with (
        serving(
            lambda asked: error(status, f"no good: {asked.headers['authorization']}")
        ) as endpoint,
        pytest.raises(RunError) as caught,
    ):
        written(endpoint, 100, retries=0, api_key_env="MY_KEY")
    assert remedy in str(caught.value)
    assert KEY not in str(caught.value)
    assert "[API key]" in str(caught.value)
    assert len(endpoint.asked) < 10


def test_failure_after_failure_ends_the_run() -> None:
    """A server that fails every call is given up after a dozen, not after thousands; so is one that
    is not there.
    """
    with (
        serving(lambda asked: error(500, "out of order")) as endpoint,
        pytest.raises(RunError, match="12 calls in a row failed"),
    ):
        written(endpoint, 1000, retries=0)
    assert len(endpoint.asked) < 20
    with pytest.raises(RunError, match="in a row failed"):
        written(endpoint, 1000, retries=0)
    with pytest.raises(RunError, match="has answered nothing: Connection error"):
        written(endpoint, 3, retries=0)


def test_what_a_server_does_not_know_is_left_out_where_it_changes_nothing() -> None:
    """Filters that are off, the seed, and the old name of max_tokens give way; a filter that is on
    ends the run.
    """

    def strict(asked: Asked) -> Reply:
        for name in ("top_k", "min_p", "max_tokens"):
            if name in asked.body:
                hint = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
                named = (
                    {"message": "Unsupported parameter", "param": name} if name == "min_p" else None
                )
                return (
                    Reply({"error": named}, 400)
                    if named
                    else error(400, f"Unsupported parameter: '{name}'.{hint}")
                )
        return chat("fine")

    with serving(strict) as endpoint:
        model = model_of(endpoint)
        assert [answer.text for _, answer in model.generate(calls(model, 2))] == ["fine"] * 2
        assert endpoint.asked[-1].body["max_completion_tokens"] == 20
        model.close()
        model = model_of(endpoint)
        with pytest.raises(
            RunError,
            match=r"refuses every request: Unsupported parameter: 'top_k'\. Change 'sampling'",
        ):
            dict(model.generate(calls(model, 1, Sampling(0.7, 0.9, 40, 0.0, 20))))
        model.close()


def test_top_p_gives_way_only_where_it_changes_nothing() -> None:
    """A server that takes temperature or top_p, not both: left out where it is off, for that call
    alone.
    """

    def either(asked: Asked) -> Reply:
        if "temperature" in asked.body and "top_p" in asked.body:
            return error(400, "`temperature` and `top_p` cannot both be specified for this model")
        return chat("fine")

    with serving(either) as endpoint:
        model = model_of(endpoint)
        for sampling, sent in (
            (Sampling(0.7, 1.0, 0, 0.0, 20), ("temperature", 0.7)),
            (Sampling(0.0, 0.9, 0, 0.0, 20), ("temperature", 0.0)),
            (Sampling(1.0, 0.9, 0, 0.0, 20), ("top_p", 0.9)),
        ):
            ((_, made),) = model.generate(calls(model, 1, sampling))
            assert isinstance(made, Generation)
            body = endpoint.asked[-1].body
            assert {name: body[name] for name in ("temperature", "top_p") if name in body} == dict(
                [sent]
            )
        with pytest.raises(RunError, match="cannot both be specified"):
            dict(model.generate(calls(model, 1, Sampling(0.7, 0.9, 0, 0.0, 20))))
        model.close()


def test_a_chat_without_a_tokenizer_has_ids_of_its_own() -> None:
    """Other chats have other ids, about one for four bytes; and the same chat always the same."""
    with serving(lambda asked: chat("hi")) as endpoint:
        model = model_of(endpoint)
        texts = ["a", "b", "a ", "ab", "ä", "", "x" * 400]
        found = [model.text.prompt_ids((Message("user", text),)) for text in texts]
        assert len(set(found)) == len(texts)
        assert (
            found[0]
            == model.text.prompt_ids((Message("user", "a"),))
            != model.text.prompt_ids((Message("system", "a"),))
        )
        assert len(found[-1]) == pytest.approx(100, abs=10)
        with pytest.raises(PreflightError, match="tokenizer"):
            model.text.response_ids("a")
        model.close()


# Servers that score
# -----------------------------------------------------------------------------------------------

WRITES = "one, two, three, four"


def value(before: int, token: int) -> float:
    """A log-probability that depends on both tokens."""
    return -0.01 - ((before * 31 + token * 17) % 97) / 20


class Scorer:
    """A server over a tiny tokenizer that writes one text and gives log-probabilities, off by some
    tokens if told.
    """

    def __init__(self, gguf: Path, ids: bool, shift: int = 0, adds_start: bool = False) -> None:
        from respsel.backends.openai.tokenizer import open_text

        self.text: Any = open_text(gguf, None, None)
        self.ids = ids
        self.shift = shift
        self.adds_start = adds_start
        (self.start,) = self.text.prompt_ids(())

    def __call__(self, asked: Asked) -> Reply:
        given = asked.body["prompt"]
        if isinstance(given, list) and not self.ids:
            return error(422, "prompt must be a string")
        read = list(given) if isinstance(given, list) else self._tokens(given)
        if asked.body.get("prompt_logprobs") and self.ids:
            return self._completion(read, [], None, self._prompt_logprobs(read))
        if asked.body.get("echo"):
            if self.ids:
                return self._completion(read, [], None)
            values = [self._value(read, place) for place in range(len(read))]
            new = self.text.response_ids("x")
            spelled = [self.text.spell([token]) for token in read + list(new)]
            return self._completion(
                read, new, {"tokens": spelled, "token_logprobs": [None, *values[1:], -1.0]}
            )
        made = list(self.text.response_ids(WRITES))
        whole = read + made
        told = [value(whole[place - 1], whole[place]) for place in range(len(read), len(whole))]
        return self._completion(
            read,
            made,
            {"tokens": [self.text.spell([token]) for token in made], "token_logprobs": told},
        )

    def _tokens(self, text: str) -> list[int]:
        found = self.text.encode(text, control=True)
        return [self.start, *found] if self.adds_start else list(found)

    def _value(self, read: list[int], place: int) -> float:
        at = min(max(place + self.shift, 1), len(read) - 1)
        return value(read[at - 1], read[place] if self.shift else read[at])

    def _prompt_logprobs(self, read: list[int]) -> list[Any]:
        rest = [
            {str(read[i]): {"logprob": self._value(read, i), "rank": 2, "decoded_token": "?"}}
            for i in range(1, len(read))
        ]
        return [None, *rest]

    def _completion(
        self, read: Any, made: Any, logprobs: Any, prompt_logprobs: Any = None
    ) -> Reply:
        choice = {
            "index": 0,
            "text": self.text.spell(made),
            "finish_reason": "length",
            "logprobs": logprobs,
        }
        if prompt_logprobs is not None:
            choice["prompt_logprobs"] = prompt_logprobs
        usage = {"prompt_tokens": len(read), "completion_tokens": len(made)}
        return Reply(
            {
                "id": "x",
                "object": "text_completion",
                "created": 1,
                "model": "m",
                "choices": [choice],
                "usage": usage,
            }
        )


@pytest.fixture
def gguf(make_tiny_gguf: Callable[..., Path]) -> Path:
    return make_tiny_gguf()


@pytest.fixture
def score(gguf: Path) -> Callable[..., Any]:
    """Score a response to a question by a server that answers so."""

    def one(answer: Callable[[Asked], Reply], text: str = "the other") -> Any:
        with serving(answer) as endpoint:
            model = model_of(endpoint, gguf, retries=0)
            try:
                call = ScoreCall(
                    model.text.prompt_ids([Message("user", "What?")]), model.text.response_ids(text)
                )
                ((_, found),) = model.score([call])
                return call, found, model.about()["scores by"]
            finally:
                model.close()

    return one


@pytest.mark.parametrize(
    ("ids", "adds_start", "way"),
    [
        (True, False, "prompt_logprobs"),
        (False, False, "echo"),
        (False, True, "echo without a beginning"),
    ],
)
def test_scores_are_those_of_the_responses_tokens(
    score: Callable[..., Any], gguf: Path, ids: bool, adds_start: bool, way: str
) -> None:
    """By ids and by text, and where the server puts a beginning before the text: each token has its
    own value.
    """
    call, found, used = score(Scorer(gguf, ids, adds_start=adds_start))
    whole = [call.prompt_ids[-1], *call.response_ids]
    assert used == way
    assert found.nll.tolist() == pytest.approx([-value(a, b) for a, b in pairwise(whole)])
    assert found.token_ids.tolist() == list(call.response_ids)
    assert set(found.rank.tolist()) == ({2} if ids else {0})


@pytest.mark.parametrize("ids", [True, False])
@pytest.mark.parametrize("shift", [1, -1])
def test_a_server_that_is_off_by_one_is_refused(
    score: Callable[..., Any], gguf: Path, ids: bool, shift: int
) -> None:
    """Values that belong to the token before or after are found out, since writing gave others;
    nothing is ranked on them.
    """
    with pytest.raises(PreflightError, match="when it is written and"):
        score(Scorer(gguf, ids, shift))


def test_a_server_that_gives_none_is_refused(score: Callable[..., Any]) -> None:
    """The message says what is wrong with each way, and what to do."""
    with pytest.raises(PreflightError) as caught:
        score(
            lambda asked: (
                error(404, "no completions here")
                if asked.number > 90
                else error(400, "completions are not served")
            )
        )
    assert "completions are not served" in str(caught.value)
    assert "vLLM" in str(caught.value)


def mangled(scorer: Scorer, change: Callable[[dict[str, Any]], None]) -> Callable[[Asked], Reply]:
    """A server that behaves while it is probed, and then changes what it says of a text."""

    def answer(asked: Asked) -> Reply:
        reply = scorer(asked)
        prompt = asked.body["prompt"]
        text = prompt if isinstance(prompt, str) else scorer.text.spell(prompt)
        if "What?" in text:
            change(reply.body)
        return reply

    return answer


@pytest.mark.parametrize(
    ("status", "ended"),
    [(503, RunError), (404, PreflightError), (400, PreflightError), (500, PreflightError)],
)
def test_an_outage_is_not_taken_for_a_lack(
    score: Callable[..., Any], gguf: Path, status: int, ended: type[Exception]
) -> None:
    """While it is put to the test a server that is overloaded ends the run; one that serves no
    completions is refused.
    """
    with pytest.raises(ended):
        score(lambda asked: error(status, "not now"))


def test_the_way_may_be_named(gguf: Path) -> None:
    """With scores_by no other way is tried, and what came in one way is not taken for what comes in
    the other.
    """
    from respsel.backends.openai.client import EndpointSettings
    from respsel.backends.openai.model import EndpointModel

    with serving(Scorer(gguf, ids=False)) as endpoint:
        settings = EndpointSettings(
            endpoint.url, "m", None, 5, 0, 4, plain_place("a.toml", "models", "m")
        )
        model = EndpointModel(settings, None, gguf, None, None, "prompt_logprobs")
        with pytest.raises(PreflightError, match="prompt must be a string") as caught:
            model.probe()
        model.close()
    assert "echo" not in str(caught.value).partition("(")[2].partition(")")[0]


def nothing(body: dict[str, Any]) -> None:
    body["choices"][0]["prompt_logprobs"] = None


def one_less(body: dict[str, Any]) -> None:
    body["choices"][0]["prompt_logprobs"].pop()


def other_token(body: dict[str, Any]) -> None:
    body["choices"][0]["prompt_logprobs"][-1] = {"3": {"logprob": -1.0, "rank": 1}}


def positive(body: dict[str, Any]) -> None:
    for entry in body["choices"][0]["prompt_logprobs"][-1].values():
        entry["logprob"] = 0.5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (nothing, "no prompt_logprobs"),
        (one_less, "came back for"),
        (other_token, "at its place"),
        (positive, "0.5"),
    ],
)
def test_ids_that_are_not_ours_make_no_score(
    score: Callable[..., Any], gguf: Path, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    """A missing, short, foreign or impossible value is a failure of that response."""
    _, found, _ = score(mangled(Scorer(gguf, ids=True), change))
    assert isinstance(found, Failure)
    assert told in found.problem


def other_split(body: dict[str, Any]) -> None:
    said = body["choices"][0]["logprobs"]
    said["tokens"][-4:-1] = ["q", "q", "q"]


def other_bounds(body: dict[str, Any]) -> None:
    # The same text in as many tokens, cut elsewhere.
    said = body["choices"][0]["logprobs"]
    assert said["tokens"][-4:-1] == ["o", "th", "er"]
    said["tokens"][-4:-1] = ["ot", "h", "er"]


def other_count(body: dict[str, Any]) -> None:
    body["usage"]["prompt_tokens"] += 1


def uncounted(body: dict[str, Any]) -> None:
    del body["usage"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (other_split, "splits the text"),
        (other_bounds, "splits the text"),
        (other_count, "tokenizer has"),
        (uncounted, "how many"),
    ],
)
def test_text_that_is_split_elsewhere_makes_no_score(
    score: Callable[..., Any], gguf: Path, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    """In the way echo tokens must be as many, and spell the same, as the target's own tokenizer
    says.
    """
    _, found, _ = score(mangled(Scorer(gguf, ids=False), change))
    assert isinstance(found, Failure)
    assert told in found.problem


# As a user sees it
# ------------------------------------------------------------------------------------------------

REMOTE = (
    '[models.teacher]\nbackend = "openai"\nbase_url = "{url}"\nmodel = "m"\nretries = '
    "0\nparallel = 4\n"
)


def remote(bench: Bench, endpoint: Endpoint, more: str = "") -> None:
    bench.edit(
        '[models.teacher]\nbackend = "fake"\nvariant = "teacher"\n',
        REMOTE.format(url=endpoint.url) + more,
    )


def test_a_teacher_behind_an_endpoint(bench: Bench) -> None:
    """Its responses are made, its tokens counted, and neither plan nor a second run asks it
    anything.
    """
    with serving(lambda asked: chat("It is 4.", 20, 5)) as endpoint:
        remote(bench, endpoint, "price = { input = 1.0, output = 2.0 }\n")
        assert bench.respsel("plan", "a.toml").code == 0
        assert not endpoint.asked
        done = bench.run()
        (cost,) = [cost for cost in done["costs"] if cost["model"] == "teacher"]
        assert (cost["calls"], cost["prompt_tokens"], cost["output_tokens"]) == (6, 120, 30)
        assert cost["money"] == pytest.approx((120 + 60) / 1e6)
        assert len(endpoint.asked) == 6
        bench.run()
        assert len(endpoint.asked) == 6


def test_a_moved_endpoint_is_the_same_model_where_the_user_says_so(bench: Bench) -> None:
    """variant stands for the address: on another port nothing is asked again."""
    with serving(lambda asked: chat("It is 4.")) as first:
        remote(bench, first, 'variant = "my-server"\n')
        bench.run()
    with serving(lambda asked: chat("It is 5.")) as second:
        bench.edit(first.url, second.url)
        assert bench.run()["calls_made"] == 0
        bench.edit('variant = "my-server"\n', "")
        assert bench.run()["calls_made"] > 0


def test_a_failed_call_is_named_and_asked_again(bench: Bench) -> None:
    """One call of six fails: the report names it, and the next run asks for that one alone."""
    sick = True

    def answer(asked: Asked) -> Reply:
        return (
            error(400, "not this one")
            if sick and "3 plus 3" in asked.body["messages"][0]["content"]
            else chat("It is 4.")
        )

    bench.edit("sample = 6\n", "")
    with serving(answer) as endpoint:
        remote(bench, endpoint)
        bench.run()
        assert "the call failed: not this one" in (bench.folder / "runs/a/report.json").read_text()
        before = len(endpoint.asked)
        sick = False
        assert bench.run()["calls_made"] > 0
        assert len(endpoint.asked) == before + 1


def test_half_a_surrogate_pair_is_no_answer(bench: Bench) -> None:
    """Stored, it would fail every later run: such a text, or an error with one, is a failure of its
    call.
    """

    def answer(asked: Asked) -> Reply:
        said = asked.body["messages"][0]["content"]
        odd = '"It is \\ud83d"'
        if "3 plus" in said:
            return Reply(json.dumps(chat("TEXT").body).replace('"TEXT"', odd).encode())
        return (
            Reply(f'{{"error": {{"message": {odd}}}}}'.encode(), 400)
            if "4 plus" in said
            else chat("It is 4.")
        )

    bench.edit("sample = 6\n", "")
    with serving(answer) as endpoint:
        remote(bench, endpoint)
        bench.run()
        bench.run()
    texts = pl.read_parquet(bench.folder / "runs/a/responses.parquet").filter(
        pl.col("problem") != ""
    )
    assert sorted(texts["problem"]) == [
        "the call failed: It is ?",
        "the call failed: the text holds half a surrogate pair, which is no Unicode",
    ]


def test_ctrl_c_does_not_wait_for_a_server_that_hangs(bench: Bench) -> None:
    """Stopped while four requests hang, respsel ends at once, and what was answered
    before is kept.
    """
    with serving(
        lambda asked: chat("It is 4.") if asked.number < 2 else Reply({}, wait_s=60)
    ) as endpoint:
        remote(bench, endpoint)
        command = [sys.executable, "-m", "respsel", "run", "a.toml"]
        process = subprocess.Popen(
            command, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 30
        while len(endpoint.asked) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert time.monotonic() - begun < 5
        assert "Traceback" not in err
        endpoint.answer = lambda asked: chat("It is 4.")
        before = len(endpoint.asked)
        bench.run()
        assert len(endpoint.asked) == before + 4


@pytest.mark.parametrize("wait_s", [0.0, 0.01, 0.03, 0.05])
def test_ctrl_c_in_the_midst_of_answers(bench: Bench, wait_s: float) -> None:
    """Wherever it comes: one sentence and exit code 130, never a bug, and the next run asks for the
    rest.
    """
    bench.write("sums.jsonl", jsonl(rows(300)))
    bench.edit("sample = 6\n", "")
    with serving(
        lambda asked: Reply(chat("It is 4.").body, wait_s=(asked.number % 5) * wait_s / 4)
    ) as endpoint:
        remote(bench, endpoint)
        for stop_at in (3, 20, 45):
            before = len(endpoint.asked)
            command = [sys.executable, "-m", "respsel", "run", "a.toml"]
            process = subprocess.Popen(
                command, cwd=bench.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            while len(endpoint.asked) < before + stop_at and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
            assert process.returncode == 130, err
            assert "bug" not in err
            assert "Traceback" not in err


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('base_url = "https://me:secret@example.org/v1"', "without user, password"),
        ('base_url = "https://example.org/v1?api-key=secret"', "without user, password or query"),
        ('base_url = "example.org"', "http:// or https://"),
    ],
)
def test_a_secret_in_the_address_is_refused(bench: Bench, line: str, told: str) -> None:
    """A key belongs into the environment, not into a recipe, which is kept and shown."""
    bench.edit('backend = "fake"\nvariant = "teacher"', f'backend = "openai"\nmodel = "m"\n{line}')
    done = bench.respsel("plan", "a.toml")
    assert done.code == 2
    assert told in done.err


def test_a_target_without_a_tokenizer_is_refused_before_anything_is_asked(bench: Bench) -> None:
    """Scoring through an endpoint takes the target's tokenizer: said when the recipe is read."""
    with serving(lambda asked: chat("hi")) as endpoint:
        bench.edit(
            '[models.target]\nbackend = "fake"',
            f'[models.target]\nbackend = "openai"\nmodel = "m"\nbase_url = "{endpoint.url}"',
        )
        done = bench.respsel("run", "a.toml")
    assert done.code == 2
    assert "model 'target'" in done.err
    assert "tokenizer" in done.err
    assert not endpoint.asked


def test_metrics_that_take_what_an_endpoint_lacks_say_so(bench: Bench, gguf: Path) -> None:
    """By text there are no ranks, entropies or sums of p^2: those metrics have no value and the
    reason, and perplexity has one.
    """
    with serving(Scorer(gguf, ids=False)) as endpoint:
        bench.edit(
            'backend = "fake"\n\n[models.teacher]', f"{target(endpoint, gguf)}\n[models.teacher]"
        )
        bench.edit('name = "self-aligned-perplexity"\nk = 2', 'name = "rank-surprisal-ratio"')
        more = ("log-probability-plus-entropy", "mean-brier", "lark", "confident-conflicts")
        bench.edit('name = "alignment"', "\n[[metrics]]\n".join(f'name = "{m}"' for m in more))
        bench.run()
    scores = pl.read_parquet(bench.folder / "runs/a/scores.parquet")
    counts = dict(scores.filter(pl.col("value").is_not_null()).group_by("metric").len().iter_rows())
    assert counts == {"perplexity": 12}
    lacking = ("ranks", "entropies", "sums of squared probabilities")
    assert {f"the endpoint gives no {name}" for name in lacking} <= set(scores["problem"])


def target(endpoint: Endpoint, gguf: Path) -> str:
    return f'backend = "openai"\nmodel = "m"\nbase_url = "{endpoint.url}"\npath = "{gguf}"\n'


def test_the_doctor_looks_at_an_endpoint(bench: Bench, gguf: Path) -> None:
    """One short answer, and by what way it scores; for a teacher, that it is not asked to."""

    def both(asked: Asked) -> Reply:
        return chat("hello") if "chat" in asked.path else Scorer(gguf, ids=True)(asked)

    with serving(both) as endpoint:
        remote(bench, endpoint)
        bench.edit(
            'backend = "fake"\n\n[models.teacher]', f"{target(endpoint, gguf)}\n[models.teacher]"
        )
        done = bench.respsel("doctor", "a.toml")
    assert done.code == 0, done.err
    assert "prompt_logprobs" in done.out
    gone = bench.respsel("doctor", "a.toml")
    assert gone.code == 3
    assert "teacher (openai)" in gone.out
    assert "has answered nothing" in gone.err
    assert "not asked for: its tokenizer is not given" in done.out


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (
            chat("Hello", ended="abort"),
            "it does not answer: the answer broke off (finish_reason 'abort')",
        ),
        (chat("Hello", ended="new_reason"), "not known to be good (finish_reason 'new_reason')"),
        (Reply(b"<html><title>Sign in</title></html>"), "a web page: Sign in. Check 'base_url'"),
        (error(400, "thinking must be set to false"), "request = { thinking = false }"),
        (
            Reply({"error": {"message": "no credit left", "code": 402}}),
            "no credit left. Check the account's credit",
        ),
    ],
)
def test_the_doctor_tells_what_an_endpoint_refuses(bench: Bench, reply: Reply, told: str) -> None:
    """A bad ending, a web page, a parameter, an account: in the server's words, with what to do."""
    with serving(lambda asked: reply) as endpoint:
        remote(bench, endpoint)
        done = bench.respsel("doctor", "a.toml")
    assert done.code == 3
    assert told in done.err


@pytest.mark.parametrize("is_shown", [True, False])
def test_the_doctor_is_content_with_a_model_that_reasons(bench: Bench, is_shown: bool) -> None:
    """Its short question ends in the midst of the reasoning, shown or hidden: that is told, and is
    no fault.
    """
    thinking = chat("", ended="length").body
    thinking["choices"][0]["message"] |= {"reasoning_content": "Who greets me?"} if is_shown else {}
    with serving(lambda asked: Reply(thinking)) as endpoint:
        remote(bench, endpoint)
        done = bench.respsel("doctor", "a.toml")
    assert done.code == 0, done.err
    assert "it reasons: 16 tokens were not enough" in done.out
