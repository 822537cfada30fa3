"""A pool of worker processes on this machine."""

import logging
import pickle
import selectors
from contextlib import suppress
from dataclasses import replace

from orchestrator.child import Broken, Child, Free, GoOn, Prune
from orchestrator.event_pool import EventPool
from orchestrator.local_worker import WorkerOrder
from orchestrator.payload import Surroundings, write_payload
from orchestrator.pool import Finished, Printed, Progress, Task
from orchestrator.printed import READ_EVERY_S
from orchestrator.processes import OutOfMemoryCount, death_of, words_of_guard
from orchestrator.worker import shortened, too_small
from retrain.pipeline import Pipeline
from tuner.errors import PoolError
from tuner.experiment import Failure, Outcome

__all__ = ["LocalPool"]

_log = logging.getLogger(__name__)

# Taken in from one worker at a time: one that reports without pause must not starve the others.
_MAX_MESSAGES = 1_000


class _Worker:
    """One process and what it is doing.

    Attributes:
        ready: its pipeline is built.
        task: what it runs.
    """

    def __init__(self, child: Child) -> None:
        self.child = child
        self.ready = False
        self.task: Task | None = None
        self.cancelled = False
        self.output = child.follow()

    @property
    def free(self) -> bool:
        return self.ready and self.task is None


class LocalPool(EventPool):
    """Worker processes on this machine, one task each at a time.

    They start side by side, without being waited for. The last lines of what user code prints go into the
    failure of a task that took its worker along.

    Args:
        pipeline: not bound to data; travels by value where it comes from a script or notebook.
        data: what `pipeline.load` returned; written once, and mapped by all workers.
        n_workers: how many processes (>= 1).
        echo: tell what user code prints (`Printed`).
        memory_bytes: what a worker and all that it starts may hold; who needs more ends as OUT_OF_MEMORY.

    Raises:
        UsageError: the pipeline or the data cannot be pickled.
        PoolError: the system cannot start so many processes.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        data: object,
        n_workers: int,
        *,
        echo: bool = False,
        memory_bytes: int | None = None,
    ) -> None:
        super().__init__(n_workers)
        self._echo = echo
        self._order = WorkerOrder(Surroundings.here(), memory_bytes)
        self._payload = write_payload(pipeline, data)
        self._selector = selectors.DefaultSelector()
        self._out_of_memory = OutOfMemoryCount()
        self._n_useless_deaths = 0
        self._workers: list[_Worker] = []
        try:
            for _ in range(n_workers):
                self._workers.append(self._start())
        except BaseException:
            self.close()
            raise

    @property
    def n_free(self) -> int:  # noqa: D102 - the contract says it
        return sum(worker.free for worker in self._workers)

    def submit(self, task: Task) -> None:  # noqa: D102
        self._check_usable()
        if any(worker.task is not None and worker.task.key == task.key for worker in self._workers):
            raise ValueError(f"task {task.key!r} is already running")
        for worker in [each for each in self._workers if each.free]:
            worker.child.clear_log()
            worker.output.restart()
            try:
                worker.child.connection.send(replace(task, params=dict(task.params)))
            except OSError:  # it died since the last look
                self._bury(worker)
            else:
                worker.task = task
                return
        raise ValueError("no worker is free")

    def cancel(self, key: str) -> None:  # noqa: D102
        for worker in self._workers:
            if worker.task is not None and worker.task.key == key:
                worker.cancelled = True
                self._bury(worker)
                return

    def prune(self, key: str) -> None:  # noqa: D102
        self._tell(key, Prune(key))

    def go_on(self, key: str, step: int) -> None:  # noqa: D102
        self._tell(key, GoOn(key, step))

    def _tell(self, key: str, word: Prune | GoOn) -> None:
        for worker in self._workers:
            if worker.task is not None and worker.task.key == key:
                with suppress(OSError):  # it died: found like any other
                    worker.child.connection.send(word)

    def close(self) -> None:  # noqa: D102
        self._closed = True
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.child.end()
            worker.child.close()
        self._selector.close()
        self._payload.close()
        self._events.clear()

    def _start(self) -> _Worker:
        order = self._order
        worker = _Worker(Child("orchestrator.local_worker", order, self._payload, order.surroundings.cwd))
        self._selector.register(worker.child.connection, selectors.EVENT_READ, worker)
        if worker.child.sentinel is not None:
            self._selector.register(worker.child.sentinel, selectors.EVENT_READ, worker)
        return worker

    def _look(self, timeout_s: float) -> None:
        """Take in what workers sent and printed, and replace those that died."""
        events = self._selector.select(min(timeout_s, READ_EVERY_S) if self._echo else timeout_s)
        for worker in self._workers:
            self._read_output(worker)
        for key, _ in events:
            worker = key.data
            if worker not in self._workers:
                continue  # buried a moment ago
            if key.fd == worker.child.sentinel or not self._receive(worker):
                self._bury(worker, grace_s=1.0)

    def _receive(self, worker: _Worker) -> bool:
        """Take in all that has arrived; False where the connection is over."""
        try:
            for _ in range(_MAX_MESSAGES):
                if not worker.child.connection.poll():
                    break
                self._take(worker, worker.child.connection.recv())
        except (EOFError, OSError, pickle.UnpicklingError):
            return False
        return True

    def _take(self, worker: _Worker, message: object) -> None:
        match message:
            case Free():
                worker.ready = True
            case Broken(error):
                self._error = self._error or error
            case Finished():
                if worker.cancelled:
                    return
                self._read_output(worker, last=True)
                worker.task = None
                self._n_useless_deaths = 0
                self._events.append(message)
            case Progress():
                self._events.append(message)

    def _bury(self, worker: _Worker, grace_s: float = 0.0) -> None:
        """End a worker for good, tell what became of its task, and start another in its place."""
        cause = worker.child.end(grace_s)
        self._receive(worker)  # what it sent before it died still counts
        self._selector.unregister(worker.child.connection)
        if worker.child.sentinel is not None:
            self._selector.unregister(worker.child.sentinel)
        self._read_output(worker, last=True)
        log = worker.child.tail()
        worker.child.close()
        self._workers.remove(worker)
        if worker.task is not None:
            self._events.append(Finished(worker.task.key, self._end_of(worker, cause, log)))
        elif not self._error:
            self._mind_useless_death(cause, log)
        if self._error:
            return
        try:
            self._workers.append(self._start())
        except PoolError as error:
            self._error = error  # told by the next `wait`, after what happened before

    def _read_output(self, worker: _Worker, *, last: bool = False) -> None:
        if self._echo and worker.task is not None and (lines := worker.output.lines(last=last)):
            self._events.append(Printed(worker.task.key, lines))

    def _end_of(self, worker: _Worker, cause: str, log: str) -> Failure:
        if worker.cancelled:
            return Failure(Outcome.CANCELLED, "cancelled")
        out_of_memory = cause == "SIGKILL" and self._out_of_memory.rose()
        return shortened(death_of(cause, log, out_of_memory))

    def _mind_useless_death(self, cause: str, log: str) -> None:
        """A worker that dies without a task is replaced, but not for ever."""
        _log.info("a worker died without a task (%s)", cause)
        self._n_useless_deaths += 1
        if (words := words_of_guard(log)) is not None and self._n_useless_deaths > self.n_workers:
            self._error = too_small(words)
            return
        if self._n_useless_deaths < self.n_workers + 3:
            return
        self._error = PoolError(
            f"The workers die before they can work ({cause}).",
            "Run the pipeline once by hand: building it or loading its data ends the process.",
        )
        self._error.add_note(log)
