"""The metrics that there are, by name, and what a recipe's entry asks of them.

Knows nothing of what a metric computes. Invariant: a name means one metric; a plug-in cannot take
the name of ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from respsel.errors import Problem, suggest
from respsel.metrics import alignment, controls, held_out, likelihood, reward, stepwise
from respsel.metrics.contract import ChosenMetric, Metric
from respsel.recipe.places import Place
from respsel.recipe.schema import MetricEntry
from respsel.recipe.validation import check_shape, json_only

_FAMILIES = (likelihood, stepwise, alignment, reward, held_out, controls)
_OWN: dict[str, Metric] = {metric.name: metric for family in _FAMILIES for metric in family.METRICS}


def components(metric: ChosenMetric) -> list[ChosenMetric]:
    """The metrics that a `combine` metric weighs, labelled as parts of it; none for another."""
    parts = []
    for name in metric.metric.combine or ():
        of = _OWN[name]
        shared = {
            key: value for key, value in metric.parameters if key in of.parameters.model_fields
        }
        parts.append(
            ChosenMetric(
                f"{metric.label}.{name}", of, of.parameters.model_validate(shared), metric.part
            )
        )
    return parts


def all_metrics() -> Mapping[str, Metric]:
    """Every metric by name: our own, and those of plug-ins (entry points `respsel.metrics`)."""
    from respsel.plugins import load_plugins

    return _OWN | load_plugins("respsel.metrics", Metric, _OWN)


def find_metric(name: str) -> Metric | None:
    """The metric of a name.

    Plug-ins are looked for only if it is not ours: that takes longer than a cached run.
    """
    return _OWN.get(name) or all_metrics().get(name)


def choose(entry: MetricEntry, place: Place) -> tuple[ChosenMetric | None, list[Problem]]:
    """Return the metric that a recipe entry asks for, or what is wrong with the entry.

    place: where the entry stands.
    """
    metric = find_metric(entry.name)
    if metric is None:
        what = f"'{entry.name}' is not a metric"
        return None, [place.at("name").problem(what, suggest(entry.name, all_metrics()))]
    known = ("name", "label", "part")
    parameters, problems = check_shape(metric.parameters, entry.parameters, place, known)
    if problems:
        return None, problems
    chosen = ChosenMetric(entry.known_as, metric, parameters, entry.part)
    if entry.part != "all" and (reason := _has_no_parts(chosen)):
        return None, [place.at("part").problem(reason, "Take 'part' out")]
    try:
        # A plug-in's parameters may be of any type.
        json_only(chosen.fields["parameters"])
    except ValueError as error:
        return None, [place.problem(str(error))]
    return chosen, []


def _has_no_parts(metric: ChosenMetric) -> str:
    """Why a metric cannot be about a part of a response; empty if it can."""
    needs = metric.needs
    if needs.hidden:
        return "hidden states are of the whole response"
    if needs.reward:
        return "a reward is for the whole response"
    if any(not view.is_of_response for view in needs.views):
        return "responses are shown as a whole"
    if needs.steps or any(view.kind == "local" for view in needs.views):
        return "reasoning steps are of the whole response"
    return ""
