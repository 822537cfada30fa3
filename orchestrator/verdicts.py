"""What is said about the task that a worker runs: that it is to stop, or at which reports it may go on."""

import threading

__all__ = ["Verdicts"]


class Verdicts:
    """Taken in by the thread that listens, asked by those that report. One task at a time."""

    def __init__(self) -> None:
        self._said = threading.Condition()
        self._key = ""
        self._stopped = False
        self._passed: set[int] = set()

    def begin(self, key: str) -> None:
        """From here on it is about this task; what came too late for the one before is forgotten."""
        with self._said:
            self._key, self._stopped = key, False
            self._passed.clear()

    def prune(self, key: str) -> None:
        """This task is to stop."""
        with self._said:
            if key == self._key:
                self._stopped = True
                self._said.notify_all()

    def go_on(self, key: str, step: int) -> None:
        """The report of this step is considered, and the task goes on."""
        with self._said:
            if key == self._key:
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
                self._said.wait_for(lambda: self._stopped or step in self._passed, wait_s)
                self._passed.discard(step)
            return self._stopped
