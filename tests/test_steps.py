"""Responses to steps: prose, lists, LaTeX, code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.steps import first_tokens, split_steps

PROSE = "Tom has 3.5 kg of rice, e.g. Basmati. He buys 2 more! How many now? Mr. J. Smith says 5.5."
LIST = "Here is how:\n1. Add 2 and 3.\n2. Double it. That is 10.\n\n- Final Answer: 10"
LATEX = (
    "We solve $x. Y = 2$ first.\n\\[\nx = 2.\\ Y = 3\n\\]\nThen $$a.\n B$$ follows. "
    "\\begin{align}\na &= b. \\\\\nC &= d\n\\end{align}\nDone."
)
CODE = "Run this:\n```python\nx = 1. \nprint(x)\n\ny = 2\n```\nIt prints `a. B` and 1.\nThe end."


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (PROSE, ["Tom has 3.5 kg of rice, e.g. Basmati. ", "He buys 2 more! ", "How many now? ", "Mr. J. Smith says 5.5."]),
        (LIST, ["Here is how:\n", "1. Add 2 and 3.\n", "2. Double it. ", "That is 10.\n\n", "- Final Answer: 10"]),
        (
            LATEX,
            [
                "We solve $x. Y = 2$ first.\n",
                "\\[\nx = 2.\\ Y = 3\n\\]\n",
                "Then $$a.\n B$$ follows. ",
                "\\begin{align}\na &= b. \\\\\nC &= d\n\\end{align}\n",
                "Done.",
            ],
        ),
        (CODE, ["Run this:\n", "```python\nx = 1. \nprint(x)\n\ny = 2\n```\n", "It prints `a. B` and 1.\n", "The end."]),
        ("One step only", ["One step only"]),
        ("\n\n  First.\r\n\r\nSecond.  ", ["\n\n  First.\r\n\r\n", "Second.  "]),
        ("   ", ["   "]),
        ("", [""]),
    ],
)
def test_steps_by_kind_of_text(text: str, steps: list[str]) -> None:
    """Lines and sentences are steps; formulas and code are whole, and no number, list mark or abbreviation ends one."""
    assert split_steps(text) == steps


@given(st.text(alphabet="ab .\n!$`\\[]1A\t", max_size=80))
def test_the_steps_are_the_text(text: str) -> None:
    """Joined, the steps are the text; none is blank where the text is not."""
    steps = split_steps(text)
    assert "".join(steps) == text
    assert all(step.strip() for step in steps) or not text.strip()


def test_first_tokens_by_hand() -> None:
    """Steps of 4, 3 and 5 bytes; tokens of 2, 2, 4, 1 and 3: the second step begins at the third token, which
    reaches one byte into the third step, so that step's first token is the fourth."""
    assert first_tokens(["abc ", "de ", "fgh. "], [2, 2, 4, 1, 3]) == [0, 2, 3]


def test_a_step_without_a_token_of_its_own_is_left_out() -> None:
    """One token over two steps begins the first of them alone."""
    assert first_tokens(["a ", "b ", "cc"], [4, 2]) == [0, 1]


def test_tokens_that_do_not_spell_the_text_are_told() -> None:
    """Where the lengths do not add up nothing is guessed."""
    with pytest.raises(ValueError, match="places in the text are not known"):
        first_tokens(["ab"], [1])
