"""Several fits that go forward side by side, from step to step, in one thread of work at a time.

Libraries fit in one call that only a callback looks into. Each such call has a thread of its own here, which
waits in its callback until the others have come as far; never do two of them run at once. So each fits
exactly as it would alone, and after each step all of them can be scored together.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Pause", "in_lockstep"]

T = TypeVar("T")
S = TypeVar("S")

Pause = Callable[[int, S], None]
"""`pause(step, score)`: called by a fit when it has come to a step."""


class _Dropped(BaseException):
    """Ends a fit that nobody waits for any more."""


class _Strand(Generic[T, S]):
    """One fit, and where it is."""

    def __init__(self, job: Callable[[Pause[S]], T]) -> None:
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._dropped = self.done = False
        self.step = -1
        self.score: S | None = None
        self.result: T | None = None
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(job,), daemon=True, name="retrain-fit")
        self._thread.start()

    def go_on(self) -> None:
        """Let it come to its next step, or to its end."""
        self._go.release()
        self._back.acquire()
        if self.error is not None:
            raise self.error

    def drop(self) -> None:
        """End it where it is."""
        if not self.done:
            self._dropped = True
            self._go.release()
        self._thread.join()

    def _run(self, job: Callable[[Pause[S]], T]) -> None:
        self._go.acquire()
        try:
            if not self._dropped:
                self.result = job(self._pause)
        except _Dropped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error
        self.done = True
        self._back.release()

    def _pause(self, step: int, score: S) -> None:
        self.step, self.score = step, score
        self._back.release()
        self._go.acquire()
        if self._dropped:
            raise _Dropped


def in_lockstep(jobs: Sequence[Callable[[Pause[S]], T]], at: Callable[[int, Sequence[S]], None]) -> list[T]:
    """Run all jobs to their ends, stopping each at the same steps.

    Args:
        jobs: each is handed `pause`, and calls it with rising steps.
        at: called with a step and the scores of all jobs there, in their order. One that has ended before
            stands where it ended last; nothing is called before each has a score.

    Returns:
        What the jobs returned, in their order.

    Raises:
        Whatever a job or `at` raises; the other jobs are ended then.
    """
    strands: list[_Strand[T, S]] = [_Strand(job) for job in jobs]
    try:
        while running := [strand for strand in strands if not strand.done]:
            behind = min(strand.step for strand in running)
            for strand in running:
                if strand.step == behind:
                    strand.go_on()
            going = [strand.step for strand in strands if not strand.done]
            scores = [strand.score for strand in strands if strand.score is not None]
            if going and min(going) == max(going) and len(scores) == len(strands):
                at(going[0], scores)
    finally:
        for strand in strands:
            strand.drop()
    return [strand.result for strand in strands]  # type: ignore[misc]
