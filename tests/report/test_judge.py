"""What a report says of a judge: scores, preferences, trust, and whose text it judges."""

from __future__ import annotations

import json
from typing import Any

import pytest

import respsel
from tests.conftest import Bench
from tests.judges import teach_the_fake, with_judge

COLUMN = '\n[[strategies]]\nname = "again"\nfrom = "column"\ncolumn = "rationale"\n'


def report(bench: Bench) -> Any:
    """A run's report."""
    with respsel.open_study(bench.recipe) as study:
        study.run()
    return json.loads((bench.folder / "runs/a/report.json").read_text())


def judged(bench: Bench) -> Any:
    return report(bench)["datasets"][0]["judge"]


def cautions(bench: Bench) -> str:
    return "\n".join(report(bench)["headline"]["cautions"])


@pytest.fixture(autouse=True)
def _(monkeypatch: pytest.MonkeyPatch) -> None:
    teach_the_fake(monkeypatch)


def test_a_recipe_without_a_judge_says_nothing_of_one(bench: Bench) -> None:
    """There is no section."""
    assert judged(bench) is None
    assert "The judge" not in (bench.folder / "runs/a/report.md").read_text()


def test_all_formats_show_the_judge(bench: Bench) -> None:
    """The judge of these tests likes equals signs: the human's 6 get 9, the teacher's 6 get 2."""
    with_judge(bench)
    found = judged(bench)
    means = {item["strategy"]: (item["mean"], item["scored"]) for item in found["strategies"]}
    assert means == {"human": (9.0, 6), "teacher": (2.0, 6)}
    for kind in ("md", "html"):
        text = (bench.folder / f"runs/a/report.{kind}").read_text()
        assert "The judge" in text
        assert "9.00" in text
        assert all(note in text.replace("&#39;", "'") for note in found["notes"])


def test_preferences_need_both_orders(bench: Bench) -> None:
    """The teacher loses to the human in both orders. What has the same text is a tie. Two of the
    teacher's would depend on the order.
    """
    bench.edit("[own_outputs]", COLUMN + "\n[own_outputs]")
    with_judge(bench, "pairs = true\n")
    pairs = {pair["strategy"]: pair for pair in judged(bench)["pairs"]}
    assert set(pairs) == {"teacher", "again"}
    assert {pair["other"] for pair in pairs.values()} == {"human"}
    teacher = pairs["teacher"]
    assert (teacher["worse"], teacher["by_order"], teacher["share"]) == (6, 0, 0.0)
    assert (pairs["again"]["tied"], pairs["again"]["share"]) == (6, 0.5)


def test_position_bias_is_reported(bench: Bench) -> None:
    """Where neither has an equals sign, the judge takes the first: all depends on the order."""
    bench.edit('column = "rationale"', 'column = "question"')
    with_judge(bench, "pairs = true\n")
    found = judged(bench)
    (pair,) = found["pairs"]
    assert (pair["by_order"], pair["first"], pair["second"]) == (6, 6, 0)
    assert pair["share"] == 0.5
    assert "Position bias: in 100% of 6 comparisons" in found["notes"][-1]


def test_the_agreement_with_labels_is_told(bench: Bench) -> None:
    """The human is right and has 9, the teacher is mostly wrong and has 2; with 12 examples that is
    more than chance.
    """
    bench.edit("sample = 6", "sample = 12")
    with_judge(bench)
    found = judged(bench)
    assert found["agreement"]["share"] == 1.0
    assert found["agreement"]["within"]
    assert "the higher score in 100% of" in found["notes"][0]
    assert "see what is right" not in cautions(bench)


def test_a_judge_that_does_not_see_what_is_right_is_a_caution(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that gives all the same score is no better than chance."""
    monkeypatch.setattr("tests.judges.likes", lambda text: 5)
    bench.edit("sample = 6", "sample = 12")
    with_judge(bench)
    told = cautions(bench)
    assert "The judge does not see what is right." in told
    assert "The judge gives 24 of 24 responses the same score, 5: it hardly tells" in told
    assert "50% of" in judged(bench)["notes"][0]
    bench.edit("sample = 12", "sample = 6")
    assert "It is not known whether the judge sees what is right." in cautions(bench)


def test_without_an_answer_check_nothing_tells_how_far_to_trust_it(bench: Bench) -> None:
    """The report says so."""
    bench.edit('answer = "number"\n', "")
    with_judge(bench)
    found = judged(bench)
    assert found["agreement"] is None
    assert "nothing says how far to trust the judge" in found["notes"][0]


@pytest.mark.parametrize("more", ["reference = true\n", ""])
def test_a_judge_that_is_shown_the_answer_is_told_so(bench: Bench, more: str) -> None:
    """By `reference`, or by a rubric that names the label."""
    with_judge(bench, more)
    if not more:
        bench.edit("It gives the right sum.", "It gives {{ label }}.")
    assert "It was shown the right answer." in judged(bench)["notes"][0]


def test_a_judge_of_its_own_text_is_a_caution(bench: Bench) -> None:
    """The target as the judge, under another name too; and a judge that wrote the leader."""
    with_judge(bench)
    bench.edit('[judge]\nmodel = "teacher"', '[judge]\nmodel = "same"')
    bench.edit("[models.teacher]", '[models.same]\nbackend = "fake"\n\n[models.teacher]')
    found = report(bench)
    notes = found["datasets"][0]["judge"]["notes"]
    assert "The judge is the target itself: models prefer their own text." in notes
    assert any("The judge is the target itself" in text for text in found["headline"]["cautions"])
    bench.edit('[judge]\nmodel = "same"', '[judge]\nmodel = "teacher"')
    (note,) = [text for text in judged(bench)["notes"] if "wrote" in text]
    assert note.startswith("The judge wrote teacher:")


def test_a_judge_without_words_is_a_caution(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers without a number are counted with their reason."""
    monkeypatch.setattr("tests.judges.verdict_on", lambda prompt: "It is fine.")
    with_judge(bench, "pairs = true\n")
    found = judged(bench)
    assert found["strategies"][0]["problems"] == {"the judge gave no number": 6}
    assert found["pairs"][0]["failed"] == {"the judge did not say which is better": 6}
    assert found["pairs"][0]["share"] is None
    assert "The judge gave no score for 12 of 12 responses." in cautions(bench)
