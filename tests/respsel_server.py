"""A process that has respsel imported and forks for each command that tests run.

Without it each command imports for half a second, and the tests run some thousands. A command
still is a process of its own, with its own folder, environment and streams. Invariant: nothing of
respsel runs before the fork, so no command sees what another one left.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
# They act when Python or a library starts, which is before the fork.
_EARLY = ("PYTHON", "LC_", "LANG", "LD_", "POLARS_", "OPENBLAS_", "OMP_", "MALLOC_")
_IMPORTED = (
    "respsel.cli respsel.study respsel.report.content respsel.report.render respsel.plan.explain "
    "respsel.history.diff respsel.training.export respsel.scoring.evidence respsel.backends.fake "
    "polars scipy.stats jinja2.sandbox rich.console rich.progress rich.table"
).split()
_MOST_BYTES = 1 << 20
_TIMEOUT_S = 600


class Server:
    """The process that forks, seen from a test."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _MOST_BYTES)
        self._socket = ours
        self._early = _early(os.environ)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.respsel_server", str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def can_run(self) -> bool:
        """Whether a command in today's environment can be forked from it."""
        return self._process.poll() is None and _early(os.environ) == self._early

    def run(self, args: Sequence[str], folder: Path, out: IO[str], err: IO[str]) -> int:
        """Run `respsel ARGS` in a folder; return its exit code, negative for a signal."""
        asked = {"args": list(args), "folder": str(folder), "environment": dict(os.environ)}
        told, tells = os.pipe()
        try:
            message = json.dumps(asked).encode()
            socket.send_fds(self._socket, [message], [out.fileno(), err.fileno(), tells])
        finally:
            os.close(tells)
        with open(told, "rb") as answer:
            pid = int(answer.readline())
            if not select.select([answer], [], [], _TIMEOUT_S)[0]:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(["respsel", *args], _TIMEOUT_S)
            return os.waitstatus_to_exitcode(int(answer.readline()))

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


@cache
def server() -> Server:
    """The one server of this process."""
    made = Server()
    atexit.register(made.close)
    return made


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key.startswith(_EARLY)}


def _serve(requests: socket.socket) -> None:
    # What has ended is nobody's business here: each keeper tells the exit code itself.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, streams, _, _ = socket.recv_fds(requests, _MOST_BYTES, 3)
        if not message:
            return
        if os.fork() == 0:
            requests.close()
            _keep(json.loads(message), streams)
        for stream in streams:
            os.close(stream)


def _keep(asked: dict[str, object], streams: Sequence[int]) -> None:
    """Fork the command, wait for it and tell how it ended. Does not return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out, err, tells = streams
    if (pid := os.fork()) == 0:
        os.close(tells)
        _become(asked, out, err)
    os.close(out)
    os.close(err)
    os.write(tells, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    os.write(tells, f"{status}\n".encode())
    os._exit(0)


def _become(asked: dict[str, object], out: int, err: int) -> None:
    """Be the command. Does not return."""
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[call-overload]
    sys.argv = ["respsel", *asked["args"]]  # type: ignore[misc]
    # `python -m tests.respsel_server` put the folder of the tests first.
    sys.path[0] = os.getcwd()
    code = 0
    try:
        runpy.run_module("respsel", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    for name in _IMPORTED:
        __import__(name)
    _serve(socket.socket(fileno=int(sys.argv[1])))
