"""The models of a run: opened when first needed, closed at the end.

Knows nothing of what they are asked. Invariant: no closed model is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from respsel.backends.contract import Model
from respsel.backends.opening import open_model
from respsel.backends.registry import KnownModel


class OpenModels:
    """See caller.Models."""

    def __init__(
        self,
        known: Mapping[str, KnownModel],
        store_folder: Path,
        loaded: Callable[[str, float | None], None] = lambda name, seconds: None,
    ) -> None:
        """loaded: called with a model's name before it is loaded, and then with how long it took.

        Before, the seconds are None.
        """
        self._loaded = loaded
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
            self._loaded(name, None)
            began = time.monotonic()
            self._models[name] = open_model(self._known[name], self._folder)
            self._loaded(name, time.monotonic() - began)
            self._opened.add(name)
        return self._models[name]

    @property
    def opened(self) -> list[str]:
        """The models that this run needed."""
        return sorted(self._opened)
