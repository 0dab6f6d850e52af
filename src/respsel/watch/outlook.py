"""How long a run would take, by what was measured on this machine before.

Knows nothing of runs that go on. Invariant: without a measured speed there is no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from respsel.calls.events import CallKind
from respsel.graph import Graph
from respsel.plan.ahead import look_ahead
from respsel.plan.plan import Plan, plan_with_ledger
from respsel.store.store import Store
from respsel.watch.forecast import Forecast
from respsel.watch.memory import recall


@dataclass(frozen=True)
class RememberedSpeed:
    """How fast a model was on this machine.

    model: the model.
    kind: what was measured: it writes, scores, or reads for hidden states.
    tokens_s: tokens in a second.
    when: when it was measured last (seconds since 1970).
    """

    model: str
    kind: CallKind
    tokens_s: float
    when: float


@dataclass(frozen=True)
class Outlook:
    """How long a run would take.

    seconds: None where no speed is known of a model that would be asked, and before a download that
        decides how much is asked.
    speeds: what it rests on.
    unknown: the models that would be asked and of which no speed is known.
    """

    seconds: float | None
    speeds: Sequence[RememberedSpeed]
    unknown: Sequence[str]


def plan_with_outlook(graph: Graph, store: Store) -> tuple[Plan, Outlook]:
    """Plan a run, and say how long it would take."""
    plan, ledger = plan_with_ledger(graph, store)
    paces = recall(store, {name: known.identity for name, known in graph.models.items()})
    parallel = {name: known.named.entry.parallel for name, known in graph.models.items()}
    forecast = Forecast(paces, parallel)
    ahead = look_ahead(graph, store, ledger, forecast)
    forecast.foresee(ahead)
    asked = {(item.model, item.kind) for item in ahead if item.calls and item.kind is not None}
    speeds = [
        RememberedSpeed(model, kind, known.units_s, known.when)
        for (model, kind), known in sorted(paces.known.items())
        if (model, kind) in asked
    ]
    measured = {model for model, _ in paces.known}
    unknown = sorted({model for model, _ in asked} - measured)
    is_known = plan.is_bounded and not unknown
    return plan, Outlook(forecast.left_s(0.0) if is_known else None, speeds, unknown)
