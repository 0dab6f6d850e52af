"""Random tiny models as GGUF files, so that llama.cpp's real code runs in fast tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

N_EMBD = 64
N_HEAD = 4
N_FF = 128
N_LAYER = 2
ORIGINAL_CONTEXT = 256


def byte_to_unicode() -> dict[int, str]:
    """GPT-2's printable stand-ins for bytes, which byte-level BPE vocabularies are written in."""
    keep = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in keep}
    others = [byte for byte in range(256) if byte not in table]
    return table | {byte: chr(256 + i) for i, byte in enumerate(others)}


class TinyGguf:
    """A GGUF file on its way: an architecture, a byte-level vocabulary, and whatever tensors are
    added.
    """

    def __init__(self, path: Path, architecture: str, template: str | None, context: int) -> None:
        import gguf

        self.fields: Any = gguf.GGUFWriter(str(path), architecture)
        self.fields.add_context_length(context)
        self.fields.add_embedding_length(N_EMBD)
        self.fields.add_block_count(N_LAYER)
        self.fields.add_layer_norm_rms_eps(1e-5)
        tokens = [byte_to_unicode()[byte] for byte in range(256)]
        tokens += ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "th", "er"]
        kinds = (
            [gguf.TokenType.NORMAL] * 256
            + [gguf.TokenType.CONTROL] * 3
            + [gguf.TokenType.NORMAL] * 2
        )
        self.fields.add_tokenizer_model("gpt2")
        self.fields.add_tokenizer_pre("smollm")
        self.fields.add_token_list(tokens)
        self.fields.add_token_types(kinds)
        self.fields.add_token_merges(["t h", "e r"])
        self.fields.add_bos_token_id(256)
        self.fields.add_eos_token_id(257)
        self.fields.add_vocab_size(len(tokens))
        if template is not None:
            self.fields.add_chat_template(template)
        self.n_vocab = len(tokens)
        self._stream = np.random.default_rng(7)

    def tensor(self, name: str, *shape: int, nan_row: int | None = None) -> None:
        values = self._stream.normal(0, 0.3, shape).astype(np.float32)
        if nan_row is not None:
            values[nan_row] = np.nan
        self.fields.add_tensor(f"{name}.weight", values)

    def given(self, name: str, values: Any) -> None:
        self.fields.add_tensor(name, np.asarray(values, np.float32))

    def ones(self, name: str, size: int = N_EMBD) -> None:
        self.given(f"{name}.weight", np.ones(size))

    def attention(self, heads: bool = True) -> None:
        self.fields.add_feed_forward_length(N_FF)
        self.fields.add_head_count(N_HEAD)
        if heads:
            self.fields.add_head_count_kv(N_HEAD)
        self.fields.add_rope_dimension_count(N_EMBD // N_HEAD)

    def feed_forward(self, layer: int) -> None:
        self.tensor(f"blk.{layer}.ffn_gate", N_FF, N_EMBD)
        self.tensor(f"blk.{layer}.ffn_up", N_FF, N_EMBD)
        self.tensor(f"blk.{layer}.ffn_down", N_EMBD, N_FF)

    def write(self) -> None:
        self.fields.write_header_to_file()
        self.fields.write_kv_data_to_file()
        self.fields.write_tensors_to_file()
        self.fields.close()


def write_tiny_gguf(
    path: Path,
    template: str | None,
    context: int,
    key_heads: bool = True,
    broken: int | None = None,
) -> None:
    """A Llama. broken: a token whose embedding is NaN."""
    made = TinyGguf(path, "llama", template, context)
    made.attention(key_heads)
    made.tensor("token_embd", made.n_vocab, N_EMBD, nan_row=broken)
    made.tensor("output", made.n_vocab, N_EMBD)
    made.ones("output_norm")
    for layer in range(N_LAYER):
        made.ones(f"blk.{layer}.attn_norm")
        made.ones(f"blk.{layer}.ffn_norm")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            made.tensor(f"blk.{layer}.{part}", N_EMBD, N_EMBD)
        made.feed_forward(layer)
    made.write()


def write_tiny_mamba(path: Path, template: str | None) -> None:
    """A Mamba: all its layers are recurrent."""
    inner = 2 * N_EMBD
    state = 16
    rank = 4
    kernel = 4
    made = TinyGguf(path, "mamba", template, 512)
    made.fields.add_feed_forward_length(0)
    made.fields.add_head_count(0)
    made.fields.add_ssm_conv_kernel(kernel)
    made.fields.add_ssm_inner_size(inner)
    made.fields.add_ssm_state_size(state)
    made.fields.add_ssm_time_step_rank(rank)
    made.tensor("token_embd", made.n_vocab, N_EMBD)
    made.tensor("output", made.n_vocab, N_EMBD)
    made.ones("output_norm")
    for layer in range(N_LAYER):
        made.ones(f"blk.{layer}.attn_norm")
        made.tensor(f"blk.{layer}.ssm_in", 2 * inner, N_EMBD)
        made.tensor(f"blk.{layer}.ssm_conv1d", inner, kernel)
        made.given(f"blk.{layer}.ssm_conv1d.bias", np.zeros(inner))
        made.tensor(f"blk.{layer}.ssm_x", rank + 2 * state, inner)
        made.tensor(f"blk.{layer}.ssm_dt", inner, rank)
        made.given(f"blk.{layer}.ssm_dt.bias", np.zeros(inner))
        made.given(f"blk.{layer}.ssm_a", -np.tile(np.linspace(0.5, 1.5, state), (inner, 1)))
        made.given(f"blk.{layer}.ssm_d", np.ones(inner))
        made.tensor(f"blk.{layer}.ssm_out", N_EMBD, inner)
    made.write()


def write_tiny_hybrid(path: Path, template: str | None) -> None:
    """An LFM2: a recurrent layer, then one with attention."""
    made = TinyGguf(path, "lfm2", template, 512)
    made.attention(heads=False)
    made.fields.add_head_count_kv([0, N_HEAD])
    made.fields.add_shortconv_l_cache(3)
    made.tensor("token_embd", made.n_vocab, N_EMBD)
    made.ones("token_embd_norm")
    for layer in range(N_LAYER):
        made.ones(f"blk.{layer}.attn_norm")
        made.ones(f"blk.{layer}.ffn_norm")
        made.feed_forward(layer)
    made.tensor("blk.0.shortconv.conv", N_EMBD, 3)
    made.tensor("blk.0.shortconv.in_proj", 3 * N_EMBD, N_EMBD)
    made.tensor("blk.0.shortconv.out_proj", N_EMBD, N_EMBD)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        made.tensor(f"blk.1.{part}", N_EMBD, N_EMBD)
    for part in ("attn_q_norm", "attn_k_norm"):
        made.ones(f"blk.1.{part}", N_EMBD // N_HEAD)
    made.write()


def write_tiny_phi3(
    path: Path, template: str | None, original: int | None = ORIGINAL_CONTEXT
) -> None:
    """A Phi-3 whose positions are turned otherwise where the context is longer than `original`
    tokens (LongRoPE).
    """
    made = TinyGguf(path, "phi3", template, 1024)
    made.attention()
    if original is not None:
        made.fields.add_rope_scaling_orig_ctx_len(original)
    made.fields.add_rope_freq_base(10000.0)
    made.fields.add_sliding_window(0)
    made.tensor("token_embd", made.n_vocab, N_EMBD)
    made.tensor("output", made.n_vocab, N_EMBD)
    made.ones("output_norm")
    turns = N_EMBD // N_HEAD // 2
    made.given("rope_factors_long.weight", [1 + 3 * turn for turn in range(turns)])
    made.given("rope_factors_short.weight", np.ones(turns))
    for layer in range(N_LAYER):
        made.ones(f"blk.{layer}.attn_norm")
        made.ones(f"blk.{layer}.ffn_norm")
        made.tensor(f"blk.{layer}.attn_qkv", 3 * N_EMBD, N_EMBD)
        made.tensor(f"blk.{layer}.attn_output", N_EMBD, N_EMBD)
        made.tensor(f"blk.{layer}.ffn_up", 2 * N_FF, N_EMBD)
        made.tensor(f"blk.{layer}.ffn_down", N_EMBD, N_FF)
    made.write()
