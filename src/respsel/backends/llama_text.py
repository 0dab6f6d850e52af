"""What a GGUF file says of text: its chat template, its vocabulary, and how the two make token ids.

Knows nothing of weights or contexts. Invariant: text in a message or a response is data and never becomes a
control token.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from respsel.backends.base import TEXT
from respsel.backends.chat import ChatTemplate
from respsel.errors import PreflightError, Problem
from respsel.records import Message

_CONTROL_ATTRS = (1 << 3) | (1 << 4)  # LLAMA_TOKEN_ATTR_CONTROL, LLAMA_TOKEN_ATTR_USER_DEFINED


class LlamaText:
    """The template and vocabulary of a loaded model. size: how many tokens it has."""

    def __init__(self, api: Any, model: Any, weights: Path, chat_template: str | None) -> None:
        """Raises PreflightError if neither the file nor `chat_template` has a template."""
        self._api = api
        self._vocab = api.llama_model_get_vocab(model)
        self.size = int(api.llama_vocab_n_tokens(self._vocab))
        bos = api.llama_vocab_bos(self._vocab)
        self._start = bos if bos >= 0 else api.llama_vocab_eos(self._vocab)
        built_in = api.llama_model_chat_template(model, None)
        self._template = self._load_template(chat_template or (built_in.decode() if built_in else ""), weights)
        self._control: list[str] | None = None

    def ends(self, token: int) -> bool:
        """Whether a token ends a turn."""
        return bool(self._api.llama_vocab_is_eog(self._vocab, token))

    @property
    def special_tokens(self) -> str:
        """In words, which tokens begin a text and end a turn."""
        ends = [self._token_text(token) for token in range(self.size) if self.ends(token)]
        return f"begins a text: {self._token_text(self._start)}; ends a turn: {', '.join(ends)}"

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """See Model.prompt_ids. The template writes BOS itself where the model wants one."""
        if not messages or messages[0].role == TEXT:
            return (self._start, *(token for message in messages for token in self._tokenize(message.content, control=False)))
        stretches = self._template.split_text(messages, self._control_texts())
        return tuple(token for text, control in stretches for token in self._tokenize(text, control))

    def response_ids(self, text: str) -> tuple[int, ...]:
        """See Model.response_ids."""
        return tuple(self._tokenize(text, control=False))

    def lengths(self, text: str) -> tuple[int, ...] | None:
        """See Model.lengths."""
        pieces, data = [self.piece(token) for token in self._tokenize(text, control=False)], text.encode("utf-8")
        if pieces and b"".join(pieces) == b" " + data:
            # Vocabularies of SentencePiece put a blank before the first word, which the text does not have.
            pieces[0] = pieces[0][1:]
        return tuple(map(len, pieces)) if b"".join(pieces) == data else None

    def _control_texts(self) -> list[str]:
        if self._control is None:
            attrs, vocab = self._api.llama_vocab_get_attr, self._vocab
            tokens = (token for token in range(self.size) if attrs(vocab, token) & _CONTROL_ATTRS)
            self._control = [text for text in map(self._token_text, tokens) if text]
        return self._control

    def _tokenize(self, text: str, control: bool) -> list[int]:
        data = text.encode("utf-8")
        size = len(data) + 8
        tokens = (self._api.llama_token * size)()
        count = self._api.llama_tokenize(self._vocab, data, len(data), tokens, size, False, control)
        if count < 0:
            size = -count
            tokens = (self._api.llama_token * size)()
            count = self._api.llama_tokenize(self._vocab, data, len(data), tokens, size, False, control)
        return list(tokens[:count])

    def spell(self, tokens: Sequence[int]) -> str:
        """The text that tokens spell, control tokens included."""
        return b"".join(self.piece(token, control=True) for token in tokens).decode("utf-8", "replace")

    def piece(self, token: int, control: bool = False) -> bytes:
        """The bytes that a token spells; none for a control token, unless they are asked for."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = self._api.llama_token_to_piece(self._vocab, token, buffer, size, 0, control)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _load_template(self, source: str, weights: Path) -> ChatTemplate:
        if not source:
            remedy = "Set 'chat_template' to a Jinja2 file, or use an instruction-tuned model that carries one"
            raise PreflightError(Problem(str(weights), "", "this GGUF has no chat template", remedy))
        bos, eos = self._api.llama_vocab_bos(self._vocab), self._api.llama_vocab_eos(self._vocab)
        return ChatTemplate(source, self._token_text(bos), self._token_text(eos), str(weights))

    def _token_text(self, token: int) -> str:
        return self._api.llama_vocab_get_text(self._vocab, token).decode() if token >= 0 else ""
