"""Who watches calls. Alone in its module, so that a run without calls imports no caller."""

from __future__ import annotations

from typing import Protocol

from respsel.store.locks import Holder


class CallEvents(Protocol):
    """Watches calls as they are answered (the progress display)."""

    def calls_wanted(self, model: str, missing: int, reused: int, tokens: int) -> None: ...

    def call_made(self, tokens: int) -> None: ...

    def waits_for(self, model: str, holder: Holder) -> None: ...
