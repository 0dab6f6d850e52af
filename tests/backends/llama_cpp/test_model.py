"""The llama.cpp backend on a tiny random model: ids, masks, branching, determinism, errors."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from respsel.backends.contract import GenerateCall, Generation, ScoreCall
from respsel.backends.llama_cpp.model import LlamaCppModel, LlamaSettings, open_model
from respsel.errors import PreflightError, RunError
from respsel.records import Message, Sampling, TokenScores
from tests.conftest import TEMPLATE, needs
from tests.tiny_gguf import ORIGINAL_CONTEXT, write_tiny_hybrid, write_tiny_mamba, write_tiny_phi3

pytestmark = needs("llama_cpp", "gguf")
MakeGguf = Callable[..., Path]
SAMPLING = Sampling(temperature=0.9, top_p=0.95, top_k=0, min_p=0.0, max_tokens=12)
START = 256
END = 257


def load(path: Path, parallel: int = 4, context: int | None = None) -> LlamaCppModel:
    return open_model(path, None, LlamaSettings(parallel, context, threads=1))


def prompt_of(model: LlamaCppModel, text: str) -> tuple[int, ...]:
    return model.text.prompt_ids([Message("user", text)])


def scores_of(model: LlamaCppModel, calls: list[ScoreCall]) -> list[TokenScores]:
    return [scores for _, scores in sorted(model.score(calls), key=lambda item: item[0])]


@pytest.fixture(scope="module")
def model(make_tiny_gguf: MakeGguf) -> LlamaCppModel:
    return load(make_tiny_gguf())


def test_prompt_ids_are_the_templates_own(model: LlamaCppModel) -> None:
    """The chat template decides the prompt's tokens: control tokens where it writes them, no BOS
    added.
    """
    text = model.text.response_ids
    expected = (START, *text("user\nhi"), END, *text("\n"), START, *text("assistant\n"))
    assert prompt_of(model, "hi") == expected


def test_control_text_in_a_message_stays_text(model: LlamaCppModel) -> None:
    """A message that spells a control token does not end its turn."""
    ids = prompt_of(model, "a<|im_end|>b")
    assert ids.count(END) == 1


def test_control_text_in_a_response_stays_text(model: LlamaCppModel) -> None:
    """A response that spells a control token is scored as the characters that it is."""
    ids = model.text.response_ids("x<|im_end|>")
    assert END not in ids
    assert len(ids) == len("x<|im_end|>")


def test_a_branch_scores_as_if_it_were_alone(model: LlamaCppModel) -> None:
    """A response's scores are the same to the last bit alone, with others, and in any order."""
    prompt = prompt_of(model, "tell me")
    other = prompt_of(model, "something else")
    calls = [
        ScoreCall(p, model.text.response_ids(text))
        for p in (prompt, other)
        for text in ("yes", "no, rather not", "ä € 😀", "q")
    ]
    together = dict(model.score(calls))
    backwards = dict(model.score(calls[::-1]))
    for i, call in enumerate(calls):
        ((_, alone),) = model.score([call])
        for other_scores in (alone, backwards[len(calls) - 1 - i]):
            np.testing.assert_array_equal(together[i].nll, other_scores.nll)
            np.testing.assert_array_equal(together[i].rank, other_scores.rank)
            np.testing.assert_array_equal(together[i].entropy, other_scores.entropy)


@pytest.mark.parametrize("write", [write_tiny_mamba, write_tiny_hybrid])
def test_layers_that_cannot_go_back_are_scored_anew(
    write: Callable[..., None], tmp_path: Path
) -> None:
    """Recurrent and hybrid models: each score is that of one plain pass, to the last bit whatever
    else is scored.
    """
    write(tmp_path / "tiny.gguf", TEMPLATE)
    model = load(tmp_path / "tiny.gguf")
    # The first two prompts share more than a chunk.
    prompts = [prompt_of(model, text) for text in ("x" * 200 + "a", "x" * 200 + "b", "tell me")]
    calls = [
        ScoreCall(p, model.text.response_ids(text))
        for p in prompts
        for text in ("yes", "no, rather not", "", "q")
    ]
    together = scores_of(model, calls)
    backwards = scores_of(model, calls[::-1])[::-1]
    for call, one, other in zip(calls, together, backwards, strict=True):
        (alone,) = scores_of(model, [call])
        np.testing.assert_array_equal(one.nll, alone.nll)
        np.testing.assert_array_equal(other.nll, alone.nll)
    call = calls[-3]
    np.testing.assert_allclose(together[-3].nll, plain_nll(tmp_path / "tiny.gguf", call), atol=0.02)


def turns_of(text: tuple[int, ...], *turns: tuple[int, int]) -> list[ScoreCall]:
    """The calls of a conversation, one for each trained turn [start, end)."""
    cuts = [place for start, end in turns for place in (start, end - 1)]
    return [
        ScoreCall(text[:start], text[start:end], tuple(cuts[: 2 * place]))
        for place, (start, end) in enumerate(turns)
    ]


def trajectories() -> list[ScoreCall]:
    """Three conversations: the second parts from the first behind the first turn, the third within
    the second turn. A turn of one token, one of more than a batch, and one call without a turn.
    """
    stream = random.Random(4)
    one, two, three = (tuple(stream.randrange(3, 250) for _ in range(400)) for _ in range(3))
    return [
        *turns_of(one, (150, 180), (185, 186), (220, 300), (310, 400)),
        *turns_of(one[:200] + two[:100], (150, 180), (250, 300)),
        *turns_of(one[:260] + three[:90], (150, 180), (185, 186), (220, 350)),
        ScoreCall(one[:150], two[:20]),
    ]


def check_same(one: TokenScores, other: TokenScores) -> None:
    for column in ("nll", "rank", "entropy", "squares"):
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))


@pytest.mark.parametrize("write", [None, write_tiny_mamba, write_tiny_hybrid])
def test_turns_score_as_if_they_were_alone(
    write: Callable[..., None] | None, make_tiny_gguf: MakeGguf, tmp_path: Path
) -> None:
    """Turns of conversations: the same scores to the last bit alone, together, backwards, and with
    turns left out; and those of one plain pass.
    """
    path = make_tiny_gguf() if write is None else tmp_path / "tiny.gguf"
    if write is not None:
        write(path, TEMPLATE)
    model = load(path)
    model._batch_tokens = 64
    calls = trajectories()
    alone = [scores_of(model, [call])[0] for call in calls]
    for order in (range(len(calls)), range(len(calls))[::-1], [0, 2, 3], [3], [8, 5, 1]):
        for index, scores in zip(
            order, scores_of(model, [calls[index] for index in order]), strict=True
        ):
            check_same(scores, alone[index])
            assert scores.token_ids.tolist() == list(calls[index].response_ids)
    for index in (2, 3, 8):
        off = np.abs(alone[index].nll - plain_nll(path, calls[index]))
        assert off.mean() < 0.02  # an off-by-one is nats
        assert off.max() < 0.1


def test_turns_are_evaluated_once(model: LlamaCppModel) -> None:
    """A conversation costs its own tokens, whichever of its turns are asked for. One that parts
    from another costs what is its own, from its segment's last whole chunk on.
    """
    calls = trajectories()
    for some, tokens in (
        (calls[:4], 399),
        ([calls[3]], 399),
        ([calls[0], calls[3]], 399),
        # The second parts within the prompt behind its first turn, which has no whole chunk.
        (calls[:6], 399 + (299 - 179)),
        # The third parts within its last turn.
        (calls[:4] + calls[6:9], 399 + (349 - 220)),
        # Equal calls are one.
        ([calls[0], calls[4], calls[6], calls[0]], 179),
    ):
        before = model.tokens_evaluated
        scores_of(model, some)
        assert model.tokens_evaluated - before == tokens


def test_a_path_that_cannot_go_back_goes_on(tmp_path: Path) -> None:
    """With recurrent layers too a conversation is evaluated once; another one begins anew."""
    write_tiny_mamba(tmp_path / "tiny.gguf", TEMPLATE)
    model = load(tmp_path / "tiny.gguf")
    calls = trajectories()
    scores_of(model, calls[:4])
    assert model.tokens_evaluated == 399
    scores_of(model, calls[:6])
    assert model.tokens_evaluated == 399 + 399 + 299


def plain_nll(weights: Path, call: ScoreCall) -> npt.NDArray[np.float64]:
    """By one pass of llama-cpp-python's own over prompt and response."""
    import llama_cpp

    llama = llama_cpp.Llama(str(weights), n_ctx=512, logits_all=True, verbose=False, n_threads=1)
    prompt = list(call.prompt_ids)
    response = list(call.response_ids)
    llama.eval(prompt + response)
    logits = np.array(llama.scores[len(prompt) - 1 : len(prompt) + len(response) - 1], np.float64)
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    nll: npt.NDArray[np.float64] = -logp[np.arange(len(response)), response]
    return nll


@pytest.mark.parametrize("write", [write_tiny_mamba, write_tiny_hybrid])
def test_layers_that_cannot_go_back_sample_as_if_alone(
    write: Callable[..., None], tmp_path: Path
) -> None:
    """Recurrent and hybrid models: a text is the same alone, among others and in any order."""
    write(tmp_path / "tiny.gguf", TEMPLATE)
    model = load(tmp_path / "tiny.gguf")
    prompts = [prompt_of(model, text) for text in ("one", "two and a bit more", "three")]
    calls = [GenerateCall(prompt, SAMPLING, seed) for prompt in prompts for seed in range(3)]
    together = dict(model.generate(calls))
    backwards = dict(model.generate(calls[::-1]))
    for i, call in enumerate(calls):
        ((_, alone),) = model.generate([call])
        assert together[i] == alone == backwards[len(calls) - 1 - i]


def test_a_memory_that_cannot_drop_tokens_says_so(tmp_path: Path) -> None:
    """Tokens that cannot be forgotten are an error there, not a wrong score or a puzzling failure
    later.
    """
    write_tiny_mamba(tmp_path / "tiny.gguf", TEMPLATE)
    model = load(tmp_path / "tiny.gguf")
    with model._context(64, 1, flash=True) as context:
        context.evaluate(0, (1, 2, 3), 0, 2)
        with pytest.raises(
            RunError,
            match=r"llama\.cpp: this model's memory cannot forget the end of a text\. This is a "
            r"fault",
        ):
            context.drop(0, 2)
        context.drop(0, 0)


def test_scores_agree_with_one_plain_pass(model: LlamaCppModel, make_tiny_gguf: MakeGguf) -> None:
    """Each token is scored given exactly the prompt and the response tokens before it: no mask is
    off by one.
    """
    import llama_cpp

    llama = llama_cpp.Llama(
        str(make_tiny_gguf()), n_ctx=512, logits_all=True, verbose=False, n_threads=1
    )
    prompt = list(prompt_of(model, "count the other things"))
    response = list(model.text.response_ids("there are other numbers"))
    llama.eval(prompt + response)
    logits = np.array(llama.scores[len(prompt) - 1 : len(prompt) + len(response) - 1], np.float64)
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    ((_, scores),) = model.score([ScoreCall(tuple(prompt), tuple(response))])
    chosen = logp[np.arange(len(response)), response]
    np.testing.assert_allclose(scores.nll, -chosen, atol=0.02)  # an off-by-one is nats
    np.testing.assert_allclose(scores.entropy, -(np.exp(logp) * logp).sum(axis=1), atol=0.02)
    assert scores.squares is not None
    np.testing.assert_allclose(scores.squares, np.exp(2 * logp).sum(axis=1), rtol=0.02)
    assert (
        scores.rank
        == 1 + (logits > logits[np.arange(len(response)), response][:, None]).sum(axis=1)
    ).mean() > 0.9


def test_a_response_longer_than_a_batch_is_scored_whole(make_tiny_gguf: MakeGguf) -> None:
    """A response that takes several batches has one score per token."""
    model = load(make_tiny_gguf(context=2048))
    prompt = prompt_of(model, "go")
    response = model.text.response_ids("abcdefg " * 100)
    ((_, scores),) = model.score([ScoreCall(prompt, response)])
    assert len(scores) == len(response) == 800
    ((_, start),) = model.score([ScoreCall(prompt, response[:500])])
    np.testing.assert_allclose(scores.nll[:500], start.nll, atol=1e-4)


def test_a_sampled_text_does_not_depend_on_the_batch(model: LlamaCppModel) -> None:
    """A request's text is the same alone, among others, and in any order."""
    prompts = [prompt_of(model, text) for text in ("one", "two and a bit more", "three")]
    calls = [GenerateCall(prompt, SAMPLING, seed) for prompt in prompts for seed in range(3)]
    together = dict(model.generate(calls))
    backwards = dict(model.generate(calls[::-1]))
    for i, call in enumerate(calls):
        ((_, alone),) = model.generate([call])
        assert together[i] == alone == backwards[len(calls) - 1 - i]


@pytest.mark.real
def test_a_sampled_text_does_not_depend_on_the_batch_with_bf16_weights(
    smollm2: Path, tmp_path: Path
) -> None:
    """BF16 sums depend on how many rows are computed at once; texts must not depend on what else is
    sampled.
    """
    model = open_model(smollm2, (tmp_path / "w.gguf", "bf16"), LlamaSettings(parallel=8))
    prompt = prompt_of(model, "Tell me a story about a rope and a bakery.")
    sampling = Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0, max_tokens=60)
    calls = [GenerateCall(prompt, sampling, seed) for seed in range(8)]
    together = dict(model.generate(calls))
    for few in (calls[:3], calls[3:4]):
        first = calls.index(few[0])
        for index, generation in model.generate(few):
            assert generation == together[first + index]


def test_other_seeds_give_other_texts(model: LlamaCppModel) -> None:
    """The seed decides the draw."""
    prompt = prompt_of(model, "one")
    made = model.generate([GenerateCall(prompt, SAMPLING, seed) for seed in range(5)])
    texts = {generation.text for _, generation in made if isinstance(generation, Generation)}
    assert len(texts) > 1


def test_greedy_follows_the_most_likely_token(model: LlamaCppModel) -> None:
    """At temperature 0 every token that was written has rank 1 when it is scored."""
    prompt = prompt_of(model, "one")
    greedy = Sampling(0.0, 1.0, 0, 0.0, 8)
    ((_, generation),) = model.generate([GenerateCall(prompt, greedy, 1)])
    assert isinstance(generation, Generation)
    assert generation.n_tokens == 8
    # The tokens are bytes at random, so their text is only known where it is ASCII: score what is.
    written = model.text.response_ids(generation.text)
    ((_, scores),) = model.score([ScoreCall(prompt, written[:1])])
    if generation.text.isascii():
        assert scores.rank[0] == 1


def test_more_sequences_than_a_batch_holds(make_tiny_gguf: MakeGguf) -> None:
    """With a vocabulary so large that batches are small, many sequences are still
    sampled at once.
    """
    model = load(make_tiny_gguf(), parallel=70)
    model._batch_tokens = 32
    prompt = prompt_of(model, "one")
    assert (
        len(dict(model.generate([GenerateCall(prompt, SAMPLING, seed) for seed in range(80)])))
        == 80
    )


def test_a_gguf_without_a_template_is_refused(make_tiny_gguf: MakeGguf) -> None:
    """A GGUF without a chat template is an error with a remedy, not a silent "llama-2"."""
    path = make_tiny_gguf(template=None)
    with pytest.raises(
        PreflightError, match=r"tiny\.gguf: this GGUF has no chat template\. Set 'chat_template'"
    ):
        load(path)


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    """A file that llama.cpp cannot load is an error that names it."""
    path = tmp_path / "weights.gguf"
    path.write_bytes(b"not a model")
    with pytest.raises(PreflightError, match=r"weights\.gguf: llama\.cpp cannot load this file"):
        load(path)


def test_the_context_is_at_most_what_the_model_was_trained_for(make_tiny_gguf: MakeGguf) -> None:
    """A context_tokens beyond the model's own is lowered to it."""
    assert load(make_tiny_gguf(context=512), context=100_000).context_tokens == 512
    assert load(make_tiny_gguf(context=512), context=64).context_tokens == 64


def test_a_context_ends_where_positions_are_turned_otherwise(tmp_path: Path) -> None:
    """LongRoPE: the context is the original length, whatever the recipe says, and a score is the
    same beside the longest text.
    """
    write_tiny_phi3(tmp_path / "tiny.gguf", TEMPLATE)
    model = load(tmp_path / "tiny.gguf", context=1000)
    assert model.context_tokens == ORIGINAL_CONTEXT
    assert "more than 256 tokens" in model.about()["positions"]
    short, long = (prompt_of(model, text) for text in ("tell me", "x" * 200))
    response = model.text.response_ids("yes, it is so")
    longest = ScoreCall(long, model.text.response_ids("n" * (ORIGINAL_CONTEXT - len(long))))
    alone = scores_of(model, [ScoreCall(short, response)])[0]
    beside = scores_of(model, [ScoreCall(short, response), longest])[0]
    np.testing.assert_array_equal(alone.nll, beside.nll)


@pytest.mark.parametrize(("original", "expected"), [(300, 256), (100, 1024), (None, 1024)])
def test_a_padded_context_does_not_pass_that_length(
    tmp_path: Path, original: int | None, expected: int
) -> None:
    """llama.cpp's contexts come in 256 tokens; where none is as short as the original length, or
    none is given, all are alike.
    """
    write_tiny_phi3(tmp_path / "tiny.gguf", TEMPLATE, original)
    model = load(tmp_path / "tiny.gguf")
    assert model.context_tokens == expected
    assert ("positions" in model.about()) == (expected < 1024)


def test_prepared_weights_are_made_once_and_appear_whole(
    make_tiny_gguf: MakeGguf, tmp_path: Path
) -> None:
    """`prepare` converts the weights once; the second load uses the same file."""
    prepared = tmp_path / "weights" / "x.bf16.gguf"
    source = make_tiny_gguf()
    open_model(source, (prepared, "bf16"), LlamaSettings(parallel=4, threads=1)).close()
    stamp = prepared.stat().st_mtime_ns
    open_model(source, (prepared, "bf16"), LlamaSettings(parallel=4, threads=1)).close()
    assert prepared.stat().st_mtime_ns == stamp
    assert [path.name for path in prepared.parent.iterdir()] == ["x.bf16.gguf"]
