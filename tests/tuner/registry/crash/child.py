"""An act in a process of its own, which may be killed on the way."""

import os
import sys
from collections.abc import Callable

from tests.chaos.processes import fork
from tests.tuner.registry.crash.points import KILLED

__all__ = ["in_child"]


def in_child(act: Callable[[], object]) -> int:
    """Run `act` in a process of its own. Returns its exit status: 0 or KILLED; anything else ends the run."""
    pid = fork(lambda: _forget(act()), lambda error: print(error, file=sys.stderr))
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, KILLED):
        raise SystemExit(f"a child ended with {code}")
    return code


def _forget(_: object) -> None:
    """A child returns nothing."""
