"""A random tiny Llama as a GGUF file, so that llama.cpp's real code runs in fast tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

N_EMBD, N_HEAD, N_FF, N_LAYER = 64, 4, 128, 2


def byte_to_unicode() -> dict[int, str]:
    """GPT-2's printable stand-ins for bytes, which byte-level BPE vocabularies are written in."""
    keep = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in keep}
    others = [byte for byte in range(256) if byte not in table]
    return table | {byte: chr(256 + i) for i, byte in enumerate(others)}


def write_tiny_gguf(path: Path, template: str | None, context: int, key_heads: bool = True, broken: int | None = None) -> None:
    """broken: a token whose embedding is NaN."""
    import gguf

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(context)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(N_LAYER)
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEAD)
    if key_heads:
        writer.add_head_count_kv(N_HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(N_EMBD // N_HEAD)
    tokens = [byte_to_unicode()[byte] for byte in range(256)]
    tokens += ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "th", "er"]
    kinds = [gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * 2
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(["t h", "e r"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_vocab_size(len(tokens))
    if template is not None:
        writer.add_chat_template(template)
    stream = np.random.default_rng(7)

    def tensor(name: str, *shape: int, nan_row: int | None = None) -> None:
        values = stream.normal(0, 0.3, shape).astype(np.float32)
        if nan_row is not None:
            values[nan_row] = np.nan
        writer.add_tensor(name, values)

    def ones(name: str) -> None:
        writer.add_tensor(name, np.ones(N_EMBD, np.float32))

    tensor("token_embd.weight", len(tokens), N_EMBD, nan_row=broken)
    tensor("output.weight", len(tokens), N_EMBD)
    ones("output_norm.weight")
    for layer in range(N_LAYER):
        ones(f"blk.{layer}.attn_norm.weight")
        ones(f"blk.{layer}.ffn_norm.weight")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            tensor(f"blk.{layer}.{part}.weight", N_EMBD, N_EMBD)
        tensor(f"blk.{layer}.ffn_gate.weight", N_FF, N_EMBD)
        tensor(f"blk.{layer}.ffn_up.weight", N_FF, N_EMBD)
        tensor(f"blk.{layer}.ffn_down.weight", N_EMBD, N_FF)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
