"""How long a recipe's own pattern may take, and the error where it takes longer.

Knows nothing of patterns. Invariant: the error names the pattern's place and the example.
"""

from __future__ import annotations

from collections.abc import Callable

from respsel.errors import Problem, RunError

LIMIT_S = 5.0


class PatternTimeoutError(RunError):
    """A pattern ran into its limit.

    example: of whose response; wrong: makes a problem of the pattern's place in the recipe.
    """

    def __init__(
        self, example: str = "", who: str = "", wrong: Callable[[str, str], Problem] | None = None
    ) -> None:
        self.example = example
        about = f" on example '{example}'" + (f" ({who})" if who else "") if example else ""
        what = f"the pattern took longer than {LIMIT_S:g} s, or more than 4 GiB{about}"
        remedy = "Write it without a repetition inside a repetition, such as (a+)+"
        super().__init__(wrong(what, remedy) if wrong else Problem("", "", what, remedy))
