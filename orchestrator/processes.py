"""Other processes, seen through /proc: who belongs to whom, and how they end. Without /proc, less is seen."""

import ctypes
import os
import re
import signal
from collections.abc import Callable, Container
from contextlib import suppress
from pathlib import Path

from tuner.experiment import Failure, Outcome

__all__ = [
    "GUARD",
    "OutOfMemoryCount",
    "adopt_orphans",
    "death_of",
    "descendants",
    "end_with_parent",
    "kill_all",
    "kill_session",
    "name_of_exit",
    "session_members",
    "words_of_guard",
]

GUARD = "retrain-memory: "
"""What a line of a worker's log begins with that its memory guard wrote."""


_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def session_members(leader: int) -> set[int]:
    """Pids of the living processes in the session that `leader` leads."""
    members = set()
    for folder in _PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            # "pid (name) state ppid pgrp session ...", where the name may hold blanks and parentheses.
            state, _, _, session, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(session) == leader and state not in "ZX":
                members.add(int(folder.name))
    return members


def kill_session(leader: int, spare: Container[int] = ()) -> None:
    """SIGKILL the session that `leader` leads, whatever process groups it made, except for `spare`.

    Looks again until nobody new turns up, since a process may fork between the look and the kill.
    """
    if leader not in spare:
        with suppress(OSError):
            os.killpg(leader, signal.SIGKILL)  # all there is where there is no /proc
    killed: set[int] = set()
    while new := {pid for pid in session_members(leader) if pid not in spare} - killed:
        kill_all(new)
        killed |= new


def kill_all(pids: set[int]) -> None:
    """SIGKILL each; those gone meanwhile are ignored."""
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> set[int]:
    """Pids of the children of `pid`, their children and so on. Zombies are among them."""
    found: set[int] = set()
    if pid == os.getpid() and _is_childless():
        return found
    waiting = [pid]
    while waiting:
        new = set(_children(waiting.pop())) - found
        found |= new
        waiting += new
    return found


def _is_childless() -> bool:
    """One question to the kernel instead of one per thread: Ray's workers have dozens, and ask often."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    except OSError:
        return False
    return False


def _children(pid: int) -> list[int]:
    """The kernel lists children under the thread that started them. Called after every task: no globbing."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                found += map(int, file.read().split())
    return found


def end_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux)."""
    _control(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of orphaned grandchildren (Linux), so that daemons of a task are found too."""
    _control(_PR_SET_CHILD_SUBREAPER, 1)


def _control(option: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class OutOfMemoryCount:
    """Notices that the system killed for lack of memory, anywhere: the kernel's counter names no pid."""

    def __init__(self, read: Callable[[], str] = (_PROC / "vmstat").read_text) -> None:
        self._read = read
        self._before = self._count()

    def rose(self) -> bool:
        """Whether somebody was killed for lack of memory since the last look."""
        before, self._before = self._before, self._count()
        return self._before > before

    def _count(self) -> int:
        try:
            found = re.search(r"^oom_kill (\d+)$", self._read(), re.MULTILINE)
        except OSError:
            return 0
        return int(found[1]) if found else 0


def name_of_exit(code: int) -> str:
    """Name an exit status as `subprocess` gives it: "SIGSEGV" for -11, "exit code 3" for 3."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def words_of_guard(log: str) -> str | None:
    """Why the memory guard ended the process that wrote this log; None where it did not."""
    found = re.search(f"^{GUARD}(.*)$", log, re.MULTILINE)
    return found[1] if found else None


def death_of(cause: str, log: str, out_of_memory: bool) -> Failure:
    """Describe a task that took its worker along.

    Args:
        cause: how the worker ended, such as "SIGSEGV".
        log: the last lines that it wrote, and its guard's.
        out_of_memory: whether the system says that memory was short.
    """
    if (words := words_of_guard(log)) is not None:
        return Failure(Outcome.OUT_OF_MEMORY, words, re.sub(f"\n?^{GUARD}.*$", "", log, flags=re.MULTILINE))
    if out_of_memory:
        message = f"worker died ({cause}): the system ran out of memory"
        return Failure(Outcome.OUT_OF_MEMORY, message, log)
    hint = ", perhaps for lack of memory" if cause == "SIGKILL" else ""
    return Failure(Outcome.WORKER_LOST, f"worker died ({cause}){hint}", log)
