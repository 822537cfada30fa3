"""One deployment at a time: a lock that the kernel frees when its holder dies."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from retrain.deploy.files import storage_errors
from tuner.errors import BusyError

__all__ = ["deploy_lock"]

_WAIT_S = 300.0
"""Several may wait for one who loads a large model in a fresh process."""
_POLL_S = 0.02


@contextlib.contextmanager
def deploy_lock(folder: Path, timeout_s: float = _WAIT_S) -> Iterator[None]:
    """Hold the right to write versions, pointer and target. Makes `folder` where it does not exist.

    Raises:
        BusyError: another process held it for all of `timeout_s` seconds.
    """
    with storage_errors(f"opening {folder.name!r}"):
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        deadline = time.monotonic() + timeout_s
        while not _try_lock(handle):
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"Another process has been deploying into {str(folder)!r} for {timeout_s:g} s.",
                    "Wait for it to end, then type the same command again.",
                )
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
