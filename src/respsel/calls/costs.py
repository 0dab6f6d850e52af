"""Tokens to money: what calls cost at the prices that a recipe gives.

Knows no price of its own. Invariant: a price is in no key, so a changed one reruns nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from respsel.recipe.model import NamedModel, PriceEntry
from respsel.records import TokenUsage


@dataclass(frozen=True)
class Cost:
    """What calls to one model cost.

    model: the model's name in the recipe.
    calls: how many calls.
    prompt_tokens, output_tokens: as an API bills them.
    money: None where the recipe gives no price.
    currency: the price's; empty without one.
    """

    model: str
    calls: int
    prompt_tokens: int
    output_tokens: int
    money: float | None
    currency: str


def costs_of(took: Mapping[str, TokenUsage], models: Mapping[str, NamedModel]) -> tuple[Cost, ...]:
    """What calls cost, by model in order of name; a model that was not asked is left out."""
    return tuple(
        _cost(name, took[name], models[name].entry.price)
        for name in sorted(took)
        if took[name].calls
    )


def total(costs: Iterable[Cost]) -> Mapping[str, float]:
    """Money by currency, of those that have a price."""
    money: dict[str, float] = {}
    for cost in costs:
        if cost.money is not None:
            money[cost.currency] = money.get(cost.currency, 0.0) + cost.money
    return money


def _cost(name: str, took: TokenUsage, price: PriceEntry | None) -> Cost:
    money = (
        None
        if price is None
        else (took.prompt_tokens * price.input + took.output_tokens * price.output) / 1e6
    )
    return Cost(
        name,
        took.calls,
        took.prompt_tokens,
        took.output_tokens,
        money,
        "" if price is None else price.currency,
    )
