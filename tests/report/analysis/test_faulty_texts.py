"""The table of text health in a report, and the caution about the leader's texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Bench, jsonl
from tests.health.test_summary import ANSWERS, INPUTS
from tests.report.test_headline import DATASET, HEAD, STRATEGY

RECIPE = HEAD + DATASET.format("tickets")
REFUSAL = "I'm sorry, but I can't help with the {} of this."
GERMAN = tuple(
    f"Das ist die Antwort auf Ihre Frage nach dem {word}, und sie kommt von uns."
    for word in (
        "Paket",
        "Konto",
        "Licht",
        "Laden",
        "Brief",
        "Stuhl",
        "Kleid",
        "Wort",
        "Holz",
        "Ende",
    )
)


def report(
    bench: Bench, texts: Mapping[str, Sequence[str]], references: Sequence[str] = ()
) -> dict[str, Any]:
    """The report on ten tickets, with more reward for an earlier strategy."""
    rows: list[dict[str, Any]] = [{"id": f"t{i}", "input": text} for i, text in enumerate(INPUTS)]
    for place, (name, said) in enumerate(texts.items()):
        for i, row in enumerate(rows):
            row |= {name: said[i], f"{name}_reward": 9 - place + i % 3 / 10}
    for row, reference in zip(rows, references, strict=False):
        row["reference"] = reference
    recipe = RECIPE + ('reference = "reference"\n' if references else "")
    strategies = "".join(map(STRATEGY.format, texts))
    bench.write("a.toml", recipe + strategies)
    bench.write("tickets.jsonl", jsonl(rows))
    bench.run()
    found: dict[str, Any] = json.loads((bench.folder / "runs/a/report.json").read_text())
    return found


def cautions(found: Mapping[str, Any]) -> list[str]:
    return [text for text in found["headline"]["cautions"] if "fine-tuning teaches it" in text]


def page(bench: Bench, kind: str) -> str:
    return Path(bench.folder / f"runs/a/report.{kind}").read_text()


def refusals(count: int) -> list[str]:
    """Answers, of which the first are refusals."""
    return [REFUSAL.format(word.split()[0]) for word in ANSWERS[:count]] + [*ANSWERS[count:]]


def test_sound_texts_get_one_sentence(bench: Bench) -> None:
    """No table of zeros."""
    found = report(bench, {"own": ANSWERS, "other": ANSWERS})
    assert found["datasets"][0]["health"]["faults"] == []
    assert cautions(found) == []
    assert "No fault found in the texts" in page(bench, "html")
    assert "No fault found in the texts." in page(bench, "md")


def test_faults_are_counted_with_a_case_to_read(bench: Bench) -> None:
    """By hand: 3 refusals and 1 leftover of own, 1 leftover of other."""
    own = refusals(3)
    own[5] = f"{own[5]}<|im_end|>"
    other = [*ANSWERS[:9], f"<think>{ANSWERS[9]}"]
    found = report(bench, {"own": own, "other": other})
    health = found["datasets"][0]["health"]
    assert health["faults"] == ["refusals", "spoilt by leftovers of templates or tags"]
    counts = {row["strategy"]: row["counts"] for row in health["strategies"]}
    assert counts == {"own": [3, 1], "other": [0, 1]}
    assert [(case["strategy"], case["why"]) for case in health["cases"]] == [
        ("own", "it begins with a refusal"),
        ("own", "it has <|im_end|>"),
        ("other", "it has <think>"),
    ]
    ids = [case["id"] for case in health["cases"]]
    assert ids[0] in ("t0", "t1", "t2")
    assert ids[1:] == ["t5", "t9"]
    shown = page(bench, "html")
    assert "<th>Refusals</th>" in shown
    assert "it has &lt;|im_end|&gt;" in shown
    assert "| own | 10 | 3 | 1 |" in page(bench, "md")
    assert "| other | 10 | – | 1 |" in page(bench, "md")


# Three different texts for ten inputs: with fewer, a gate bars them.
POLITE = [f"We are {word} to help you with that." for word in ("glad", "happy", "proud")]


@pytest.mark.parametrize(
    ("texts", "references", "expected"),
    [
        ({"own": refusals(2), "other": ANSWERS}, (), "2 of 10 responses of own are refusals"),
        ({"own": refusals(1), "other": ANSWERS}, (), None),
        ({"own": ANSWERS, "other": refusals(9)}, (), None),
        ({"own": refusals(4), "b": refusals(3), "c": ANSWERS, "d": refusals(5)}, (), None),
        ({"own": refusals(4), "b": refusals(1), "c": ANSWERS}, (), "4 of 10 responses of own"),
        ({"own": refusals(4), "b": refusals(4)}, ANSWERS, "4 of 10 responses of own"),
        ({"own": GERMAN, "b": ANSWERS}, (), "unless the task is to translate"),
        ({"own": GERMAN, "b": ANSWERS, "c": GERMAN}, GERMAN, None),
        (
            {"own": (POLITE * 4)[:10], "b": ANSWERS},
            (),
            "10 of 10 responses of own are the same text for several inputs, which most other "
            "strategies are not (one is that to ",
        ),
        ({"own": ["yes", "no"] * 5, "b": ANSWERS}, (), None),
    ],
)
def test_the_leader_is_cautioned_about_what_others_do_not_share(
    bench: Bench,
    texts: Mapping[str, Sequence[str]],
    references: Sequence[str],
    expected: str | None,
) -> None:
    """A fault that most have is the task's; one of few responses is chance."""
    found = cautions(report(bench, texts, references))
    assert len(found) == (expected is not None)
    assert expected is None or expected in found[0]


def test_what_texts_say_cannot_become_markup(bench: Bench) -> None:
    """A case is quoted: tags of a text are no tags of the page."""
    own = [f"<script>alert(1)</script> [INST] {text}" for text in ANSWERS]
    report(bench, {"own": own, "other": ANSWERS})
    assert "<script>" not in page(bench, "html")
    assert "<script>" not in page(bench, "md").split("### Responses")[0].split("### Text health")[1]
