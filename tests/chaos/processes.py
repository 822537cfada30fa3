"""Processes that are forked, since a hundred of them shall start, each in a few milliseconds."""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable

__all__ = ["fork"]

_PR_SET_PDEATHSIG = 1


def fork(act: Callable[[], None], on_error: Callable[[str], None]) -> int:
    """Run `act` in a child that dies with its parent. Returns the child's pid.

    The caller has one thread and no open registry, so that the child inherits neither locks nor connections.
    The child's exit status is 0 once `act` returns; `on_error` is told the traceback of what it raises.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            act()
            status = 0
    except BaseException:  # noqa: BLE001
        on_error(traceback.format_exc())
    finally:
        os._exit(status)
