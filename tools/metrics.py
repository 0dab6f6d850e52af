"""Every metric with its parameters, from the registry."""

from __future__ import annotations

from typing import Any

from respsel.cli.render.models import contract_lines
from respsel.metrics.registry import all_metrics
from tools.markdown import code, plain, table


def metrics() -> str:
    """The page's part: a section for each metric."""
    return "\n\n".join(part for metric in all_metrics().values() for part in _section(metric))


def _section(metric: Any) -> list[str]:
    first, *rows = list(contract_lines(metric))
    named, _, about = first.partition(": ")
    told = [row.split(maxsplit=1) for row in rows]
    facts = [(word, plain(text)) for word, text in told if word != "parameter"]
    given = [text.partition(" = ") for word, text in told if word == "parameter"]
    parts = [
        f"## {metric.name}",
        f"{about[:1].upper()}{about[1:]}. {named.partition('(')[2].rstrip(')').capitalize()}.",
        table(("", ""), facts),
    ]
    if given:
        rows_ = [(code(name.strip()), code(value.strip())) for name, _, value in given]
        parts.append(table(("parameter", "default"), rows_))
    return parts
