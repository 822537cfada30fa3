"""Keeps some processes running, and strikes them: SIGKILL, and SIGSTOP with a SIGCONT much later.

Strikes are placed by progress, not by time: a strike falls due once so many trials have begun, so that the
same number of them lands on a fast machine and on a busy one. Knows nothing of registries: the peers get the
same.
"""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Nemesis", "Strike", "Toll", "plan_strikes"]

_TICK_S = 0.005
_MEAN_DELAY_S = 0.015
_LONGEST_STOP_S = 6.0
_MOST_CRASHES = 20


@dataclass(frozen=True)
class Strike:
    """Falls due `delay_s` after `position` trials have begun. `hold_s`: length of a pause, 0 for a kill."""

    position: float
    delay_s: float
    hold_s: float


def plan_strikes(
    rng: random.Random, *, kills: int, pauses: int, last_position: float, hold_s: tuple[float, float]
) -> list[Strike]:
    """Kills and pauses in random order, at the positions of a Poisson process of that many events."""
    holds = [0.0] * kills + [rng.uniform(*hold_s) for _ in range(pauses)]
    rng.shuffle(holds)
    positions = sorted(rng.uniform(0, last_position) for _ in holds)
    return [
        Strike(position, rng.expovariate(1 / _MEAN_DELAY_S), hold)
        for position, hold in zip(positions, holds, strict=True)
    ]


@dataclass
class Toll:
    """What was done to whom.

    Attributes:
        killed: pid and moment (Unix seconds) of each SIGKILL that hit, also of those that processes dealt
            themselves.
        paused: pid, first and last moment of each pause, also of those.
        n_kills, n_pauses: by the nemesis.
        n_own: strikes that processes dealt themselves, at points.
        crashed: ends that nobody had asked for, one sentence each.
    """

    killed: list[tuple[int, float]] = field(default_factory=list)
    paused: list[tuple[int, float, float]] = field(default_factory=list)
    n_kills: int = 0
    n_pauses: int = 0
    n_own: int = 0
    crashed: list[str] = field(default_factory=list)


@dataclass
class _Slot:
    number: int
    pid: int = 0
    incarnation: int = 0
    done: bool = False
    killed_at: float | None = None
    stopped_at: float | None = None
    resume_at: float | None = None

    @property
    def is_target(self) -> bool:
        return not self.done and self.killed_at is None and self.stopped_at is None


class Nemesis:
    """Runs `n` processes until each has come to its own end.

    Args:
        spawn: starts process `(slot, incarnation)` and returns its pid. It exits with 0 when all is done.
        progress: how many trials have begun.
        may_resume: whether a process that stopped itself has been stopped for long enough.
    """

    def __init__(
        self,
        spawn: Callable[[int, int], int],
        n: int,
        strikes: list[Strike],
        *,
        rng: random.Random,
        progress: Callable[[], int],
        may_resume: Callable[[int], bool] = lambda pid: True,
    ) -> None:
        self._spawn = spawn
        self._slots = [_Slot(number) for number in range(n)]
        self._strikes = list(reversed(strikes))
        self._rng = rng
        self._progress = progress
        self._may_resume = may_resume
        self._due_at: float | None = None
        self.toll = Toll()

    def run(self, patience_s: float) -> bool:
        """Whether all came to their end in time. None of them is left running."""
        give_up_at = time.monotonic() + patience_s
        try:
            for slot in self._slots:
                slot.pid = self._spawn(slot.number, 0)
            while not all(slot.done for slot in self._slots):
                if time.monotonic() > give_up_at or len(self.toll.crashed) > _MOST_CRASHES:
                    return False
                for slot in self._slots:
                    self._look_after(slot)
                self._strike()
                time.sleep(_TICK_S)
            return True
        finally:
            self._end()

    def _look_after(self, slot: _Slot) -> None:
        while not slot.done:
            found, status = os.waitpid(slot.pid, os.WNOHANG | os.WUNTRACED)
            if not found:
                break
            if os.WIFSTOPPED(status):
                self._note_stop(slot)
            else:
                self._note_end(slot, status)
        if not slot.done and slot.stopped_at is not None and self._is_over(slot, slot.stopped_at):
            self.toll.paused.append((slot.pid, slot.stopped_at, time.time()))
            slot.stopped_at = slot.resume_at = None
            os.kill(slot.pid, signal.SIGCONT)

    def _note_stop(self, slot: _Slot) -> None:
        if slot.stopped_at is None:
            self.toll.n_own += 1
            slot.stopped_at = time.time()

    def _is_over(self, slot: _Slot, stopped_at: float) -> bool:
        now = time.time()
        if slot.resume_at is not None:
            return now >= slot.resume_at
        return self._may_resume(slot.pid) or now - stopped_at >= _LONGEST_STOP_S

    def _note_end(self, slot: _Slot, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            slot.done = True
            return
        if code == -signal.SIGKILL:
            if slot.killed_at is None:
                self.toll.n_own += 1
            else:
                self.toll.n_kills += 1
            self.toll.killed.append((slot.pid, slot.killed_at or time.time()))
        else:
            self.toll.crashed.append(f"process {slot.number} ended by itself with status {code}")
        slot.incarnation += 1
        slot.killed_at = slot.stopped_at = slot.resume_at = None
        slot.pid = self._spawn(slot.number, slot.incarnation)

    def _strike(self) -> None:
        if not self._strikes or self._progress() < self._strikes[-1].position:
            return
        now = time.time()
        if self._due_at is None:
            self._due_at = now + self._strikes[-1].delay_s
        if now < self._due_at:
            return
        targets = [slot for slot in self._slots if slot.is_target]
        strike = self._strikes[-1]
        if len(targets) < (2 if strike.hold_s else 1):  # somebody must be left to take over
            return
        victim = self._rng.choice(targets)
        self._strikes.pop()
        self._due_at = None
        if strike.hold_s:
            victim.stopped_at, victim.resume_at = now, now + strike.hold_s
            self.toll.n_pauses += 1
            os.kill(victim.pid, signal.SIGSTOP)
        else:
            victim.killed_at = now
            os.kill(victim.pid, signal.SIGKILL)

    def _end(self) -> None:
        for slot in self._slots:
            if slot.pid and not slot.done:
                os.kill(slot.pid, signal.SIGKILL)
                os.waitpid(slot.pid, 0)
                slot.done = True
