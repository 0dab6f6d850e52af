"""A transformers model evaluated over a tree of segments: each token once, behind its path.

The tokens of a batch follow one another in a single row, without padding. Only attention must know
which belong together. It is replaced, through transformers' own interface for that, by one that
lets each piece see its own path alone. Keys and values that a later batch needs are kept, layer by
layer.

Knows tokens, not text. Invariant: what a token sees does not depend on what else is in the batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from respsel.backends.sampling import BROKEN_REMEDY, NOT_FINITE
from respsel.backends.transformers.prefix_tree import Batch, Piece, Segment, fill, grow
from respsel.errors import PreflightError, Problem

Pair = tuple[torch.Tensor, torch.Tensor]
_NAMES = count()
_CHECK_PROMPT = 12
_CHECK_RESPONSE = 8


class Unbranchable(Exception):
    """The model's layers need something that branching does not give them."""


class Branching:
    """Runs a model's decoder. `tokens` counts what was evaluated."""

    def __init__(self, model: Any, shown: str) -> None:
        self._model = model
        self._decoder = model.get_decoder()
        self._shown = shown
        self._device = model.device
        self._attend: Any = None
        self.tokens = 0
        self._before = model.config._attn_implementation
        self._name = f"respsel-{next(_NAMES)}"
        AttentionInterface.register(self._name, self._attention)
        model.set_attn_implementation(self._name)

    def close(self) -> None:
        """Let go of the model, which transformers' registry would keep."""
        AttentionInterface._global_mapping.pop(self._name, None)

    def check(self) -> None:
        """Raise PreflightError unless branching gives what the model's own forward pass gives.

        A model whose layers are not plain attention would silently get wrong scores.
        """
        n_vocab = int(self._model.config.get_text_config().vocab_size)
        ids = [
            (7919 * place + 13) % n_vocab for place in range(_CHECK_PROMPT + 2 * _CHECK_RESPONSE)
        ]
        prompt = tuple(ids[:_CHECK_PROMPT])
        rest = ids[_CHECK_PROMPT:]
        responses = [tuple(rest[:_CHECK_RESPONSE]), tuple(rest[_CHECK_RESPONSE:])]
        try:
            tree = grow([prompt, prompt], responses)
            ((_, hidden, _),) = self.hidden(tree.segments, 10_000)
            ours = self.logits(hidden[_CHECK_PROMPT:]).log_softmax(-1)
            theirs = torch.cat(
                [self._plain(prompt + response)[_CHECK_PROMPT:] for response in responses]
            )
        except (Unbranchable, TypeError, AttributeError, IndexError, ValueError) as error:
            raise self._refusal(str(error)) from error
        self.tokens = 0
        if not theirs.amax(-1).isfinite().all():
            raise PreflightError(Problem(self._shown, "", NOT_FINITE, BROKEN_REMEDY))
        far = float((ours - theirs.log_softmax(-1)).abs().mean())
        if not far < (0.01 if self._model.dtype == torch.float32 else 0.2):
            raise self._refusal(
                f"log-probabilities differ by {far:.2g} nats from those of the model's own "
                "forward pass"
            )

    def _plain(self, ids: tuple[int, ...]) -> torch.Tensor:
        self._model.set_attn_implementation(self._before)
        try:
            with torch.inference_mode():
                logits: torch.Tensor = (
                    self._model(torch.tensor([ids], device=self._device), use_cache=False)
                    .logits[0]
                    .float()
                )
        finally:
            self._model.set_attn_implementation(self._name)
        return logits

    def _refusal(self, why: str) -> PreflightError:
        what = f"responses cannot branch from a prompt with this architecture: {why}"
        return PreflightError(
            Problem(self._shown, "", what, "Use backend 'llama-cpp' with a GGUF of the model")
        )

    def hidden(
        self, segments: Sequence[Segment], budget: int, keep_all: bool = False
    ) -> Iterator[tuple[Batch, torch.Tensor, OverPaths]]:
        """Yield each batch with hidden states (tokens, width): the last layer's, after the norm.

        keep_all: keep the keys and values of every piece, for `OverPaths.path`.
        """
        attend = OverPaths(segments, keep_all)
        for batch in fill(segments, budget):
            attend.begin(batch)
            pieces = [(segments[piece.segment], piece) for piece in batch.pieces]
            ids = [
                token
                for segment, piece in pieces
                for token in segment.tokens[piece.begin : piece.end]
            ]
            places = [
                place
                for segment, p in pieces
                for place in range(segment.start + p.begin, segment.start + p.end)
            ]
            yield batch, self.forward(ids, places, attend), attend
            attend.end(batch)

    def forward(self, ids: Sequence[int], positions: Sequence[int], attend: Any) -> torch.Tensor:
        """Evaluate one row of tokens; return hidden states (tokens, width)."""
        self._attend = attend
        self.tokens += len(ids)
        with torch.inference_mode():
            out = self._decoder(
                input_ids=torch.tensor([ids], device=self._device),
                position_ids=torch.tensor([positions], device=self._device),
                use_cache=False,
            )
        hidden: torch.Tensor = out.last_hidden_state[0]
        return hidden

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """The output head over hidden states (n, width): logits (n, n_vocab) in float32."""
        with torch.inference_mode():
            logits: torch.Tensor = self._model.get_output_embeddings()(hidden).float()
            config = self._model.config.get_text_config()
            if scale := getattr(config, "logit_scale", None):  # Cohere
                logits *= scale
            if scale := getattr(config, "logits_scaling", None):  # Granite
                logits /= scale
            if cap := getattr(config, "final_logit_softcapping", None):  # Gemma
                logits = (logits / cap).tanh_().mul_(cap)
        return logits

    def _attention(
        self,
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        _mask: torch.Tensor | None,
        scaling: float | None = None,
        sliding_window: int | None = None,
        softcap: float | None = None,
        s_aux: torch.Tensor | None = None,
        **more: Any,
    ) -> tuple[torch.Tensor, None]:
        """Transformers' attention interface.

        query (1, heads, tokens, dim) -> (1, tokens, heads, dim).
        """
        unknown = [name for name in ("position_bias", "head_mask") if more.get(name) is not None]
        if unknown:
            raise Unbranchable(f"its attention needs {', '.join(unknown)}")
        if self._attend is None:
            raise Unbranchable("its layers attend outside of the decoder's forward pass")
        groups = query.shape[1] // key.shape[1]
        out = self._attend(
            module.layer_idx,
            query,
            key,
            value,
            Kind(scaling, sliding_window, softcap, groups, s_aux),
        )
        return out, None


@dataclass(frozen=True)
class Kind:
    """What a layer's attention is like.

    groups: query heads to a key head.
    sinks: (query heads,), a weight that each head gives to nothing (gpt-oss).
    """

    scaling: float | None
    window: int | None
    softcap: float | None
    groups: int
    sinks: torch.Tensor | None

    def over(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        grouped: bool = False,
    ) -> torch.Tensor:
        """Attention of query (b, heads, n, dim) over key and value (b, key heads, m, dim).

        mask: added to the weights (n, m); without one, n = m and the attention is causal.
        grouped: query is (b, key heads, groups, dim), one token each.
        """
        if self.groups > 1 and not grouped:
            key = key.repeat_interleave(self.groups, 1)
            value = value.repeat_interleave(self.groups, 1)
        if self.softcap is None and self.sinks is None:
            return scaled_dot_product_attention(
                query, key, value, mask, is_causal=mask is None, scale=self.scaling
            )
        weights = (
            query
            @ key.transpose(2, 3)
            * (query.shape[-1] ** -0.5 if self.scaling is None else self.scaling)
        )
        if self.softcap is not None:
            weights = (weights / self.softcap).tanh() * self.softcap
        weights = (
            weights + (causal_mask(0, query.shape[2], None, query) if mask is None else mask)
        ).float()
        if self.sinks is not None:
            sinks = (
                self.sinks.reshape(key.shape[1], -1, 1) if grouped else self.sinks[:, None, None]
            )
            weights = torch.cat([weights, sinks.float().expand(*weights.shape[:3], 1)], 3).softmax(
                -1
            )[..., :-1]
        else:
            weights = weights.softmax(-1)
        return weights.to(value.dtype) @ value


class OverPaths:
    """Attention of each piece of a batch over its path.

    The path is kept pieces, pieces of the batch, and the piece itself.
    """

    def __init__(self, segments: Sequence[Segment], keep_all: bool = False) -> None:
        self._segments = segments
        self._keep_all = keep_all
        self._kept: dict[int, list[Pair]] = {}
        self._here: dict[int, Piece] = {}
        self._masks: dict[tuple[int, int, int | None], torch.Tensor] = {}

    def begin(self, batch: Batch) -> None:
        """Take up a batch."""
        self._here = {piece.index: piece for piece in batch.pieces}
        self._kept |= {piece.index: [] for piece in batch.pieces if piece.kept or self._keep_all}

    def end(self, batch: Batch) -> None:
        """Let go what no later batch needs."""
        for index in () if self._keep_all else batch.dropped:
            del self._kept[index]
        self._masks.clear()

    def path(self, piece: Piece) -> list[Pair]:
        """By layer, the keys and values (1, key heads, tokens, dim) of a kept piece's path."""
        layers = zip(*(self._kept[index] for index in (*piece.behind, piece.index)), strict=True)
        return [
            (torch.cat([k for k, _ in pairs], 2), torch.cat([v for _, v in pairs], 2))
            for pairs in layers
        ]

    def __call__(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, kind: Kind
    ) -> torch.Tensor:
        out = query.new_empty((1, query.shape[2], query.shape[1], value.shape[3]))
        for piece in self._here.values():
            rows = slice(piece.row, piece.row + piece.end - piece.begin)
            mine = key[:, :, rows], value[:, :, rows]
            if piece.index in self._kept:
                # Hazard: a view would keep the whole batch's keys alive.
                self._kept[piece.index].append((mine[0].clone(), mine[1].clone()))
            found = self._over(piece, layer, query[:, :, rows], key, value, mine, kind)
            out[:, rows] = found.transpose(1, 2)
        return out

    def _over(
        self,
        piece: Piece,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mine: Pair,
        kind: Kind,
    ) -> torch.Tensor:
        start = self._segments[piece.segment].start + piece.begin
        n = query.shape[2]
        if not piece.behind:
            mask = self._mask(0, n, kind.window, query) if kind.window and n > kind.window else None
            return kind.over(query, *mine, mask)
        pairs = [self._pair(index, layer, key, value) for index in piece.behind]
        keys = torch.cat([*(k for k, _ in pairs), mine[0]], 2)
        values = torch.cat([*(v for _, v in pairs), mine[1]], 2)
        return kind.over(query, keys, values, self._mask(start, n, kind.window, query))

    def _pair(self, index: int, layer: int, key: torch.Tensor, value: torch.Tensor) -> Pair:
        piece = self._here.get(index)
        if piece is None:
            return self._kept[index][layer]
        rows = slice(piece.row, piece.row + piece.end - piece.begin)
        return key[:, :, rows], value[:, :, rows]

    def _mask(self, start: int, n: int, window: int | None, like: torch.Tensor) -> torch.Tensor:
        known = (start, n, window)
        if known not in self._masks:
            self._masks[known] = causal_mask(start, n, window, like)
        return self._masks[known]


def causal_mask(start: int, n: int, window: int | None, like: torch.Tensor) -> torch.Tensor:
    """What is added to the attention of tokens at positions start..start+n.

    Over those from 0 on: (n, start + n).
    """
    query = torch.arange(start, start + n, device=like.device)[:, None]
    return additive_mask(query, start + n, window, like)


def additive_mask(
    query: torch.Tensor, keys: int, window: int | None, like: torch.Tensor
) -> torch.Tensor:
    """0 where a token at position `query` (n, 1) sees the key at 0..keys, else minus infinity."""
    key = torch.arange(keys, device=like.device)[None, :]
    hidden = key > query
    if window is not None:
        hidden |= query - key >= window
    return torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill_(
        hidden, float("-inf")
    )
