"""Figures: axes that hold what is drawn, and names that cannot break out of the page."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.report.analysis.distributions import distributions
from respsel.report.axis import LEFT, RIGHT, WIDTH, axis_for, figure, name_width, shortened
from respsel.report.figures import distribution_plot

# An interval of two examples may reach very far.
finite = st.floats(-1e6, 1e6).filter(
    lambda value: value == 0 or abs(value) > 1e-6
) | st.sampled_from([1e100, 1e-100, 1e30])


@given(st.lists(finite, min_size=1, max_size=9), st.booleans())
def test_an_axis_holds_its_values(values: list[float], log: bool) -> None:
    """Every value and tick lies between the ends, in order; a logarithmic axis is only for positive
    values.
    """
    axis = axis_for(values, log)
    assert axis.log == (log and min(values) > 0)
    places = [axis.x(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(LEFT <= x <= WIDTH - RIGHT for x in [*places, *map(axis.x, axis.ticks)])
    assert 1 <= len(axis.ticks) <= 12


def test_names_are_escaped_and_shortened() -> None:
    """A strategy's name is text in the figure, whatever is in it; the middle of a long one goes,
    since ends differ.
    """
    axis = axis_for([0, 1], False)
    root = ET.fromstring(figure(axis, ['<b>&"', "x" * 40], 'about "it" <', "below", []))
    names = [node.text for node in root.iter() if node.get("class") == "name"]
    assert names[0] == '<b>&"'
    assert len(names[1] or "") <= 24
    assert shortened("strategy-with-a-long-name-1") != shortened("strategy-with-a-long-name-2")


def test_quantiles_are_those_of_the_scores() -> None:
    """Boxes are at numpy's quantiles, shown on the metric's own scale; many values are not drawn
    one by one.
    """
    values = np.random.default_rng(0).normal(0, 1, (200, 2))
    values[150:, 1] = np.nan
    values[40:, 1] = np.nan
    many, few = distributions(("many", "few"), values, log=True)
    assert many.median == pytest.approx(np.exp(np.median(values[:, 0])))
    assert (many.low, many.high) == pytest.approx(
        (np.exp(values[:, 0].min()), np.exp(values[:, 0].max()))
    )
    assert (many.examples, few.examples) == (200, 40)
    assert many.points == ()
    assert len(few.points) == 40
    root = ET.fromstring(distribution_plot((many, few), "perplexity", "log"))
    assert sum(node.get("class") == "point" for node in root.iter()) == 40
    assert distributions(("none",), np.full((3, 1), np.nan), log=False) == ()


def test_a_shortened_name_fits_and_is_there_whole() -> None:
    """Wide letters and other scripts take more room, so more of their middle goes; who points at a
    name sees all of it.
    """
    axis = axis_for([0, 1], False)
    names = ["W" * 60, "日本語の名前です" * 4, "short"]
    root = ET.fromstring(figure(axis, names, "about", "below", []))
    shown = [node for node in root.iter() if node.get("class") == "name"]
    assert [node.findtext("title") for node in shown] == [*names[:2], None]
    assert all(name_width(node.text or "") <= 24 for node in shown)
    assert [len(node.text or "") for node in shown] == [13, 11, 5]
