"""A pool of Ray actors, on this machine or on a cluster.

Ray itself lives in a process of its own (`ray_host`), a `Child` like the workers of a LocalPool. Ray replaces
signal handlers, reads its settings when it is imported, and ends the process that uses it once its cluster is
gone: none of that may happen to the process that keeps the registry, or to the user's notebook.
"""

import logging
import os
import pickle
import re
import secrets
import selectors
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.child import Broken, Child, Free, GoOn, Prune
from orchestrator.event_pool import EventPool
from orchestrator.payload import Surroundings, write_payload
from orchestrator.pool import Finished, Printed, Progress, Returned, Started, Task
from retrain.pipeline import Pipeline
from tuner.errors import PoolError, UsageError
from tuner.experiment import Failure, Outcome

__all__ = [
    "Ahead",
    "Cancel",
    "Connected",
    "Ended",
    "HostOrder",
    "RayPool",
    "Work",
    "address_of",
    "new_folder",
    "news_of",
    "settings_of_ray",
]

_News = tuple[list[Progress], tuple[str, ...]]
"""Reports, and lines printed."""

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 55.0
LOST_AFTER_S = 20.0
_MAX_FOLDER = 30  # characters; Ray puts sockets below it, whose paths may have 107


@dataclass(frozen=True, slots=True)
class HostOrder:
    """What the host is to do.

    Attributes:
        address: "local" for a private cluster, else the one to join.
        folder: for the files of a private cluster; None where one is joined.
        lost_after_s: how long the head of the cluster may be silent.
        echo: tell what user code prints.
        memory_bytes: what a worker and all that it starts may hold; None for no limit.
    """

    n_workers: int
    address: str
    folder: str | None
    surroundings: Surroundings
    lost_after_s: float
    echo: bool
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Connected:
    """From the host: the cluster answered; its workers are starting."""


@dataclass(frozen=True, slots=True)
class Work:
    """To the host: a task, pickled once for all the processes that it passes through.

    `judged`: it waits for the word on its reports, which are asked for at once.
    """

    key: str
    task: bytes
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Ahead:
    """To the host: begin these, in order, as workers become free."""

    works: tuple[Work, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """From the host: what the worker sent at the end of a task, still pickled."""

    key: str
    answer: bytes


@dataclass(frozen=True, slots=True)
class Cancel:
    """To the host: kill the worker of this task."""

    key: str


class RayPool(EventPool):
    """One reused Ray actor per worker, each with a CPU of its own; the data lie once in the object store.

    Nothing is waited for here: the cluster starts while the caller goes on, and `wait` tells of trouble.

    Args:
        pipeline: not bound to data; travels by value where it comes from a script or notebook. Other modules
            must be importable where the workers run: on this machine they are looked up where this process
            looks; on other machines they must be installed, or lie at the same path.
        data: what `pipeline.load` returned.
        n_workers: how many actors (>= 1). A private cluster has that many CPUs, whatever the machine has; on
            a cluster that is joined, those that find no free CPU wait for one.
        address: "host:port" of a cluster of which this machine is a node, or "auto". None takes RAY_ADDRESS;
            where that is not set it starts a private cluster, with a token of its own, that ends with the
            pool.
        echo: tell what user code prints (`Printed`).
        memory_bytes: what a worker and all that it starts may hold; who needs more ends as OUT_OF_MEMORY (on
            another machine as WORKER_LOST, since its log is not here).

    Raises:
        UsageError: the pipeline or the data cannot be pickled, or the address is of another kind.
        PoolError: the system cannot start the process.
    """

    takes_ahead = True

    def __init__(
        self,
        pipeline: Pipeline,
        data: object,
        n_workers: int,
        address: str | None = None,
        *,
        echo: bool = False,
        memory_bytes: int | None = None,
    ) -> None:
        super().__init__(n_workers)
        self._echo = echo
        self._memory_bytes = memory_bytes
        self._address = address_of(address)
        self._n_free = 0
        self._running: set[str] = set()
        self._connected = self._ready = self._told_of_waiting = False
        self._started_at = time.monotonic()
        self._folder = new_folder() if self._address == "local" else None
        try:
            self._host = self._start(pipeline, data)
        except BaseException:
            self._remove_folder()
            raise
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._host.connection, selectors.EVENT_READ)
        if self._host.sentinel is not None:
            self._selector.register(self._host.sentinel, selectors.EVENT_READ)

    @property
    def n_free(self) -> int:  # noqa: D102 - the contract says it
        return max(0, self._n_free)

    def submit(self, task: Task) -> None:  # noqa: D102
        self._check_usable()
        if task.key in self._running:
            raise ValueError(f"task {task.key!r} is already running")
        if not self.n_free:
            raise ValueError("no worker is free")
        self._tell(_work(task))
        self._running.add(task.key)
        self._n_free -= 1

    def submit_ahead(self, tasks: Sequence[Task]) -> None:  # noqa: D102
        self._check_usable()
        keys = {task.key for task in tasks}
        if len(keys) < len(tasks) or not keys.isdisjoint(self._running):
            raise ValueError(f"two of these tasks have one key, or one is already running: {sorted(keys)}")
        self._tell(Ahead(tuple(map(_work, tasks))))
        self._running |= keys

    def cancel(self, key: str) -> None:  # noqa: D102
        if key in self._running:
            with suppress(PoolError):  # told by the next `wait`, after what happened before
                self._tell(Cancel(key))

    def prune(self, key: str) -> None:  # noqa: D102
        if key in self._running:
            with suppress(PoolError):  # told by the next `wait`, after what happened before
                self._tell(Prune(key))

    def go_on(self, key: str, step: int) -> None:  # noqa: D102
        if key in self._running:
            with suppress(PoolError):  # told by the next `wait`, after what happened before
                self._tell(GoOn(key, step))

    def close(self) -> None:  # noqa: D102
        if self._closed:
            return
        self._closed = True
        self._selector.close()
        # The host sees the end of its connection, leaves the cluster or takes its own down, and ends.
        self._host.connection.close()
        self._host.end(grace_s=10.0)
        self._host.close()
        self._remove_folder()
        self._events.clear()

    def _start(self, pipeline: Pipeline, data: object) -> Child:
        surroundings = Surroundings.here()
        with write_payload(pipeline, data) as payload:
            order = HostOrder(
                self.n_workers,
                self._address,
                self._folder,
                surroundings,
                LOST_AFTER_S,
                self._echo,
                self._memory_bytes,
            )
            return Child(
                "orchestrator.ray_host", order, payload, surroundings.cwd, settings_of_ray(self._folder)
            )

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _tell(self, message: object) -> None:
        try:
            self._host.connection.send(message)
        except OSError:
            self._look(0.0)
            self._check_usable()

    def _look(self, timeout_s: float) -> None:
        connect_by = self._started_at + CONNECT_TIMEOUT_S
        if not self._connected:
            timeout_s = min(timeout_s, max(0.0, connect_by - time.monotonic()))
        ready = self._selector.select(timeout_s)
        try:
            while self._host.connection.poll():
                for message in self._host.connection.recv():
                    self._take(message)
        except (EOFError, OSError):
            self._lose()
            return
        if any(key.fd == self._host.sentinel for key, _ in ready):
            self._lose()
        elif not self._connected and time.monotonic() >= connect_by:
            self._lose(f"Ray did not answer within {CONNECT_TIMEOUT_S:.0f} s.")
        elif not self._ready and not self._told_of_waiting and time.monotonic() >= connect_by:
            self._told_of_waiting = True
            _log.warning("no worker is ready yet: the Ray cluster may have no free CPU")

    def _take(self, message: object) -> None:
        match message:
            case Connected():
                self._connected = True
            case Free(change):
                self._ready = True
                self._n_free += change
            case Broken(error):
                self._error = self._error or error
            case Ended(key, answer):
                self._running.discard(key)
                self._events += _ended(key, answer)
            case Finished(key) | Returned(key):
                self._running.discard(key)
                self._events.append(message)
            case Progress() | Printed() | Started():
                self._events.append(message)

    def _lose(self, what: str = "") -> None:
        """The host is gone, or of no use any more."""
        cause = self._host.end(grace_s=0.0 if what else 1.0)
        if self._error is None:
            self._error = PoolError(
                what or f"The process that talks to Ray died ({cause}).",
                "Type the same command again to continue; --pool local does without Ray.",
            )
            self._error.add_note(self._host.tail())


def _work(task: Task) -> Work:
    pickled = pickle.dumps(replace(task, params=dict(task.params)), protocol=5)
    return Work(task.key, pickled, judged=task.patience is not None)


def _ended(key: str, answer: bytes) -> list[Progress | Printed | Finished]:
    """The events that `RetrainWorker.run` answers with."""
    try:
        result, news = pickle.loads(answer)  # noqa: S301 - from our own actor
    except Exception as error:  # noqa: BLE001 - of another version of this package, on another machine
        message = f"the worker's answer cannot be read: {type(error).__name__}: {error}"
        return [Finished(key, Failure(Outcome.BAD_RESULT, message))]
    return [*news_of(key, news), Finished(key, result)]


def news_of(key: str, news: _News) -> list[Progress | Printed]:
    """The events that the news of a running task are made into."""
    reports, lines = news
    printed = [Printed(key, lines)] if lines else []
    return [*reports, *printed]


def settings_of_ray(folder: str | None) -> dict[str, str | None]:
    """What Ray reads when it is imported; `folder` is that of a private cluster.

    A cluster that is joined has settings of its own.
    """
    quiet: dict[str, str | None] = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_COLOR_PREFIX": "0"}
    if folder is None:
        return quiet
    token = Path(folder, "token")
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    return quiet | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": None,
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_ADDRESS": None,
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def address_of(given: str | None) -> str:
    """The cluster to join, or "local" for a private one.

    Raises:
        UsageError: it is of another kind.
    """
    address = given or os.environ.get("RAY_ADDRESS") or "local"
    if address not in ("auto", "local") and not re.fullmatch(r"[^/]+:\d{1,5}", address):
        raise UsageError(
            f"The address of a Ray cluster must be HOST:PORT or auto, but got {address!r}.",
            "Run on a node of the cluster (`ray job submit` does), with the port of its head, usually 6379.",
        )
    return address


def new_folder() -> str:
    """A folder for us alone, with a short name: the token and the logs of a private cluster.

    Raises:
        PoolError: none can be made.
    """
    base = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    try:
        # The only short one there is; mkdtemp keeps others out of the new folder.
        short = base if len(base) <= _MAX_FOLDER else "/tmp"  # noqa: S108
        return tempfile.mkdtemp(prefix="retrain-", dir=short)
    except OSError as error:
        raise PoolError(
            f"Ray needs a folder for its files, but none can be made in {base}: {error.strerror}.",
            "Set RAY_TMPDIR to a folder with a short path that can be written to.",
        ) from error
