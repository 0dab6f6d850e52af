"""Metrics that look at a response's steps (steps.py)."""

from __future__ import annotations

from pydantic import Field

from respsel.metrics.base import PLAIN, Evidence, Metric, Needs, Parameters, View
from respsel.metrics.likelihood import mean_nll
from respsel.records import TokenScores
from respsel.steps import UNKNOWN_PLACES, first_tokens, split_steps


class DropParameters(Parameters):
    """skip: how many tokens of each step do not count. The paper speaks of the first; its released driver skips 2."""

    skip: int = Field(1, ge=1, le=16)


class LocalParameters(Parameters):
    """window: how many of input and steps stand before each step."""

    window: int = Field(4, ge=1, le=64)


def aslec_drop(parameters: DropParameters, evidence: Evidence) -> float:
    """Mean log-likelihood without each step's first tokens. Raises ValueError if nothing is left."""
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
    """Minus the mean nll in the local view."""
    return -mean_nll(evidence.tokens("local"))


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
        summary="mean log-likelihood without each step's first token, so that longer steps gain nothing by being long",
        formula="-mean nll over all tokens but the first `skip` = 1 of each step",
        variant="skip = 1 is the paper's definition; the driver of its released code skips 2",
        source="ASLEC-DROP, arXiv 2604.06834",
        reported="mean log-likelihood prefers longer steps; dropping first tokens mends that (four models, five benchmarks)",
        mask="every response token but each step's first",
        parameters=DropParameters,
        needs=lambda _parameters: Needs((PLAIN,), steps=True),
        measure=aslec_drop,
    ),
    Metric(
        name="local-naturalness",
        version=1,
        direction="higher",
        scale="linear",
        unit="nats per token",
        summary="mean log-likelihood of each step, given only the last few of input and steps",
        formula="-mean nll over all tokens, each step behind the last `window` of (input, steps), no chat template",
        source="arXiv 2510.03988",
        reported="picks teachers of long reasoning where whole-response likelihood fails; we average over tokens, not over steps",
        cost="1 for the steps, and up to `window` times their length for what stands before them",
        parameters=LocalParameters,
        needs=lambda parameters: Needs((View("local", window=parameters.window),)),
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
        needs=lambda _parameters: Needs((PLAIN,), steps=True),
        measure=mean_step_length,
        control=True,
    ),
)
