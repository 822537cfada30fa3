"""What is said about the task that a worker runs: that it is to stop, or at which reports it may go on."""

import threading

__all__ = ["Verdicts"]


class Verdicts:
    """Taken in by the thread that listens, asked by those that report. One task at a time.

    The tasks of a worker are counted: the n-th is that of turn n, from 1 on. So a stop that comes late is
    told from one that overtakes its task on the way, as calls of a Ray actor may.
    """

    def __init__(self) -> None:
        self._said = threading.Condition()
        self._turn = self._stopped = 0
        self._passed: set[int] = set()

    def begin(self, turn: int) -> None:
        """From here on it is about the task of this turn."""
        with self._said:
            self._turn = turn
            self._passed.clear()

    def prune(self, turn: int) -> None:
        """The task of this turn is to stop, be it under way or about to begin."""
        with self._said:
            self._stopped = max(self._stopped, turn)
            self._said.notify_all()

    def go_on(self, turn: int, step: int) -> None:
        """The report of this step is considered, and the task of this turn goes on."""
        with self._said:
            if turn == self._turn:
                self._passed.add(step)
                self._said.notify_all()

    def shall_stop(self, step: int, wait_s: float = 0.0) -> bool:
        """Whether the task is to stop, asked after the report of a step.

        Args:
            step: of that report.
            wait_s: how long to wait for a word on that report, where none has come.
        """
        with self._said:
            if wait_s > 0:
                self._said.wait_for(lambda: self._is_stopped or step in self._passed, wait_s)
                self._passed.discard(step)
            return self._is_stopped

    @property
    def _is_stopped(self) -> bool:
        return self._stopped == self._turn > 0
