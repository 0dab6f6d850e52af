"""Token sequences that begin alike to a tree of segments, and the tree to batches.

Each prompt is one path of the tree, and each response a leaf behind it. Prompts that share a long
beginning (system text, fixed examples) share that segment too. Knows no engine. Invariant: every
token of a distinct prompt is in the batches once, every response's once, and always after the
tokens before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

# A shorter common beginning costs more in bookkeeping than it saves.
FEWEST_SHARED = 32


@dataclass(frozen=True)
class Segment:
    """Tokens that follow another segment.

    parent: that segment's index, or -1.
    start: the position of the first token.
    call: the index of the call whose response this is, or -1.
    """

    tokens: tuple[int, ...]
    parent: int
    start: int
    call: int


@dataclass(frozen=True)
class Tree:
    """All segments.

    segments: parents before children.
    ends: for each call, the segment that its prompt ends with.
    """

    segments: tuple[Segment, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """A stretch of a segment in one batch.

    begin, end: the segment's tokens [begin, end).
    row: where they begin in the batch.
    behind: the pieces before it on its path, nearest last.
    kept: whether a later batch needs its keys and values.
    """

    index: int
    segment: int
    begin: int
    end: int
    row: int
    behind: tuple[int, ...]
    kept: bool


@dataclass(frozen=True)
class Batch:
    """Pieces to evaluate together.

    tokens: how many they have.
    dropped: kept pieces that no later batch needs.
    """

    pieces: tuple[Piece, ...]
    tokens: int
    dropped: tuple[int, ...]


def grow(prompts: Sequence[tuple[int, ...]], responses: Sequence[tuple[int, ...]]) -> Tree:
    """Return the tree of some calls, given what is to be evaluated of each.

    Prompts are not empty. An empty response makes no segment.
    """
    by_prompt: dict[tuple[int, ...], list[int]] = {}
    for call, prompt in enumerate(prompts):
        by_prompt.setdefault(prompt, []).append(call)
    segments: list[Segment] = []
    ends = [0] * len(prompts)
    # The path of the newest prompt: (segment, length of the path with it).
    path: list[tuple[int, int]] = []
    ordered = sorted(by_prompt)
    for place, prompt in enumerate(ordered):
        before = _shared(ordered[place - 1], prompt) if place else 0
        after = _shared(prompt, ordered[place + 1]) if place + 1 < len(ordered) else 0
        while path and path[-1][1] > before:
            path.pop()
        for end in (after, len(prompt)):
            reached = path[-1][1] if path else 0
            if end - reached >= FEWEST_SHARED or (end == len(prompt) and end > reached):
                segments.append(
                    Segment(prompt[reached:end], path[-1][0] if path else -1, reached, -1)
                )
                path.append((len(segments) - 1, end))
        for call in by_prompt[prompt]:
            ends[call] = path[-1][0]
            if responses[call]:
                segments.append(Segment(responses[call], path[-1][0], len(prompt), call))
    return Tree(tuple(segments), tuple(ends))


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two prompts have in common at their beginning."""
    most = min(len(one), len(other))
    return next((i for i in range(most) if one[i] != other[i]), most)


def fill(segments: Sequence[Segment], budget: int) -> Iterator[Batch]:
    """Yield batches of at most `budget` tokens, in an order in which they can be evaluated."""
    batches = _cut(segments, budget)
    born: dict[int, int] = {}
    last_use: dict[int, int] = {}
    for number, pieces in enumerate(batches):
        born |= {piece.index: number for piece in pieces}
        last_use |= {index: number for piece in pieces for index in piece.behind}
    dropped: dict[int, list[int]] = {}
    for index, number in last_use.items():
        if number > born[index]:
            dropped.setdefault(number, []).append(index)
    for number, pieces in enumerate(batches):
        kept = tuple(
            replace(piece, kept=last_use.get(piece.index, number) > number) for piece in pieces
        )
        tokens = kept[-1].row + kept[-1].end - kept[-1].begin
        yield Batch(kept, tokens, tuple(dropped.get(number, ())))


def _cut(segments: Sequence[Segment], budget: int) -> list[list[Piece]]:
    """The pieces of each batch, in order. Only a segment that no batch can hold is cut."""
    batches: list[list[Piece]] = [[]]
    paths: list[tuple[int, ...]] = []
    count = row = 0
    for place, segment in enumerate(segments):
        path = paths[segment.parent] if segment.parent >= 0 else ()
        begin = 0
        while begin < len(segment.tokens):
            end = min(len(segment.tokens), begin + budget)
            if row and row + end - begin > budget:
                batches.append([])
                row = 0
            batches[-1].append(Piece(count, place, begin, end, row, path, False))
            path = (*path, count)
            row = row + end - begin
            begin = end
            count = count + 1
        paths.append(path)
    return [pieces for pieces in batches if pieces]
