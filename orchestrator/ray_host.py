"""The process that talks to Ray on behalf of a RayPool: one actor per worker, replaced after every death.

Three threads: one reads what the pool sends, one looks now and then whether the cluster still lives, and the
main thread takes everything in from one queue, the ends of Ray's calls included. Nothing is polled but the
reports of running tasks; where a task waits for a word on one, the call that asks waits for it, too.

Two kinds of failure are told apart here. What user code does is caught in the actor by `run_task` and arrives
as a result. What arrives as an exception of Ray is the end of an actor, or of the cluster.
"""

import pickle
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from orchestrator.child import Broken, Free, GoOn, Prune
from orchestrator.pool import Finished, Returned, Started
from orchestrator.processes import OutOfMemoryCount, words_of_guard
from orchestrator.ray_actor import SIDE, actor_class, end_of_actor, log_of_actor, was_of_node
from orchestrator.ray_cluster import Cluster, join, leave
from orchestrator.ray_pool import Ahead, Cancel, Connected, Ended, HostOrder, Work, news_of
from orchestrator.worker import shortened, too_small
from tuner.errors import PoolError, RetrainError
from tuner.experiment import Failure, Outcome

__all__ = ["main"]

_ASK_EVERY_S = 0.5
_ASK_EAGERLY_S = 0.05
_MOST_ASKED = 500  # in a second, for reports; each question costs this process as much as a task

_Queue = queue.SimpleQueue[Any]


def main(connection: Connection, payload: int) -> None:
    """Join the cluster and serve the pool until it closes the connection."""
    order: HostOrder = connection.recv()
    events: _Queue = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, events, order), daemon=True).start()
    try:
        cluster = join(order, payload)
    except PoolError as error:
        connection.send([Broken(error)])
        threading.Event().wait()  # until the reader finds the connection closed, and ends the process
    else:
        _Host(cluster, order, connection, events).serve()


def _read(connection: Connection, events: _Queue, order: HostOrder) -> None:
    try:
        while True:
            events.put(connection.recv())
    except (EOFError, OSError):
        leave(order)


@dataclass(eq=False)
class _Slot:
    """One actor and what it is doing.

    Attributes:
        ready: its pipeline is built.
        pid: its process.
        here: whether that is on this machine.
        turn: how many tasks it was given.
        asking: a call for its news is under way.
        end: the finished call of its task, where it waits for such a call.
    """

    actor: Any
    ready: bool = False
    pid: int = 0
    here: bool = False
    turn: int = 0
    task: Work | None = None
    started_at: float = 0.0
    asking: bool = False
    cancelled: bool = False
    end: "Future[Any] | None" = None


class _Host:
    def __init__(self, cluster: Cluster, order: HostOrder, connection: Connection, events: _Queue) -> None:
        self._cluster = cluster
        self._ray = cluster.ray
        self._order = order
        self._connection = connection
        self._events = events
        self._actor_class = self._ray.remote(num_cpus=1, max_restarts=0, concurrency_groups={SIDE: 3})(
            actor_class()
        )
        self._slots: dict[_Slot, None] = {}
        self._idle: dict[_Slot, None] = {}  # those that are ready and have no task
        self._ahead: deque[Work] = deque()
        self._ask_eagerly_s = max(_ASK_EAGERLY_S, order.n_workers / _MOST_ASKED)
        self._ask_every_s = max(_ASK_EVERY_S, order.n_workers / _MOST_ASKED)
        self._out: list[object] = [Connected()]
        self._out_of_memory = OutOfMemoryCount()
        self._n_useless_deaths = 0
        self._asked_at = self._healthy_at = time.monotonic()
        self._broken = False
        self._look_every_s = order.lost_after_s / 4

    def serve(self) -> None:
        """Take in events for ever. The reading thread ends the process."""
        threading.Thread(target=self._watch, daemon=True).start()
        for _ in range(self._order.n_workers):
            self._hire()
        while True:
            if self._out:
                self._connection.send(self._out)
                self._out = []
            busy = any(slot.task for slot in self._slots)
            with suppress(queue.Empty):
                self._take(self._events.get(timeout=self._ask_every_s if busy else self._look_every_s))
                while True:
                    self._take(self._events.get_nowait())
            self._ask_for_news()
            if time.monotonic() - self._healthy_at > self._order.lost_after_s:
                self._break(_lost())

    # ---- events

    def _take(self, event: object) -> None:
        match event:
            case Work():
                self._begin(event)
            case Ahead(works):
                for task in works:
                    self._begin_ahead(task)
            case Cancel(key):
                self._cancel(key)
            case Prune(key) | GoOn(key):
                self._pass_on(key, event)
            case _:
                assert callable(event)
                event()

    def _when_done(self, reference: Any, then: Callable[[_Slot, "Future[Any]"], None], slot: _Slot) -> None:
        """Have `then` called in the main thread once a call of Ray is over, unless its slot is gone then."""

        def act(future: "Future[Any]") -> None:
            if slot in self._slots:
                then(slot, future)

        future: Future[Any] = reference.future()
        future.add_done_callback(lambda done: self._events.put(partial(act, done)))

    # ---- actors

    def _hire(self) -> None:
        slot = _Slot(self._actor_class.remote())
        self._slots[slot] = None
        where = self._order.surroundings
        setup = slot.actor.setup.remote(
            [*where.sys_path, _ROOT],
            where.cwd,
            self._cluster.payload,
            self._order.echo,
            self._order.memory_bytes,
        )
        self._when_done(setup, self._on_setup, slot)

    def _on_setup(self, slot: _Slot, future: "Future[Any]") -> None:
        error = future.exception()
        if error is None:
            told, slot.pid, node = future.result()
            if told:
                self._break(pickle.loads(told))  # noqa: S301 - from our own actor
                return
            slot.ready, slot.here = True, node == self._cluster.node
            self._idle[slot] = None
            vigil = slot.actor.vigil.options(concurrency_group=SIDE).remote()
            self._when_done(vigil, self._on_vigil, slot)
            self._out.append(Free())
        elif isinstance(error, self._ray.exceptions.RayTaskError):
            self._break(
                PoolError(
                    f"The workers on the cluster cannot start: {_told(error)}",
                    "Install the same version of retrain, and what the pipeline needs, on every node.",
                )
            )
        else:
            self._mind_useless_death(slot, error)

    def _on_vigil(self, slot: _Slot, future: "Future[Any]") -> None:
        if slot.task is None:  # else the call of its task ends too, and tells more
            self._out.append(Free(-1))
            self._mind_useless_death(slot, future.exception())

    def _mind_useless_death(self, slot: _Slot, error: object) -> None:
        """An actor that dies without a task is replaced, but not for ever, unless its node died with it."""
        self._n_useless_deaths += not was_of_node(error)
        words = words_of_guard(log_of_actor(self._cluster.logs, slot.pid)) if slot.here else None
        if words is not None and self._n_useless_deaths > self._order.n_workers:
            self._break(too_small(words))
            return
        if self._n_useless_deaths < self._order.n_workers + 3:
            self._replace(slot)
            return
        end = self._end(slot, error)
        lost = PoolError(
            f"The workers die before they can work: {end.message}",
            "Run the pipeline once by hand: building it or loading its data ends the process.",
        )
        lost.add_note(end.traceback)
        self._break(lost)

    def _replace(self, slot: _Slot) -> None:
        del self._slots[slot]
        self._idle.pop(slot, None)
        # Until there is room again, what waits here might wait for hours.
        self._out += [Returned(task.key) for task in self._ahead]
        self._ahead.clear()
        with suppress(Exception):
            self._ray.kill(slot.actor, no_restart=True)
        self._hire()

    def _break(self, error: RetrainError) -> None:
        if not self._broken:
            self._broken = True
            self._out.append(Broken(error))

    # ---- tasks

    def _begin(self, task: Work) -> None:
        if self._idle:
            self._run(next(iter(self._idle)), task)
        else:  # submitted before the pool knew of a death
            self._out += [Returned(task.key), Free()]

    def _begin_ahead(self, task: Work) -> None:
        if self._idle:
            self._out += [Started(task.key), Free(-1)]
            self._run(next(iter(self._idle)), task)
        elif any(slot.task for slot in self._slots):
            self._ahead.append(task)
        else:
            self._out.append(Returned(task.key))

    def _run(self, slot: _Slot, task: Work) -> None:
        self._idle.pop(slot, None)
        slot.task, slot.started_at, slot.turn = task, time.monotonic(), slot.turn + 1
        if task.judged:  # and so will be those that follow
            self._ask_every_s = self._ask_eagerly_s
        self._when_done(slot.actor.run.remote(task.task, slot.turn), self._on_end, slot)
        if task.judged and not slot.asking:  # its first report may come soon
            self._ask(slot, task)

    def _cancel(self, key: str) -> None:
        for task in self._ahead:
            if task.key == key:
                self._ahead.remove(task)
                self._out.append(Finished(key, Failure(Outcome.CANCELLED, "cancelled")))
                return
        for slot in self._slots:
            if slot.task is not None and slot.task.key == key:
                slot.cancelled = True
                self._ray.kill(slot.actor, no_restart=True)

    def _pass_on(self, key: str, word: Prune | GoOn) -> None:
        for slot in self._slots:
            if slot.task is None or slot.task.key != key:
                continue
            if isinstance(word, GoOn):
                slot.actor.go_on.options(concurrency_group=SIDE).remote(slot.turn, word.step)
            else:
                slot.actor.prune.options(concurrency_group=SIDE).remote(slot.turn)

    def _ask_for_news(self) -> None:
        now = time.monotonic()
        if now - self._asked_at < self._ask_every_s:
            return
        self._asked_at = now
        for slot in self._slots:
            if slot.task is not None and not slot.asking and now - slot.started_at >= self._ask_every_s:
                self._ask(slot, slot.task)

    def _ask(self, slot: _Slot, task: Work) -> None:
        slot.asking = True
        wait_s = self._ask_every_s if task.judged else 0.0
        news = slot.actor.news.options(concurrency_group=SIDE).remote(task.key, wait_s)
        self._when_done(news, self._on_news, slot)

    def _on_news(self, slot: _Slot, future: "Future[Any]") -> None:
        slot.asking = False
        task = slot.task
        if task is not None and future.exception() is None:
            self._out += news_of(task.key, future.result())
            if task.judged and slot.end is None:
                self._ask(slot, task)
        if slot.end is not None:
            self._conclude(slot, slot.end)

    def _on_end(self, slot: _Slot, future: "Future[Any]") -> None:
        slot.end = future
        if not slot.asking:  # else the news that is on its way comes first
            self._conclude(slot, future)

    def _conclude(self, slot: _Slot, future: "Future[Any]") -> None:
        assert slot.task is not None
        key, slot.task, slot.end = slot.task.key, None, None
        error = future.exception()
        if error is not None and "its owner has died" in str(error):  # the owner is us: we are cut off
            self._break(_lost())
            return
        if slot.cancelled:
            self._out.append(Finished(key, Failure(Outcome.CANCELLED, "cancelled")))
        elif error is None:
            self._out.append(Ended(key, future.result()))
        elif isinstance(error, self._ray.exceptions.RayTaskError):
            self._out.append(Finished(key, shortened(Failure(Outcome.ERROR, _told(error), str(error)))))
        else:
            self._out.append(Finished(key, self._end(slot, error)))
        if slot.cancelled or not (error is None or isinstance(error, self._ray.exceptions.RayTaskError)):
            self._replace(slot)
            return
        self._n_useless_deaths = 0
        if self._ahead:
            task = self._ahead.popleft()
            self._out.append(Started(task.key))
            self._run(slot, task)
        else:
            self._idle[slot] = None
            self._out.append(Free())

    def _end(self, slot: _Slot, error: object) -> Failure:
        exceptions = self._ray.exceptions
        if not isinstance(error, exceptions.RayActorError | exceptions.OutOfMemoryError):
            return shortened(Failure(Outcome.ERROR, f"{type(error).__name__}: {error}"))
        log = log_of_actor(self._cluster.logs, slot.pid) if slot.here else ""
        short = isinstance(error, exceptions.OutOfMemoryError) or (slot.here and self._out_of_memory.rose())
        return end_of_actor(str(error), log, short)

    # ---- the cluster

    def _watch(self) -> None:
        """Runs in a thread of its own, since it may hang where the cluster does."""
        while True:
            time.sleep(self._look_every_s)
            with suppress(Exception):
                if self._cluster.alive():
                    self._healthy_at = time.monotonic()


def _lost() -> PoolError:
    return PoolError("The Ray cluster was lost.", "Type the same command again to continue.")


def _told(error: Any) -> str:
    """The exception of user code or of Ray's worker inside a RayTaskError."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {cause}"


_ROOT = str(Path(__file__).resolve().parent.parent)
