"""A Python process of ours, in a session of its own, reached over a socket. Both pools are made of these.

Not `multiprocessing`: that imports the user's script a second time, which an unguarded script or a notebook
does not survive. A session of its own keeps a Ctrl-C at the terminal away from it, and lets it be killed with
all that it started. It holds the other end of the socket: when its starter dies, even by SIGKILL, it ends
too.
"""

import fcntl
import importlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO

from orchestrator.printed import Follower
from orchestrator.processes import descendants, kill_all, kill_session, name_of_exit
from tuner.errors import PoolError, RetrainError

__all__ = ["Broken", "Child", "Free", "GoOn", "Prune", "end_own_session", "run_child", "tail_of"]

# Workers run side by side: a thread pool in each would slow all of them down. What the user has set stands.
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from orchestrator.child import run_child as r; r()"
_ROOT = str(Path(__file__).resolve().parent.parent)
_LOG_LINES = 50
_LOG_BYTES = 16_000


@dataclass(frozen=True, slots=True)
class Free:
    """From a child: so many workers more (or, negative, fewer) would start a task at once."""

    change: int = 1


@dataclass(frozen=True, slots=True)
class Broken:
    """From a child: it cannot work, and another one could not either."""

    error: RetrainError


@dataclass(frozen=True, slots=True)
class Prune:
    """To a child: have this task stop at the report that it waits at, or else at its next one."""

    key: str


@dataclass(frozen=True, slots=True)
class GoOn:
    """To a child: this task need not wait any longer at its report of this step."""

    key: str
    step: int


class Child:
    """One process, started at once and not waited for.

    Args:
        module: its `main(connection, payload_fd)` is what the process runs.
        order: the first message it finds on its connection.
        payload: a file that it inherits.
        environment: variables besides our own; None removes one.

    Attributes:
        connection: to it; EOFError there means that it ended.
        sentinel: a file descriptor that is readable once it ended, or None where the system has none.
        pid: of the process, which leads its session.

    Raises:
        PoolError: the system cannot start another process.
    """

    def __init__(
        self,
        module: str,
        order: object,
        payload: IO[bytes],
        cwd: str | None,
        environment: Mapping[str, str | None] | None = None,
    ) -> None:
        given: dict[str, str | None] = {**_ONE_THREAD, **os.environ, **(environment or {})}
        with ExitStack() as undo:
            try:
                self.connection, theirs = Pipe()
                undo.enter_context(self.connection)
                self._log = undo.enter_context(tempfile.TemporaryFile(prefix="retrain-log-"))
                # Not by its mode, which opens no unnamed file: emptied, it would begin with a hole.
                fcntl.fcntl(self._log, fcntl.F_SETFL, os.O_APPEND)
                with theirs:
                    fds = (theirs.fileno(), payload.fileno())
                    self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                        [sys.executable, "-P", "-c", _BOOT, _ROOT, module, *map(str, fds)],
                        stdin=subprocess.DEVNULL,
                        stdout=self._log,
                        stderr=self._log,
                        pass_fds=fds,
                        cwd=cwd if cwd is not None and Path(cwd).is_dir() else None,
                        env={name: value for name, value in given.items() if value is not None},
                        start_new_session=True,
                    )
            except OSError as error:
                raise PoolError(
                    f"A worker process cannot be started: {error.strerror or error}.",
                    "Use fewer --workers, or raise the limits on processes and files (ulimit -u, ulimit -n).",
                ) from error
            undo.pop_all()
        self.pid = self._process.pid
        self.sentinel = _pidfd(self.pid)
        # One that died at once is found like any other: its sentinel and its connection say so.
        with suppress(OSError):
            self.connection.send(order)

    def end(self, grace_s: float = 0.0) -> str:
        """Kill what is left of it and of all that it started; return how it had ended, such as "SIGSEGV".

        Args:
            grace_s: how long it may take to end by itself, where it is known to be dying.
        """
        if self._process.returncode is not None:
            return name_of_exit(self._process.returncode)  # its pid may be another's by now
        started = descendants(self.pid)
        code = self._wait(grace_s)
        kill_session(self.pid)
        kill_all(started)  # those that made a session of their own
        if code is not None:
            return name_of_exit(code)
        self._wait(10.0)
        return "it did not end by itself"

    def _wait(self, timeout_s: float) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def tail(self) -> str:
        """The last lines of what it wrote to stdout and stderr."""
        return tail_of(self._log.fileno())

    def clear_log(self) -> None:
        """Forget what it wrote: what is shown of a task is its own output, and the disk is not filled."""
        os.ftruncate(self._log.fileno(), 0)

    def follow(self) -> Follower:
        """Follow what it writes from here on, until `close`."""
        return Follower([self._log.fileno()])

    def close(self) -> None:
        """Give its file descriptors back. Call after `end`."""
        self.connection.close()
        self._log.close()
        if self.sentinel is not None:
            os.close(self.sentinel)
            self.sentinel = None


def tail_of(fd: int) -> str:
    """The last lines of an open file, as text."""
    size = os.fstat(fd).st_size
    start = max(0, size - _LOG_BYTES)
    text = os.pread(fd, _LOG_BYTES, start).decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-_LOG_LINES:])


def _pidfd(pid: int) -> int | None:
    """Readable once the process ended, even where a child of its own holds the socket open."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def run_child() -> None:
    """What the new process runs: `python -c ... MODULE SOCKET PAYLOAD`."""
    _, module, socket, payload = sys.argv
    del sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    importlib.import_module(module).main(Connection(int(socket)), int(payload))


def end_own_session() -> None:
    """Kill everything that this process started, then this process. For a child whose starter is gone."""
    own = os.getpid()
    kill_all(descendants(own))
    kill_session(own, spare={own})
    os.kill(own, signal.SIGKILL)
    time.sleep(60)  # pragma: no cover - a signal to oneself may arrive a little later
