"""Token sequences to a tree of segments and to batches."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from respsel.backends.transformers.prefix_tree import FEWEST_SHARED, Segment, fill, grow

Ids = tuple[int, ...]
# Few different tokens and a shared stem, so that prompts begin alike at all lengths.
STEM: Ids = tuple(range(100))


@st.composite
def sequences(draw: st.DrawFn) -> tuple[list[Ids], list[Ids]]:
    tails = st.lists(st.integers(0, 2), max_size=70).map(tuple)
    prompts = draw(
        st.lists(
            st.tuples(st.integers(0, 100), tails).map(lambda t: (7, *STEM[: t[0]], *t[1])),
            min_size=1,
            max_size=8,
        )
    )
    chosen = draw(st.lists(st.sampled_from(prompts), min_size=1, max_size=12))
    return chosen, [draw(tails) for _ in chosen]


def path_of(segments: Sequence[Segment], index: int) -> Ids:
    tokens: Ids = ()
    while index >= 0:
        tokens = segments[index].tokens + tokens
        index = segments[index].parent
    return tokens


@given(sequences())
def test_a_path_spells_its_call(calls: tuple[list[Ids], list[Ids]]) -> None:
    """Each call's prompt is the path to the segment it ends with, and its response stands right
    behind that.
    """
    prompts, responses = calls
    tree = grow(prompts, responses)
    leaves = {segment.call: segment for segment in tree.segments if segment.call >= 0}
    for call, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        assert path_of(tree.segments, tree.ends[call]) == prompt
        if response:
            assert (leaves[call].tokens, leaves[call].parent, leaves[call].start) == (
                response,
                tree.ends[call],
                len(prompt),
            )
        else:
            assert call not in leaves
    for index, segment in enumerate(tree.segments):
        assert segment.parent < index
        assert segment.start == len(path_of(tree.segments, index)) - len(segment.tokens)


@given(sequences())
def test_each_distinct_prompt_is_evaluated_once_and_no_more(
    calls: tuple[list[Ids], list[Ids]],
) -> None:
    """The tokens to evaluate are at most each distinct prompt's and each response's, and less where
    prompts begin alike.
    """
    prompts, responses = calls
    total = sum(len(segment.tokens) for segment in grow(prompts, responses).segments)
    assert total <= sum(map(len, set(prompts))) + sum(map(len, responses))


def test_a_long_common_beginning_is_evaluated_once() -> None:
    """Prompts of other examples that share their first tokens share that segment; a short common
    beginning is not split off.
    """
    long = STEM[:FEWEST_SHARED]
    short = STEM[: FEWEST_SHARED - 1]
    shared = grow([(*long, 200, 201), (*long, 300, 301)], [(), ()])
    assert sum(len(segment.tokens) for segment in shared.segments) == FEWEST_SHARED + 4
    assert len(grow([(*short, 200, 201), (*short, 300, 301)], [(), ()]).segments) == 2


def test_a_prompt_that_is_the_beginning_of_another_is_shared() -> None:
    """Where a prompt goes on from another one, only its rest is evaluated."""
    tree = grow([STEM, (*STEM, 5, 6)], [(1,), (2,)])
    assert [segment.tokens for segment in tree.segments] == [STEM, (1,), (5, 6), (2,)]


@given(sequences(), st.integers(1, 64))
def test_batches_hold_every_token_once_behind_its_path(
    calls: tuple[list[Ids], list[Ids]], budget: int
) -> None:
    """Batches keep to the budget, lie row by row, hold each token once, and what a piece stands
    behind is there or kept.
    """
    tree = grow(*calls)
    seen: dict[int, list[tuple[int, int]]] = {}
    available: set[int] = set()
    spans: dict[int, tuple[int, int, int]] = {}
    for batch in fill(tree.segments, budget):
        assert 0 < batch.tokens <= budget
        row = 0
        here = set()
        for piece in batch.pieces:
            assert piece.row == row
            row += piece.end - piece.begin
            here.add(piece.index)
            assert set(piece.behind) <= available | here
            spans[piece.index] = (piece.segment, piece.begin, piece.end)
            before = [
                tree.segments[s].tokens[b:e] for s, b, e in (spans[index] for index in piece.behind)
            ]
            whole = path_of(tree.segments, piece.segment)
            start = tree.segments[piece.segment].start + piece.begin
            assert tuple(token for part in before for token in part) == whole[:start]
            seen.setdefault(piece.segment, []).append((piece.begin, piece.end))
        assert row == batch.tokens
        available |= {piece.index for piece in batch.pieces if piece.kept}
        available -= set(batch.dropped)
    assert not available
    for index, segment in enumerate(tree.segments):
        ends = [0, *(end for _, end in seen[index])]
        assert seen[index] == list(pairwise(ends))
        assert ends[-1] == len(segment.tokens)
