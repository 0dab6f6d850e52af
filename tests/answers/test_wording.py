"""How models phrase answers: fields of JSON, corrections, conclusions, asides, lists of options,
quotes, booleans.
"""

from __future__ import annotations

import pytest

from respsel.answers import find_answer, is_correct, label_problem
from respsel.recipe.schema import AnswerEntry

NUMBER, CHOICE, EXACT = (AnswerEntry(kind=kind) for kind in ("number", "choice", "exact"))


@pytest.mark.parametrize(
    ("text", "kind", "label"),
    [
        ('{"answer": 18, "confidence": 0.95}', "number", "18"),
        ("{'answer': 18, 'confidence': 95}", "number", "18"),
        ('{"steps": [7, 9], "result": "$18 a day", "unit": 3}', "number", "18"),
        ('{"answer": "B", "explanation": "A is too small and C too big"}', "choice", "B"),
        ('```json\n{"final_answer": "B. iron", "why": "C is wrong"}\n```', "choice", "B"),
        ('{"answer": "Paris", "why": "the capital"}', "exact", "Paris"),
        ('{"answer": "say \\"yes\\""}', "exact", 'say "yes"'),
        ('{"answer": false}', "choice", "no"),
    ],
)
def test_the_answer_of_an_object_is_its_field(text: str, kind: str, label: str) -> None:
    """Of JSON or of Python's way to print it, the answer's field counts, whatever stands in the
    others.
    """
    assert is_correct(AnswerEntry(kind=kind), text, label)
    assert not is_correct(
        AnswerEntry(kind=kind),
        text.replace("answer", "remark").replace("result", "remark"),
        label + "1",
    )


@pytest.mark.parametrize(
    ("text", "kind", "label"),
    [
        ("The answer is 12. Wait, that's wrong. It should be 14.", "number", "14"),
        ("The answer is 44. Actually, it is 45.", "number", "45"),
        ("Answer: 44. Hmm, wait... 45", "number", "45"),
        ("The answer is B. Wait, no, it's C.", "choice", "C"),
        ("Answer: (B)\nSorry, I made a mistake, it should be (D).", "choice", "D"),
        ("The answer is 12. Wait, let me check the 3 boxes again: they are full.", "number", "12"),
        ("The answer is B. Actually, it is a common error to say so.", "choice", "B"),
    ],
)
def test_a_correction_takes_the_place_of_what_was_stated(text: str, kind: str, label: str) -> None:
    """ "Wait, it's 14" is a statement if it corrects one, and words of doubt alone are none."""
    assert find_answer(AnswerEntry(kind=kind), text) == label


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is the sum of 3 and 5, which is 8", "8"),
        ("The answer is 3 + 5, which is 8.", "8"),
        ("The answer is: 9 eggs at $2 per egg, so $18.", "18"),
        ("x = 3 and y = 5, so x + y = 8", "8"),
        ("The answer is 45, which is 5 more than 40", "45"),
        ("The answer is 18, so she makes 6 dollars more.", "18"),
        ("The answer is x = 2 or x = 3", None),
        ("3 + 5 => 8", "8"),
    ],
)
def test_what_a_sentence_concludes_is_its_number(text: str, number: str | None) -> None:
    """Behind "which is" and "so" stands what a calculation comes to; what has its answer already
    keeps it.
    """
    assert find_answer(NUMBER, text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is that there are 2 buses for 45 people.", "2"),
        ("The answer is: John has 45 apples after 3 days", "45"),
        ("There are 45 people in 2023.", "45"),
        ("In 2023 there were 45 people.", "45"),
        ("It is sold for $45.", "45"),
        ("She bought 3 books for $45.", "45"),
        ("It's 18, not 20.", "18"),
        ("It comes to 45 and not 44", "45"),
        ("It is 18 instead of the 20 that were planned.", "18"),
        ("It takes 2.5 hours (150 minutes).", "2.5"),
        ("Total cost: $18 (tax included at 8%)", "18"),
        ("45 is the answer, since 9 * 5 = 45 and 40 is too low", "45"),
        ("**20**\n\nHere is why: 4 groups of 5.", "20"),
        ("12\n+ 8\n= 20", "20"),
        ("1.\n\nTake 20 apples", "20"),
    ],
)
def test_numbers_beside_the_answer_are_not_it(text: str, number: str) -> None:
    """A number behind a preposition, in brackets at the end, denied, or of an explanation gives way
    to the other one.
    """
    assert find_answer(NUMBER, text) == number


@pytest.mark.parametrize("label", ["0x10", "8x5", "2h30", "5 R2", "5R2"])
def test_digits_with_a_letter_between_them_are_not_the_first_ones(label: str) -> None:
    """0x10 is no 0, and 8x5 no 8: such labels are errors that name what to do."""
    assert label_problem(NUMBER, label) is not None
    assert find_answer(NUMBER, f"The answer is {label}") is None


@pytest.mark.parametrize("label", ["25m2", "3 H2O", "12 m3", "7A"])
def test_units_with_digits_stay_units(label: str) -> None:
    """A unit with a digit in it is no number."""
    assert label_problem(NUMBER, label) is None


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("A) lead\nB) iron\nC) tin\nD) gold", None),
        ("A. lead\nB. iron\n\nIt is hard to say.", None),
        ("A. lead\nB. iron\nC. tin\n\nThe second fits, so B", "B"),
        ("**B. iron**\n\nA. Lead is soft\nC. Tin is soft", "B"),
        ("The answer is either A or B.", None),
        ("It may be B or D", None),
    ],
)
def test_options_that_are_only_listed_are_no_answer(text: str, option: str | None) -> None:
    """The question's options, repeated, and two options side by side choose none."""
    assert find_answer(CHOICE, text) == option


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Nein, das stimmt nicht", "false"),
        ("The statement is incorrect.", "false"),
        ("The claim is false, although it's true that water boils", "False"),
        ("This is not correct.", "no"),
        ("Oui, bien sûr", "true"),
    ],
)
def test_yes_and_no_are_read_where_they_are_said(text: str, label: str) -> None:
    """The first word, and "the statement is false", say it in other words than the label."""
    for check in (CHOICE, EXACT):
        assert is_correct(check, text, label)
        assert not is_correct(check, text, "false" if label == "true" else "true")


@pytest.mark.parametrize(
    "text",
    ['"Paris"', "'Paris'", "“Paris”", "« Paris »", "```\nParis\n```", 'The answer is "Paris".'],
)
def test_quotes_around_an_answer_are_no_part_of_it(text: str) -> None:
    """Quotes and a fence of code around all of an answer change nothing, and those
    inside it stay.
    """
    assert is_correct(EXACT, text, "Paris")
    assert not is_correct(EXACT, text, 'Par"is')
