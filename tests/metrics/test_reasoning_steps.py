"""Responses to steps: prose, lists, LaTeX, code."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respsel.metrics.reasoning_steps import first_tokens, split_steps

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
        (
            PROSE,
            [
                "Tom has 3.5 kg of rice, e.g. Basmati. ",
                "He buys 2 more! ",
                "How many now? ",
                "Mr. J. Smith says 5.5.",
            ],
        ),
        (
            LIST,
            [
                "Here is how:\n",
                "1. Add 2 and 3.\n",
                "2. Double it. ",
                "That is 10.\n\n",
                "- Final Answer: 10",
            ],
        ),
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
        (
            CODE,
            [
                "Run this:\n",
                "```python\nx = 1. \nprint(x)\n\ny = 2\n```\n",
                "It prints `a. B` and 1.\n",
                "The end.",
            ],
        ),
        ("So it is 12. Then we add 3. Done", ["So it is 12. ", "Then we add 3. ", "Done"]),
        ("**Step 2.** Add.\n(3). Go on", ["**Step 2.** Add.\n", "(3). Go on"]),
        (
            "He paid $5. She paid $7. So $5. x$ is one.",
            ["He paid $5. ", "She paid $7. ", "So $5. x$ is one."],
        ),
        ("Step 2. Add 5. Stop", ["Step 2. Add 5. ", "Stop"]),
        ("先加。再减！好了", ["先加。", "再减！", "好了"]),
        ("One step only", ["One step only"]),
        ("\n\n  First.\r\n\r\nSecond.  ", ["\n\n  First.\r\n\r\n", "Second.  "]),
        ("   ", ["   "]),
        ("", [""]),
    ],
)
def test_steps_by_kind_of_text(text: str, steps: list[str]) -> None:
    """Lines and sentences are steps; formulas and code are whole, and no number, list mark or
    abbreviation ends one.
    """
    assert split_steps(text) == steps


@given(st.text(alphabet="ab .\n!$`\\[]1A\t", max_size=80))
def test_the_steps_are_the_text(text: str) -> None:
    """Joined, the steps are the text; none is blank where the text is not."""
    steps = split_steps(text)
    assert "".join(steps) == text
    assert all(step.strip() for step in steps) or not text.strip()


def test_first_tokens_by_hand() -> None:
    """Tokens "a", " b", ".", " C", "d", ".\\n", "  e": the blank before "C" is the first step's,
    its token the second's;
    the third step's first token is the one that spells "e"."""
    assert first_tokens(["a b. ", "Cd.\n", "  e"], [1, 2, 1, 2, 1, 2, 3]) == [0, 3, 6]


def test_a_step_does_not_begin_with_a_token_of_blanks() -> None:
    """Line ends and indentation that are tokens of their own are not a step's first token; its
    first word's is.
    """
    assert first_tokens(["a.\n\n", "b"], [1, 1, 2, 1]) == [0, 3]
    assert first_tokens(["- a\n", "    - b"], [1, 2, 1, 4, 1, 2]) == [0, 4]


def test_steps_inside_one_token_share_it() -> None:
    """One token over two steps is named once."""
    assert first_tokens(["a ", "b ", "cc"], [4, 2]) == [0, 1]


def test_bytes_are_counted_not_characters() -> None:
    """An e with an accent takes two bytes."""
    assert first_tokens(["é. ", "b"], [2, 1, 2]) == [0, 2]


def test_tokens_that_do_not_spell_the_text_are_told() -> None:
    """Where the lengths do not add up nothing is guessed."""
    with pytest.raises(ValueError, match="places in the text are not known"):
        first_tokens(["ab"], [1])


@pytest.mark.parametrize(
    "piece",
    [
        "! ",
        ". ",
        "1. ",
        " ",
        "\n",
        "\t\n",
        "\\[",
        "\\(",
        "\\begin{a}",
        "$$x",
        "$a ",
        "`",
        ".')",
        "。",
        "J. ",
        "(",
        "1",
    ],
)
def test_a_text_that_loops_is_split_in_linear_time(piece: str) -> None:
    """A megabyte of one piece takes no more than a few seconds, and the steps are the text."""
    text = piece * (1_000_000 // len(piece))
    begun = time.process_time()
    steps = split_steps(text)
    assert time.process_time() - begun < 3
    assert "".join(steps) == text


def test_environments_of_many_names_take_linear_time() -> None:
    """Names that are opened and never closed are not looked for one by one."""
    text = "".join(f"\\begin{{n{i}}}" for i in range(80_000))
    begun = time.process_time()
    assert split_steps(text) == [text]
    assert time.process_time() - begun < 3
