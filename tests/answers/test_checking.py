"""Finding answers in responses."""

from __future__ import annotations

import pytest

from respsel.answers import find_answer, is_correct
from respsel.recipe.schema import AnswerEntry


@pytest.mark.parametrize(
    ("kind", "text", "label", "right"),
    [
        ("number", "6 + 6 = 12.\nFinal Answer: 12", "12.0", True),
        ("number", "Final Answer: 11\nFinal Answer: $1,200.50.", "1200.5", True),
        ("number", "It is 12 apples, of 30", "12", False),
        ("number", "Final Answer: 12 of the 30", "12", True),
        ("number", "#### -7", "-7", True),
        ("number", "no number at all", "7", False),
        ("number", "The answer is: 1e3", "1000", True),
        ("choice", "Option (2) is tempting. Final Answer: 1", "1", True),
        ("choice", "I think it is (b)", "B", True),
        ("choice", "A dog. Final answer: (C)", "C", True),
        ("choice", "Nothing", "A", False),
        ("choice", "Answer: B/C", "B", False),
        ("number", "so it is\n#### 72", "48/2 = <<48/2=24>>24; 48+24 = 72\n#### 72", True),
        ("number", "Final Answer: 1/2", "1/3", False),
        ("number", "Final Answer: 1/2", "0.5", True),
        ("number", "Final Answer: 1e9999999", "7", False),
        ("number", "Final Answer: 3/0", "3", False),
        ("number", "1" * 9000, "3", False),
        ("choice", "The answer is b", "B", True),
        ("choice", "The answer is I guess B", "B", True),
        ("choice", "The answer is: **C**.", "C", True),
        ("choice", "A dog is an animal, so (d)", "D", True),
        ("choice", "b", "B", True),
        ("number", r"So it is $\boxed{\frac{3}{2}}$.", r"\frac{1}{2}", False),
        ("number", r"So it is $\boxed{-\dfrac{3}{2}}$.", "-1.5", True),
        ("number", r"Final Answer: $1\frac{1}{2}$", "1 1/2", True),
        ("number", "Final Answer: -2 1/2", "-2.5", True),
        ("number", "It takes 2 hours, so 1/2 of it.", "0.5", True),
        ("number", r"Final Answer: $1{,}200$", "1200", True),
        ("number", "The answer is \N{MINUS SIGN}5", "5", False),
        ("number", "The answer is -5", "\N{MINUS SIGN}5", True),
        ("number", "The answer is 3:45 pm", "3", False),
        ("number", "The answer is 3:50", "3:45", False),
        ("number", "So the time is 3:45.", "45", False),
        ("number", "The answer is 5", "10^5", False),
        ("number", "The answer is 10^5", "10^5", True),
        ("number", "**Final Answer:** 12", "12", True),
        ("number", "Final Answer: He has 30 and gives 18, so 12 are left.", "12", True),
        ("choice", "**Final Answer:** b", "B", True),
        ("number", "#### 12", "5+7=12", True),
        ("number", "Final Answer: 12", "30 - 18 = 12", True),
        ("number", "#### 24", "<<48/2=24>>24", True),
        ("number", "#### 24", "48/2 = 24 >>", True),
        ("number", "小明有3个苹果,买了5个,一共8个", "8", True),
        ("number", "У Пети 30, он отдал 18, осталось 12", "12", True),
        ("number", "Final Answer: (1, 2)", "(1, 2)", True),
        ("number", "Final Answer: (1, 3)", "(1, 2)", False),
        ("exact", "Final Answer: *", "**", False),
        ("exact", "Final Answer: _", "*", False),
        ("exact", "Final Answer: init", "__init__", False),
        ("exact", "Final Answer: __init__", "__init__", True),
        ("exact", "Final Answer: x*", "x", False),
        ("exact", "Final Answer: x*", "x*", True),
        ("exact", "So it is that.\n_The answer is yes_", "yes", True),
        ("exact", "Final Answer: *.py", ".py", False),
        ("exact", "Final Answer: *.py", "*.py", True),
        ("exact", "Final Answer: `*.py`", "*.py", True),
        ("exact", "Final Answer: **yes**", "yes", True),
        ("exact", "**Final Answer** yes", "yes", True),
        ("exact", "**Final Answer**: yes", "yes", True),
        ("exact", "**yes**", "yes", True),
        ("exact", "**Final Answer:** yes", "yes", True),
        ("exact", "**Final Answer: yes**", "yes", True),
        ("exact", "The answer is isolated", "isolated", True),
        ("exact", "because.\nFinal Answer: Paris\n", "Paris", True),
        ("exact", "Paris", "Paris", True),
        ("exact", "paris", "Paris", False),
    ],
)
def test_answers(kind: str, text: str, label: str, right: bool) -> None:
    """Each kind finds the answer where people and models write it."""
    assert is_correct(AnswerEntry.model_validate({"kind": kind}), text, label) is right


def test_a_regex_takes_its_last_match() -> None:
    """A pattern's last match counts, its first group if it has one."""
    assert (
        find_answer(AnswerEntry(kind="regex", pattern=r"<a>(.*?)</a>"), "<a>1</a> <a>2</a>") == "2"
    )
    assert find_answer(AnswerEntry(kind="regex", pattern=r"\d+"), "1 22") == "22"
    assert find_answer(AnswerEntry(kind="regex", pattern=r"\d+"), "none") is None
