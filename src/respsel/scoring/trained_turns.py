"""The conversations that responses are trained in, and what is scored of them.

Knows nothing of tokens. Invariant: a trained turn is scored behind all that a trainer has before
it, so the turns of one conversation, and equal beginnings of several, are one text to a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from respsel.backends.common_prefix import common_prefix
from respsel.data.prompts import shown_behind, shown_in_question
from respsel.metrics.contract import View
from respsel.records import (
    ASSISTANT,
    Example,
    Message,
    OwnOutput,
    Response,
    ScoredResponse,
    TokenKind,
    trained_places,
)
from respsel.text.transcript import turn_text, untrained

# By example, what its prompts have besides its input.
Shown = Mapping[str, Sequence[Any]]
# The views that score a response where it is in its conversation.
IN_CHAT = ("plain", "self-aligned", "validation", "unconditional")


class TrainedTurns:
    """The trained turns of some responses' conversations."""

    def __init__(self, examples: Sequence[Example], responses: Sequence[Response]) -> None:
        self._examples = examples
        self._responses = responses

    def chat(self, place: int) -> tuple[Message, ...]:
        """The whole conversation of the response at a place."""
        return trained_chat(self._examples[place], self._responses[place])

    def places(self, place: int) -> list[int]:
        """Where in its conversation the response's trained turns are."""
        return trained_places(self.chat(place))

    def turn(
        self, view: View, place: int, number: int, shown_with: Shown
    ) -> tuple[tuple[Message, ...], int]:
        """A response's conversation in a view, and where in it a trained turn is.

        number: which of its trained turns, from 0.
        """
        chat, more = view_chat(view, self._examples[place], self.chat(place), shown_with)
        return chat, self.places(place)[number] + more

    def placed(self, rows: Iterable[ScoredResponse]) -> Iterator[ScoredResponse]:
        """The scores of trained tokens, with the place of each token's turn for its number."""
        import numpy as np

        for place, row in enumerate(rows):
            if row.scores is None or row.scores.turns is None or row.scores.kinds is None:
                yield row
                continue
            turns = np.array(self.places(place), np.int32)[row.scores.turns]
            trained = row.scores.kinds != TokenKind.UNTRAINED
            scores = replace(row.scores, turns=turns).chosen(trained)
            yield replace(row, response_tokens=len(scores), scores=scores)


def trained_chat(example: Example, response: Response) -> tuple[Message, ...]:
    """The whole conversation that a response is trained in."""
    return response.turns or (*example.asked, Message(ASSISTANT, response.text, trained=True))


def common_turns(turns: Sequence[Message], others: Sequence[Message]) -> int:
    """How many turns two conversations begin with alike, trained or not."""
    return common_prefix(untrained(turns), untrained(others))


def view_chat(
    view: View, example: Example, chat: tuple[Message, ...], shown_with: Shown
) -> tuple[tuple[Message, ...], int]:
    """A chat as a view shows it, and how many messages more it then has before its first turn."""
    if view.kind == "self-aligned":
        return shown_in_question(chat, shown_with[example.id], view.template), 0
    if view.kind == "validation":
        longer = shown_behind(chat, shown_with[example.id])
        return longer, len(longer) - len(chat)
    return chat, 0


def last_turn(example: Example, response: Response | OwnOutput) -> tuple[tuple[Message, ...], str]:
    """What a response's last trained turn answers, and its text."""
    turns = response.turns if isinstance(response, Response) else ()
    if not turns:
        return example.asked, response.text
    return turns[: trained_places(turns)[-1]], last_text(response)


def last_text(response: Response | OwnOutput) -> str:
    """What a response's last trained turn says besides its thinking.

    Of a turn that only calls tools, these calls.
    """
    turns = response.turns if isinstance(response, Response) else ()
    places = trained_places(turns)
    if not places:
        return response.text
    last = turns[places[-1]]
    return last.content if last.content.strip() else turn_text(last)
