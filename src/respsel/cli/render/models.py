"""What the commands that look at models and metrics say, as lines of text.

Prints nothing itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from respsel.text.numbers import number

if TYPE_CHECKING:
    from respsel.backends.checkup import Alternative, Checkup
    from respsel.backends.endpoint_checkup import EndpointCheckup
    from respsel.metrics.contract import Metric


def checkup_lines(checkup: Checkup | EndpointCheckup) -> Iterator[str]:
    """What the doctor found of one model, and what other weights would gain."""
    from respsel.backends.endpoint_checkup import EndpointCheckup
    from respsel.backends.training_text import training_lines

    rows = _endpoint_rows(checkup) if isinstance(checkup, EndpointCheckup) else _rows(checkup)
    yield f"{checkup.name} ({checkup.backend})"
    yield from (f"  {name:<15} {value}" for name, value in rows)
    yield from training_lines(checkup.training) if checkup.training else ()
    if not isinstance(checkup, EndpointCheckup):
        yield from map(_alternative_line, checkup.alternatives)
        if checkup.hint:
            yield f"  {checkup.hint}"
    yield "  " + ("; ".join(checkup.problems) if checkup.problems else "Nothing wrong was found.")


def _endpoint_rows(checkup: EndpointCheckup) -> Iterator[tuple[str, object]]:
    about = {
        **checkup.about,
        "answered in": f"{checkup.answered_s:.1f} s",
        "scores by": checkup.scores_by,
    }
    yield from about.items()


def _rows(checkup: Checkup) -> Iterator[tuple[str, object]]:
    yield from checkup.about.items()
    yield "context", f"{checkup.context_tokens:,} tokens"
    yield (
        "speed",
        f"reads {checkup.read_tokens_s:,.0f} tokens/s, writes {checkup.write_tokens_s:,.0f} "
        "tokens/s (16 at once)",
    )
    yield "loading", f"{checkup.load_s:.1f} s"
    if checkup.memory_mib is not None:
        yield "memory", f"{checkup.memory_mib:,.0f} MiB at most so far, respsel's own included"
    yield (
        "known text",
        f"perplexity {number(checkup.perplexity)}; its words reversed "
        f"{number(checkup.perplexity_reversed)}",
    )
    yield from (("tokenizer", check.told) for check in checkup.tokenizers)


def _alternative_line(item: Alternative) -> str:
    verb = "times as fast" if item.gain >= 1 else "times the speed"
    return (
        f'  prepare = "{item.prepare}"'.ljust(22)
        + f" {item.read_tokens_s:,.0f} tokens/s, {item.gain:.2f} {verb}; {item.size_mib:,.0f} MiB, "
        f"scores move by {item.moved_nats:.3f} nats a token"
    )


def metric_rows(metrics: Iterable[Metric]) -> Iterator[str]:
    """One Markdown table row for each metric, as in docs/metrics.md."""
    for metric in metrics:
        arrow = "control" if metric.control else metric.direction
        cells = (
            str(metric.version),
            metric.formula,
            arrow,
            _needs(metric),
            metric.cost,
            metric.source,
            metric.reported or "–",
        )
        yield (
            "| "
            + " | ".join([f"`{metric.name}`", *(cell.replace("|", "\\|") for cell in cells)])
            + " |"
        )


def metric_lines(metrics: Iterable[Metric]) -> Iterator[str]:
    """One metric a line: name, direction, summary."""
    some = list(metrics)
    width = max(len(metric.name) for metric in some)
    for metric in some:
        arrow = "control" if metric.control else metric.direction
        yield f"{metric.name:<{width}}  {arrow:<7}  {metric.summary}" + (
            f" [{metric.origin}]" if metric.origin else ""
        )


def contract_lines(metric: Metric) -> Iterator[str]:
    """Everything of one metric."""
    yield (
        f"{metric.name} (version "
        f"{metric.version}{', ' + metric.origin if metric.origin else ''}): {metric.summary}"
    )
    rows = {
        "formula": metric.formula,
        "direction": f"{metric.direction} is better" + (" (a control)" if metric.control else ""),
        "unit": f"{metric.unit}; averaged on a {metric.scale} scale",
        "variant": metric.variant,
        "mask": metric.mask,
        "needs": _needs(metric),
        "cost": f"{metric.cost} (model work for a response; perplexity is 1)",
        "source": metric.source,
        "reported": metric.reported,
    }
    yield from (f"  {name:<10} {value}" for name, value in rows.items() if value)
    for name, field in metric.parameters.model_fields.items():
        yield f"  parameter  {name} = {json.dumps(field.get_default(call_default_factory=True))}"


def metric_json(metric: Metric) -> dict[str, object]:
    """Everything of one metric that JSON can hold."""
    plain = (
        "name",
        "version",
        "direction",
        "scale",
        "unit",
        "summary",
        "formula",
        "variant",
        "mask",
        "cost",
        "source",
        "reported",
    )
    fields: dict[str, object] = {
        name: getattr(metric, name) for name in (*plain, "control", "risk", "origin")
    }
    return fields | {
        "needs": _needs(metric),
        "parameters": metric.parameters.model_json_schema().get("properties", {}),
    }


def _needs(metric: Metric) -> str:
    """With the default parameters; those without defaults do not change it."""
    if metric.combine:
        return f"the scores of {' and '.join(metric.combine)}"
    return str(metric.needs_with(metric.parameters.model_construct()))
