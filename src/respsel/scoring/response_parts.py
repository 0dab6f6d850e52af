"""A response's thinking or its answer, with the token scores of that part.

Knows nothing of metrics. Invariant: the two parts have each token once. A token over the border is
of the part that it begins in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from respsel.records import TokenKind, TokenScores
from respsel.text.thinking import answer_start

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from respsel.metrics.contract import ResponsePart

NO_THINKING = "the response has no thinking"
NO_ANSWER = "the response ends before its answer"
_NO_PLACES = "where in the text each token is, is not known"


class NoPartError(ValueError):
    """A response has no such part, or its tokens do not say which they are of."""


def text_part(text: str, part: ResponsePart) -> str:
    """The thinking or the answer of a text, which may be empty."""
    if part == "all":
        return text
    start = answer_start(text)
    return text[:start] if part == "thinking" else text[start:]


def part_of(
    texts: Sequence[str], scores: Mapping[str, TokenScores], part: ResponsePart
) -> tuple[str, dict[str, TokenScores]]:
    """The part of a response, and its token scores by view.

    texts: what each of its trained turns says; one that is not of a conversation has one.
    Raises NoPartError if there is none.
    """
    chosen = "\n\n".join(filter(None, (text_part(text, part) for text in texts)))
    found = {kind: _scores_of(texts[0], some, part) for kind, some in scores.items()}
    is_empty = any(not len(some) for some in found.values()) if found else not chosen
    if is_empty:
        raise NoPartError(NO_THINKING if part == "thinking" else NO_ANSWER)
    return chosen, found


def _scores_of(text: str, scores: TokenScores, part: ResponsePart) -> TokenScores:
    thinking = _is_thinking(text, scores)
    if part == "thinking":
        return scores.chosen(thinking)
    if scores.kinds is not None:
        thinking = thinking | (scores.kinds == TokenKind.EMPTY_THINKING)
    return scores.chosen(~thinking)


def _is_thinking(text: str, scores: TokenScores) -> npt.NDArray[np.bool_]:
    """For each token, whether it is of the thinking."""
    import numpy as np

    if scores.kinds is not None:
        return np.asarray(scores.kinds == TokenKind.THINKING)
    start = len(text[: answer_start(text)].encode("utf-8"))
    if not start:
        return np.zeros(len(scores), bool)
    if scores.lengths is None:
        raise NoPartError(_NO_PLACES)
    begins = np.cumsum(scores.lengths) - scores.lengths
    return np.asarray(begins < start)
