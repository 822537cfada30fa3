"""A pool, a clock and a display without processes, threads or time of their own."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.pool import Event, Finished, Progress, Started, Task, WorkerPool
from orchestrator.progress import Display, Status
from orchestrator.signals import StopRequest
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Partial

HANG = float("inf")
METRIC = "loss"


class FakeClock:
    """Monotonic seconds that pass only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.alarms: list[tuple[float, Callable[[], None]]] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.go_to(self.now + seconds)

    def go_to(self, moment: float) -> None:
        self.now = max(self.now, moment)
        for at, ring in self.alarms:
            if self.now >= at:
                ring()


@dataclass(frozen=True)
class Act:
    """What a task does: takes `duration_s` (HANG: for ever), reports, ends in `result`.

    Reports come at its beginning, or evenly over its time where it is `paced`: then it can be pruned, at a
    report that it waits at or else at its next one.
    """

    result: Evaluation | Failure
    duration_s: float = 1.0
    reports: tuple[tuple[int, Mapping[str, float]], ...] = ()
    paced: bool = False


@dataclass
class FakePool(WorkerPool):
    """Runs tasks as `behave` says, on a clock that jumps to the next end."""

    behave: Callable[[Task], Act]
    clock: FakeClock
    n_workers: int = 2
    ran: list[Task] = field(default_factory=list)
    most_at_once: int = 0
    closed: bool = False
    takes_ahead: bool = False
    most_ahead: int = 0

    def __post_init__(self) -> None:
        self._running: dict[str, tuple[float, Act]] = {}
        self._due: list[tuple[float, Progress]] = []
        self.pruned: set[str] = set()
        self.waiting: dict[str, Progress] = {}
        self._ahead: deque[Task] = deque()
        self._events: list[Event] = []

    @property
    def n_free(self) -> int:
        return self.n_workers - len(self._running)

    def submit(self, task: Task) -> None:
        if not self.n_free or task.key in self._running:
            raise ValueError("no worker is free, or the key is in use")
        self.ran.append(task)
        act = self.behave(task)
        self._running[task.key] = (self.clock() + act.duration_s, act)
        waits = act.paced and task.patience is not None
        told = [Progress(task.key, step, metrics, waits) for step, metrics in act.reports]
        if act.paced:
            pace_s = act.duration_s / (len(told) + 1)
            self._due += [(self.clock() + i * pace_s, each) for i, each in enumerate(told, 1)]
        else:
            self._events += told
        self.most_at_once = max(self.most_at_once, len(self._running))

    def submit_ahead(self, tasks: Sequence[Task]) -> None:
        if not self.takes_ahead:
            raise ValueError("no worker is free")
        self._ahead += tasks
        self._begin_ahead()
        self.most_ahead = max(self.most_ahead, len(self._ahead))

    def _begin_ahead(self) -> None:
        while self._ahead and self.n_free:
            task = self._ahead.popleft()
            self._events.append(Started(task.key))
            self.submit(task)

    def wait(self, timeout_s: float) -> list[Event]:
        ends = [end for end, _ in self._running.values()]
        due = min([*ends, *(at for at, _ in self._due)], default=HANG)
        if not self._events:
            self.clock.go_to(min(due, self.clock.now + timeout_s))
        self._tell_what_is_due()
        for key, (end, act) in list(self._running.items()):
            if end <= self.clock.now:
                del self._running[key]
                self._events.append(Finished(key, act.result))
        self._begin_ahead()
        events, self._events = self._events, []
        return events

    def _tell_what_is_due(self) -> None:
        for at, report in sorted(self._due, key=lambda each: each[0]):
            if at > self.clock.now:
                return
            self._due.remove((at, report))
            assert report.key not in self.waiting, "nobody answered its last report"
            self._events.append(report)
            if report.key in self.pruned:
                self._stop(report)
            elif report.waits:
                self.waiting[report.key] = report

    def _stop(self, report: Progress) -> None:
        _, act = self._running.pop(report.key)
        self._due = [each for each in self._due if each[1].key != report.key]
        told = [
            Measurement(step, name, value)
            for step, metrics in act.reports
            if step <= report.step
            for name, value in metrics.items()
        ]
        others = {name: value for name, value in report.metrics.items() if name != METRIC}
        self._events.append(
            Finished(report.key, Partial(report.metrics[METRIC], report.step, others, tuple(told), 0.5))
        )

    def prune(self, key: str) -> None:
        if key not in self._running:
            return
        self.pruned.add(key)
        if key in self.waiting:
            self._stop(self.waiting.pop(key))

    def go_on(self, key: str, step: int) -> None:
        assert self.waiting.pop(key).step == step

    def cancel(self, key: str) -> None:
        if self._running.pop(key, None) is not None:
            self._events.append(Finished(key, Failure(Outcome.CANCELLED, "cancelled")))

    def close(self) -> None:
        self.closed = True


@dataclass
class Recorder(Display):
    """Keeps what a run said."""

    notes: list[str] = field(default_factory=list)
    statuses: list[Status] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def show(self, status: Status) -> None:
        self.statuses.append(status)

    def close(self) -> None:
        pass


class StopAt(StopRequest):
    """Asks to stop once the clock has come to a time, and insists at another."""

    def __init__(self, clock: FakeClock, at: float, insist_at: float = HANG) -> None:
        super().__init__()
        clock.alarms += [(at, self._ask), (insist_at, self._insist)]
        self._at = at

    def _ask(self) -> None:
        self.stop_at = self._at

    def _insist(self) -> None:
        self.stop_now = True


def scored(value: float, duration_s: float = 1.0) -> Act:
    return Act(Evaluation(value, duration_s=duration_s), duration_s)


def failed(outcome: Outcome = Outcome.ERROR, message: str = "ValueError: no") -> Act:
    return Act(Failure(outcome, message))


def one_after_another(acts: Iterable[Act]) -> Callable[[Task], Act]:
    following = iter(acts)
    return lambda task: next(following)
