"""The judge as a recipe declares it: a model, what a good response is, a scale and examples.

Knows nothing of how a judge is asked. Invariant: a judge that exists has a rubric and a scale
whose lowest score comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from respsel.recipe.model import Entry

# What its rewards are called, next to those of metrics.
JUDGE = "judge"


def _is_said(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: say it in words")
    return text


def _is_scale(value: Any) -> Any:
    """Return a scale. Raises ValueError where it is not two numbers in their order."""
    ends = value if isinstance(value, (list, tuple)) else ()
    numbers = [end for end in ends if isinstance(end, (int, float)) and not isinstance(end, bool)]
    if len(numbers) != 2 or len(ends) != 2:
        raise ValueError(f"a scale is two numbers, as [1, 10], and not {value!r}")
    if not numbers[0] < numbers[1]:
        raise ValueError(
            f"the lowest score comes first, and {numbers[0]} is not below {numbers[1]}"
        )
    return value


Said = Annotated[str, AfterValidator(_is_said)]
Scale = Annotated[tuple[float, float], BeforeValidator(_is_scale)]


class JudgedExample(Entry):
    """A response with the score that the judge is to learn from."""

    input: Said = Field(description="What was asked.")
    response: Said = Field(description="What was answered.")
    score: float = Field(description="The score that it deserves, on the judge's scale.")
    why: Said = Field(description="The reason, in a sentence.")


class JudgeEntry(Entry):
    """A model that judges the responses of all strategies by a rubric."""

    model: str = Field(description="The model that judges.")
    rubric: Said = Field(
        description="What a good response is. Jinja2, like prompts: input, reference, label, id "
        "and the row's other columns. The response itself is shown anyway."
    )
    scale: Scale = Field((1.0, 10.0), description="The lowest and the highest score.")
    examples: tuple[JudgedExample, ...] = Field(
        (), description="Responses with their scores and reasons, shown as earlier turns."
    )
    reference: bool = Field(
        False,
        description="Whether the judge is shown an example's reference and label. Then its "
        "agreement with the labels is no test of what it sees itself.",
    )
    pairs: bool = Field(
        False,
        description="Whether it also compares each strategy's responses with those of one "
        "strategy, each pair in both orders: two more calls for each pair.",
    )
    against: str | None = Field(
        None, description="pairs: that one strategy. Default: a dataset's first."
    )
    max_tokens: int = Field(256, ge=1, description="How long an answer of the judge may be.")

    @property
    def templates(self) -> Mapping[str, str]:
        """By key, its Jinja2 templates over an example."""
        return {"rubric": self.rubric}
