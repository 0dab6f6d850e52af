"""Token sequences that begin alike to a tree of segments, and the tree to batches.

Each call is one path of the tree: its prompt, then what is evaluated of its response. Paths share
their beginnings, wherever they run through prompts or responses. A path that is the beginning of
another one lies on it. A prompt always ends with a segment, a response may end within one.

Knows no engine. Invariant: every token of a path is in the batches, always after the tokens before
it. It is there once for all paths that share it, but where sharing costs more than it saves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, pairwise
from struct import pack

from respsel.backends.common_prefix import common_prefix

# A shorter common beginning costs more in bookkeeping than it saves, but in conversations, which
# part at many places.
FEWEST_SHARED = 32

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Segment:
    """Tokens that follow another segment.

    parent: that segment's index, or -1.
    start: the position of the first token.
    """

    tokens: Ids
    parent: int
    start: int


@dataclass(frozen=True)
class Span:
    """A stretch of a call's path in one segment.

    begin, end: the segment's tokens [begin, end).
    """

    call: int
    segment: int
    begin: int
    end: int


@dataclass(frozen=True)
class Tree:
    """All segments.

    segments: parents before children.
    ends: for each call, the segment that its prompt ends with.
    leaves: for each call, the segment in which its path ends.
    """

    segments: tuple[Segment, ...]
    ends: tuple[int, ...]
    leaves: tuple[int, ...]

    def spans(self, call: int, start: int, stop: int) -> list[Span]:
        """Where the tokens at positions [start, stop) of a call's path are, in order."""
        found = []
        index = self.leaves[call]
        while index >= 0 and start < stop:
            segment = self.segments[index]
            begin = max(start, segment.start)
            if begin < stop:
                found.append(Span(call, index, begin - segment.start, stop - segment.start))
                stop = begin
            index = segment.parent
        return found[::-1]


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


@dataclass
class _Path:
    """A distinct path, or the beginning of one that is a prompt.

    call: the first call that has it.
    is_prompt: whether a prompt ends with it.
    in_chat: whether it is of a conversation that is scored turn by turn.
    segment: the one in which it ends.
    """

    tokens: Ids
    call: int
    is_prompt: bool = False
    in_chat: bool = False
    segment: int = -1


@dataclass(frozen=True)
class _Group:
    """Paths [first, last] in their order, that go on from a segment with the same tokens.

    parent: the segment, or -1.
    reached: where it ends.
    end: how many tokens the paths share.
    """

    first: int
    last: int
    parent: int
    reached: int
    end: int


def grow(prompts: Sequence[Ids], responses: Sequence[Ids], cuts: Sequence[Ids | None] = ()) -> Tree:
    """Return the tree of some calls, given what is to be evaluated of each.

    Prompts are not empty, responses may be. For `cuts` see ScoreCall.
    """
    paths, ends, leaves = _paths(prompts, responses, cuts)
    order = sorted(paths)
    # A response that is the beginning of the next path lies on that one.
    upon = [
        (paths[one], paths[other])
        for one, other in pairwise(order)
        if not paths[one].is_prompt and other.startswith(one)
    ]
    lying = {id(one) for one, _ in upon}
    segments = _segments([path for name in order if id(path := paths[name]) not in lying])
    for one, other in reversed(upon):
        one.segment = other.segment
        while segments[one.segment].start >= len(one.tokens):
            one.segment = segments[one.segment].parent
    return Tree(
        tuple(segments),
        tuple(end.segment for end in ends),
        tuple(leaf.segment for leaf in leaves),
    )


def _paths(
    prompts: Sequence[Ids], responses: Sequence[Ids], cuts: Sequence[Ids | None]
) -> tuple[dict[bytes, _Path], list[_Path], list[_Path]]:
    """Distinct prompts and paths by name, each call's prompt, and each call's path."""
    paths: dict[bytes, _Path] = {}
    names: dict[Ids, bytes] = {}
    ends = []
    leaves = []
    for call, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        name = names.get(prompt) or names.setdefault(prompt, _name(prompt))
        end = paths.setdefault(name, _Path(prompt, call))
        end.is_prompt = True
        end.in_chat = end.in_chat or (bool(cuts) and cuts[call] is not None)
        leaf = end
        if response:
            leaf = paths.setdefault(name + _name(response), _Path(prompt + response, call))
            leaf.in_chat = leaf.in_chat or end.in_chat
        ends.append(end)
        leaves.append(leaf)
    return paths, ends, leaves


def _name(tokens: Ids) -> bytes:
    """Tokens as bytes, which sort like them and many times faster."""
    return pack(f">{len(tokens)}I", *tokens)


def _segments(ordered: Sequence[_Path]) -> list[Segment]:
    """The segments of sorted paths, depth first. Each path is told which one it ends with."""
    segments: list[Segment] = []
    waiting = _branches(ordered, 0, len(ordered), -1, 0)
    while waiting:
        group = waiting.pop()
        path = ordered[group.first]
        index = len(segments)
        segments.append(
            Segment(path.tokens[group.reached : group.end], group.parent, group.reached)
        )
        begin = group.first
        if group.end == len(path.tokens):
            path.segment = index
            begin = begin + 1
        waiting += _branches(ordered, begin, group.last + 1, index, group.end)
    return segments


def _branches(
    ordered: Sequence[_Path], begin: int, stop: int, parent: int, reached: int
) -> list[_Group]:
    """How paths [begin, stop) go on from a segment, as a stack: what comes first is last.

    Responses come first, in the order of their calls, then longer prompts in their own order.
    """
    branches: list[tuple[bool, int, _Group]] = []
    parting = [(begin, stop, reached)]
    while parting:
        begin, stop, depth = parting.pop()
        token = partial(_token, ordered, depth)
        for some in (list(places) for _, places in groupby(range(begin, stop), token)):
            first = ordered[some[0]].tokens
            end = common_prefix(first, ordered[some[-1]].tokens, reached)
            group = _Group(some[0], some[-1], parent, reached, end)
            if end == len(first) or _is_worth(ordered, group):
                goes_on = any(ordered[i].is_prompt for i in some)
                rank = some[0] if goes_on else min(ordered[i].call for i in some)
                branches.append((goes_on, rank, group))
            else:
                parting.append((some[0], some[-1] + 1, end))
    return [group for _, _, group in sorted(branches, key=lambda branch: branch[:2])][::-1]


def _token(ordered: Sequence[_Path], depth: int, place: int) -> int:
    return ordered[place].tokens[depth]


def _is_worth(ordered: Sequence[_Path], group: _Group) -> bool:
    """Whether a beginning is shared: it is long, or of conversations."""
    paths = ordered[group.first : group.last + 1]
    return group.end - group.reached >= FEWEST_SHARED or any(path.in_chat for path in paths)


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
