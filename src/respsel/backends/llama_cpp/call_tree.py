"""Calls to a tree of segments, whose boundaries each call itself fixes.

A segment is a prompt's stretch or a turn that is scored, and the two alternate on a call's path:
prompt, turn, prompt, and so on to the call's own response. Calls with the same beginning and the
same cuts share segments.

Knows no engine. Invariant: where a segment begins and of which kind it is depends on the call
alone, so that its tokens are evaluated in the same batches whatever else is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from respsel.backends.contract import ScoreCall

Ids = tuple[int, ...]


@dataclass
class Segment:
    """Tokens that follow another segment.

    parent: that segment, or None at the beginning.
    start: the position of the first token.
    is_turn: whether they are a scored turn, without its last token, which predicts nothing.
    calls: the calls whose response they begin.
    behind: the segments that follow.
    """

    tokens: Ids
    parent: Segment | None
    start: int
    is_turn: bool
    calls: list[int] = field(default_factory=list)
    behind: dict[tuple[bool, Ids], Segment] = field(default_factory=dict)

    def path(self) -> list[Segment]:
        """The segments from the beginning to this one."""
        found = [self]
        while found[-1].parent is not None:
            found.append(found[-1].parent)
        return found[::-1]


def segments_of(calls: Sequence[ScoreCall]) -> list[Segment]:
    """The segments of all calls, depth first; those that begin alike are next to each other."""
    roots: dict[tuple[bool, Ids], Segment] = {}
    for index, call in enumerate(calls):
        cuts = call.cuts or ()
        assert len(cuts) % 2 == 0, "cuts are pairs"
        last: Segment | None = None
        bounds = (0, *cuts, len(call.prompt_ids))
        parts = [call.prompt_ids[begin:end] for begin, end in pairwise(bounds)]
        for place, tokens in enumerate((*parts, call.response_ids[:-1])):
            beside = roots if last is None else last.behind
            key = (place % 2 == 1, tokens)
            if key not in beside:
                start = 0 if last is None else last.start + len(last.tokens)
                beside[key] = Segment(tokens, last, start, key[0])
            last = beside[key]
        if last is not None:
            last.calls.append(index)
    found = []
    waiting = _in_order(roots)
    while waiting:
        found.append(waiting.pop())
        waiting += _in_order(found[-1].behind)
    return found


def _in_order(beside: dict[tuple[bool, Ids], Segment]) -> list[Segment]:
    """Segments that follow the same one, as a stack: what comes first is last."""
    return [beside[key] for key in sorted(beside, reverse=True)]
