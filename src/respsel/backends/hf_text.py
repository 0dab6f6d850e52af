"""A transformers tokenizer and chat template: text to token ids and back. Knows no weights.

Invariant: text that a user or a model wrote never becomes a control token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from respsel.backends.base import TEXT
from respsel.backends.chat import ChatTemplate
from respsel.errors import PreflightError, Problem
from respsel.records import Message

# Tokens by which models end a turn, also where their configuration names only the end of a text.
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<EOT>")


class HfText:
    """A tokenizer with its chat template."""

    def __init__(self, tokenizer: Any, override: str | None, origin: str) -> None:
        self._tokenizer = tokenizer
        source = override or _built_in(tokenizer)
        if not source:
            remedy = "Set 'chat_template' to a Jinja2 file, or use an instruction-tuned model that carries one"
            raise PreflightError(Problem(origin, "", "this model has no chat template", remedy))
        self._template = ChatTemplate(source, tokenizer.bos_token or "", tokenizer.eos_token or "", origin)
        special = {str(token): number for number, token in tokenizer.added_tokens_decoder.items()}
        self._control = [text for text in special if text]
        self.ends = {special[text] for text in _TURN_ENDS if text in special} | _numbers(tokenizer.eos_token_id)
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        if start is None:
            what = "this tokenizer has neither a beginning nor an end of text"
            raise PreflightError(Problem(origin, "", what, "Use another model"))
        self._start = int(start)

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """See Model.prompt_ids. The template writes BOS itself where the model wants one."""
        if not messages or messages[0].role == TEXT:
            return (self._start, *(token for message in messages for token in self._encode(message.content, control=False)))
        stretches = self._template.split_text(messages, self._control)
        return tuple(token for text, control in stretches for token in self._encode(text, control))

    def response_ids(self, text: str) -> tuple[int, ...]:
        """See Model.response_ids."""
        return tuple(self._encode(text, control=False))

    def lengths(self, text: str) -> tuple[int, ...] | None:
        """See Model.lengths. Of tokens that share a character the first has all its bytes."""
        found = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True)
        lengths, at = [], 0
        for _, end in found["offset_mapping"]:
            lengths.append(len(text[at : max(at, end)].encode("utf-8")))
            at = max(at, end)
        return tuple(lengths) if at == len(text) else None

    def spell(self, tokens: Sequence[int]) -> str:
        """The text that tokens spell, control tokens included."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

    def text(self, tokens: Sequence[int], truncated: bool) -> str:
        """A response's text without leading and trailing blanks; a character cut in half is left out."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return (text.rstrip("\ufffd") if truncated else text).strip()

    def about(self) -> dict[str, str]:
        """See Model.about."""
        ends = self._tokenizer.convert_ids_to_tokens(sorted(self.ends))
        start = self._tokenizer.convert_ids_to_tokens([self._start])[0]
        return {"special tokens": f"begins a text: {start}; ends a turn: {', '.join(ends)}"}

    def _encode(self, text: str, control: bool) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, split_special_tokens=not control)["input_ids"]
        return ids


def _built_in(tokenizer: Any) -> str:
    found = tokenizer.chat_template
    return str(found.get("default", "")) if isinstance(found, dict) else found or ""


def _numbers(value: Any) -> set[int]:
    return set() if value is None else {int(value)} if isinstance(value, int) else {int(item) for item in value}
