"""The contract, held by every backend: the fake, llama.cpp and transformers, the last two on one
tiny random model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from respsel.backends.chat_template import ChatTemplate
from respsel.backends.contract import TEXT, Failure, GenerateCall, Generation, Model, ScoreCall
from respsel.backends.fake import FakeModel
from respsel.errors import PreflightError
from respsel.records import Message, Sampling, TokenScores
from tests.conftest import needs

SAMPLING = Sampling(temperature=0.9, top_p=0.95, top_k=0, min_p=0.0, max_tokens=12)
TEXTS = ("yes", "no, rather not", "ä € 😀 \u2028 x", "a<|im_end|>b", "q")


def open_llama_cpp(weights: Path) -> Model:
    from respsel.backends.llama_cpp.model import LlamaSettings, open_model

    return open_model(weights, None, LlamaSettings(parallel=4, threads=1))


def open_transformers(weights: Path) -> Model:
    from respsel.backends.transformers.files import Source
    from respsel.backends.transformers.model import Settings, open_model

    settings = Settings("float32", "cpu", None, None, 1, 64, 4)
    return open_model(Source(str(weights.parent), None, weights.name), None, settings)


OPEN: dict[str, Callable[[Path], Model]] = {
    "llama-cpp": open_llama_cpp,
    "transformers": open_transformers,
}
BACKENDS = [
    "fake",
    pytest.param("llama-cpp", marks=needs("llama_cpp", "gguf")),
    pytest.param("transformers", marks=needs("transformers", "torch", "gguf")),
]


@pytest.fixture(scope="module", params=BACKENDS)
def model(request: pytest.FixtureRequest, make_tiny_gguf: Callable[..., Path]) -> Iterator[Model]:
    made = FakeModel("", 512) if request.param == "fake" else OPEN[request.param](make_tiny_gguf())
    yield made
    made.close()


def prompt_of(model: Model, text: str) -> tuple[int, ...]:
    return model.text.prompt_ids([Message("user", text)])


def squares_of(scores: TokenScores) -> npt.NDArray[np.float32]:
    assert scores.squares is not None
    return scores.squares


def scored(model: Model, calls: list[ScoreCall]) -> list[TokenScores]:
    found = dict(model.score(calls))
    assert sorted(found) == list(range(len(calls)))
    return [scores for _, scores in sorted(found.items()) if isinstance(scores, TokenScores)]


def test_a_prompt_is_ready_for_the_assistants_turn(model: Model) -> None:
    """Prompts differ by their messages' roles and texts, and are the same each time."""
    one = prompt_of(model, "hi")
    assert one == prompt_of(model, "hi")
    assert one != prompt_of(model, "ho")
    assert len(model.text.prompt_ids([Message("system", "be brief"), Message("user", "hi")])) > len(
        one
    )


def test_a_text_begins_with_one_token(model: Model) -> None:
    """Without a message the prompt is the one token that begins a text; a TEXT message stands right
    behind it, untemplated.
    """
    (start,) = model.text.prompt_ids(())
    assert model.text.prompt_ids([Message(TEXT, "a<|im_end|>b")]) == (
        start,
        *model.text.response_ids("a<|im_end|>b"),
    )


@pytest.mark.parametrize("text", TEXTS)
def test_text_never_becomes_a_control_token(model: Model, text: str) -> None:
    """What spells a control token in a message or a response is data: the prompt has as many
    control tokens as without it.
    """
    plain = set(prompt_of(model, "yes")) - set(model.text.response_ids("yes"))
    in_message = prompt_of(model, text)
    control = {token for token in plain if token >= 256} & {256, 257, 258}
    for token in control:
        assert in_message.count(token) == prompt_of(model, "yes").count(token)
        assert token not in model.text.response_ids(text)


def test_scores_are_of_the_responses_tokens(model: Model) -> None:
    """One nll, rank, entropy and sum of p^2 for each response token, in the response's order, all
    finite and possible.
    """
    prompt = prompt_of(model, "tell me")
    calls = [ScoreCall(prompt, model.text.response_ids(text)) for text in TEXTS]
    for call, scores in zip(calls, scored(model, calls), strict=True):
        assert tuple(scores.token_ids.tolist()) == call.response_ids
        assert len(scores.nll) == len(scores.rank) == len(scores.entropy) == len(call.response_ids)
        assert np.isfinite(scores.nll).all()
        assert (scores.nll >= 0).all()
        assert (scores.rank >= 1).all()
        assert (scores.entropy >= 0).all()
        # The sum of p^2 holds the token's own p^2. By Jensen's inequality it is at least
        # exp(-entropy), as it is the mean of p.
        squares = squares_of(scores)
        assert len(squares) == len(call.response_ids)
        assert (squares <= 1 + 1e-6).all()
        assert (squares >= np.exp(-2 * scores.nll) * (1 - 1e-4)).all()
        assert (squares >= np.exp(-scores.entropy) * (1 - 1e-4)).all()
        assert (
            (scores.rank == 1) | (scores.nll > 0.6)
        ).all()  # behind the first, at most half the probability


def test_a_longer_response_goes_on_from_a_shorter_one(model: Model) -> None:
    """The scores of a response's beginning do not depend on what follows: no token sees the ones
    behind it.
    """
    prompt = prompt_of(model, "tell me")
    whole = model.text.response_ids("no, rather not, and so on and on")
    long, short = scored(model, [ScoreCall(prompt, whole), ScoreCall(prompt, whole[:7])])
    np.testing.assert_allclose(
        long.nll[:7], short.nll, atol=2e-2 if type(model).__name__ == "LlamaCppModel" else 1e-4
    )


def test_scores_do_not_depend_on_what_else_is_scored(model: Model) -> None:
    """A call's scores are the same alone, among others and in any order; for transformers to 1e-4
    nats, else to the last bit.
    """
    prompts = [prompt_of(model, text) for text in ("tell me", "tell me something else", "x")]
    calls = [
        ScoreCall(prompt, model.text.response_ids(text)) for prompt in prompts for text in TEXTS
    ]
    together = scored(model, calls)
    backwards = scored(model, calls[::-1])[::-1]
    tolerance = 1e-4 if type(model).__name__ == "TransformersModel" else 0.0
    for call, one, other in zip(calls, together, backwards, strict=True):
        (alone,) = scored(model, [call])
        for found in (one, other):
            np.testing.assert_allclose(found.nll, alone.nll, rtol=0, atol=tolerance)
            np.testing.assert_allclose(found.entropy, alone.entropy, rtol=0, atol=tolerance)
            np.testing.assert_allclose(squares_of(found), squares_of(alone), rtol=0, atol=tolerance)


def test_turns_of_a_conversation_share_what_is_before_them(model: Model) -> None:
    """Turns score as if they were alone, in any order and with one left out, and cost no more than
    the whole conversation; so do those of one that goes on differently.
    """
    ids = prompt_of(model, "tell me something that is long enough to be shared")
    parts = [model.text.response_ids(text * 9) for text in ("yes ", "and? ", "no: ", "why? ")]
    one = (*ids, *parts[0], *parts[1])
    cuts = (len(ids), len(ids) + len(parts[0]) - 1)
    other = (*ids, *parts[0], *parts[3])
    calls = [
        ScoreCall(ids, parts[0]),
        ScoreCall(one, parts[2], cuts),
        ScoreCall(other, parts[2], cuts),
    ]
    alone = [scored(model, [call])[0] for call in calls]
    tolerance = 1e-4 if type(model).__name__ == "TransformersModel" else 0.0
    before = model.tokens_evaluated
    for order in ([0, 1, 2], [2, 1, 0], [1, 0], [2]):
        for index, found in zip(order, scored(model, [calls[i] for i in order]), strict=True):
            np.testing.assert_allclose(found.nll, alone[index].nll, rtol=0, atol=tolerance)
            np.testing.assert_allclose(found.entropy, alone[index].entropy, rtol=0, atol=tolerance)
        if order == [0, 1, 2]:
            whole = len(one) + len(parts[2]) - 1
            own = len(parts[3]) + len(parts[2])
            assert model.tokens_evaluated - before <= whole + own


def test_an_empty_response_has_no_scores(model: Model) -> None:
    """An empty response is answered with no token, and does not disturb the others."""
    prompt = prompt_of(model, "tell me")
    empty, other = scored(
        model, [ScoreCall(prompt, ()), ScoreCall(prompt, model.text.response_ids("yes"))]
    )
    assert len(empty) == 0
    assert len(other) == 3


def test_a_prompt_is_evaluated_once_for_all_its_responses(model: Model) -> None:
    """Twice the responses to one prompt do not evaluate the prompt twice."""
    prompt = model.text.prompt_ids([Message("user", "tell me " * 10)])
    call = ScoreCall(prompt, model.text.response_ids("yes"))
    before = model.tokens_evaluated
    scored(model, [call])
    one = model.tokens_evaluated - before
    scored(model, [call, ScoreCall(prompt, model.text.response_ids("not"))])
    assert model.tokens_evaluated - before - one <= one + 3


def test_texts_do_not_depend_on_what_else_is_sampled(model: Model) -> None:
    """A draw is the same alone, among others and in any order, and another seed gives
    another text.
    """
    prompts = [prompt_of(model, text) for text in ("one", "two and a bit more")]
    calls = [GenerateCall(prompt, SAMPLING, seed) for prompt in prompts for seed in range(4)]
    together = dict(model.generate(calls))
    backwards = dict(model.generate(calls[::-1]))
    assert sorted(together) == list(range(len(calls)))
    for index, call in enumerate(calls):
        ((_, alone),) = model.generate([call])
        assert isinstance(alone, Generation)
        assert together[index] == alone == backwards[len(calls) - 1 - index]
        assert alone.n_tokens <= SAMPLING.max_tokens
    assert len({str(together[index]) for index in range(4)}) > 1


def test_greedy_does_not_depend_on_the_seed(model: Model) -> None:
    """At temperature 0 all seeds give one text."""
    prompt = prompt_of(model, "one")
    greedy = Sampling(0.0, 1.0, 0, 0.0, 8)
    found = [
        generation
        for _, generation in model.generate([GenerateCall(prompt, greedy, seed) for seed in (1, 2)])
    ]
    assert found[0] == found[1]


def test_hidden_states_are_a_mean_over_the_response(model: Model) -> None:
    """One vector for each call, the same each time, another for another response; or a refusal that
    names a backend that can.
    """
    prompt = prompt_of(model, "tell me")
    calls = [
        ScoreCall(prompt, model.text.response_ids(text)) for text in ("yes", "not at all", "yes")
    ]
    if type(model).__name__ == "LlamaCppModel":
        with pytest.raises(PreflightError, match=r"hidden states\. Use backend 'transformers'"):
            dict(model.represent(calls))
        return
    found = dict(model.represent(calls))
    np.testing.assert_allclose(np.asarray(found[0]), np.asarray(found[2]), atol=1e-5)
    assert np.abs(np.asarray(found[0]) - np.asarray(found[1])).max() > 1e-3


def test_nothing_to_do_is_no_work(model: Model) -> None:
    """No call gives no answer."""
    assert not list(model.score([]))
    assert not list(model.generate([]))
    assert not list(model.represent([]))


def test_it_says_what_it_is(model: Model) -> None:
    """A model tells its weights and its special tokens, for the doctor."""
    assert {"weights", "special tokens"} <= set(model.about())
    assert model.context_tokens == 512


@needs("llama_cpp", "transformers", "torch", "gguf")
def test_two_engines_agree_on_one_model(make_tiny_gguf: Callable[..., Path]) -> None:
    """llama.cpp and transformers give the same tokens and, within float16 keys and values, the same
    scores.
    """
    one, other = (OPEN[name](make_tiny_gguf()) for name in ("llama-cpp", "transformers"))
    messages = [Message("system", "be brief"), Message("user", "count the <|im_end|> 😀 things")]
    assert one.text.prompt_ids(messages) == other.text.prompt_ids(messages)
    calls = [
        ScoreCall(one.text.prompt_ids(messages), one.text.response_ids(text)) for text in TEXTS
    ]
    assert [call.response_ids for call in calls] == [
        other.text.response_ids(text) for text in TEXTS
    ]
    for a, b in zip(scored(one, calls), scored(other, calls), strict=True):
        np.testing.assert_allclose(a.nll, b.nll, atol=0.02)
        np.testing.assert_allclose(a.entropy, b.entropy, atol=0.02)
        np.testing.assert_allclose(squares_of(a), squares_of(b), rtol=0.02)
        assert abs(a.rank - b.rank).max() <= 2


def test_a_template_may_mark_what_was_generated() -> None:
    """The tag that marks an assistant's words for training changes no prompt."""
    source = (
        "{% for m in messages %}<{{ m.role }}>{% if m.role == 'assistant' %}{% generation %}{{ "
        "m.content }}{% endgeneration %}"
        "{% else %}{{ m.content }}{% endif %}{% endfor %}{% if add_generation_prompt "
        "%}<assistant>{% endif %}"
    )
    template = ChatTemplate(source, "", "", "here")
    chat = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bye"))
    assert template.render(chat) == "<user>Hi<assistant>Hello<user>Bye<assistant>"


BROKEN = ord("~")


@pytest.fixture(params=BACKENDS[1:])
def broken(request: pytest.FixtureRequest, make_tiny_gguf: Callable[..., Path]) -> Iterator[Model]:
    """A model that knows all tokens but one, whose embedding is NaN."""
    if request.param == "llama-cpp":
        made = open_llama_cpp(make_tiny_gguf(broken=BROKEN))
    else:
        import torch

        made = open_transformers(make_tiny_gguf())
        with torch.no_grad():
            made._model.get_input_embeddings().weight[BROKEN] = float("nan")  # type: ignore[attr-defined]
    yield made
    made.close()


@pytest.mark.parametrize(
    "sampling", [SAMPLING, Sampling(0.0, 1.0, 0, 0.0, 12), Sampling(0.9, 1.0, 5, 0.0, 12)], ids=str
)
def test_no_text_is_drawn_from_logits_that_are_no_numbers(
    broken: Model, sampling: Sampling
) -> None:
    """Such a call fails by name, whatever the filters, and the calls beside and behind it are
    answered as if they were alone.
    """
    texts = [
        "a ~ and so on for more than one word",
        "b, which goes on for longer than c",
        "c",
        "d",
        "e, and so on",
    ]
    prompts = [prompt_of(broken, text) for text in texts]
    calls = [GenerateCall(prompt, sampling, seed) for seed in range(2) for prompt in prompts]
    together = dict(broken.generate(calls))
    assert sorted(together) == list(range(len(calls)))
    for index, call in enumerate(calls):
        if BROKEN in call.prompt_ids:
            assert together[index] == Failure("the model's logits are not finite numbers")
        else:
            assert [(0, together[index])] == list(broken.generate([call]))
            assert isinstance(together[index], Generation)
