"""A judge on the fake backend that reads what it is shown, so that its answers are known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pytest

from respsel.backends.contract import GenerateCall, Generation
from respsel.backends.fake import FakeModel
from tests.conftest import Bench

JUDGE = """
[judge]
model = "teacher"
rubric = "It gives the right sum."
"""
_SHOWN = re.compile(r"<response(?:-[AB])? (\w+)>\n(.*?)\n</response(?:-[AB])? \1>", re.DOTALL)


def likes(text: str) -> int:
    """The score of a text: 9 with an equals sign, else 2."""
    return 9 if "=" in text else 2


def verdict_on(prompt: str) -> str:
    """What the judge answers: it likes equals signs, and else what is shown first."""
    texts = [match[1] for match in _SHOWN.findall(prompt)]
    if len(texts) == 1:
        return f"Reason: I looked for a sum.\nScore: {likes(texts[0])}"
    first, second = map(likes, texts)
    return f"Reason: I compared the sums.\nBetter: {'B' if second > first else 'A'}"


def teach_the_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have fake models judge as `verdict_on` says, and write as ever."""
    generate = FakeModel.generate

    def judging(self: FakeModel, calls: Sequence[GenerateCall]) -> Iterator[tuple[int, Generation]]:
        for index, made in generate(self, calls):
            asked = calls[index].messages[-1].content
            judged = asked.startswith("Judge ")
            yield index, Generation(verdict_on(asked), 9, False) if judged else made

    monkeypatch.setattr(FakeModel, "generate", judging)


def with_judge(bench: Bench, more: str = "") -> None:
    """Give a recipe the judge, with more keys of its table or more tables."""
    text = bench.recipe.read_text()
    bench.write("a.toml", text + JUDGE + more)
