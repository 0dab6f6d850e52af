"""Metrics that look at a response's reasoning steps (reasoning_steps.py)."""

from __future__ import annotations

from pydantic import Field

from respsel.metrics.contract import PLAIN, Evidence, Metric, Needs, Parameters, View
from respsel.metrics.reasoning_steps import UNKNOWN_PLACES, first_tokens, split_steps
from respsel.records import TokenScores


class DropParameters(Parameters):
    """The parameters of aslec-drop.

    skip: how many tokens of each step do not count. The paper says the first; its released driver
        skips 2.
    """

    skip: int = Field(1, ge=1, le=16)


class LocalParameters(Parameters):
    """The parameters of local naturalness.

    window: how many steps are before each step.
    with_input: whether the input, as the user's turn, is before those, as in the paper. If not, the
        steps are alone behind the token that begins a text.
    """

    window: int = Field(4, ge=1, le=64)
    with_input: bool = True


def aslec_drop(parameters: DropParameters, evidence: Evidence) -> float:
    """Mean log-likelihood without each step's first tokens.

    Raises ValueError if nothing is left.
    """
    import numpy as np

    scores = evidence.tokens()
    firsts = _firsts(evidence.text, scores)
    kept = np.ones(len(scores), bool)
    for first, end in zip(firsts, [*firsts[1:], len(scores)], strict=True):
        kept[first : min(first + parameters.skip, end)] = False
    if not kept.any():
        raise ValueError("no step has a token behind those that do not count")
    return -float(scores.nll[kept].mean(dtype=np.float64))


def mean_step_length(_parameters: Parameters, evidence: Evidence) -> float:
    """Scored tokens over steps that have one."""
    scores = evidence.tokens()
    return len(scores) / len(_firsts(evidence.text, scores))


def local_naturalness(_parameters: LocalParameters, evidence: Evidence) -> float:
    """Mean over steps of their mean log-likelihood in the local view."""
    import numpy as np

    scores = evidence.tokens("local")
    firsts = [0, *_firsts(evidence.text, scores)[1:]]
    sums = np.add.reduceat(scores.nll.astype(np.float64), firsts)
    return -float((sums / np.diff([*firsts, len(scores)])).mean())


def _firsts(text: str, scores: TokenScores) -> list[int]:
    if scores.lengths is None:
        raise ValueError(UNKNOWN_PLACES)
    return first_tokens(split_steps(text), scores.lengths.tolist())


METRICS = (
    Metric(
        name="aslec-drop",
        version=1,
        direction="higher",
        scale="linear",
        unit="nats per token",
        summary="mean log-likelihood without each step's first token, so that longer steps gain "
        "nothing by being long",
        formula="-mean nll over all tokens but the first `skip` = 1 of each step",
        variant="skip = 1 is the paper's definition; the driver of its released code skips 2",
        source="ASLEC-DROP, arXiv 2604.06834",
        reported="mean log-likelihood prefers longer steps; dropping first tokens fixes that "
        "(four models, five benchmarks)",
        mask="every response token but each step's first",
        parameters=DropParameters,
        needs=Needs((PLAIN,), steps=True),
        measure=aslec_drop,
    ),
    Metric(
        name="local-naturalness",
        version=2,
        direction="higher",
        scale="linear",
        unit="nats per token",
        summary="mean log-likelihood of each step, given the input and only the last few steps",
        formula="mean over steps of -(mean nll of the step's tokens | input, the last `window` = "
        "4 steps)",
        variant="of the paper, as two public implementations of its equation have it; with_input "
        "= false: the steps alone",
        source="arXiv 2510.03988",
        reported="picks the best teacher of long reasoning where whole-response likelihood fails "
        "(its abstract)",
        cost="3.3 with a window of 4 (5.4 where no prompt is shared)",
        parameters=LocalParameters,
        needs=lambda parameters: Needs(
            (View("local", window=parameters.window, with_input=parameters.with_input),), steps=True
        ),
        measure=local_naturalness,
    ),
    Metric(
        name="mean-step-length",
        version=1,
        direction="lower",
        scale="linear",
        unit="tokens per step",
        summary="a control: mean log-likelihood prefers long steps",
        formula="tokens / steps",
        source="arXiv 2604.06834",
        needs=Needs((PLAIN,), steps=True),
        measure=mean_step_length,
        control=True,
    ),
)
