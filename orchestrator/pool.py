"""The worker seam: a pool runs tasks and says what became of them. No registry, no policy.

`local_pool` and `ray_pool` implement it; `tests/contracts/pool_contract.py` is what both must keep.
A pool never decides about retries, timeouts, limits or pruning: the driver does, and cancels or prunes.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tuner.experiment import Evaluation, Failure, Params, Partial

__all__ = [
    "Event",
    "Finished",
    "Patience",
    "Printed",
    "Progress",
    "Returned",
    "Started",
    "Task",
    "WorkerPool",
]

_LEAST_S = 0.001  # an answer takes as long: whoever may wait no longer need not ask


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a task waits for the word on a report: what a driver that is slow or dead may cost it.

    Attributes:
        most_s: never longer.
        share: nor longer than this part of the time since its last report, or since its beginning, ...
        spare_s: ... but for so many seconds in all, so that short tasks are judged in time, too.
    """

    most_s: float = 0.25
    share: float = 0.05
    spare_s: float = 0.1

    def after(self, since_s: float, beyond_s: float = 0.0) -> float:
        """Seconds to wait at most; 0 for not at all.

        Args:
            since_s: how long ago the last report was.
            beyond_s: how long it has waited beyond its share before.
        """
        longest_s = min(self.most_s, self.share * since_s + max(0.0, self.spare_s - beyond_s))
        return longest_s if longest_s >= _LEAST_S else 0.0

    def beyond(self, since_s: float, waited_s: float) -> float:
        """How much of a wait was more than its share."""
        return max(0.0, waited_s - self.share * since_s)


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt of one experiment. `key` is unique among the tasks of a pool.

    Attributes:
        tuning: it is part of a search, and so may be scored on fewer rows.
        patience: its reports are judged, and so long does it wait for the word; None where nobody judges.
    """

    key: str
    params: Params
    seed: int
    tuning: bool = False
    patience: Patience | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """An intermediate report of a running task; `waits`: it waits for `prune` or `go_on`."""

    key: str
    step: int
    metrics: Mapping[str, float]
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a task: a checked Evaluation (finite, plain floats), a Failure with its class, or a Partial.

    A Partial comes only of what was asked to be pruned.
    """

    key: str
    result: Evaluation | Failure | Partial


@dataclass(frozen=True, slots=True)
class Returned:
    """A task that never began: its worker was gone, and no other was ready to take it."""

    key: str


@dataclass(frozen=True, slots=True)
class Printed:
    """Lines that a running task wrote to stdout or stderr; only from a pool that was asked for them."""

    key: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Started:
    """A task that was submitted ahead began to run."""

    key: str


Event = Progress | Printed | Finished | Returned | Started


class WorkerPool(ABC):
    """Runs tasks on workers that may die. Use as a context manager.

    A worker builds its pipeline once and reuses it. After a death it is replaced; children of a task die with
    it.
    """

    n_workers: int
    takes_ahead = False
    """Whether `submit_ahead` may be called."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    @abstractmethod
    def n_free(self) -> int:
        """Workers that would start a task at once. Zero while replacements are starting."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """Start a task on a free worker.

        Raises:
            ValueError: no worker is free, or the key is in use.
            PoolError: the workers are gone for good.
        """

    def submit_ahead(self, tasks: Sequence[Task]) -> None:
        """Hand over more tasks than workers are free: each begins, in order, as soon as there is a free one.

        Meant for experiments of milliseconds, which would otherwise wait for us longer than they run. `wait`
        tells of each when it begins. They come back as Returned as soon as a worker dies: there is no telling
        for how long they would wait then.

        Raises:
            ValueError: the pool takes none ahead, or a key is in use. None was taken.
            PoolError: the workers are gone for good.
        """
        raise ValueError(f"no worker is free for {len(tasks)} tasks")

    @abstractmethod
    def wait(self, timeout_s: float) -> list[Event]:
        """Return what happened since the last call; wait up to `timeout_s` (>= 0) for a first event.

        Every submitted task ends in exactly one Finished, or in one Returned where it never began. One that
        lost its worker ends as WORKER_LOST (or OUT_OF_MEMORY where the system says so); a cancelled one as
        CANCELLED. A KeyboardInterrupt or SystemExit raised by user code is a failure of class ERROR, never a
        cancel. Returns early, with nothing, when a worker became free.

        Raises:
            PoolError: the workers are gone for good (the cluster was lost).
        """

    @abstractmethod
    def cancel(self, key: str) -> None:
        """Kill the worker of this task; its Finished (CANCELLED) comes from `wait`. Ignores unknown keys."""

    @abstractmethod
    def prune(self, key: str) -> None:
        """Have a running task stop at the report that it waits at, or else at its next one.

        Its Finished comes from `wait`: a Partial with what it had reported, that report included. One that
        never reports again ends as if it had not been asked, and one that has not reported the metric of its
        pipeline goes on until it has. Its worker lives on. Ignores unknown keys.
        """

    @abstractmethod
    def go_on(self, key: str, step: int) -> None:
        """Let a task go on that waits at the report of this step. Ignores all others."""

    @abstractmethod
    def close(self) -> None:
        """Kill all workers and what they left behind. Idempotent; never raises for dead workers."""
