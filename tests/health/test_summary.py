"""text_health: counts, examples and shares over a strategy's responses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from respsel.health.faults import Fault
from respsel.health.summary import TextHealth, text_health
from respsel.records import Example, Response

INPUTS = (
    "Where is my order?",
    "How do I change the address of my account?",
    "The blue lamp arrived broken. What can I do?",
    "Which of your shops are open on Sunday?",
    "Thank you for the parcel, but where is the invoice?",
    "Can I pay for the chair in three parts?",
    "Do you have the coat in green?",
    "My code for the sale does not work.",
    "Is the table made of oak?",
    "When does the sale end?",
)
ANSWERS = (
    "It left our store on Monday and should be with you by Friday.",
    "Open your profile, choose Addresses and type the new one.",
    "We are sorry to hear that. Send us a photo and we will replace it at no cost.",
    "Those in Leeds and York are, from ten to four.",
    "It is in the letter that we sent to you, in the blue envelope.",
    "Yes, choose that way of paying before you confirm.",
    "It comes in green, grey and black.",
    "Codes are for one customer each. Are you logged in with the right name?",
    "Its top is, and its legs are of beech.",
    "It goes on until the last day of March.",
)


def health(
    texts: Sequence[str], inputs: Sequence[str] = INPUTS, **fields: Sequence[object]
) -> TextHealth:
    """The health of texts to inputs, with ids e0, e1 and so on."""
    examples = [Example(f"e{i}", text) for i, text in enumerate(inputs)]
    responses = [
        Response(f"e{i}", text, **{name: values[i] for name, values in fields.items()})  # type: ignore[arg-type]
        for i, text in enumerate(texts)
    ]
    return text_health(responses, examples)


def test_good_answers_have_no_fault() -> None:
    """Nothing is counted, and each share is whole."""
    assert health(ANSWERS) == TextHealth(10, {}, {}, 1.0, 1.0, 1.0)


def test_faults_are_counted_with_the_first_of_each() -> None:
    """By hand: 10 texts; 2 empty, 1 refusal, 1 cut short, 1 with a leftover and cut short."""
    texts = [
        *ANSWERS[:4],
        "",
        " \u200b\n",
        "I'm sorry, but I can't help with that.",
        "Codes are for one customer each. Are",
        "Its top is.<|im_end|>",
        ANSWERS[9],
    ]
    cut = [i in (7, 8) for i in range(10)]
    found = health(texts, truncated=cut)
    assert found.counts == {
        Fault.EMPTY: 2,
        Fault.CUT_SHORT: 2,
        Fault.REFUSAL: 1,
        Fault.LEFTOVER: 1,
    }
    assert found.first == {
        Fault.EMPTY: "e4",
        Fault.CUT_SHORT: "e7",
        Fault.REFUSAL: "e6",
        Fault.LEFTOVER: "e8",
    }
    assert found.total == 10
    assert found.whole == pytest.approx(8 / 10)
    assert found.sound == pytest.approx(7 / 10)
    assert found.distinct == 1.0


def test_a_failed_call_is_no_text() -> None:
    """A response that is not used counts only if it is empty."""
    problems = ["the call failed: 500", "wrong answer", "the model wrote nothing", *[""] * 7]
    found = health(["", ANSWERS[1], "", *ANSWERS[3:]], problem=problems)
    assert found.total == 8
    assert found.counts == {Fault.EMPTY: 1}
    assert found.whole == 1.0


def test_without_responses_nothing_is_wrong() -> None:
    """Shares of nothing are whole."""
    assert health([]) == TextHealth(0, {}, {}, 1.0, 1.0, 1.0)


SAME = {
    "one text": ["We are glad to help you with that today, dear customer."] * 10,
    "case and marks": [
        ("We are glad to help you with that." if i % 2 else "we are GLAD, to help you with that!")
        for i in range(10)
    ],
    "polite and the input": [
        f"Thank you for asking about {text.rstrip('.?').lower()}." for text in INPUTS
    ],
    "quoted": [
        f"Thank you for asking! You wrote: “{text}” We will answer soon." for text in INPUTS
    ],
    "chinese": ["感谢您的提问，我们会尽快回复您，请耐心等待。"] * 10,
}


@pytest.mark.parametrize("texts", SAME.values(), ids=list(SAME))
def test_one_text_for_all_inputs_is_found(texts: Sequence[str]) -> None:
    """Words from the input, case and marks make no other text: 1 different text of 10."""
    found = health(texts)
    assert found.counts[Fault.SAME_TEXT] == 10
    assert found.first[Fault.SAME_TEXT] == "e0"
    assert found.distinct == pytest.approx(1 / 10)


def test_some_equal_texts_are_counted() -> None:
    """By hand: 4 texts are one and 2 are another, so 6 are shared and 10 - 3 - 1 are different."""
    texts = [
        *["Please look at our page of questions and answers first."] * 4,
        *["Our team will write back to you within a day or so."] * 2,
        *ANSWERS[6:],
    ]
    found = health(texts)
    assert found.counts == {Fault.SAME_TEXT: 6}
    assert found.distinct == pytest.approx(6 / 10)


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "B",
        "42",
        "positive",
        "(C)",
        "Final Answer: 3",
        "The answer is B.",
        "The correct option is C, I would say.",
        "So the right answer to this is 12.",
        "Science and Technology",
        "Die richtige Antwort ist B.",
    ],
)
def test_short_answers_may_be_equal(text: str) -> None:
    """Labels, numbers and choices come again with good reason."""
    assert health([text] * 10) == TextHealth(10, {}, {}, 1.0, 1.0, 1.0)


def test_equal_inputs_may_have_equal_texts() -> None:
    """The same text for the same input is no fault."""
    text = "It left our store on Monday and should be with you by Friday."
    assert health([text] * 10, [INPUTS[0]] * 10).counts == {}


def test_extracts_of_long_inputs_are_different_texts() -> None:
    """A text that consists of its input's words alone is compared by all of its words."""
    passage = " ".join(f"{answer} " for answer in ANSWERS)
    inputs = [f"{text} Quote the sentence with the answer. {passage}" for text in INPUTS]
    assert health(ANSWERS, inputs) == TextHealth(10, {}, {}, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "The parcel left our store on Monday, and it should be with you by the",
        "Open the page of your profile, choose the field of addresses, and",
        "Here is the code:\n```python\nprint(1)",
        "The parcel left our store on Monday, it should be with you by Friday,",
    ],
)
def test_a_text_of_a_file_that_stops_midway_is_cut_short(text: str) -> None:
    """Also where no model says so."""
    assert health([text]).counts == {Fault.CUT_SHORT: 1}


@pytest.mark.parametrize(
    "text",
    [
        "It left our store on Monday and should be with you by Friday",
        "Final Answer: A",
        "Dear Ms Hill,\n\nthe lamp will come.\n\nWith kind regards and many thanks,\nTom",
        "Milk, eggs, bread, butter",
        "```python\nprint(1)\n```",
        "The one that should be chosen from these four is clearly option A",
        "By then we will all know what the lamp is made of.",
    ],
)
def test_a_missing_full_stop_is_no_cut(text: str) -> None:
    """People leave it out."""
    assert health([text]).counts == {}


def test_short_inputs_have_the_language_of_all() -> None:
    """Each is too short to tell; together they are English."""
    german = "Das Paket ist auf dem Weg, und es wird am Freitag bei Ihnen sein."
    inputs = ("Where is my order?", "Open on Sunday?", "Is the lamp here?", "Any news?") * 3
    assert health([german, *ANSWERS[:9]], inputs).counts == {Fault.LANGUAGE: 1}
    mixed = (*inputs[:9], "Das Paket ist nicht da, und ich warte auf die Lampe.")
    other = "Die Lampe ist bei der Post, und Sie können sie dort abholen."
    assert health([german, *ANSWERS[:8], other], mixed).counts == {}


def test_faults_have_words() -> None:
    """Each fault is named for people."""
    assert all(fault.words for fault in Fault)
