"""Promise: no text, however long and odd, makes respsel wait: what reads texts takes time linear in
their length.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from respsel.answers.reasoning import without_reasoning
from respsel.backends.fake import FakeModel
from respsel.backends.placement import find_place
from respsel.calls.keys import request_key
from respsel.calls.requests import Request, Scored
from respsel.calls.tokens import Resolver
from respsel.metrics import controls, kernels
from respsel.metrics import reasoning_steps as steps
from respsel.metrics.contract import Evidence, Parameters, View
from respsel.records import Example, Message, Response
from respsel.replies import endings, server_words
from respsel.report.analysis.shading import pieces
from respsel.scoring.judge import read_number
from respsel.scoring.token_scores import MOST_STEPS, TOO_MANY_STEPS, score_responses
from respsel.text import characters, whitespace

SIZE = 1_000_000
# A hundredth of what a quadratic reader would take, and many times what a linear one takes on a
# busy machine.
LIMIT_S = 10.0
HURTING = [
    "a",
    " ",
    "\n",
    "1",
    ",",
    "[",
    "(",
    "\\[",
    "\\begin{a}",
    "$",
    "`",
    "<think>",
    "|",
    "#",
    "- ",
    "! ",
    "e\u0301",
    "\x00",
    "\r",
    "111,",
    "1/",
    "score ",
    "score(",
    "score: (",
    "rating**",
    "<title",
    "<script>",
    "\u202e",
    "word ",
    "A. ",
    "\\",
]


def renders(messages: Sequence[Message], ask: bool) -> str:
    """A chat template as Qwen3's: it leaves out what was thought, and blanks around turns."""
    turns = "".join(
        f"<|im_start|>{m.role}\n{m.content.split('</think>')[-1].strip()}<|im_end|>\n"
        for m in messages
    )
    return turns + ("<|im_start|>assistant\n<think>\n\n</think>\n\n" if ask else "")


def compressed(text: str) -> object:
    return controls.compression_ratio(
        Parameters(), Evidence(text, {}, [], None, [], None, None, None)
    )


READERS: list[Callable[[str], object]] = [
    lambda text: steps.word_places(steps.split_steps(text)),
    lambda text: whitespace.normalised(Response("a", text), "normalise"),
    lambda text: without_reasoning(text, ("<scratch>", "</scratch>")),
    read_number,
    characters.one_line,
    server_words.words_of,
    endings.ending_of,
    lambda text: find_place(renders, [Message("user", "q")], text),
    lambda text: pieces(text, None, 100),
    lambda text: kernels.exact(None, text, text),
    lambda text: kernels.rouge_l(text, "It is 4."),
    compressed,
]


@pytest.mark.parametrize("piece", HURTING)
def test_texts_of_a_megabyte_are_read_at_once(piece: str) -> None:
    """Each reader in turn takes a text of one piece again and again, with an end that keeps numbers
    from matching.
    """
    text = f"1{piece * (SIZE // len(piece))}1"
    for read in READERS:
        before = time.process_time()
        read(text)
        assert time.process_time() - before < LIMIT_S, read


def scored(text: str, count: int = 1) -> list[Request]:
    example = Example("a", "q", None, None, {})
    view = View("local", window=4, with_input=True)
    operation = score_responses(
        "m", view, [example] * count, [Response("a", text)] * count, {}, "x", "fail"
    )
    return list(next(operation))


def test_a_text_of_many_steps_is_gone_through_once() -> None:
    """Each step of a response is a request of its own in the local view, and none goes through the
    whole text again.
    """
    before = time.process_time()
    resolver = Resolver(FakeModel("", 4096).text)
    asked = scored("So it is. " * MOST_STEPS)
    assert len(asked) == MOST_STEPS
    assert len({request_key("m", request) for request in asked}) == MOST_STEPS
    assert len({resolver.resolve(request).call.prompt_ids for request in asked}) == 5
    assert time.process_time() - before < LIMIT_S


def test_a_text_of_too_many_steps_has_no_local_scores() -> None:
    """A model is not asked millions of times about a looping text: it has a problem by name, and
    the others their scores.
    """
    example = Example("a", "q", None, None, {})
    view = View("local", window=4, with_input=True)
    texts = [Response("a", "! " * (MOST_STEPS + 1)), Response("a", "One. Two.")]
    operation = score_responses("m", view, [example] * 2, texts, {}, "x", "fail")
    assert [request.response for request in next(operation)] == ["One. Two."] * 2  # type: ignore[union-attr]
    answer = Scored(1, 1, None, "down")
    with pytest.raises(StopIteration) as done:
        operation.send([answer, answer])
    assert [row.problem for row in done.value.value] == [TOO_MANY_STEPS, "down"]


def test_rouge_l_refuses_what_takes_minutes() -> None:
    """Two texts of megabytes have no ROUGE-L, and the reason says how long they are."""
    text = "a b " * 100_000
    assert kernels.rouge_l(text, text) == 1.0
    with pytest.raises(
        ValueError, match="too long for rouge-l: 1,000,000 words against an own output of 200,000"
    ):
        kernels.rouge_l(text * 5, text)
