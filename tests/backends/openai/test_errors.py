"""What errors of servers are about: one input, the account, the model, the request, or the server;
and what follows.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from respsel.backends.contract import Failure
from respsel.backends.openai.errors import EndpointError, Kind, find_error, read_answer, read_error
from respsel.errors import RunError
from tests.backends.openai.test_model import KEY, calls, model_of, remote, written
from tests.conftest import Bench, needs
from tests.endpoints import Asked, Reply, chat, error, serving

pytestmark = needs("openai")


def said(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


INPUT: list[tuple[int, Any]] = [
    (
        400,
        said(
            "The response was filtered due to the prompt triggering our content management policy",
            code="content_filter",
        ),
    ),
    (400, said("Bad prompt", code="x", innererror={"code": "ResponsibleAIPolicyViolation"})),
    (
        400,
        said(
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            code="invalid_prompt",
        ),
    ),
    (400, said("Output data may contain inappropriate content.", code="data_inspection_failed")),
    (
        400,
        said(
            "Your request was rejected as a result of our safety system.",
            type="image_generation_user_error",
        ),
    ),
    (
        400,
        said(
            "This model's maximum context length is 4096 tokens. You requested 5000",
            code="context_length_exceeded",
        ),
    ),
    (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 512 tokens. However, you requested "
            "900 tokens",
        },
    ),
    (
        400,
        said(
            "'max_tokens' is too large: 512. This model's maximum context length is 600 and your "
            "request has 400 input tokens"
        ),
    ),
    (400, said("prompt is too long: 210000 tokens > 200000 maximum", type="invalid_request_error")),
    (403, said("Your input was flagged", code=403, metadata={"reasons": ["violence"]})),
    (403, {"message": "The request was blocked by a guardrail"}),
    (413, "<html><head><title>413 Request Entity Too Large</title></head></html>"),
    (
        422,
        {
            "detail": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= "
            "4096: the input length is 5000"
        },
    ),
    (
        429,
        said(
            "Request too large for m on tokens per min (TPM): Limit 30000, Requested 41000.",
            code="rate_limit_exceeded",
        ),
    ),
    (429, said("Tokens per minute: limit 8,000, requested 12,345", type="tokens")),
    (500, said("the request exceeds the available context size", type="exceed_context_size_error")),
]
ACCOUNT: list[tuple[int, Any]] = [
    (401, said("no")),
    (401, ""),
    (400, said("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT")),
    (400, [{"error": {"code": 400, "message": "API key expired. Please renew the API key."}}]),
    (400, said("Your credit balance is too low to access the API.", type="invalid_request_error")),
    (400, said("User location is not supported for the API use.", status="FAILED_PRECONDITION")),
    (400, said("Billing hard limit has been reached", code="billing_hard_limit_reached")),
    (402, said("Insufficient Balance")),
    (403, said("Your account was flagged for potential abuse and is suspended")),
    (
        403,
        said(
            "Country, region, or territory not supported",
            code="unsupported_country_region_territory",
        ),
    ),
    (
        429,
        said(
            "You exceeded your current quota, please check your plan and billing details.",
            code="insufficient_quota",
        ),
    ),
    (429, said("You exceeded your current quota, please check your plan and billing details.")),
    (429, said("Insufficient balance", code="1113")),
]
MODEL: list[tuple[int, Any]] = [
    (
        404,
        said(
            "The model `gpt-9` does not exist or you do not have access to it.",
            code="model_not_found",
        ),
    ),
    (404, said('model "llama9" not found, try pulling it first')),
    (400, said("mistral/none is not a valid model ID", code=400)),
    (
        400,
        said(
            "The model `old` has been decommissioned and is no longer supported",
            code="model_decommissioned",
        ),
    ),
]
SUSPECT: list[tuple[int, Any]] = [
    (400, said("Unsupported parameter: 'min_p'", param="min_p", code="unsupported_parameter")),
    (
        400,
        said(
            "max_tokens is too large: 90000. This model supports at most 16384 completion tokens",
            param="max_tokens",
        ),
    ),
    (400, said("parameter.thinking must be set to false", code="invalid_parameter_error")),
    (400, said("your prompt is odd")),
    (403, said("no")),
    (403, "<html><title>Attention Required!</title></html>"),
    (404, {"detail": "Not Found"}),
    (405, {"detail": "Method Not Allowed"}),
    (
        422,
        {
            "detail": [
                {"loc": ["body", "top_k"], "msg": "Extra inputs are not permitted", "input": 0}
            ]
        },
    ),
]
RATE: list[tuple[int, Any]] = [
    (
        429,
        said(
            "Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. "
            "Please try again in 2s."
        ),
    ),
    (
        429,
        said(
            "You exceeded your current quota",
            status="RESOURCE_EXHAUSTED",
            details=[{"retryDelay": "3s"}],
        ),
    ),
    (429, said("Your account is restricted: too many requests")),
    (429, ""),
]
OTHERS: list[tuple[int, Any, Kind]] = [
    (500, said("boom"), Kind.SERVER),
    (502, "<html><title>502 Bad Gateway</title></html>", Kind.OUTAGE),
    (503, said("overloaded"), Kind.OUTAGE),
    (529, said("Overloaded", type="overloaded_error"), Kind.OUTAGE),
]
ALL = [
    *((status, body, Kind.INPUT) for status, body in INPUT),
    *((status, body, Kind.ACCOUNT) for status, body in ACCOUNT),
    *((status, body, Kind.MODEL) for status, body in MODEL),
    *((status, body, Kind.SUSPECT) for status, body in SUSPECT),
    *((status, body, Kind.RATE) for status, body in RATE),
    *OTHERS,
]


def raw(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


@pytest.mark.parametrize(("status", "body", "kind"), ALL)
def test_what_an_error_is_about(status: int, body: Any, kind: Kind) -> None:
    """By its codes, its words and its status."""
    assert read_error(status, raw(body), {}).kind is kind


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (said("no endpoints", code=404), 404, Kind.SUSPECT),
        (said("slow down", code="429"), 429, Kind.RATE),
        (said("slow down", type="rate_limit_error"), 429, Kind.RATE),
        (said("sorry", code=502), 502, Kind.OUTAGE),
        (said("sorry", type="overloaded_error"), 503, Kind.OUTAGE),
        ({"error": "the line is overloaded"}, 503, Kind.OUTAGE),
        ({"error": "what is this"}, 400, Kind.SUSPECT),
        ({"object": "error", "message": "no such thing", "code": 404}, 404, Kind.SUSPECT),
        ({"detail": "no such thing"}, 400, Kind.SUSPECT),
        (said("no", code="invalid_api_key"), 400, Kind.ACCOUNT),
        (said("no credit left", code=402), 402, Kind.ACCOUNT),
        ([said("no", code=401)], 401, Kind.ACCOUNT),
        ({"error": {"message": "flagged by moderation"}, "choices": []}, 400, Kind.INPUT),
    ],
)
def test_an_error_that_comes_as_an_answer(body: Any, status: int, kind: Kind) -> None:
    """A body with status 200 counts as if it had come with the status that it names."""
    found = find_error(200, raw(body), {})
    assert found is not None
    assert (found.status, found.kind) == (status, kind)


@pytest.mark.parametrize(
    "body",
    [
        chat("error").body,
        {"choices": [], "x": 1},
        {"data": []},
        "text",
        5,
        [],
        {"message": {"content": "x"}},
    ],
)
def test_an_answer_is_no_error(body: Any) -> None:
    """Nor is what has to be told as what it is."""
    assert find_error(200, raw(body), {}) is None


@pytest.mark.parametrize(
    ("content", "told", "kind"),
    [
        (b"", "nothing at all", Kind.SUSPECT),
        (b" \n", "nothing at all", Kind.SUSPECT),
        (b"<html><title>Sign in</title></html>", "a web page: Sign in", Kind.SUSPECT),
        (b"OK, that is fine", "a text: OK, that is fine", Kind.SUSPECT),
        (b"[1, 2]", "a JSON list: [1, 2]", Kind.SUSPECT),
        (b"17", "no JSON object: 17", Kind.SUSPECT),
        (b'{"choices": [{"mess', "breaks off", Kind.SERVER),
        (b"[" * 100_000, "breaks off", Kind.SERVER),
        (b"\xff\xfe\x00", "a text:", Kind.SUSPECT),
    ],
)
def test_what_came_instead_of_an_answer(content: bytes, told: str, kind: Kind) -> None:
    """Each is named as what it is."""
    with pytest.raises(EndpointError) as caught:
        read_answer(content, lambda body: body)
    assert told in str(caught.value)
    assert caught.value.error.kind is kind


# What follows of it
# -----------------------------------------------------------------------------------------------


def asks_for(asked: Asked, text: str) -> bool:
    return text in asked.body["messages"][-1]["content"]


def status(body: Any, code: int) -> Reply:
    return Reply(raw(body), code)


@pytest.mark.parametrize(("code", "body"), [*INPUT, *SUSPECT])
def test_what_concerns_one_input_fails_its_call_alone(code: int, body: Any) -> None:
    """It is asked once, named in the server's words, and the run goes on, also where it is the
    first that is answered.
    """
    with serving(
        lambda asked: status(body, code) if asks_for(asked, "Say 0.") else chat("good")
    ) as endpoint:
        found = written(endpoint, 3, parallel=1)
        assert isinstance(found[0], Failure)
        assert found[0].problem
        assert [found[1].text, found[2].text] == ["good", "good"]
        assert len([asked for asked in endpoint.asked if asks_for(asked, "Say 0.")]) <= 2


@pytest.mark.parametrize(("code", "body"), [*ACCOUNT, *MODEL, *SUSPECT])
def test_what_concerns_every_call_ends_the_run_at_once(code: int, body: Any) -> None:
    """Of a thousand calls a few are made, none of them twice, and the message has the server's
    words.
    """
    with serving(lambda asked: status(body, code)) as endpoint, pytest.raises(RunError) as caught:
        written(endpoint, 1000, parallel=1, retries=3)
    assert len(endpoint.asked) <= 4
    assert "model 'm'" in str(caught.value)


@pytest.mark.parametrize(("code", "body"), RATE)
def test_a_rate_limit_is_waited_for(code: int, body: Any) -> None:
    """It is asked again, and ends the run where it stays."""
    limit = Reply(raw(body), code, {"Retry-After-Ms": "1"})
    with serving(lambda asked: limit if asked.number < 2 else chat("good")) as endpoint:
        assert written(endpoint, 1)[0].text == "good"
    with (
        serving(lambda asked: limit) as endpoint,
        pytest.raises(RunError, match="rate limit holds"),
    ):
        written(endpoint, 1)
    assert len(endpoint.asked) == 3


@pytest.mark.parametrize(
    "body",
    [said("slow down", code=429), said("sorry", code=503), said("sorry", type="server_error")],
)
def test_an_error_in_an_answer_is_tried_again_like_its_status(body: Any) -> None:
    """A limit or an outage that comes with status 200 may pass."""
    with serving(
        lambda asked: status(body, 200) if asked.number == 0 else chat("good")
    ) as endpoint:
        assert written(endpoint)[0].text == "good"
    assert len(endpoint.asked) == 2


def test_many_refused_inputs_in_a_row_do_not_end_a_run() -> None:
    """Thirty flagged inputs are thirty failures by name; fifty of which none was answered have
    something in common.
    """
    flagged = status(said("it was flagged by moderation"), 400)
    with serving(lambda asked: flagged if asked.number < 30 else chat("good")) as endpoint:
        found = written(endpoint, 40, parallel=1)
    assert sum(isinstance(answer, Failure) for answer in found.values()) == 30
    with (
        serving(lambda asked: flagged) as endpoint,
        pytest.raises(RunError, match="50 inputs were refused and none was"),
    ):
        written(endpoint, 1000, parallel=1)
    assert len(endpoint.asked) == 50


def test_refused_inputs_behind_an_answer_never_end_a_run() -> None:
    """Sixty that are flagged where one was answered: the run goes on to its end."""
    flagged = status(said("it was flagged by moderation"), 400)
    with serving(lambda asked: flagged if asked.number else chat("good")) as endpoint:
        assert len(written(endpoint, 61, parallel=1)) == 61


def test_empty_texts_are_answers() -> None:
    """A model that has nothing to say is no server that is out of order."""
    with serving(lambda asked: chat("")) as endpoint:
        assert {answer.text for answer in written(endpoint, 20, parallel=1).values()} == {""}


def test_filtered_texts_do_not_end_a_run() -> None:
    """A filter that stops the text is about the input, as one that stops the prompt is; a breakdown
    is not.
    """
    with serving(
        lambda asked: chat("half", ended="content_filter") if asked.number < 20 else chat("good")
    ) as endpoint:
        assert len(written(endpoint, 25, parallel=1)) == 25
    with (
        serving(lambda asked: chat("half", ended="abort")) as endpoint,
        pytest.raises(RunError, match="12 calls in a row"),
    ):
        written(endpoint, 25, parallel=1)


@pytest.mark.parametrize(
    ("code", "words", "remedy"),
    [
        (401, "Incorrect API key provided", "Check the key in MY_KEY"),
        (402, "Insufficient Balance", "credit"),
        (403, "no", "Check the key in MY_KEY"),
        (404, "no", "base_url"),
        (400, "enable_thinking must be set to false here", "request = { enable_thinking = false }"),
        (
            400,
            "reasoning_effort has no such value",
            "Change 'reasoning_effort' in models.m.request",
        ),
        (200, "welcome", "base_url"),
    ],
)
def test_the_remedy_fits_the_refusal(
    code: int, words: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key, money, an address, a parameter: each is another thing to do."""
    monkeypatch.setenv("MY_KEY", KEY)
    reply = Reply(words.encode(), 200) if code == 200 else error(code, words)
    with serving(lambda asked: reply) as endpoint, pytest.raises(RunError) as caught:
        written(endpoint, 5, api_key_env="MY_KEY", request={"reasoning_effort": "x"})
    assert remedy in str(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        lambda key: Reply(
            f"<html><title>{'x' * 5}</title><body>{'y ' * 75}{key} denied</body></html>".encode(),
            403,
        ),
        lambda key: Reply(
            f"<html><body>{'y ' * 75}{key.replace('-', '&#45;')} denied</body></html>".encode(), 403
        ),
        lambda key: Reply(f"<html><title>{key}</title>".encode(), 200),
        lambda key: Reply({"error": {"message": f"{'z' * 290}{key}"}}, 200),
        lambda key: Reply({"detail": [{"loc": ["body", key], "msg": "no"}]}, 422),
        lambda key: chat(None, ended=f"{'w' * 290}{key}"),
        lambda key: Reply({key: 1}),
        lambda key: Reply(f'"{key}'.encode()),
    ],
)
def test_no_part_of_the_key_is_shown(reply: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However a server says it back, cut or not."""
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(lambda asked: reply(KEY)) as endpoint:
        model = model_of(endpoint, api_key_env="MY_KEY", retries=0)
        try:
            told = "".join(answer.problem for _, answer in model.generate(calls(model, 1)))
        except RunError as ended:
            told = str(ended)
        model.close()
    assert told
    assert KEY[:7] not in told


@pytest.mark.parametrize("code", [200, 502])
def test_a_page_is_told_in_a_run(bench: Bench, code: int) -> None:
    """The report has its title where one call gets it; where all do, the run ends with it."""
    page = Reply(b"<!doctype html><title>Sign in, please</title><p>Card \x1b[31m here</p>", code)
    bench.edit("sample = 6\n", "")
    with serving(
        lambda asked: page if asks_for(asked, "3 plus 3") else chat("It is 4.")
    ) as endpoint:
        remote(bench, endpoint)
        bench.run()
        problems = pl.read_parquet(bench.folder / "runs/a/responses.parquet")["problem"].to_list()
        assert [
            problem
            for problem in problems
            if "a web page: Sign in, please: Card [31m here" in problem
        ]
        bench.edit("Solve: {{ input }}", "Please solve: {{ input }}")
        endpoint.answer = lambda asked: page
        done = bench.respsel("run", "a.toml")
    assert done.code == 1
    assert "Sign in, please" in done.err
    assert "\x1b" not in done.err


def test_one_flagged_input_in_a_run(bench: Bench) -> None:
    """The run ends well and the report names it; the next run asks for that one alone, and nothing
    else.
    """
    flagged = status(said("your input was flagged", code=403, metadata={"reasons": ["x"]}), 403)
    bench.edit("sample = 6\n", "")
    with serving(
        lambda asked: flagged if asks_for(asked, "3 plus 3") else chat("It is 4.")
    ) as endpoint:
        remote(bench, endpoint)
        bench.run()
        assert "your input was flagged" in (bench.folder / "runs/a/report.json").read_text()
        before = len(endpoint.asked)
        bench.run()
        assert len(endpoint.asked) == before + 1
