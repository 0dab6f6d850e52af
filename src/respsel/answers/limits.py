"""How long a recipe's own pattern may take, and the error where it takes longer.

Knows nothing of patterns. Invariant: the error names the pattern's place and the example.
"""

from __future__ import annotations

from respsel.errors import Problem, RunError

LIMIT_S = 5.0


class PatternTimeoutError(RunError):
    """A pattern ran into its limit.

    example: of whose response; file, where: the pattern's place in the recipe.
    """

    def __init__(self, example: str = "", who: str = "", file: str = "", where: str = "") -> None:
        self.example = example
        about = f" on example '{example}'" + (f" ({who})" if who else "") if example else ""
        what = f"the pattern took longer than {LIMIT_S:g} s, or more than 4 GiB{about}"
        super().__init__(
            Problem(
                file,
                where,
                what,
                "Write it without a repetition inside a repetition, such as (a+)+",
            )
        )
