"""The figure of fit against risk: it is whole, and no name covers another."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from respsel.report.analysis.risks import find_risk
from respsel.report.scatter import risk_plot
from tests.conftest import Bench
from tests.report.analysis.test_risks import verdict_of

NAMES = ('<b>&"', "x" * 40, "human", "teacher", "step-by-step", "own")


@example([(0.0, 5e-324)])
@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 1)), min_size=1, max_size=6))
def test_names_do_not_cover_each_other(points: list[tuple[float, float]]) -> None:
    """However near the dots are, names stand apart; they are text, whatever is in them, and begin
    within the figure.
    """
    verdict = verdict_of(
        **{name: [fit, fit + 1] for name, (fit, _) in zip(NAMES, points, strict=False)}
    )
    by_name = dict(zip(NAMES, (risk for _, risk in points), strict=False))
    values = np.array([[by_name[ranked.strategy] for ranked in verdict.ranking]] * 2)
    risk = find_risk("r", "share", "s", verdict, values)
    assert risk is not None
    root = ET.fromstring(risk_plot(risk, verdict))
    names = [node for node in root.iter() if node.get("class") == "name"]
    assert len(names) == len(points)
    boxes = []
    for node in names:
        width = 7.5 * len(node.text or "")
        x = float(node.get("x") or "nan") - (width if node.get("text-anchor") == "end" else 0)
        assert 0 <= x <= 720
        assert 20 <= float(node.get("y") or "nan") <= 325
        boxes.append((x, x + width, float(node.get("y") or "nan")))
    for (a, b, y), (c, d, z) in combinations(boxes, 2):
        assert b <= c or d <= a or abs(y - z) >= 16.9


def test_many_strategies_at_one_place_have_their_names() -> None:
    """Sixty equal strategies are sixty names, more than there are lines."""
    verdict = verdict_of(**{f"s{i}": [1.0, 2.0] for i in range(60)})
    risk = find_risk("r", "share", "s", verdict, np.full((2, 60), 0.5))
    assert risk is not None
    assert risk_plot(risk, verdict).count('class="name"') == 60
    assert len(risk.unbeaten) == 60


@pytest.mark.parametrize("listed", [True, False])
def test_the_report_shows_fit_against_risk_where_it_is_asked_for(
    bench: Bench, listed: bool
) -> None:
    """With the metric in the recipe the figure and its table are there, in all formats, over what
    the tables say; without it there is nothing of it. It costs no call.
    """
    calls = bench.run()["calls_made"]
    assert calls
    if listed:
        bench.edit(
            "[selection]",
            '[[metrics]]\nname = "confident-conflicts"\nlabel = "conflicts"\nprobability = 0.002\n'
            "entropy = 6\n\n[selection]",
        )
        assert bench.run()["calls_made"] == 0
    page = (bench.folder / "runs/a/report.html").read_text()
    text = (bench.folder / "runs/a/report.md").read_text()
    (data,) = json.loads((bench.folder / "runs/a/report.json").read_text())["datasets"]
    assert ("Fit against risk" in page) == ("### Fit against risk" in text) == listed
    assert len(data["risks"]) == listed
    if listed:
        assert 'aria-label="perplexity against conflicts' in page
        scores = pl.read_parquet(bench.folder / "runs/a/scores.parquet")
        for found in data["risks"][0]["strategies"]:
            mine = scores.filter(metric="conflicts", strategy=found["strategy"])["value"]
            assert found["risk"] == pytest.approx(mine.mean())
            assert 0 < found["risk"] < 1
