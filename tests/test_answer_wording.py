"""How models phrase answers: fields of JSON, corrections, conclusions, asides, lists of options, quotes, booleans."""

from __future__ import annotations

import pytest

from respsel.answers import find_answer, is_correct
from respsel.recipe import AnswerEntry

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
    """Of JSON or of Python's way to print it, the answer's field counts, whatever stands in the others."""
    assert is_correct(AnswerEntry(kind=kind), text, label)
    assert not is_correct(AnswerEntry(kind=kind), text.replace("answer", "remark").replace("result", "remark"), label + "1")


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
