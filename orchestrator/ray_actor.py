"""The Ray actor behind one worker of a RayPool, and what the end of one means."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchestrator.child import tail_of
from orchestrator.processes import death_of
from orchestrator.worker import shortened
from tuner.experiment import Failure

__all__ = ["SIDE", "actor_class", "end_of_actor", "log_of_actor", "was_of_node"]

SIDE = "side"
"""Concurrency group of the calls that are answered while a task runs.

Three at once: `vigil` and a `news` that waits leave one for `prune` and `go_on`.
"""


def actor_class() -> type[Any]:
    """Make the class of the actors.

    Ray sends a class that was made in a function by value. It must arrive where our packages cannot be
    imported before its `setup` has said where they are.
    """

    class RetrainWorker:
        def setup(
            self,
            sys_path: list[str],
            cwd: str | None,
            blocks: list[Any],
            echo: bool,
            memory_bytes: int | None,
        ) -> tuple[bytes, int, str]:
            """Build the pipeline. Returns a pickled error (empty: none), and where this process is."""
            import os
            import pickle
            import sys
            import threading
            from collections import deque

            import ray

            there = [path for path in sys_path if os.path.exists(path)]  # noqa: PTH110
            sys.path[:] = there + [path for path in sys.path if path not in there]
            if cwd is not None and os.path.isdir(cwd):  # noqa: PTH112
                os.chdir(cwd)
            from orchestrator.memory_guard import start_guard
            from orchestrator.printed import Follower, open_own_output
            from orchestrator.verdicts import Verdicts
            from orchestrator.worker import Worker, start_error

            self._reports: deque[Any] = deque()
            self._reading = threading.Lock()  # `run` reads at its end what `news` may read, too
            self._verdicts = Verdicts()
            self._ended = ""
            self._urgent = threading.Event()  # a report is awaited, or the task is over
            error = b""
            try:
                if memory_bytes is not None:
                    start_guard(memory_bytes)
                self._worker = Worker(blocks)
            except BaseException as raised:  # noqa: BLE001 - whatever user code raises, the pool tells it
                error = pickle.dumps(start_error(raised))
            self._output = Follower(open_own_output() if echo else ())
            self._output.lines(last=True)  # what was printed so far is of no task
            return error, os.getpid(), ray.get_runtime_context().get_node_id()

        def run(self, task: bytes, turn: int) -> bytes:
            """Run one pickled task, the `turn`-th of this worker.

            Returns, pickled, its result and the news that nobody has asked for yet.
            Ray sends bytes as they are. Its own pickling takes several times as long, in each process anew.
            """
            import pickle

            given = pickle.loads(task)  # noqa: S301 - from our own pool
            self._ended = ""
            self._verdicts.begin(turn)
            result = self._worker.run(given, self._send, self._verdicts)
            news = self._since_last(last=True)
            self._ended = given.key
            self._urgent.set()
            return pickle.dumps((result, news), protocol=5)

        def prune(self, turn: int) -> None:
            """Have this task stop at the report that it waits at, or else at its next one.

            Ray may call this before `run`, although `run` was asked for first.
            """
            self._verdicts.prune(turn)

        def go_on(self, turn: int, step: int) -> None:
            """Let this task go on that waits at the report of this step."""
            self._verdicts.go_on(turn, step)

        def news(self, key: str, wait_s: float) -> tuple[list[Any], tuple[str, ...]]:
            """Return what this task reported and printed since the last call.

            Waits up to `wait_s` for a report that is awaited, or for the end of the task.
            """
            if self._ended != key:
                self._urgent.wait(wait_s)
            self._urgent.clear()
            return self._since_last()

        def _send(self, report: Any) -> None:
            self._reports.append(report)
            if report.waits:
                self._urgent.set()

        def _since_last(self, last: bool = False) -> tuple[list[Any], tuple[str, ...]]:
            with self._reading:
                lines = self._output.lines(last=last)
                return [self._reports.popleft() for _ in range(len(self._reports))], lines

        def vigil(self) -> None:
            """Never return: the call ends when the actor does, so that an idle one's death is noticed too."""
            import threading

            threading.Event().wait()

    return RetrainWorker


def end_of_actor(words: str, log: str, out_of_memory: bool) -> Failure:
    """Describe a task whose actor died.

    Args:
        words: what Ray says of it. It does not name the signal, except for SIGTERM.
        log: the last lines that the actor wrote to stderr; Ray notes there which signal it caught.
        out_of_memory: whether the system of the actor's node says that memory was short.
    """
    caught = re.search(r"receives a (SIG[A-Z]+)", words) or re.search(r"\*\*\* (SIG[A-Z]+) received", log)
    code = re.search(r"exit code (\d+)", words)
    short = out_of_memory or "OUT_OF_MEMORY" in words
    if short:
        cause = "SIGKILL"
    elif caught:
        cause = caught[1]
    elif code:
        cause = f"exit code {code[1]}"
    elif was_of_node(words):
        cause = "its node was lost"
    else:
        cause = "it was killed, or ended its own process"
    return shortened(death_of(cause, log, short))


def was_of_node(error: object) -> bool:
    """Whether Ray says that an actor died because its node did."""
    return re.search(r"node (has )?died|node (is|was) dead", str(error)) is not None


def log_of_actor(folder: Path, pid: int) -> str:
    """The last lines that an actor of this machine wrote to stderr."""
    for path in folder.glob(f"worker-*-{pid}.err"):
        with suppress(OSError), path.open("rb") as file:
            lines = tail_of(file.fileno()).splitlines()
            return "\n".join(line for line in lines if not line.startswith((":job_id:", ":actor_name:")))
    return ""
