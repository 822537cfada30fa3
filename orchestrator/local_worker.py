"""The process behind one worker of a LocalPool: takes tasks from its connection, one at a time.

The main thread runs user code. A second thread reads: it takes the next task in, and notices when the pool is
gone. Where user code in C keeps that thread from running, a process of its own notices.
"""

import faulthandler
import os
import select
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue

from orchestrator.child import Broken, Free, GoOn, Prune, end_own_session
from orchestrator.memory_guard import start_guard
from orchestrator.payload import Surroundings, read_payload
from orchestrator.pool import Finished, Task
from orchestrator.processes import descendants, end_with_parent, kill_all, kill_session
from orchestrator.verdicts import Verdicts
from orchestrator.worker import Worker, start_error

__all__ = ["WorkerOrder", "main"]

_MAY_END_ITSELF_S = 1.0


@dataclass(frozen=True, slots=True)
class WorkerOrder:
    """What a worker is told first. `memory_bytes`: what it and all that it starts may hold."""

    surroundings: Surroundings
    memory_bytes: int | None = None


def main(connection: Connection, payload: int) -> None:
    """Build the pipeline, say so, and run what comes until the pool closes the connection."""
    order: WorkerOrder = connection.recv()
    tasks: SimpleQueue[Task] = SimpleQueue()
    verdicts = Verdicts()
    _guard(connection)
    threading.Thread(
        target=_read, args=(connection, tasks, verdicts), daemon=True, name="retrain-reader"
    ).start()
    faulthandler.enable(all_threads=False)  # a crash leaves its stack in the log, and so in the failure
    sending = threading.Lock()  # user code may report from threads of its own

    def send(message: object) -> None:
        with sending:
            connection.send(message)

    try:
        if order.memory_bytes is not None:
            start_guard(order.memory_bytes)
        order.surroundings.enter()
        worker = Worker(read_payload(payload))
    except BaseException as error:  # noqa: BLE001 - whatever user code raises, the pool tells it
        send(Broken(start_error(error)))
        return
    send(Free())
    while True:
        task = tasks.get()
        send(Finished(task.key, worker.run(task, send, verdicts)))


def _guard(connection: Connection) -> None:
    """Have this process ended from outside if the pool is gone and we did not end ourselves (Linux)."""
    worker = os.getpid()
    if sys.platform != "linux" or os.fork():
        return
    end_with_parent()
    if os.getppid() == worker:
        hangup = select.poll()
        hangup.register(connection.fileno(), select.POLLRDHUP)
        hangup.poll()
        time.sleep(_MAY_END_ITSELF_S)
        kill_all(descendants(worker) - {os.getpid()})
        kill_session(worker, spare={os.getpid(), worker})
        kill_all({worker})
    os._exit(0)


def _read(connection: Connection, tasks: "SimpleQueue[Task]", verdicts: Verdicts) -> None:
    turn, at = 0, ""
    try:
        while True:
            match connection.recv():
                case Prune(key):
                    if key == at:
                        verdicts.prune(turn)
                case GoOn(key, step):
                    if key == at:
                        verdicts.go_on(turn, step)
                case task:
                    turn, at = turn + 1, task.key
                    verdicts.begin(turn)
                    tasks.put(task)
    except (EOFError, OSError):
        end_own_session()
