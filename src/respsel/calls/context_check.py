"""Whether calls fit their model's context, and the error that names those that do not.

Knows neither models nor the store. Invariant: all that is too long is named at once.
"""

from __future__ import annotations

from respsel.backends.contract import ScoreCall
from respsel.calls.requests import Call, Request, ScoreRequest, most_tokens
from respsel.errors import InputError, Problem

_MOST_PROBLEMS = 20


class ContextCheck:
    """Collects the calls that do not fit."""

    def __init__(self) -> None:
        self._problems: dict[str, Problem] = {}

    def fits(self, context_tokens: int, request: Request, call: Call) -> bool:
        """Whether a call fits; one that does not is an error, unless it may be left out."""
        prompt = len(call.prompt_ids)
        more = most_tokens(call)
        if prompt + more <= context_tokens:
            return True
        if not (isinstance(request, ScoreRequest) and request.if_too_long == "drop"):
            is_score = isinstance(call, ScoreCall)
            what = "response" if is_score else "max_tokens"
            text = (
                f"prompt of {prompt} tokens and {what} of {more} exceed the context of "
                f"{context_tokens}"
            )
            remedy = (
                "Shorten it, or take the example out"
                if is_score
                else "Lower max_tokens, or shorten the prompt"
            )
            problem = Problem(f"{request.about}, example '{request.example}'", "", text, remedy)
            self._problems.setdefault(str(problem), problem)
        return False

    def raise_errors(self) -> None:
        """Raise InputError if any call did not fit."""
        problems = list(self._problems.values())
        if len(problems) > _MOST_PROBLEMS:
            rest = f"and {len(problems) - _MOST_PROBLEMS} more that are too long"
            problems = [*problems[:_MOST_PROBLEMS], Problem("", "", rest, "")]
        if problems:
            raise InputError(problems)
