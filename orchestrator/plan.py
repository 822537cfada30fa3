"""What to do next, decided by a pure function: a snapshot and limits in, a list of commands out.

Nothing here looks at a clock, a registry or a worker. `driver.py` takes the snapshot and carries out the
commands in order; every list ends in exactly one `Wait` or `Stop`. Times are seconds on one monotonic clock.
What one call costs does not grow with the number of running tasks.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "AHEAD_S",
    "MOST_AHEAD",
    "OVERRUN",
    "REGION_FACTOR",
    "TICK_S",
    "Cancel",
    "Claim",
    "Command",
    "Propose",
    "Recover",
    "RunLimits",
    "Running",
    "Snapshot",
    "Stop",
    "StopReason",
    "TimeLimits",
    "Wait",
    "Warn",
    "experiment_limit",
    "plan",
]

TICK_S = 0.5
"""The longest wait: how late a signal or a newly written experiment can be noticed."""

AHEAD_S = 0.1
"""Claimed ahead of a free worker is at most what the workers get done in this time: nothing is hoarded."""

MOST_AHEAD = 64
"""Experiments claimed ahead, per worker: passing one to a worker and back takes about a millisecond."""

OVERRUN = 0.03
"""So much longer than its time may a run take: with the end of its workers that stays below 5 %."""

RECOVER_EVERY_S = 3.0
"""So that what a dead orchestrator left on this host can be claimed again within five seconds."""

TIMEOUT_FLOOR_S = 600.0
TIMEOUT_FACTOR = 20.0
WARN_AFTER_S = 3600.0

REGION_FACTOR = 4
"""So many times longer must a row of the same error be where experiments succeeded after that error before.

A region that crashes in a fifth of the space makes a row of 3 in every other run of 100 experiments, and one
of 12 in one of three million.
"""


class StopReason(StrEnum):
    """Why a run ended."""

    DONE = "done"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"
    SAME_ERROR = "same_error"


@dataclass(slots=True)
class Running:
    """One task of our pool.

    Attributes:
        started_at: infinite where it was submitted ahead and has not begun.
        cancelled: its end is already asked for.
        warned: its age was told before.
    """

    key: str
    started_at: float
    cancelled: bool = False
    warned: bool = False


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long something may take, whatever is run.

    Attributes:
        deadline: when to begin nothing more, or None.
        experiment_timeout_s: longest time of one task; None derives it from the finished ones.
        grace_s: how long what runs may go on after a stop.
        overrun_s: how long at most after the deadline.
    """

    deadline: float | None = None
    experiment_timeout_s: float | None = None
    grace_s: float = 30.0
    overrun_s: float = math.inf

    @property
    def ends_at(self) -> float:
        """When what runs is given back, whatever it is."""
        return math.inf if self.deadline is None else self.deadline + min(self.grace_s, self.overrun_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLimits(TimeLimits):
    """What holds for a whole run.

    Attributes:
        n_workers: size of the pool.
        ahead: whether the pool takes tasks ahead of free workers.
        learns: the method gains from results, so that candidates are written only as workers become free.
        same_error: so many experiments that fail in a row with the same error stop the run; 0 for never.
    """

    n_workers: int
    learns: bool = False
    ahead: bool = False
    same_error: int = 3


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that `plan` looks at.

    Attributes:
        now: the present time.
        n_waiting: WAITING experiments of the study.
        n_free: workers that would start a task at once.
        running: the tasks of our pool, the longest running first (those that have not begun come anywhere);
            not changed while it is looked at.
        n_elsewhere: experiments of this run that another orchestrator runs at the moment.
        n_to_propose: candidates still to be written; None for the method's own full design.
        typical_s: how long complete experiments of the study take, or None while too few are known.
        n_short_of_memory: unfinished experiments that ran out of memory before: each costs one slot.
        recovered_at: when the last recovery was made.
        stop_at: when the user first asked to stop, or None.
        stop_now: the user asked again.
        failed_alike_at: when each of the last experiments ended that failed in a row with the same error.
        is_regional: experiments succeeded after that same error, earlier in this run.
    """

    now: float
    n_waiting: int = 0
    n_free: int = 0
    running: Collection[Running] = ()
    n_elsewhere: int = 0
    n_to_propose: int | None = 0
    typical_s: float | None = None
    n_short_of_memory: int = 0
    recovered_at: float = 0.0
    stop_at: float | None = None
    stop_now: bool = False
    failed_alike_at: Sequence[float] = ()
    is_regional: bool = False


@dataclass(frozen=True, slots=True)
class Propose:
    """Write up to `n` new candidates; None: the method's own full design."""

    n: int | None


@dataclass(frozen=True, slots=True)
class Claim:
    """Claim up to `n` experiments and submit them."""

    n: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the task of this key: it ran longer than `limit_s`."""

    key: str
    limit_s: float


@dataclass(frozen=True, slots=True)
class Warn:
    """Tell that the task of this key runs for `after_s` and that nothing will end it."""

    key: str
    after_s: float


@dataclass(frozen=True, slots=True)
class Recover:
    """Take back what dead orchestrators left running."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End the run; what still runs is given back."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for events of the pool, at most this long."""

    seconds: float


Command = Propose | Claim | Cancel | Warn | Recover | Stop | Wait


def experiment_limit(given: float | None, typical_s: float | None) -> float | None:
    """Seconds that one experiment may take, or None while nothing is known of how long they take."""
    if given is not None or typical_s is None:
        return given
    return max(TIMEOUT_FLOOR_S, TIMEOUT_FACTOR * typical_s)


def plan(snapshot: Snapshot, limits: RunLimits) -> list[Command]:
    """Return the commands to carry out now, in order, ending in one `Wait` or `Stop`."""
    busy = snapshot.running or snapshot.n_waiting or snapshot.n_elsewhere
    if not busy and snapshot.n_to_propose == 0:
        return [Stop(StopReason.DONE)]  # also where the user or the clock asked to stop: nothing is left
    if snapshot.stop_now:
        return [Stop(StopReason.INTERRUPTED)]
    limit = experiment_limit(limits.experiment_timeout_s, snapshot.typical_s)
    commands = _overdue(snapshot, limit)
    stop = _stopping(snapshot, limits)
    if stop is not None:
        reason, until = stop
        if not snapshot.running or snapshot.now >= until:
            return [*commands, Stop(reason)]
        return [*commands, _wait(snapshot, limit, until)]
    if snapshot.now - snapshot.recovered_at >= RECOVER_EVERY_S:
        commands.append(Recover())
    return [*commands, *_work(snapshot, limits), _wait(snapshot, limit, limits.deadline)]


def _stopping(snapshot: Snapshot, limits: RunLimits) -> tuple[StopReason, float] | None:
    """Why the run is coming to its end, whatever came first; and until when what runs may go on."""
    reasons = []
    ends = []
    if snapshot.stop_at is not None:
        reasons.append((snapshot.stop_at, StopReason.INTERRUPTED))
    if limits.deadline is not None:
        ends.append(limits.ends_at)
        # Nothing is begun that would not come to its end.
        begun_by = min(limits.deadline, limits.ends_at - (snapshot.typical_s or 0.0))
        if snapshot.now >= begun_by:
            reasons.append((begun_by, StopReason.TIMEOUT))
    enough = limits.same_error * (REGION_FACTOR if snapshot.is_regional else 1)
    if 0 < enough <= len(snapshot.failed_alike_at):
        reasons.append((snapshot.failed_alike_at[enough - 1], StopReason.SAME_ERROR))
    if not reasons:
        return None
    since, reason = min(reasons)
    if reason is not StopReason.TIMEOUT:
        ends.append(since + limits.grace_s)
    return reason, min(ends)


def _overdue(snapshot: Snapshot, limit: float | None) -> list[Command]:
    commands: list[Command] = []
    for task in snapshot.running:
        if task.cancelled or task.started_at == math.inf:
            continue
        # Written as `_wait` writes it: another rounding would have a task wait for ever at its very end.
        if snapshot.now < task.started_at + (WARN_AFTER_S if limit is None else limit):
            break  # and those behind it have been running for a shorter time
        if limit is not None:
            commands.append(Cancel(task.key, limit))
        elif not task.warned:
            commands.append(Warn(task.key, WARN_AFTER_S))
    return commands


def _work(snapshot: Snapshot, limits: RunLimits) -> list[Command]:
    """Propose what is lacking, then claim no more than there are free slots."""
    slots = max(0, max(1, limits.n_workers - snapshot.n_short_of_memory) - len(snapshot.running))
    free = min(snapshot.n_free, slots)
    # While no worker is ready yet, there is nothing to learn from and time to write for all of them.
    starting = snapshot.n_free == 0 and not snapshot.running
    lacking = _lacking(snapshot, limits, slots if starting else free)
    commands: list[Command] = []
    if lacking != 0:
        commands.append(Propose(lacking))
    room = max(free, _room_ahead(snapshot, limits, free))
    expected = room if lacking is None else snapshot.n_waiting + lacking
    if min(room, expected) > 0:
        commands.append(Claim(min(room, expected)))
    return commands


def _room_ahead(snapshot: Snapshot, limits: RunLimits, free: int) -> int:
    """How many to claim so that workers find their next experiment without waiting for a commit.

    Only where experiments last milliseconds, and nothing is learnt from them meanwhile.
    """
    if not limits.ahead or limits.learns or snapshot.n_short_of_memory or snapshot.typical_s is None:
        return 0
    if not snapshot.running and not snapshot.n_free:
        return 0  # the workers are starting; nobody knows when they will get to it
    each = MOST_AHEAD if snapshot.typical_s * MOST_AHEAD <= AHEAD_S else int(AHEAD_S / snapshot.typical_s)
    room = limits.n_workers * (1 + each) - len(snapshot.running)
    # Not one by one as they end: each claim is a commit.
    return room if free or room * 2 >= limits.n_workers * each else 0


def _lacking(snapshot: Snapshot, limits: RunLimits, room: int) -> int | None:
    """How many candidates to write now: all at once, unless the method learns from what finishes first."""
    wanted = snapshot.n_to_propose
    if wanted is None or not limits.learns:
        return wanted
    return max(0, min(wanted, room - snapshot.n_waiting))


def _wait(snapshot: Snapshot, limit: float | None, until: float | None) -> Wait:
    """Until the next thing is due, and never longer than a tick."""
    due = [] if until is None else [until]
    oldest = next(
        (task for task in snapshot.running if not task.cancelled and task.started_at < math.inf), None
    )
    if limit is not None and oldest is not None:
        due.append(oldest.started_at + limit)
    return Wait(max(0.0, min([TICK_S, *(moment - snapshot.now for moment in due)])))
