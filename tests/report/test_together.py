"""Several datasets in one table, and what a score over all of them is called."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

import respsel
from respsel.report.summary import StrategyFacts
from respsel.report.together import _together
from respsel.text.numbers import number
from tests.conftest import Bench, jsonl, rows
from tests.report.test_write import report

FACTS = StrategyFacts("a", 3, 4, 1.0, 10.0, "tokens", 1, 10, 500, 2.0, "USD", "teacher", False)


def test_a_table_of_strategies_by_datasets(bench: Bench) -> None:
    """Each cell has the score and standing of that dataset's verdict; the overall score is called
    standardised everywhere, and no axis calls it a perplexity.
    """
    bench.write("more.jsonl", jsonl(rows(9)))
    data = '[[datasets]]\nname = "more"\npath = "more.jsonl"\ninput = "question"\n'
    data += 'reference = "rationale"\nlabel = "answer"\nanswer = "number"\n\n'
    data += '[[strategies]]\nname = "human"'
    bench.edit('[[strategies]]\nname = "human"', data)
    with respsel.open_study(bench.recipe) as study:
        verdicts = study.run().verdicts
    page = report(bench, "html")
    table = page[page.index('id="datasets"') : page.index('id="overall"')]
    text = report(bench, "md")
    for verdict in verdicts:
        for place, ranked in enumerate(verdict.ranking):
            word = verdict.word(ranked, place)
            assert f">{number(ranked.score)}<br>" in table
            assert re.search(rf"\| {number(ranked.score)} [^|]*{word} \|", text)
    assert "Standardised perplexity<br>standard deviations; 95% interval" in page
    assert "standardised perplexity (standard deviations); lower is better" in page
    assert "minus the standardised perplexity of" in page
    assert "perplexity (per token); lower is better" in page
    overall = page[page.index('id="overall"') : page.index('id="d1"')]
    facts = [data["facts"] for data in json.loads(report(bench, "json"))["datasets"]]
    right = dict.fromkeys(("human", "teacher"), 0)
    for item in (item for items in facts for item in items):
        right[item["strategy"]] += item["right"]
    for count in right.values():
        assert f"<td>{count} of 15</td>" in overall


def test_facts_over_datasets() -> None:
    """By hand: 10 and 30 responses; counts are added, lengths and costs are means over all 40."""
    more = replace(FACTS, right=5, judged=6, length=30.0, responses=30, tokens=100, money=4.0)
    both = _together([FACTS, more])
    assert (both.right, both.judged, both.cut_short, both.responses) == (8, 10, 2, 40)
    assert both.length == pytest.approx(25.0)
    assert both.tokens == 200
    assert both.money == pytest.approx(3.5)
    assert _together([FACTS, replace(more, currency="EUR")]).money is None
    assert _together([FACTS, replace(more, length=None)]).length is None
