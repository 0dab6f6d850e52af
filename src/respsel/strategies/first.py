"""For each example the response of the first member that passes (arXiv 2509.15157).

Knows nothing of how the members' responses were made. Invariant: a member that comes later is taken
only where all before it fail.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import GeneratorType
from typing import TYPE_CHECKING

from respsel.records import Example, Response
from respsel.strategies.base import Operation
from respsel.strategies.passing import fault_rank, stands
from respsel.tables.problems import NOT_ASKED

if TYPE_CHECKING:
    from collections.abc import Callable


def first_responses(
    examples: Sequence[Example], members: Sequence[Sequence[Response]]
) -> Iterator[Response]:
    """Yield one response per example, each with the place of its member.

    members: by member, in order, its responses. Where none passes, the last of the least bad ones
    stands: the later member is the safer one, as a reference is.
    """
    for example, *candidates in zip(examples, *members, strict=True):
        standing = [place for place, r in enumerate(candidates) if stands(r, example.input)]
        ranks = [
            (fault_rank(response, example.input), -place)
            for place, response in enumerate(candidates)
        ]
        place = standing[0] if standing else -min(ranks)[1]
        yield replace(candidates[place], member=place + 1)


def where_needed(
    texts: Callable[[Sequence[Example]], Iterable[Response] | Operation],
    examples: Sequence[Example],
    earlier: Sequence[Sequence[Response]],
) -> Operation:
    """A member's responses only for the examples where none of the earlier members' stands.

    texts: makes the member's responses to some examples. The other rows say that it was not asked.
    """
    settled = {
        example.id
        for rows in earlier
        for example, response in zip(examples, rows, strict=True)
        if stands(response, example.input)
    }
    needed = [example for example in examples if example.id not in settled]
    made = texts(needed)
    rows = (yield from made) if isinstance(made, GeneratorType | Generator) else made
    by_id: Mapping[str, Response] = {response.id: response for response in rows}
    return [by_id.get(example.id) or Response(example.id, "", NOT_ASKED) for example in examples]
