"""What a worker does with a task, whatever pool it belongs to: run it, and let only plain values out.

Nothing that user code raises gets past `run_task`: sys.exit, KeyboardInterrupt and exceptions that cannot be
pickled become a Failure made of text.
"""

import os
import pickle
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import fsum
from pathlib import Path
from typing import Any

from orchestrator.payload import build_pipeline
from orchestrator.pool import Progress, Task
from orchestrator.processes import adopt_orphans, descendants, kill_all
from orchestrator.verdicts import Verdicts
from retrain.pipeline import FOLDS, Pipeline, Pruned
from retrain.results import ResultError, check_goals, check_report, check_result, failure_of
from tuner.errors import PoolError, RetrainError
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Partial

__all__ = ["MAX_METRICS", "Send", "Worker", "run_task", "shortened", "start_error", "too_small"]

MAX_METRICS = 10_000
"""Numbers in one result, and reports that travel with it: the registry is no place for arrays."""

Send = Callable[[Progress], None]
"""Passes a report on to whoever gave out the task."""

_MAX_LINES = 50
_MAX_CHARACTERS = 16_000
_MAX_MESSAGE = 2_000


class _Recorder:
    """The `report` that user code is given: checks, keeps and passes on what it is told, and prunes.

    Where reports are judged it waits a little for the word, so that what is stopped ends at the report by
    which it was decided, and not one later.

    Attributes:
        last: the last report with the pipeline's metric among it.
        pruned: it was told to stop, whatever it makes of that.
    """

    def __init__(
        self, task: Task, metric: str, send: Send, verdicts: Verdicts, clock: Callable[[], float]
    ) -> None:
        self._task = task
        self._metric = metric
        self._send = send
        self._verdicts = verdicts
        self._clock = clock
        self._went_on_at = clock()
        self._beyond_s = 0.0
        self._process = os.getpid()
        self.measurements: list[Measurement] = []
        self.fault: ResultError | None = None
        self.last: dict[str, float] = {}
        self.step = 0
        self.pruned = False

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        if os.getpid() != self._process:
            return  # a child that user code forked does not speak for the worker
        try:
            checked = check_report(step, metrics)
        except ResultError as error:
            self.fault = self.fault or error
            raise
        if not checked:
            return
        if len(self.measurements) < MAX_METRICS:
            self.measurements += checked
        told = {each.metric: each.value for each in checked}
        if self._metric in told:
            self.last, self.step = told, checked[0].step
        if self._shall_stop(checked[0].step, told):
            self.pruned = True
            raise Pruned
        self._went_on_at = self._clock()

    def _shall_stop(self, step: int, told: Mapping[str, float]) -> bool:
        """Pass a report on, and wait a little for the word on it."""
        patience = None if self.pruned or not self.last else self._task.patience
        asked_at = self._clock()
        since_s = asked_at - self._went_on_at
        wait_s = 0.0 if patience is None else patience.after(since_s, self._beyond_s)
        self._send(Progress(self._task.key, step, told, waits=wait_s > 0))
        stops = bool(self.last) and (self.pruned or self._verdicts.shall_stop(step, wait_s))
        if patience is not None:
            self._beyond_s += patience.beyond(since_s, self._clock() - asked_at)
        return stops

    def partial(self, steps: str) -> Partial:
        """Where it stood; of folds, their mean so far."""
        metrics = {name: self._mean(name) for name in self.last} if steps == FOLDS else dict(self.last)
        return Partial(metrics.pop(self._metric), self.step, metrics)

    def _mean(self, metric: str) -> float:
        scores = {each.step: each.value for each in self.measurements if each.metric == metric}
        return fsum(scores.values()) / len(scores)


def run_task(
    pipeline: Pipeline,
    task: Task,
    send: Send,
    verdicts: Verdicts | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Evaluation | Failure | Partial:
    """Score one configuration; every way in which user code may end becomes a result of plain values.

    Args:
        pipeline: with its data; survives whatever happens and can be used again.
        task: what to run.
        send: called with what the pipeline reports on the way, checked.
        verdicts: asked after each report: whether a pruner wants no more.
        clock: seconds.
    """
    recorder = _Recorder(task, pipeline.metric, send, verdicts or Verdicts(), clock)
    started = clock()
    result: Evaluation | Failure | Partial
    try:
        evaluate = pipeline.evaluate_for_tuning if task.tuning else pipeline.evaluate
        raw = evaluate(dict(task.params), recorder, task.seed)
        if recorder.fault is not None:
            raise recorder.fault  # user code caught it, but a NaN on the way is no success
        result = check_result(raw, pipeline.metric)
        check_goals(result, pipeline.goals)
        if len(result.metrics) > MAX_METRICS:
            raise ResultError(
                f"A result must hold at most {MAX_METRICS} metrics, but it holds {len(result.metrics)}."
            )
    except BaseException as error:  # noqa: BLE001 - sys.exit and KeyboardInterrupt of user code end here too
        result = _failure(error)
    if recorder.pruned and recorder.fault is None:
        result = recorder.partial(pipeline.steps)
    duration_s = result.duration_s
    return replace(
        result,
        measurements=result.measurements or tuple(recorder.measurements),
        duration_s=clock() - started if duration_s is None else duration_s,
    )


def _failure(error: BaseException) -> Failure:
    if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
        error.__traceback__ = error.__traceback__.tb_next  # without our own frame
    try:
        failure = failure_of(error)
    except BaseException:  # noqa: BLE001 - out of memory while describing, or a hostile exception
        outcome = Outcome.OUT_OF_MEMORY if isinstance(error, MemoryError) else Outcome.ERROR
        failure = Failure(outcome, type(error).__name__)
    return shortened(failure)


def shortened(failure: Failure) -> Failure:
    """Cut message and traceback to what a row should hold: one line and the last 50 lines, valid UTF-8."""
    message = " ".join(_storable(failure.message).split())
    if len(message) > _MAX_MESSAGE:
        message = message[: _MAX_MESSAGE - 3] + "..."
    lines = _storable(failure.traceback).splitlines()[-_MAX_LINES:]
    return replace(failure, message=message, traceback="\n".join(lines)[-_MAX_CHARACTERS:])


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")


class Worker:
    """One pipeline, built once and used for task after task, whose leftover children go with each task.

    Args:
        blocks: a payload, as `read_payload` gives it.
    """

    def __init__(self, blocks: Sequence[Any]) -> None:
        adopt_orphans()
        self._pipeline = build_pipeline(blocks)
        # What `use` started (a server, a pool) belongs to the worker; what a task starts belongs to the task.
        self._own_children = descendants(os.getpid())

    def run(self, task: Task, send: Send, verdicts: Verdicts) -> Evaluation | Failure | Partial:
        """Run one task as `run_task` does, then kill the children it left."""
        process = os.getpid()
        result = run_task(self._pipeline, task, send, verdicts)
        if os.getpid() != process:
            os._exit(0)  # a child that user code forked, and forgot to end, must not go on as a second worker
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # user code may have put anything there
                stream.flush()
        self._reap()
        return result

    def _reap(self) -> None:
        left = {pid for pid in descendants(os.getpid()) - self._own_children if not _is_helper(pid)}
        kill_all(left)
        for pid in left:
            with suppress(OSError):
                os.waitpid(pid, os.WNOHANG)


def _is_helper(pid: int) -> bool:
    """Python's own resource tracker ends by itself; killed, it would leak what it was to clean up."""
    try:
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def too_small(words: str) -> PoolError:
    """What a pool raises where a worker alone needs more memory than an experiment may have."""
    return PoolError(
        f"The workers cannot hold the pipeline and its data: one {words}.",
        "Give more --experiment-memory, or leave it out.",
    )


def start_error(error: BaseException) -> RetrainError:
    """What a pool raises where a worker cannot build its pipeline: picklable, the traceback as a note."""
    failure = _failure(error)
    told: RetrainError | None = None
    if isinstance(error, RetrainError) and type(error).__module__.startswith(("tuner.", "retrain.")):
        with suppress(Exception):
            told = pickle.loads(pickle.dumps(error))  # noqa: S301 - pickled in the line itself
    if told is None:
        told = PoolError(
            f"The workers cannot build the pipeline: {failure.message}",
            "Modules that it needs must be importable where the workers run.",
        )
    told.add_note(failure.traceback)
    return told
