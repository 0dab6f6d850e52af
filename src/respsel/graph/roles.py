"""Roles of a step's inputs: what each table is to the step that takes it.

The only place that spells them. Knows nothing of steps. Invariant: a role names one input of a
step. Where a step takes one table for each of several strategies, the role says whose it is. Roles
are in no key and in no record.
"""

from __future__ import annotations

EXAMPLES = "examples"
# Of the one strategy that a step is about.
RESPONSES = "responses"
OWN_OUTPUTS = "own_outputs"
# Held-out examples.
VALIDATION = "validation"
# The laps of the step's dataset.
RACE = "race"
# Hidden states of the responses, and of the own outputs.
VECTORS = "vectors"
OWN_VECTORS = "own_vectors"
REWARDS = "rewards"
# How the strategies of the step's dataset stand before the ranking.
STANDINGS = "standings"


def responses_of(strategy: str) -> str:
    """The responses of one of several strategies."""
    return f"responses/{strategy}"


def token_scores_in(kind: str) -> str:
    """The token scores in the view of a kind."""
    return f"token_scores/{kind}"


def scores_of(strategy: str, of: str = "") -> str:
    """The scores of one of several strategies; of: whose metric or dataset, if several are in."""
    return f"scores/{of}/{strategy}" if of else f"scores/{strategy}"


def rewards_of(strategy: str) -> str:
    """The rewards of one of several strategies."""
    return f"rewards/{strategy}"


def standings_of(dataset: str) -> str:
    """The standings of one of several datasets."""
    return f"standings/{dataset}"


def race_of(dataset: str) -> str:
    """The laps of one of several datasets."""
    return f"race/{dataset}"
