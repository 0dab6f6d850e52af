"""Names of steps."""

from __future__ import annotations

import pytest

from respsel.graph.names import StepName
from tests.conftest import Bench


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("verdict:all", ("all", "", "")),
        ("responses:sums/gpt-4", ("sums", "gpt-4", "")),
        ("scores:sums/human/mix.alignment", ("sums", "human", "mix.alignment")),
    ],
)
def test_a_name_is_made_of_its_parts(text: str, parts: tuple[str, str, str]) -> None:
    """What is parsed is spelled as it was."""
    name = StepName.parse(text)
    assert name.parts == parts
    assert str(name) == text


def test_every_step_of_a_run_has_such_a_name(bench: Bench) -> None:
    """Its operation is the name of its own; mixes are scores."""
    names = [
        (StepName.parse(step["name"]), step)
        for step in bench.respsel("plan", "a.toml", "--json").json["steps"]
    ]
    assert {str(name) for name, _ in names} == {step["name"] for _, step in names}
    assert all(name.op == step["op"] for name, step in names)
