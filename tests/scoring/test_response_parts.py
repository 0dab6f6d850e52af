"""A response's thinking or answer, with the scores of its tokens."""

from __future__ import annotations

import numpy as np
import pytest

from respsel.metrics.contract import ResponsePart
from respsel.records import TokenKind, TokenScores
from respsel.scoring.response_parts import (
    NO_ANSWER,
    NO_THINKING,
    NoPartError,
    part_of,
    text_part,
)
from respsel.text.thinking import answer_start


@pytest.mark.parametrize(
    ("thinking", "answer"),
    [
        ("<think>Two and two.</think>\n\n", "Four."),
        ("<think>\n\n</think>\n\n", "Four."),
        ("  <Thinking>hm</Thinking> ", "Four."),
        ("the template opened it</think>\n", "Four."),
        ("[THINK]a <think> inside[/THINK]", "Four."),
        ("<|channel|>analysis<|message|>hm<|end|><|channel|>final<|message|>", "Four."),
        ("<think>never ends", ""),
        ("", "Four."),
        ("", "Write <think>like this</think> before you answer."),
        ("", ""),
    ],
)
def test_the_thinking_is_what_tags_hold_at_the_beginning(thinking: str, answer: str) -> None:
    """Tags further down are quoted; a closing tag alone ends thinking that a template began."""
    text = thinking + answer

    assert answer_start(text) == len(thinking)
    assert text_part(text, "thinking") == thinking
    assert text_part(text, "answer") == answer
    assert text_part(text, "all") == text


def test_tokens_are_of_the_part_that_they_begin_in() -> None:
    """Tokens of 3, 9, 10, 5 and 1 bytes: the third begins at byte 12 and ends in the answer.

    "<think>é</think>" has 7 + 2 + 8 = 17 bytes, so the first three begin before the answer.
    """
    text = "<think>é</think>Vier heute."
    scores = _scores(lengths=[3, 9, 10, 5, 1])

    _, thought = part_of([text], {"plain": scores}, "thinking")
    said, answered = part_of([text], {"plain": scores}, "answer")

    assert said == "Vier heute."
    assert thought["plain"].nll.tolist() == [0, 1, 2]
    assert answered["plain"].nll.tolist() == [3, 4]
    assert answered["plain"].rank.tolist() == [4, 5]


def test_in_conversations_the_template_says_what_is_thinking() -> None:
    """The end of a turn and what is behind it belong to the answer."""
    kinds = [
        TokenKind.THINKING,
        TokenKind.ANSWER,
        TokenKind.END,
        TokenKind.BEHIND,
        TokenKind.THINKING,
        TokenKind.ANSWER,
    ]
    scores = _scores(lengths=[1] * 6, kinds=kinds)

    _, thought = part_of(["no tags here"], {"plain": scores}, "thinking")
    _, answered = part_of(["no tags here"], {"plain": scores}, "answer")

    assert thought["plain"].nll.tolist() == [0, 4]
    assert answered["plain"].nll.tolist() == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("text", "part", "reason"),
    [
        ("Four.", "thinking", NO_THINKING),
        ("<think>never", "answer", NO_ANSWER),
        ("<think>a</think>b", "answer", "where in the text each token is, is not known"),
    ],
)
def test_a_part_that_is_not_there_is_no_number(text: str, part: ResponsePart, reason: str) -> None:
    """The reason is said in words."""
    lengths = None if "known" in reason else [len(text)]
    with pytest.raises(NoPartError, match=reason):
        part_of([text], {"plain": _scores(lengths=lengths)}, part)


def _scores(lengths: list[int] | None, kinds: list[int] | None = None) -> TokenScores:
    count = len(lengths or [1])
    numbers = np.arange(count)
    return TokenScores(
        token_ids=numbers.astype(np.int32),
        nll=numbers.astype(np.float32),
        rank=(numbers + 1).astype(np.int32),
        entropy=numbers.astype(np.float32),
        lengths=None if lengths is None else np.array(lengths, np.int32),
        kinds=None if kinds is None else np.array(kinds, np.int32),
    )
