"""What a run does in a stage, in words."""

from __future__ import annotations

_STAGES = {
    "examples": "Reading examples",
    "dataset-size": "Reading examples",
    "validation": "Reading examples",
    "responses": "Making responses",
    "composites": "Taking responses",
    "own-outputs": "Making responses",
    "gates": "Checking the gates",
    "race": "Racing strategies",
    "token-scores": "Scoring responses",
    "representations": "Reading representations",
    "rewards": "Judging responses",
    "preferences": "Judging responses",
    "scores": "Computing metrics",
    "mixes": "Combining metrics",
    "choices": "Choosing responses",
    "verdict": "Weighing strategies",
}


def stage_words(op: str) -> str:
    """What steps of an operation do; the operation itself where there are no words."""
    return _STAGES.get(op, op)
