"""Why a row has no value: the texts that tables keep in a row's `problem`, and what they mean.

A row without a problem has the text "". Knows nothing of how a problem comes about. Invariant:
these texts are in stored tables, and tables of earlier versions are still read, so they never
change.
"""

from __future__ import annotations

from dataclasses import dataclass

# How the problem of a call begins that the backend could not answer.
FAILED = "the call failed: "
# Scores or hidden states hold NaN or infinity.
NOT_FINITE = "a score is not a finite number"
# The model wrote no text, as a strategy or as the target.
EMPTY = "the model wrote nothing"
# The judging model wrote no text.
SILENT = "the judge wrote nothing"
# The response does not fit the target's context, and the recipe says to leave it out.
OVER_CONTEXT = "longer than the context"
# A race did not come to the response: its strategy was dropped, or the race was over.
NOT_REACHED = "not scored: the race was over for it"
# The response is shown together with others, and the value is at the first of their examples.
WITH_OTHERS = "shown together with others: their value is at the first example"
# The last examples are fewer than are shown together.
TOO_FEW_LEFT = "not shown: the examples left are fewer than are shown together"
# Rows with these are no gaps: by the recipe they have no value.
LEFT_ASIDE = (NOT_REACHED, WITH_OTHERS, TOO_FEW_LEFT)
# The answer check says no, and the recipe does not keep wrong answers.
WRONG = "wrong answer"
# An earlier member of the strategy that this one is for has a response that stands.
NOT_ASKED = "not asked: an earlier one passes"
# A response that was given has no text.
NO_TEXT = "empty"


@dataclass(frozen=True)
class Failures:
    """The problems which say that a call of the row's own step failed.

    Such a step is not recorded as done, so the next run makes the call again. A row can also have
    the problem of an input's row; that is no failure of its step.

    beginnings: how the texts begin.
    """

    beginnings: tuple[str, ...] = ()

    def include(self, problem: str) -> bool:
        """Whether a row's problem is one of them."""
        return problem.startswith(self.beginnings)


NO_FAILURES = Failures()
WRITING_FAILURES = Failures((EMPTY, FAILED))
SCORING_FAILURES = Failures((NOT_FINITE, FAILED))
JUDGING_FAILURES = Failures((SILENT, FAILED))


def is_failed_call(problem: str) -> bool:
    """Whether the problem is that a backend could not answer; the rest of the text says how."""
    return problem.startswith(FAILED)


def is_reached(problem: str) -> bool:
    """Whether a row with this problem took part.

    It did not where no race came to its response, or where another example has the value.
    """
    return problem not in LEFT_ASIDE
