"""The tokenizer of a GGUF file for transformers: the one that the model was trained with.

transformers builds one itself, but silently takes GPT-2's splits for most types of
`tokenizer.ggml.pre`. Knows no weights. Invariant: what it cannot read as the original does is
refused by name, and never read by another rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from respsel.backends.gguf.fields import read_fields
from respsel.backends.gguf.pre_tokenizers import PRE_TOKENIZERS

# In the identity of a GGUF model that transformers runs: raise it when a file comes out as another
# tokenizer. 1 was transformers' own reading.
VERSION = 2

_NORMAL = 1
_UNKNOWN = 2
_CONTROL = 3
_USER_DEFINED = 4
_KEY = "tokenizer.ggml."
_ARRAYS = tuple(f"{_KEY}{name}" for name in ("tokens", "merges", "token_type", "scores"))
_BLANK = "▁"
# llama.cpp takes these for control tokens whatever the file calls them.
_ENDS = (
    *(
        "<|eot_id|>",
        "<|im_end|>",
        "<|end|>",
        "<end_of_turn>",
        "<|endoftext|>",
        "</s>",
        "<|eom_id|>",
        "<EOT>",
    ),
    *(
        "[EOT]",
        "[EOS]",
        "<|end_of_text|>",
        "<end_of_utterance>",
        "<｜end▁of▁sentence｜>",
        "<|return|>",
    ),
    *(
        "<|call|>",
        "<|calls|>",
        "<|flush|>",
        "_<EOT>",
        "<eos>",
        "<turn|>",
        "<|tool_response>",
        "[e~[",
    ),
)
# Where one of these is, </s> is an ordinary token (Gemma 4, PLaMo).
_ORDINARY_S = {"<|tool_response>", "<|plamo:eos|>"}


class UnverifiedTokenizerError(Exception):
    """A GGUF's tokenizer that is not known to come out as the original's."""

    remedy = "Use backend 'llama-cpp', or the model's original directory or repository"


def load_gguf_tokenizer(path: Path) -> Any:
    """The tokenizer of a GGUF file, as a transformers tokenizer with its chat template.

    Raises ValueError where the file cannot be read, UnverifiedTokenizerError where its type is
    not a known one.
    """
    import transformers

    fields = read_fields(path, _ARRAYS)
    kind = fields.get(f"{_KEY}model")
    if kind == "gpt2":
        tokenizer = _byte_level(fields)
    elif kind == "llama":
        tokenizer = _sentencepiece(fields)
    elif kind == "gemma4":
        tokenizer = _gemma4(fields)
    else:
        raise UnverifiedTokenizerError(
            f"its tokenizer is of type '{kind}', which is not verified here"
        )
    _add_whole_tokens(tokenizer, fields[f"{_KEY}tokens"], _kinds(fields), _strips_after(fields))
    made: Any = transformers.PreTrainedTokenizerFast
    return made(
        tokenizer_object=tokenizer,
        chat_template=fields.get("tokenizer.chat_template"),
        clean_up_tokenization_spaces=False,
        add_bos_token=bool(fields.get(f"{_KEY}add_bos_token", kind == "llama")),
        **dict(_named_tokens(fields)),
    )


def _byte_level(fields: Mapping[str, Any]) -> Any:
    from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers

    name = fields.get(f"{_KEY}pre")
    if name is None:
        what = "it does not say how to split text before merges (tokenizer.ggml.pre is missing)"
        raise UnverifiedTokenizerError(what)
    found = PRE_TOKENIZERS.get(name)
    if found is None:
        what = (
            f"its tokenizer splits text as type '{name}' (tokenizer.ggml.pre), which is not "
            "verified here"
        )
        raise UnverifiedTokenizerError(what)
    merges = _merges(fields)
    tokenizer = Tokenizer(
        _pairs(
            _vocabulary(fields), [_pair(merge) for merge in merges], ignore_merges=found.whole_words
        )
    )
    if found.composed:
        tokenizer.normalizer = normalizers.NFC()
    splits = [pre_tokenizers.Split(Regex(split), "isolated") for split in found.splits]
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(fields: Mapping[str, Any]) -> Any:
    if fields.get(f"{_KEY}remove_extra_whitespaces"):
        what = (
            "it removes extra blanks from text (remove_extra_whitespaces), which llama.cpp does not"
        )
        raise UnverifiedTokenizerError(what)
    scores = fields.get(f"{_KEY}scores")
    kinds = _kinds(fields)
    if scores is None:
        raise UnverifiedTokenizerError("it holds no scores (tokenizer.ggml.scores)")
    vocabulary = _vocabulary(fields)
    merges = list(_merges_of(vocabulary, scores))
    made = {vocabulary[left + right] for left, right in merges}
    _check_ranks([scores[number] for number in made if kinds[number] == _NORMAL])
    return _with_bytes(
        fields, vocabulary, merges, bool(fields.get(f"{_KEY}add_space_prefix", True))
    )


def _gemma4(fields: Mapping[str, Any]) -> Any:
    """SentencePiece's blanks and bytes, and a list of merges."""
    merges = [_pair(merge) for merge in _merges(fields)]
    return _with_bytes(fields, _vocabulary(fields), merges, prefix=False)


def _with_bytes(
    fields: Mapping[str, Any],
    vocabulary: dict[str, int],
    merges: list[tuple[str, str]],
    prefix: bool,
) -> Any:
    """Blanks are a character of their own, and what has no token becomes its bytes."""
    from tokenizers import Tokenizer, decoders, normalizers

    unknown = fields[f"{_KEY}tokens"][fields.get(f"{_KEY}unknown_token_id", 0)]
    tokenizer = Tokenizer(
        _pairs(vocabulary, merges, byte_fallback=True, fuse_unk=True, unk_token=unknown)
    )
    blanks = normalizers.Replace(" ", _BLANK)
    tokenizer.normalizer = (
        normalizers.Sequence([normalizers.Prepend(_BLANK), blanks]) if prefix else blanks
    )
    steps = [decoders.Replace(_BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    return tokenizer


def _merges(fields: Mapping[str, Any]) -> list[str]:
    found: list[str] | None = fields.get(f"{_KEY}merges")
    if found is None:
        raise UnverifiedTokenizerError("it holds no merges (tokenizer.ggml.merges)")
    return found


def _vocabulary(fields: Mapping[str, Any]) -> dict[str, int]:
    tokens = fields.get(f"{_KEY}tokens")
    if not tokens:
        raise ValueError("it holds no tokens (tokenizer.ggml.tokens)")
    found = {token or f"[EMPTY_{number}]": number for number, token in enumerate(tokens)}
    if len(found) != len(tokens):
        twice = next(
            token
            for number, token in enumerate(tokens)
            if found[token or f"[EMPTY_{number}]"] != number
        )
        raise UnverifiedTokenizerError(f"it holds the token {twice!r} twice")
    return found


def _pair(merge: str) -> tuple[str, str]:
    """A token may begin with a blank, as llama.cpp reads merges."""
    at = merge.find(" ", 1)
    return merge[:at], merge[at + 1 :]


def _pairs(vocabulary: dict[str, int], merges: list[tuple[str, str]], **how: Any) -> Any:
    from tokenizers import models

    try:
        return models.BPE(vocabulary, merges, **how)
    except Exception as error:
        # Hazard: tokenizers raises Exception itself.
        raise ValueError(
            f"its merges (tokenizer.ggml.merges) do not fit its tokens: {error}"
        ) from error


def _merges_of(vocabulary: Mapping[str, int], scores: Sequence[float]) -> Iterator[tuple[str, str]]:
    """All pairs of tokens that make a token, best score first.

    SentencePiece keeps no list of merges.
    """
    for token, _ in sorted(vocabulary.items(), key=lambda item: (-scores[item[1]], item[1])):
        for at in range(1, len(token)):
            if token[:at] in vocabulary and token[at:] in vocabulary:
                yield token[:at], token[at:]


def _check_ranks(scores: Sequence[float]) -> None:
    """Raise an error unless the scores of merged tokens are ranks of merges.

    A unigram model has probabilities instead.
    """
    if not all(float(score).is_integer() for score in scores):
        raise UnverifiedTokenizerError(
            "its scores are probabilities (a unigram model), which llama.cpp reads as ranks"
        )
    if len(set(scores)) != len(scores):
        raise UnverifiedTokenizerError(
            "several of its tokens have the same score, so the order of merges is not known"
        )


def _kinds(fields: Mapping[str, Any]) -> list[int]:
    tokens = fields[f"{_KEY}tokens"]
    return fields.get(f"{_KEY}token_type") or [_NORMAL] * len(tokens)


def _add_whole_tokens(
    tokenizer: Any, tokens: Sequence[str], kinds: Sequence[int], strips_after: Sequence[str]
) -> None:
    """Control tokens stand for their text only in a template, user-defined ones in every text."""
    from tokenizers import AddedToken

    ends = {*_ENDS} - ({"</s>"} if _ORDINARY_S & {*tokens} else set())
    control = []
    plain = []
    for token, kind in zip(tokens, kinds, strict=True):
        if not token:
            continue
        strips = token in strips_after
        if kind in (_CONTROL, _UNKNOWN) or token in ends:
            control.append(AddedToken(token, normalized=False, special=True, rstrip=strips))
        elif kind == _USER_DEFINED:
            plain.append(AddedToken(token, normalized=False, special=False, rstrip=strips))
    tokenizer.add_special_tokens(control)
    tokenizer.add_tokens(plain)


def _strips_after(fields: Mapping[str, Any]) -> list[str]:
    """Phi-3's whole tokens take the blanks behind them; the file does not say so."""
    name = str(fields.get("general.name", "")).lower()
    if fields.get(f"{_KEY}model") != "llama" or not any(text in name for text in ("phi-3", "phi3")):
        return []
    kept = ("<unk>", "<s>", "<|endoftext|>")
    pairs = zip(fields[f"{_KEY}tokens"], _kinds(fields), strict=True)
    return [
        token for token, kind in pairs if kind in (_CONTROL, _USER_DEFINED) and token not in kept
    ]


def _named_tokens(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What transformers calls by name, which makes it a control token.

    A file may pad with an ordinary one ('!').
    """
    tokens = fields[f"{_KEY}tokens"]
    kinds = _kinds(fields)
    default = {"bos": 1, "eos": 2, "unknown": 0} if fields[f"{_KEY}model"] == "llama" else {}
    for name, ours in (("bos", "bos"), ("eos", "eos"), ("unknown", "unk"), ("padding", "pad")):
        number = fields.get(f"{_KEY}{name}_token_id", default.get(name))
        if number is None or number >= len(tokens):
            continue
        if name in ("bos", "eos") or kinds[number] in (_CONTROL, _UNKNOWN):
            yield f"{ours}_token", tokens[number]
