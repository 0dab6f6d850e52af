"""The models of a run: opened when first needed, closed at the end.

Knows nothing of what they are asked. Invariant: no closed model is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from respsel.backends.contract import Model
from respsel.backends.opening import open_model
from respsel.backends.registry import KnownModel


class OpenModels:
    """See caller.Models."""

    def __init__(self, known: Mapping[str, KnownModel], store_folder: Path) -> None:
        self._known = known
        self._folder = store_folder
        self._models: dict[str, Model] = {}
        self._opened: set[str] = set()

    def __enter__(self) -> OpenModels:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all that are open."""
        # Hazard: a closed model would crash the process if it were asked once more; opening again
        # is safe.
        while self._models:
            self._models.popitem()[1].close()

    def identity(self, name: str) -> str:
        """The digest that names the model in keys."""
        return self._known[name].identity

    def open(self, name: str) -> Model:
        """The loaded model. Raises PreflightError where it cannot be loaded."""
        if name not in self._models:
            self._models[name] = open_model(self._known[name], self._folder)
            self._opened.add(name)
        return self._models[name]

    @property
    def opened(self) -> list[str]:
        """The models that this run needed."""
        return sorted(self._opened)
