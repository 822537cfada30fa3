"""Writes that must arrive: a result stays in memory and is offered again until the registry takes it."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from retrain.tables import seconds
from tuner.errors import NotARegistryError, PoolError, StorageError

__all__ = ["Insist"]

T = TypeVar("T")

_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
_LAST_PAUSE_S = 10.0


@dataclass(frozen=True)
class Insist:
    """Calls a write again, with growing pauses, while the registry is locked, full or failing.

    Attributes:
        tell: takes one line for the user, when the trouble starts and when it is over.
        hurry: True when the user wants to be gone: the next refusal is the last.
        patience_s: after how long a refusal is raised.
        until: the moment on the clock from which on it is raised in any case.
    """

    tell: Callable[[str], None]
    hurry: Callable[[], bool] = lambda: False
    patience_s: float = 300.0
    until: float = math.inf
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def __call__(self, write: Callable[[], T]) -> T:
        """Return what `write` returns.

        Raises:
            StorageError: the last refusal, after `patience_s` or at `until`. A damaged registry is never
                tried again.
        """
        started = self.clock()
        until = min(started + self.patience_s, self.until)
        refused = 0
        while True:
            try:
                result = write()
            except (NotARegistryError, PoolError):
                raise
            except StorageError as error:
                left_s = until - self.clock()
                if self.hurry() or left_s <= 0:
                    raise
                if refused == 0:
                    self.tell(f"{error} Nothing is lost: trying again for {seconds(until - started)}.")
                self.pause(min(left_s, _PAUSES_S[refused] if refused < len(_PAUSES_S) else _LAST_PAUSE_S))
                refused += 1
            else:
                if refused:
                    self.tell(f"the registry answers again after {seconds(self.clock() - started)}")
                return result
