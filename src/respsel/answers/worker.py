"""A process of its own for work that may never end: questions in, answers out, one a line, as JSON.

Knows nothing of what is asked. The process limits itself, and ends where it runs into a limit.
Invariant: a question has its answer, or None where the process ended over it. The next question
then has a new process.
"""

from __future__ import annotations

import atexit
import json
import subprocess
from threading import Lock
from typing import Any

from respsel.system.child_process import python_command


class Worker:
    """A process that is started when it is first asked."""

    def __init__(self, *program: str) -> None:
        """program: what Python is to run, as its arguments."""
        self._program = program
        self._process: subprocess.Popen[str] | None = None
        self._lock = Lock()
        atexit.register(self.close)

    def ask(self, question: Any) -> Any | None:
        """The answer to a question; None where the process ended over it."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = self._start()
            pipes = self._process
            assert pipes.stdin is not None
            assert pipes.stdout is not None
            try:
                pipes.stdin.write(json.dumps(question) + "\n")
                pipes.stdin.flush()
                answer = pipes.stdout.readline()
            except BaseException:
                # Hazard: the answer that is still to come after Ctrl-C would be taken for the
                # next question's.
                self.close()
                raise
            if not answer:
                self.close()
                return None
            return json.loads(answer)

    def _start(self) -> subprocess.Popen[str]:
        self.close()
        return subprocess.Popen(
            python_command(*self._program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
