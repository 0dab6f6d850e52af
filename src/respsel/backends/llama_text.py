"""What a GGUF file says of text: its chat template, its vocabulary, and how the two make token ids.

Knows nothing of weights or contexts. Invariant: text in a message or a response is data and never becomes a
control token.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from respsel.backends.chat import ChatTemplate
from respsel.backends.chat_text import ChatText
from respsel.errors import PreflightError, Problem

# Tokens that user text cannot spell. User-defined ones (Qwen3's `</think>`) it can, in training as here.
_CONTROL_ATTRS = (1 << 0) | (1 << 3)  # LLAMA_TOKEN_ATTR_UNKNOWN, LLAMA_TOKEN_ATTR_CONTROL
_STRIPS_AFTER = 1 << 8  # LLAMA_TOKEN_ATTR_RSTRIP


class LlamaText(ChatText):
    """The template and vocabulary of a loaded model. size: how many tokens it has."""

    def __init__(
        self,
        api: Any,
        model: Any,
        weights: Path,
        chat_template: str | None,
        template_options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Raises PreflightError if neither the file nor `chat_template` has a template."""
        self._api = api
        self._vocab = api.llama_model_get_vocab(model)
        self.size = int(api.llama_vocab_n_tokens(self._vocab))
        bos = api.llama_vocab_bos(self._vocab)
        start = bos if bos >= 0 else api.llama_vocab_eos(self._vocab)
        built_in = api.llama_model_chat_template(model, None)
        source = chat_template or (built_in.decode() if built_in else "")
        super().__init__(self._load_template(source, weights, template_options), start)
        self._control: list[str] | None = None
        self._pieces: dict[int, tuple[bytes, bool]] = {}

    def ends(self, token: int) -> bool:
        """Whether a token ends a turn."""
        return bool(self._api.llama_vocab_is_eog(self._vocab, token))

    @property
    def special_tokens(self) -> str:
        """In words, which tokens begin a text and end a turn."""
        ends = [self._token_text(token) for token in range(self.size) if self.ends(token)]
        return f"begins a text: {self._token_text(self._start)}; ends a turn: {', '.join(ends)}"

    def measure(self, text: str, control: bool) -> tuple[list[int], list[int]] | None:
        """See ChatText.measure."""
        ids = self.encode(text, control)
        lengths = _aligned([self._spelled(token) for token in ids], text.encode("utf-8"))
        return None if lengths is None else (ids, lengths)

    def control_texts(self) -> list[str]:
        """See ChatText.control_texts."""
        if self._control is None:
            attrs, vocab = self._api.llama_vocab_get_attr, self._vocab
            tokens = (token for token in range(self.size) if attrs(vocab, token) & _CONTROL_ATTRS)
            self._control = [text for text in map(self._token_text, tokens) if text]
        return self._control

    def encode(self, text: str, control: bool) -> list[int]:
        """See ChatText.encode."""
        data = text.encode("utf-8")
        size = len(data) + 8
        tokens = (self._api.llama_token * size)()
        count = self._api.llama_tokenize(self._vocab, data, len(data), tokens, size, False, control)
        if count < 0:
            size = -count
            tokens = (self._api.llama_token * size)()
            count = self._api.llama_tokenize(self._vocab, data, len(data), tokens, size, False, control)
        return list(tokens[:count])

    def _spelled(self, token: int) -> tuple[bytes, bool]:
        """What a token spells, and whether it swallows the white space behind it."""
        if token not in self._pieces:
            strips = self._api.llama_vocab_get_attr(self._vocab, token) & _STRIPS_AFTER
            self._pieces[token] = (self.piece(token, control=True), bool(strips))
        return self._pieces[token]

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

    def _load_template(self, source: str, weights: Path, options: Mapping[str, Any]) -> ChatTemplate:
        if not source:
            remedy = "Set 'chat_template' to a Jinja2 file, or use an instruction-tuned model that carries one"
            raise PreflightError(Problem(str(weights), "", "this GGUF has no chat template", remedy))
        bos, eos = self._api.llama_vocab_bos(self._vocab), self._api.llama_vocab_eos(self._vocab)
        return ChatTemplate(source, self._token_text(bos), self._token_text(eos), str(weights), options)

    def _token_text(self, token: int) -> str:
        return self._api.llama_vocab_get_text(self._vocab, token).decode() if token >= 0 else ""


def _aligned(pieces: Sequence[tuple[bytes, bool]], data: bytes) -> list[int] | None:
    """How many bytes of a text each piece spells; None where they do not spell it.

    pieces: each with whether it swallows the white space behind it (Phi-3's control tokens). Hazard: vocabularies of
    SentencePiece put a blank, which the text does not have, before a first word and behind a control token. Where the
    blank is a token of its own it has the first character behind it, as in transformers: it is of the response that it
    begins, and prompts stay alike.
    """
    lengths: list[int] = []
    at = taken = 0
    for piece, strips in pieces:
        begin = at
        if not data.startswith(piece, at):
            piece = piece.removeprefix(b" ")
            if not data.startswith(piece, at):
                return None
        at += len(piece)
        while strips and data[at : at + 1].isspace():
            at += 1
        given = min(taken, at - begin)
        taken -= given
        lengths.append(at - begin - given)
        if at == begin and not taken:
            taken = _character_bytes(data, at)
            lengths[-1] = taken
    return lengths if at == len(data) and not taken else None


def _character_bytes(data: bytes, at: int) -> int:
    """How many bytes the character at a place of UTF-8 has; 0 at the end."""
    return len(data[at : at + 4].decode("utf-8", "ignore")[:1].encode("utf-8"))
