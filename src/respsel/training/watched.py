"""Looks at the conversations of a set while they pass: counts them, and what a format cannot say.

Knows nothing of files. Invariant: a row that the format cannot say is never passed on, and an
error names it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from respsel.errors import InputError, Problem
from respsel.training.conversations import Conversations, said, split_at_trained, tools_of
from respsel.training.counts import Row
from respsel.training.examples import Pair
from respsel.training.formats import FORMATS, Format


class Watched:
    """The conversations of one set in one format."""

    def __init__(self, kind: Format) -> None:
        self.found = Conversations()
        self._kind = kind
        self._reasons: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self._able = [name for name, other in FORMATS.items() if not other.pairs]

    def passed(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Pass on the rows that the format can say."""
        for row in rows:
            if not row.turns or self._is_said(row):
                yield row

    def _is_said(self, row: Row) -> bool:
        tools = tools_of(row.turns) is not None
        if isinstance(row, Pair):
            ends = (*row.chosen_turns, *row.rejected_turns)
            self.found.add((*said(row.turns), *row.chosen_turns), tools, ends)
            return True
        chat = said(row.turns)
        self.found.add(chat, tools, split_at_trained(chat)[1])
        self._able = [name for name in self._able if not FORMATS[name].limit(row.turns)]
        if reason := self._kind.limit(row.turns):
            self._reasons[reason] += 1
            self._first.setdefault(reason, f"{row.dataset}/{row.id}")
        return not reason

    def problems(self, shown: str) -> list[Problem]:
        """Why the format cannot say the conversations; empty if it can."""
        remedy = f"Formats that can say them: {', '.join(self._others())}"
        whats = [
            f"of {self.found.rows} conversations {count} cannot be written as {self._kind.name}: "
            f"{self._first[reason]} {reason}"
            for reason, count in self._reasons.most_common()
        ]
        if not whats and (reason := self._kind.set_limit(self.found)):
            whats = [f"the conversations cannot be written as {self._kind.name}: {reason}"]
        return [Problem(shown, "", what, remedy) for what in whats]

    def _others(self) -> list[str]:
        return [name for name in self._able if not FORMATS[name].set_limit(self.found)]

    def refuse(self, shown: str) -> None:
        """Raise InputError where the format cannot say the conversations."""
        if problems := self.problems(shown):
            raise InputError(problems)
