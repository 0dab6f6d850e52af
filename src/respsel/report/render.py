"""A report as text: JSON, Markdown or HTML.

Knows nothing of files. Invariant: all formats say the same, for they are made of one Report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from respsel.report import figures
from respsel.report.content import Report
from respsel.report.scatter import risk_plot
from respsel.report.templating import template_environment
from respsel.report.together import matrix_of, overall_facts, score_title, unit_of
from respsel.text.documents import file_text, stamped

if TYPE_CHECKING:
    from jinja2 import Environment

    from respsel.report.analysis.example_layout import PageLayout


def render(
    report: Report, formats: Sequence[str], layout: PageLayout | None = None
) -> Mapping[str, str]:
    """A report in some of FORMATS, by format.

    layout: of the pages of all examples, for a page that lies beside them.
    """
    make: Mapping[str, Callable[[Report], str]] = {
        "json": _json,
        "md": _markdown,
        "html": partial(_html, layout=layout),
    }
    return {kind: make[kind](report) for kind in formats}


def _json(report: Report) -> str:
    return file_text(stamped("report", asdict(report)))


def _markdown(report: Report) -> str:
    return _environment(autoescape=False).get_template("report.md.jinja").render(report=report)


def _html(report: Report, layout: PageLayout | None) -> str:
    template = _environment(autoescape=True).get_template("report.html.jinja")
    return template.render(report=report, layout=layout)


def _environment(autoescape: bool) -> Environment:
    environment = template_environment("respsel.report", autoescape=autoescape)
    for plot in (
        figures.ranking_plot,
        figures.difference_plot,
        figures.distribution_plot,
        figures.race_plot,
        risk_plot,
    ):
        environment.globals[plot.__name__] = plot
    for find in (matrix_of, overall_facts, score_title, unit_of):
        environment.globals[find.__name__] = find
    return environment
