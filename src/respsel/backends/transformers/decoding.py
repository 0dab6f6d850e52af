"""Sampling many responses at once: a fixed number of rows, each with keys and values of its own.

A row that ends takes up the next call. Rows are at their own positions, so nothing is padded on the
left. Knows tokens, not text. Invariant: a step always computes all rows, idle ones too. Matrix
kernels differ by the number of rows: with fewer, a text would depend on what ended during it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from respsel.backends.contract import GenerateCall
from respsel.backends.sampling import Drawn
from respsel.backends.transformers.branching import Branching, Kind, Pair, additive_mask
from respsel.backends.transformers.prefix_tree import grow

# Keys and values are given room for so many more tokens at a time.
_ROOM_STEP = 128


@dataclass(frozen=True)
class _Prompt:
    """An evaluated prompt: the logits (n_vocab,) after it, and its keys and values by layer."""

    logits: torch.Tensor
    pairs: list[Pair]


class Decoding:
    """The rows of one `generate`."""

    def __init__(self, branching: Branching, rows: int, budget: int, ends: set[int]) -> None:
        self._branching = branching
        self._rows = rows
        self._budget = budget
        self._ends = ends
        self._layers: list[Pair] = []
        self._newest: tuple[tuple[int, ...], _Prompt] | None = None

    def run(self, calls: Sequence[GenerateCall]) -> Iterator[Drawn]:
        """Yield each call's response when it ends."""
        # Calls of one prompt together: it is evaluated once for them.
        waiting = sorted(
            range(len(calls)), key=lambda index: (calls[index].prompt_ids, index), reverse=True
        )
        running: dict[int, Drawn] = {}
        while waiting or running:
            free = [row for row in range(self._rows) if row not in running]
            admitted = [(row, waiting.pop()) for row in free if waiting]
            prompts = self._prompts([calls[index].prompt_ids for _, index in admitted])
            for row, index in admitted:
                prompt = prompts[calls[index].prompt_ids]
                self._take_up(row, prompt)
                running[row] = Drawn(index, calls[index], self._ends.__contains__)
                running[row].take(prompt.logits.numpy())
            for row in [row for row, drawn in running.items() if drawn.done]:
                if running[row].problem:
                    self._wipe(row)
                yield running.pop(row)
            if running:
                self._step(running)

    def _prompts(self, prompts: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], _Prompt]:
        """Evaluate prompts, those that begin alike together. The newest one is remembered."""
        found = {}
        if self._newest is not None and self._newest[0] in prompts:
            found[self._newest[0]] = self._newest[1]
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in found]
        tree = grow(missing, [()] * len(missing))
        ending = dict(zip(tree.ends, missing, strict=True))
        for batch, hidden, paths in self._branching.hidden(
            tree.segments, self._budget, keep_all=True
        ):
            for piece in batch.pieces:
                if piece.segment in ending and piece.end == len(
                    tree.segments[piece.segment].tokens
                ):
                    last = piece.row + piece.end - piece.begin
                    logits = self._branching.logits(hidden[last - 1 : last])[0].cpu()
                    found[ending[piece.segment]] = _Prompt(logits, paths.path(piece))
        if missing:
            self._newest = missing[-1], found[missing[-1]]
        return found

    def _take_up(self, row: int, prompt: _Prompt) -> None:
        """Give a row a copy of an evaluated prompt's keys and values."""
        length = prompt.pairs[0][0].shape[2]
        self._make_room(length + 1, prompt.pairs)
        for (keys, values), (key, value) in zip(self._layers, prompt.pairs, strict=True):
            keys[row, :, :length] = key[0]
            values[row, :, :length] = value[0]

    def _wipe(self, row: int) -> None:
        """Forget a row's keys and values.

        Hazard: NaN that is masked is NaN all the same (0 * NaN), and would reach the next call.
        """
        for keys, values in self._layers:
            keys[row] = 0
            values[row] = 0

    def _make_room(self, tokens: int, like: list[Pair]) -> None:
        have = self._layers[0][0].shape[2] if self._layers else 0
        if tokens <= have:
            return
        more = -(-(tokens - have) // _ROOM_STEP) * _ROOM_STEP

        def longer(now: torch.Tensor | None, of: torch.Tensor) -> torch.Tensor:
            blank = of.new_zeros((self._rows, of.shape[1], more, of.shape[3]))
            return blank if now is None else torch.cat([now, blank], 2)

        before: list[Any] = list(self._layers) or [(None, None)] * len(like)
        self._layers = [
            (longer(k, a), longer(v, b)) for (k, v), (a, b) in zip(before, like, strict=True)
        ]

    def _step(self, running: dict[int, Drawn]) -> None:
        """Evaluate the newest token of every row, and draw the next ones."""
        positions = [running[row].position if row in running else 0 for row in range(self._rows)]
        tokens = [running[row].tokens[-1] if row in running else 0 for row in range(self._rows)]
        self._make_room(max(positions) + 1, self._layers)
        attend = _OverRows(self._layers, positions)
        hidden = self._branching.forward(tokens, positions, attend)
        logits = self._branching.logits(hidden).cpu().numpy()
        for row, drawn in running.items():
            drawn.take(logits[row])


class _OverRows:
    """Attention of each row's newest token over that row's keys and values, its own included."""

    def __init__(self, layers: Sequence[Pair], positions: Sequence[int]) -> None:
        self._layers = layers
        device = layers[0][0].device
        self._at = torch.tensor(positions, device=device)
        self._rows = torch.arange(len(positions), device=device)
        self._length = max(positions) + 1
        self._masks: dict[int | None, torch.Tensor] = {}

    def __call__(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, kind: Kind
    ) -> torch.Tensor:
        keys, values = self._layers[layer]
        keys[self._rows, :, self._at] = key[0].transpose(0, 1)
        values[self._rows, :, self._at] = value[0].transpose(0, 1)
        # One query a row: the heads that share a key head stand where a sequence's tokens would.
        rows = query.shape[2]
        heads = query.shape[1]
        grouped = (
            query[0]
            .transpose(0, 1)
            .reshape(rows, heads // kind.groups, kind.groups, query.shape[3])
        )
        keys = keys[:, :, : self._length]
        values = values[:, :, : self._length]
        out = kind.over(grouped, keys, values, self._mask(kind.window, query), grouped=True)
        return out.reshape(1, rows, heads, values.shape[3])

    def _mask(self, window: int | None, like: torch.Tensor) -> torch.Tensor:
        if window not in self._masks:
            mask = additive_mask(self._at[:, None], self._length, window, like)
            self._masks[window] = mask[:, None, None, :]
        return self._masks[window]
