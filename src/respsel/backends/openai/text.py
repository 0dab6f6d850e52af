"""How an endpoint's model reads text: through its own tokenizer, or not at all.

Knows no server. Invariant: nothing that is to be scored gets token ids before the server has shown
that it scores.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from respsel.backends.chat_text import ChatText
from respsel.backends.contract import Placed, PlacedTurns
from respsel.records import Message

if TYPE_CHECKING:
    from respsel.backends.placement import TextPlace

_BYTES_AN_ID = 4


class EndpointText:
    """See ModelText.

    Without a tokenizer a prompt's ids are the chat itself, four bytes of its JSON to an id. That is
    about as many ids as it has tokens. The model can then be asked to write, and not to score.
    """

    def __init__(self, tokens: ChatText | None, tested: Callable[[], ChatText]) -> None:
        """tokens: the model's tokenizer, if it is given.

        tested: returns the same, and tests first how the server scores. A text that is to be scored
        is tokenised before any call is made, so the test comes before teachers are paid. Raises
        PreflightError without a tokenizer, or if the server does not score.
        """
        self._tokens = tokens
        self._tested = tested

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """See ModelText.prompt_ids, and above."""
        if self._tokens is not None:
            return self._tokens.prompt_ids(messages)
        chat = [
            [message.role, message.content, *([message.fields] if message.fields else [])]
            for message in messages
        ]
        data = json.dumps(chat, ensure_ascii=False).encode("utf-8")
        # JSON holds no zero byte, so the padding takes nothing away.
        return tuple(
            int.from_bytes(data[start : start + _BYTES_AN_ID], "little")
            for start in range(0, len(data), _BYTES_AN_ID)
        )

    def response_ids(self, text: str) -> tuple[int, ...]:
        """See ModelText.response_ids. Raises what `tested` raises."""
        return self._tested().response_ids(text)

    def placed(self, messages: Sequence[Message], response: str) -> Placed:
        """See ModelText.placed. Raises what `tested` raises."""
        return self._tested().placed(messages, response)

    def placed_turns(self, messages: Sequence[Message]) -> PlacedTurns:
        """See ModelText.placed_turns. Raises what `tested` raises."""
        return self._tested().placed_turns(messages)

    def spell(self, tokens: Sequence[int]) -> str:
        """See ModelText.spell. Raises what `tested` raises."""
        return self._tested().spell(tokens)

    def training_text(self, messages: Sequence[Message], response: str) -> TextPlace | None:
        """See ModelText.training_text."""
        return None if self._tokens is None else self._tokens.training_text(messages, response)
