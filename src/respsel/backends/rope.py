"""Position encodings that change with the length of the text (LongRoPE, dynamic NTK).

One long text in a batch would change the scores of the short ones. So respsel limits the context of
such a model to the length up to which nothing changes. YaRN, linear and Llama 3's scaling encode
all texts alike, and need no limit. Knows no text. Invariant: up to the limit, a token's position is
encoded the same whatever else is in the batch.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_HEAD_BYTES = 64 << 20
_LONG_FACTORS = b"rope_factors_long.weight"


def steady_tokens_of_config(config: Any) -> int | None:
    """Up to how many tokens a transformers model encodes positions alike; None for no limit."""
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    # Layers of several kinds may each have parameters of their own.
    kinds = [kind for kind in rope.values() if isinstance(kind, Mapping)] or [rope]
    found = [tokens for kind in kinds if (tokens := _steady_tokens(kind, config))]
    return min(found, default=None)


def _steady_tokens(rope: Mapping[str, Any], config: Any) -> int | None:
    name = str(rope.get("rope_type") or rope.get("type") or "")
    trained = getattr(config, "max_position_embeddings", None)
    if name == "longrope":
        return rope.get("original_max_position_embeddings") or getattr(
            config, "original_max_position_embeddings", trained
        )
    return trained if "dynamic" in name else None


def steady_tokens_of_gguf(api: Any, model: Any, weights: Path, padding: int) -> int | None:
    """The same for a GGUF file.

    llama.cpp decides by the size of the context, a multiple of `padding`, not by the text's length.
    """
    architecture = _field(api, model, "general.architecture")
    original = _field(api, model, f"{architecture}.rope.scaling.original_context_length")
    if not original or _field(api, model, f"{architecture}.rope.scaling.type") in (
        "yarn",
        "linear",
    ):
        return None
    with weights.open("rb") as file:
        if _LONG_FACTORS not in file.read(_HEAD_BYTES):
            return None
    # Where even the smallest context is longer, all texts are turned alike.
    return int(original) // padding * padding or None


def told(steady: int | None, trained: int) -> dict[str, str]:
    """For Model.about, where the context ends before the length that a model was trained for."""
    if steady is None or steady >= trained:
        return {}
    why = (
        f"turned differently in texts of more than {steady:,} tokens, so the context ends there "
        f"(the model's own: {trained:,})"
    )
    return {"positions": why}


def _field(api: Any, model: Any, name: str) -> str:
    buffer = ctypes.create_string_buffer(256)
    return (
        buffer.value.decode("utf-8", "replace")
        if api.llama_model_meta_val_str(model, name.encode(), buffer, 256) >= 0
        else ""
    )
