"""Expected alignment: how similar a response is, on average, to what the target itself wrote."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

from respsel.metrics.base import Evidence, Metric, Parameters

if TYPE_CHECKING:
    from sacrebleu.metrics.chrf import CHRF


class AlignmentParameters(Parameters):
    """kernel: the similarity S. chrf is sacrebleu's sentence chrF2, divided by 100."""

    kernel: Literal["chrf"] = "chrf"


def alignment(_parameters: AlignmentParameters, evidence: Evidence) -> float:
    """Mean chrF (0 to 1) of the response against each own output to the same input: E[S(y, y')].

    Raises ValueError if there is no own output to this input.
    """
    if not evidence.own_outputs:
        raise ValueError("no own output to this input is kept")
    similarity = [_chrf().sentence_score(evidence.text, [own]).score for own in evidence.own_outputs]
    return float(sum(similarity) / len(similarity) / 100)


@cache
def _chrf() -> CHRF:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


ALIGNMENT = Metric(
    name="alignment",
    version=1,
    direction="higher",
    scale="linear",
    unit="0 to 1",
    summary="mean similarity (chrF) to the target's own outputs to the same input",
    source="arXiv 2502.11779 (expected alignment); chrF: Popovic 2015, sacrebleu",
    parameters=AlignmentParameters,
    view=lambda _parameters: None,
    wants_own_outputs=True,
    measure=alignment,
)
METRICS = (ALIGNMENT,)
