"""An asyncio event loop in a thread of its own, for code that is not asynchronous.

Ctrl-C reaches Python's main thread alone. So it is raised where that thread waits for an answer,
and never inside a library's coroutines. Requests go on while the main thread stores what has come.

Knows nothing of requests. Invariant: a coroutine that nobody waits for any more is cancelled.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection, Coroutine
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

Result = TypeVar("Result")
# Hazard: a wait without an end does not notice Ctrl-C where a library (polars) has a handler of its
# own for the signal, with which the system takes up waits again.
_LONGEST_NAP_S = 0.1


class LoopThread:
    """The loop. Its thread starts with the first coroutine."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event

    @property
    def is_running(self) -> bool:
        """Whether it was given a coroutine, and was not closed since."""
        return self._thread is not None

    def start(self, coroutine: Coroutine[Any, Any, Result]) -> Future[Result]:
        """Start a coroutine, and return the future of its result.

        Cancelling that cancels the coroutine.
        """
        if self._thread is None:
            ready = threading.Event()
            # A daemon: a process that ends by an error does not wait for it.
            self._thread = threading.Thread(
                target=self._serve, args=(ready,), name="respsel requests", daemon=True
            )
            self._thread.start()
            ready.wait()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end. One that is no longer waited for (Ctrl-C) is cancelled."""
        future = self.start(coroutine)
        try:
            first_done([future])
            return future.result()
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._thread = None

    def _serve(self, ready: threading.Event) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            self._end = asyncio.Event()
            ready.set()
            runner.run(self._wait_for_end())

    async def _wait_for_end(self) -> None:
        await self._end.wait()


def first_done(
    futures: Collection[Future[Result]], most_s: float | None = None
) -> list[Future[Result]]:
    """Wait until one of some futures is done, for `most_s` seconds at most.

    Returns all that are done, in the given order.
    """
    deadline = None if most_s is None else time.monotonic() + most_s
    while True:
        left_s = _LONGEST_NAP_S if deadline is None else deadline - time.monotonic()
        done = wait(futures, max(0.0, min(left_s, _LONGEST_NAP_S)), FIRST_COMPLETED).done
        if done or left_s <= 0 or not futures:
            return [future for future in futures if future in done]
