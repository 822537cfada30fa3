"""How long a command may take: until when experiments may run, so that all of it is over in time.

Counted from the start of the process, not from where a run begins: on a busy machine Python and its libraries
take seconds to start. What comes after the last experiment (what was learned, the report, workers that end)
is allowed as long as the start took, since both suffer from the same load.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.plan import OVERRUN

__all__ = ["Allowance", "allowance", "began_at", "note_start", "process_age"]

_MOST_OVER = 0.05
"""So much of its time a command may take longer."""

_RESERVED = 0.1
"""No more of its time is kept for the end."""

_STAT = Path("/proc/self/stat")
_PLACE_OF_START = 19
"""Of the fields after the name of the program: the time of start, in ticks since the machine started."""

_noted: list[float] = []


@dataclass(frozen=True)
class Allowance:
    """Moments are on the monotonic clock.

    Attributes:
        deadline: from then on no experiment is begun; None for no end.
        overrun_s: how long at most experiments may go on after it.
        ends_at: when everything must be over.
        start_s: how long the start took.
    """

    deadline: float | None = None
    overrun_s: float = math.inf
    ends_at: float = math.inf
    start_s: float = 0.0


def allowance(
    timeout_s: float | None, started_at: float, now: float, *, start_s: float | None = None
) -> Allowance:
    """What a command that began at `started_at` is allowed, now that its first experiment may begin.

    `start_s` is how long the start took, where that is not all the time since then: earlier stages are no
    part of it.
    """
    if timeout_s is None:
        return Allowance()
    start_s = now - started_at if start_s is None else start_s
    ends_at = started_at + (1 + _MOST_OVER) * timeout_s
    reserve = min(start_s, _RESERVED * timeout_s)
    last = min(started_at + (1 + OVERRUN) * timeout_s, ends_at - reserve)
    deadline = min(started_at + timeout_s, last)
    return Allowance(deadline, last - deadline, ends_at, start_s)


def note_start() -> None:
    """Have `began_at` tell when this process began: it was started for one command."""
    _noted[:] = [time.monotonic() - process_age(_read_stat, _since_boot)]


def began_at() -> float | None:
    """When the command began, on the monotonic clock; None where that is for whoever runs it to say."""
    return _noted[0] if _noted else None


def process_age(stat: Callable[[], str], since_boot: Callable[[], float]) -> float:
    """How many seconds ago this process began; 0 where the system does not tell.

    Args:
        stat: reads the process's line of Linux.
        since_boot: seconds since the machine started, those asleep included.
    """
    try:
        ticks = int(stat().rpartition(")")[2].split()[_PLACE_OF_START])
        return max(0.0, since_boot() - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0


def _read_stat() -> str:
    return _STAT.read_text(encoding="utf-8")


def _since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
