"""A transformers tokenizer and chat template: text to token ids and back. Knows no weights.

Invariant: text that a user or a model wrote never becomes a control token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from respsel.backends.chat_template import ChatTemplate
from respsel.backends.chat_text import ChatText
from respsel.errors import PreflightError, Problem

# Tokens by which models end a turn, also where their configuration names only the end of a text.
_TURN_ENDS = (
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<end_of_turn>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
)


class HfText(ChatText):
    """A tokenizer of transformers with its chat template."""

    def __init__(
        self,
        tokenizer: Any,
        override: str | None,
        origin: str,
        template_options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._tokenizer = tokenizer
        source = override or _built_in(tokenizer)
        if not source:
            remedy = (
                "Set 'chat_template' to a Jinja2 file, or use an instruction-tuned model "
                "that carries one"
            )
            raise PreflightError(Problem(origin, "", "this model has no chat template", remedy))
        template = ChatTemplate(
            source, tokenizer.bos_token or "", tokenizer.eos_token or "", origin, template_options
        )
        added = tokenizer.added_tokens_decoder
        special = {str(token): number for number, token in added.items()}
        # Those that are not special (Qwen3's `</think>`) user text can spell, in training as here.
        self._control = [str(token) for token in added.values() if str(token) and token.special]
        self.ends = {special[text] for text in _TURN_ENDS if text in special} | _numbers(
            tokenizer.eos_token_id
        )
        start = (
            tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        )
        if start is None:
            what = "this tokenizer has neither a beginning nor an end of text"
            raise PreflightError(Problem(origin, "", what, "Use another model"))
        super().__init__(template, int(start))

    def control_texts(self) -> list[str]:
        """See ChatText.control_texts."""
        return self._control

    def encode(self, text: str, control: bool) -> list[int]:
        """See ChatText.encode."""
        ids: list[int] = self._tokenizer(
            text, add_special_tokens=False, split_special_tokens=not control
        )["input_ids"]
        return ids

    def measure(self, text: str, control: bool) -> tuple[list[int], list[int]] | None:
        """See ChatText.measure."""
        how = {"add_special_tokens": False, "split_special_tokens": not control}
        try:
            found = self._tokenizer(text, return_offsets_mapping=True, **how)
        except NotImplementedError:  # a tokenizer in Python
            return None
        lengths = []
        at = 0
        for _, end in found["offset_mapping"]:
            lengths.append(len(text[at : max(at, end)].encode("utf-8")))
            at = max(at, end)
        return (found["input_ids"], lengths) if at == len(text) else None

    def spell(self, tokens: Sequence[int]) -> str:
        """See ChatText.spell."""
        text: str = self._tokenizer.decode(
            list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def text(self, tokens: Sequence[int], truncated: bool) -> str:
        """A response's text without outer blanks; a character cut in half is left out."""
        text: str = self._tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return (text.rstrip("\ufffd") if truncated else text).strip()

    def about(self) -> dict[str, str]:
        """See Model.about."""
        ends = self._tokenizer.convert_ids_to_tokens(sorted(self.ends))
        start = self._tokenizer.convert_ids_to_tokens([self._start])[0]
        return {"special tokens": f"begins a text: {start}; ends a turn: {', '.join(ends)}"}


def _built_in(tokenizer: Any) -> str:
    found = tokenizer.chat_template
    return str(found.get("default", "")) if isinstance(found, dict) else found or ""


def _numbers(value: Any) -> set[int]:
    return (
        set()
        if value is None
        else {int(value)}
        if isinstance(value, int)
        else {int(item) for item in value}
    )
