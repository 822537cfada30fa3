"""What both pools share: events that are gathered until they are asked for, and an error that ends it all."""

import time
from abc import abstractmethod

from orchestrator.pool import Event, WorkerPool
from tuner.errors import PoolError, RetrainError

__all__ = ["EventPool"]


class EventPool(WorkerPool):
    """A WorkerPool whose `_look` takes in what its workers send.

    An error is told by the first `wait` that has nothing else to tell, and by every call after it.
    """

    def __init__(self, n_workers: int) -> None:
        if n_workers < 1:
            raise ValueError(f"n_workers must be >= 1, but got {n_workers}")
        self.n_workers = n_workers
        self._events: list[Event] = []
        self._error: RetrainError | None = None
        self._closed = False

    @abstractmethod
    def _look(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` for something to happen; note it in `_events`, `_error` and `n_free`."""

    def wait(self, timeout_s: float) -> list[Event]:  # noqa: D102 - the contract says it
        deadline = time.monotonic() + timeout_s
        n_free = self.n_free
        while not self._events:
            self._check_usable()
            left_s = deadline - time.monotonic()
            self._look(max(0.0, left_s))
            if left_s <= 0 or self.n_free > n_free:
                break
        if not self._events:
            self._check_usable()
        events, self._events = self._events, []
        return events

    def _check_usable(self) -> None:
        if self._closed:
            raise PoolError("The pool is closed.")
        if self._error is not None:
            raise self._error
