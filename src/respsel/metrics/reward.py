"""Metrics with a reward: from a column, from the recipe's judge, or from a model's judgement."""

from __future__ import annotations

from pydantic import Field, model_validator

from respsel.metrics.contract import PLAIN, Evidence, Metric, Needs, Parameters, Ratio, RewardSource
from respsel.metrics.likelihood import mean_nll


class RewardParameters(Parameters):
    """The parameters of a reward: a column, or a model and a prompt, or none for the [judge]'s.

    column: of the dataset, with {strategy} for the strategy's name.
    model: a model that is asked, once and greedily, for a number. That is the one behind the last
        "Score:", "Reward:" or "Rating:" in its answer, or its only one.
    prompt: what it is asked. It is Jinja2, and knows `response` and the example's fields.
    max_tokens: how long its answer may be.
    """

    column: str | None = None
    model: str | None = None
    prompt: str | None = None
    max_tokens: int = Field(256, ge=1)

    @model_validator(mode="after")
    def _one_source(self) -> RewardParameters:
        if self.column is not None and self.model is not None:
            raise ValueError(
                "a reward comes from 'column', from 'model' with 'prompt', or from the recipe's "
                "[judge]: give one of them"
            )
        if self.source.is_judges and "max_tokens" in self.model_fields_set:
            raise ValueError("'max_tokens' goes with 'model'; a judge's own is in [judge]")
        if (self.model is None) != (self.prompt is None):
            raise ValueError("'model' and 'prompt' go together")
        return self

    @property
    def source(self) -> RewardSource:
        """Where the reward comes from."""
        return RewardSource(self.column, self.model, self.prompt, self.max_tokens)


class CarParameters(RewardParameters):
    """The parameters of car: those of a reward, and one more.

    beta: how much likelihood counts.
    """

    beta: float = Field(3.0, ge=0)


def reward(_parameters: RewardParameters, evidence: Evidence) -> float:
    """The reward. Raises ValueError if there is none."""
    if evidence.reward is None:
        raise ValueError("no reward")
    return evidence.reward


def car(parameters: CarParameters, evidence: Evidence) -> Ratio:
    """reward / (1 + beta mean nll)."""
    return Ratio(reward(parameters, evidence), 1 + parameters.beta * mean_nll(evidence.tokens()))


METRICS = (
    Metric(
        name="reward",
        version=1,
        direction="higher",
        scale="linear",
        unit="reward",
        summary="how good the recipe's judge, a column or another model finds the response",
        formula="the reward",
        source="respsel",
        mask="the text",
        cost="0 from a column or the recipe's judge; a model's judgement: one call",
        parameters=RewardParameters,
        needs=lambda parameters: Needs(reward=parameters.source),
        measure=reward,
    ),
    Metric(
        name="car",
        version=1,
        direction="higher",
        scale="linear",
        unit="reward",
        summary="compatibility-adjusted reward: reward, discounted by how unlikely the target "
        "finds the responses",
        formula="mean reward / (1 + beta * mean nll), beta = 3; over a dataset of means",
        source="arXiv 2411.07133",
        reported="told which generator trains best better than almost all baselines (abstract); "
        "62.82 over the same 51 cells",
        variant="beta = 3, and over a dataset mean reward / (1 + beta * mean nll), as published",
        cost="perplexity's and the reward's",
        parameters=CarParameters,
        needs=lambda parameters: Needs((PLAIN,), reward=parameters.source),
        measure=car,
    ),
)
