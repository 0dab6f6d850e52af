"""respsel: which responses should a language model be fine-tuned on, known before any fine-tuning.

The public names are those of `__all__`; docs/python.md shows them. They are imported when they
are first used, so that `import respsel` stays light. Plug-ins also use the contracts of metrics,
strategies and backends, as docs/metrics.md and docs/backends.md show. All else is private.
"""

import typing as _typing

if _typing.TYPE_CHECKING:
    from respsel.errors import (
        InputError,
        PreflightError,
        Problem,
        RespselError,
        RunError,
        StoreError,
    )
    from respsel.plan.plan import Plan
    from respsel.run.result import RunResult
    from respsel.selection.given_scores import decide
    from respsel.selection.verdict import Ranked, Verdict
    from respsel.study import ApplyResult, Study, open_study
    from respsel.training.export import TrainingSet

__version__ = "0.1.0"
__all__ = [
    "ApplyResult",
    "InputError",
    "Plan",
    "PreflightError",
    "Problem",
    "Ranked",
    "RespselError",
    "RunError",
    "RunResult",
    "StoreError",
    "Study",
    "TrainingSet",
    "Verdict",
    "__version__",
    "decide",
    "open_study",
]
_HOMES = {
    "ApplyResult": "study",
    "InputError": "errors",
    "Plan": "plan.plan",
    "PreflightError": "errors",
    "Problem": "errors",
    "Ranked": "selection.verdict",
    "RespselError": "errors",
    "RunError": "errors",
    "RunResult": "run.result",
    "StoreError": "errors",
    "Study": "study",
    "TrainingSet": "training.export",
    "Verdict": "selection.verdict",
    "decide": "selection.given_scores",
    "open_study": "study",
}


if not _typing.TYPE_CHECKING:
    # Type checkers see the imports above: this function would make any name known to them.
    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'respsel' has no attribute '{name}'")
        from importlib import import_module

        found = getattr(import_module(f"respsel.{_HOMES[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return __all__
