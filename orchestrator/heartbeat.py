"""Says again and again that this orchestrator lives, from a thread of its own.

Other processes on this host see a death by the kernel's lock; those elsewhere go by the heartbeat.
"""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tuner.errors import StorageError

__all__ = ["HEARTBEAT_S", "Heartbeat"]

HEARTBEAT_S = 10.0


class Heartbeat:
    """Calls `beat` every `every_s` seconds while it is entered; one that the registry refuses is left out."""

    def __init__(self, beat: Callable[[], None], every_s: float = HEARTBEAT_S) -> None:
        self._beat = beat
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                self._beat()
            except StorageError:
                continue
