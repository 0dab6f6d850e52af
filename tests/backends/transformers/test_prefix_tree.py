"""Token sequences to a tree of segments and to batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from operator import add
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from respsel.backends.transformers.prefix_tree import FEWEST_SHARED, Segment, Tree, fill, grow

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


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Ids], list[Ids], list[Ids]]:
    """Prompts, what is evaluated of responses, and cuts of some turns of some conversations."""
    texts = draw(
        st.lists(
            st.lists(st.tuples(st.integers(1, 40), st.integers(0, 1)), min_size=1, max_size=5),
            min_size=1,
            max_size=4,
        )
    )
    calls = []
    for text in texts:
        ids: Ids = (7,)
        cuts: Ids = ()
        for length, kind in text:
            ids += (8, *((kind, *STEM)[:length]))
            turn = (9, *((kind, *STEM[5:])[:length]))
            calls.append((ids, turn[:-1], cuts))
            cuts = (*cuts, len(ids), len(ids) + length)
            ids += turn
    chosen = draw(st.lists(st.sampled_from(calls), min_size=1, max_size=9))
    return [p for p, _, _ in chosen], [r for _, r, _ in chosen], [c for _, _, c in chosen]


def path_of(segments: Sequence[Segment], index: int) -> Ids:
    tokens: Ids = ()
    while index >= 0:
        tokens = segments[index].tokens + tokens
        index = segments[index].parent
    return tokens


def evaluated(tree: Tree) -> int:
    return sum(len(segment.tokens) for segment in tree.segments)


def check_paths(tree: Tree, prompts: list[Ids], responses: list[Ids]) -> None:
    """Each call's prompt is the path to the segment it ends with; its spans spell its response."""
    for call, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        assert path_of(tree.segments, tree.ends[call]) == prompt
        whole = prompt + response
        assert path_of(tree.segments, tree.leaves[call])[: len(whole)] == whole
        for start, stop in ((0, len(whole)), (len(prompt), len(whole)), (len(prompt) - 1, 1)):
            said = [
                token
                for span in tree.spans(call, start, stop)
                for token in tree.segments[span.segment].tokens[span.begin : span.end]
            ]
            assert tuple(said) == whole[start:stop]
    for index, segment in enumerate(tree.segments):
        assert segment.tokens
        assert segment.parent < index
        assert segment.start == len(path_of(tree.segments, index)) - len(segment.tokens)


@given(sequences())
def test_a_path_spells_its_call(calls: tuple[list[Ids], list[Ids]]) -> None:
    """Prompts are paths, and what is evaluated of their responses stands right behind them."""
    check_paths(grow(*calls), *calls)


@given(conversations())
def test_turns_of_conversations_are_paths(calls: tuple[list[Ids], list[Ids], list[Ids]]) -> None:
    """So it is where a response goes on as another call's prompt."""
    check_paths(grow(*calls), *calls[:2])


@given(sequences())
def test_each_distinct_prompt_is_evaluated_once_and_no_more(
    calls: tuple[list[Ids], list[Ids]],
) -> None:
    """The tokens to evaluate are at most each distinct prompt's and each response's, and less where
    they begin alike.
    """
    prompts, responses = calls
    assert evaluated(grow(*calls)) <= sum(map(len, set(prompts))) + sum(map(len, responses))


@given(conversations())
def test_no_token_of_a_conversation_is_evaluated_twice(
    calls: tuple[list[Ids], list[Ids], list[Ids]],
) -> None:
    """No two segments with the same path before them begin with the same token."""
    prompts, responses, _ = calls
    tree = grow(*calls)
    twice = Counter(
        path_of(tree.segments, index)[: segment.start + length]
        for index, segment in enumerate(tree.segments)
        for length in range(1, len(segment.tokens) + 1)
    )
    nodes = {path[:end] for path in map(add, prompts, responses) for end in range(1, len(path) + 1)}
    assert set(twice) == nodes
    assert evaluated(tree) == len(nodes)


@given(sequences(), st.randoms(use_true_random=False))
def test_the_order_of_calls_does_not_matter(
    calls: tuple[list[Ids], list[Ids]], stream: Random
) -> None:
    """The same segments are evaluated, whatever the order in which calls come."""
    order = list(range(len(calls[0])))
    stream.shuffle(order)
    other = grow([calls[0][i] for i in order], [calls[1][i] for i in order])
    tree = grow(*calls)
    assert sorted(path_of(tree.segments, i) for i in range(len(tree.segments))) == sorted(
        path_of(other.segments, i) for i in range(len(other.segments))
    )


def test_a_conversation_is_one_chain() -> None:
    """Each turn's prompt goes on behind the turn before, which lies within its segment."""
    turns = [((1, 2), (3,)), ((1, 2, 3, 4, 5), (6, 7)), ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 1, 1))]
    tree = grow(*zip(*turns, strict=True))
    assert [segment.tokens for segment in tree.segments] == [
        (1, 2),
        (3, 4, 5),
        (6, 7, 8, 9),
        (1, 1, 1),
    ]
    assert tree.ends == (0, 1, 2)
    assert tree.leaves == (1, 2, 3)


def test_trajectories_share_a_turn_however_short() -> None:
    """Two conversations share all before they part. For single inputs so short a beginning is not
    worth a segment.
    """
    prompts = [(1, 2, 3, 4, 5), (1, 2, 3, 4, 6)]
    none: list[Ids] = [(), ()]
    assert [s.tokens for s in grow(prompts, none, [(2, 3), ()]).segments] == [
        (1, 2, 3, 4),
        (5,),
        (6,),
    ]
    assert [s.tokens for s in grow(prompts, none, [None, None]).segments] == prompts


def test_responses_that_begin_alike_share_a_long_beginning() -> None:
    """Like prompts; and a response that is the beginning of another one costs nothing."""
    responses = [(*STEM[:40], 7), (*STEM[:40], 8, 8), STEM[:10], STEM[:39], ()]
    tree = grow([(1,)] * 5, responses)
    assert [s.tokens for s in tree.segments] == [(1,), STEM[:40], (7,), (8, 8)]
    assert tree.leaves == (2, 3, 1, 1, 0)
    assert tree.ends == (0,) * 5


def test_a_short_beginning_hides_no_longer_one() -> None:
    """Of three prompts two share much, and all share enough: both beginnings are shared."""
    prompts = [(*STEM[:80], 1), (*STEM[:80], 2), (*STEM[:40], 3)]
    assert [len(s.tokens) for s in grow(prompts, [()] * 3).segments] == [40, 1, 40, 1, 1]


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
    tree = grow([STEM, (*STEM, 5, 6)], [(9,), (2,)])
    assert [segment.tokens for segment in tree.segments] == [STEM, (9,), (5, 6), (2,)]


@given(sequences() | conversations(), st.integers(1, 64))
def test_batches_hold_every_token_once_behind_its_path(
    calls: tuple[list[Ids], ...], budget: int
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
