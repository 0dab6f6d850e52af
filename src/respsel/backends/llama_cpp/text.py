"""What a GGUF file says of text: its chat template and its vocabulary, and token ids from both.

Knows nothing of weights or contexts. Invariant: text in a message or a response is data and never
becomes a control token.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from respsel.backends.chat_template import ChatTemplate
from respsel.backends.chat_text import ChatText
from respsel.errors import PreflightError, Problem

# Tokens that user text cannot spell. User-defined ones (Qwen3's `</think>`) it can, in training as
# here.
_CONTROL_ATTRS = (1 << 0) | (1 << 3)  # LLAMA_TOKEN_ATTR_UNKNOWN, LLAMA_TOKEN_ATTR_CONTROL
_WHOLE_ATTRS = _CONTROL_ATTRS | (1 << 4)  # and LLAMA_TOKEN_ATTR_USER_DEFINED
_STRIPS_AFTER = 1 << 8  # LLAMA_TOKEN_ATTR_RSTRIP
_BLANK_SIGN = "▁".encode()


@dataclass(frozen=True)
class _Piece:
    """What a token spells.

    spelled: its bytes.
    is_whole: whether it is never a part of a word.
    strips_after: whether it swallows the white space behind it.
    """

    spelled: bytes
    is_whole: bool
    strips_after: bool


class LlamaText(ChatText):
    """The template and vocabulary of a loaded model.

    size: how many tokens it has.
    """

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
        self._pieces: dict[int, _Piece] = {}
        self._adds_blank = self.piece((*self.encode("a", control=False), 0)[0]).startswith(b" ")

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
        lengths = _aligned(
            [self._spelled(token) for token in ids], text.encode("utf-8"), self._adds_blank
        )
        return None if lengths is None else (ids, lengths)

    def control_texts(self) -> list[str]:
        """See ChatText.control_texts."""
        if self._control is None:
            attrs = self._api.llama_vocab_get_attr
            vocab = self._vocab
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
            count = self._api.llama_tokenize(
                self._vocab, data, len(data), tokens, size, False, control
            )
        return list(tokens[:count])

    def _spelled(self, token: int) -> _Piece:
        if token not in self._pieces:
            attrs = self._api.llama_vocab_get_attr(self._vocab, token)
            spelled = self.piece(token, control=True)
            self._pieces[token] = _Piece(
                spelled, bool(attrs & _WHOLE_ATTRS), bool(attrs & _STRIPS_AFTER)
            )
        return self._pieces[token]

    def spell(self, tokens: Sequence[int]) -> str:
        """See ChatText.spell."""
        return b"".join(self.piece(token, control=True) for token in tokens).decode(
            "utf-8", "replace"
        )

    def piece(self, token: int, control: bool = False) -> bytes:
        """The bytes that a token spells; none for a control token, unless they are asked for."""
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = self._api.llama_token_to_piece(self._vocab, token, buffer, size, 0, control)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _load_template(
        self, source: str, weights: Path, options: Mapping[str, Any]
    ) -> ChatTemplate:
        if not source:
            remedy = (
                "Set 'chat_template' to a Jinja2 file, or use an instruction-tuned model "
                "that carries one"
            )
            raise PreflightError(
                Problem(str(weights), "", "this GGUF has no chat template", remedy)
            )
        bos = self._api.llama_vocab_bos(self._vocab)
        eos = self._api.llama_vocab_eos(self._vocab)
        return ChatTemplate(
            source, self._token_text(bos), self._token_text(eos), str(weights), options
        )

    def _token_text(self, token: int) -> str:
        return self._api.llama_vocab_get_text(self._vocab, token).decode() if token >= 0 else ""


def _aligned(pieces: Sequence[_Piece], data: bytes, adds_blank: bool) -> list[int] | None:
    """How many bytes of a text each piece spells; None where they do not spell it.

    adds_blank: whether the tokenizer puts a blank before the first word and after a whole token, as
        SentencePiece does. The text does not have that blank.

    Where that blank is a token of its own, it gets the first character behind it, as in
    transformers. It then belongs to the response that it begins, and prompts stay alike.
    """
    lengths: list[int] = []
    at = taken = 0
    is_added = adds_blank
    for piece in pieces:
        begin = at
        spelled = (
            piece.spelled.removeprefix(b" ") if is_added and not piece.is_whole else piece.spelled
        )
        if (found := _match(spelled, data, at)) is None:
            return None
        at = found
        while piece.strips_after and data[at : at + 1].isspace():
            at += 1
        given = min(taken, at - begin)
        taken -= given
        lengths.append(at - begin - given)
        if at == begin and not taken:
            lengths[-1] = taken = _character_bytes(data, at)
        is_added = adds_blank and piece.is_whole
    return lengths if at == len(data) and not taken else None


def _match(piece: bytes, data: bytes, at: int) -> int | None:
    """Where what a piece spells ends, if it is there.

    Hazard: SentencePiece has one sign for blanks and for that sign.
    """
    if data.startswith(piece, at):
        return at + len(piece)
    for byte in piece:
        if data[at : at + 1] == bytes((byte,)):
            at += 1
        elif byte == ord(" ") and data.startswith(_BLANK_SIGN, at):
            at += len(_BLANK_SIGN)
        else:
            return None
    return at


def _character_bytes(data: bytes, at: int) -> int:
    """How many bytes the character at a place of UTF-8 has; 0 at the end."""
    return len(data[at : at + 4].decode("utf-8", "ignore")[:1].encode("utf-8"))
