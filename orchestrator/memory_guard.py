"""Ends a worker that needs more memory than an experiment may have, from a process of its own.

What counts is what the worker and all that it started hold by themselves: neither the data that all workers
map, nor libraries, nor what was only reserved. (A limit of the address space counts all of that, and Ray's
workers and thread pools reserve gigabytes; nor is it one for a process and its children together.) A process
of its own sees it while user code in C keeps the interpreter to itself. Its last word goes to the worker's
log, where both pools find it.
"""

import os
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from orchestrator.processes import GUARD, descendants, kill_all
from retrain.sizes import size_text

__all__ = ["main", "start_guard", "used_bytes"]

_EVERY_S = 0.1
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from orchestrator.memory_guard import main as m; m()"
)
_ROOT = str(Path(__file__).resolve().parent.parent)


def start_guard(limit_bytes: int) -> None:
    """Watch this process, and what it starts, from now on. It ends with this process.

    Args:
        limit_bytes: what all of them together may hold.
    """
    if not Path("/proc/self/status").exists():
        return  # where there is no /proc, nothing is seen
    subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-S", "-c", _BOOT, _ROOT, str(os.getpid()), str(limit_bytes)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def main() -> None:
    """What the new process runs: `python -c ... PID BYTES`."""
    worker, limit_bytes = map(int, sys.argv[1:])
    while os.getppid() == worker:
        watched = {worker, *descendants(worker)} - {os.getpid()}
        # What forked processes share counts once in the exact sum, which takes longer to make.
        if used_bytes(watched) > limit_bytes and used_bytes(watched, exact=True) > limit_bytes:
            words = f"needed more than the {size_text(limit_bytes)} of --experiment-memory"
            with suppress(OSError):
                os.write(2, f"\n{GUARD}{words}\n".encode())
            kill_all(watched)
            return
        time.sleep(_EVERY_S)


def used_bytes(pids: set[int], *, exact: bool = False) -> int:
    """Memory that these processes hold and that is of no file, swapped out or not; 0 where nothing is seen.

    Args:
        pids: processes; those gone meanwhile count nothing.
        exact: count what several of them share once.
    """
    return sum(_exact_kb(pid) or _held_kb(pid) if exact else _held_kb(pid) for pid in pids) * 1024


def _held_kb(pid: int) -> int:
    return _sum_kb(f"/proc/{pid}/status", r"^(?:RssAnon|VmSwap):\s+(\d+)")


def _exact_kb(pid: int) -> int:
    return _sum_kb(f"/proc/{pid}/smaps_rollup", r"^(?:Pss_Anon|SwapPss):\s+(\d+)")


def _sum_kb(path: str, pattern: str) -> int:
    try:
        return sum(map(int, re.findall(pattern, Path(path).read_text(), re.MULTILINE)))
    except OSError:
        return 0
