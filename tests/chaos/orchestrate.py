"""What an orchestrator of the chaos run does: recover, claim, execute, record, until the study is drained."""

import math
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar
from unittest import mock

from orchestrator.heartbeat import Heartbeat
from tests.chaos import trial
from tests.chaos.history import History
from tests.chaos.mutants import MUTANTS
from tests.chaos.settings import Settings
from tuner.errors import BusyError, ClaimLostError, StorageError, UsageError
from tuner.experiment import Evaluation, Experiment, Failure, Outcome, Partial, State, Study
from tuner.registry import Claim, Registry, open_registry, owners

__all__ = ["BUSY_TIMEOUT_S", "Points", "add_all", "open_here", "orchestrate"]

T = TypeVar("T")

BUSY_TIMEOUT_S = 30.0
_IDLE_S = 0.02
_MOST_REFUSALS = 50
_STRIKE_EVERY = 3
_MOST_STRIKES = 4
_STRIKES = {0: "stop", 1: "kill"}
_N_STRIKING = 3
"""Which orchestrator strikes itself how, and in how many incarnations."""


class Points:
    """Named places where a process strikes itself: the first time that it passes, and each third after."""

    def __init__(self, strikes: dict[str, str]) -> None:
        self._strikes = strikes
        self._passed: dict[str, int] = {}

    def reach(self, point: str) -> None:
        """Called at the place."""
        passed = self._passed[point] = self._passed.get(point, 0) + 1
        if point in self._strikes and passed % _STRIKE_EVERY == 1 and passed < _STRIKE_EVERY * _MOST_STRIKES:
            os.kill(os.getpid(), signal.SIGKILL if self._strikes[point] == "kill" else signal.SIGSTOP)


def open_here(settings: Settings, *, create: bool = False) -> Registry:
    """Open the run's registry."""
    return open_registry(settings.database, create=create, busy_timeout_s=BUSY_TIMEOUT_S)


def add_all(settings: Settings, number: int, incarnation: int) -> None:
    """Add most of the configurations, in an order of one's own; the others add the rest and the same again.

    The first incarnation of the first one kills itself half way.
    """
    rng = random.Random(f"{settings.seed} add {number}")
    mine = [n for n in range(settings.experiments) if n % 3 != number or rng.random() < 0.5]
    rng.shuffle(mine)
    history = History(settings.logs)
    with open_here(settings) as registry:
        study = registry.open_study(trial.SPEC)
        for first in range(0, len(mine), 17):
            written = registry.add(study, trial.suggestions(mine[first : first + 17]))
            for experiment in written:
                history.write("added", id=experiment.public_id, number=experiment.params["number"])
            if (number, incarnation) == (0, 0) and first >= len(mine) // 2:
                os.kill(os.getpid(), signal.SIGKILL)


def orchestrate(settings: Settings, slot: int, incarnation: int) -> None:
    """Work until nothing waits and nothing runs."""
    own = _STRIKES.get(slot) if incarnation < _N_STRIKING else None
    points = Points({point: strike for point, strike in settings.points.items() if strike == own})
    history = History(settings.logs)
    host = slot % settings.n_hosts
    machine = owners.Machine(f"host-{host}", f"boot-{host}") if host else owners.Machine.here()
    with (
        mock.patch.object(owners, "LEASE_S", settings.lease_s),
        mock.patch.object(owners.Machine, "here", staticmethod(lambda: machine)),
    ):
        if settings.mutant:
            MUTANTS[settings.mutant].install(points.reach)
        with open_here(settings) as registry:
            history.write("opened", owner=registry.owner, pid=os.getpid(), host=host)
            study = registry.find_study(trial.SPEC.name)
            assert study is not None
            rng = random.Random(f"{settings.seed} orchestrate {slot} {incarnation}")
            with Heartbeat(registry.heartbeat, every_s=settings.lease_s / 5):
                _Worker(registry, study, history, points, rng).work(settings.lease_s / 3)


class _Worker:
    def __init__(
        self, registry: Registry, study: Study, history: History, points: Points, rng: random.Random
    ) -> None:
        self._registry = registry
        self._study = study
        self._history = history
        self._points = points
        self._rng = rng

    def work(self, recover_every_s: float) -> None:
        recovered_at = -recover_every_s
        while True:
            if time.monotonic() - recovered_at >= recover_every_s:
                self._recover()
                recovered_at = time.monotonic()
            n = self._rng.choice((1, 1, 1, 2, 3))
            claims = self._insist(partial(self._registry.claim, self._study, n))
            if claims:
                self._run(claims)
                continue
            counts = self._insist(lambda: self._registry.counts(self._study))
            if not counts[State.WAITING] and not counts[State.RUNNING]:
                return
            time.sleep(_IDLE_S)

    def _recover(self) -> None:
        for one in self._insist(self._registry.recover):
            self._history.write("recovered", id=one.public_id, owner=one.owner)

    def _run(self, claims: list[Claim]) -> None:
        """Execute them, and record them together; the last of several is now and then given back."""
        if len(claims) > 1 and self._rng.random() < 0.3:
            last = claims.pop()
            kept = self._insist(partial(self._registry.release, [last]))
            self._told("released" if kept else "fenced", last)
        results = [(claim, self._execute(claim)) for claim in claims]
        if all(trial.always_scores(claim.experiment) for claim in claims):
            self._points.reach("executed")
        self._record(results)

    def _execute(self, claim: Claim) -> Evaluation | Failure | Partial:
        what = {"id": claim.experiment.public_id, "attempt": claim.attempt, "owner": claim.owner}
        self._history.write("began", pid=os.getpid(), **what)
        result = trial.execute(claim.experiment, self._rng)
        time.sleep(trial.duration_s(self._rng))
        if isinstance(result, Failure):
            self._history.write("ended", outcome=result.outcome.value, **what)
        else:
            steps = [[one.step, one.value] for one in result.measurements]
            name = "stop" if isinstance(result, Partial) else "value"
            self._history.write("ended", **{name: result.value}, steps=steps, **what)
        return result

    def _record(self, results: list[tuple[Claim, Evaluation | Failure | Partial]]) -> None:
        """In one transaction, as the driver does; where that refuses a result for all of them, one by one."""
        for claim, result in results:
            self._report(claim, result)
        try:
            ended = self._insist(partial(self._registry.finish, results, trial.ON))
        except UsageError as error:
            for claim, result in results:
                refused = isinstance(result, Evaluation) and not math.isfinite(result.value)
                told = Failure(Outcome.NON_FINITE, str(error)) if refused else result
                self._record([(claim, told)])
            return
        self._points.reach("committed")
        for (claim, result), done in zip(results, ended, strict=True):
            if isinstance(done, ClaimLostError):
                self._told("fenced", claim)
            else:
                self._acked(claim, done, result)
        self._points.reach("acked")

    def _report(self, claim: Claim, result: Evaluation | Failure | Partial) -> None:
        """One in four has reported on the way."""
        if not isinstance(result, Failure) and self._rng.random() < 0.25:
            with suppress(ClaimLostError):  # the result will find that out, too
                self._insist(partial(self._registry.measure, claim, result.measurements[:1]))

    def _acked(self, claim: Claim, done: Experiment, result: Evaluation | Failure | Partial) -> None:
        outcome = result.outcome.value if isinstance(result, Failure) else None
        stop = done.stop.value if done.stop is not None else None
        self._told("acked", claim, state=done.state.value, value=done.value, outcome=outcome, stop=stop)

    def _told(self, kind: str, claim: Claim, **more: object) -> None:
        self._history.write(
            kind, id=claim.experiment.public_id, attempt=claim.attempt, owner=claim.owner, **more
        )

    def _insist(self, act: Callable[[], T]) -> T:
        """Try again where the registry is busy, as a driver does; each refusal goes on record."""
        for _ in range(_MOST_REFUSALS):
            started = time.monotonic()
            try:
                return act()
            except StorageError as error:
                waited = time.monotonic() - started
                self._history.write("refused", error=f"{type(error).__name__}: {error}", waited_s=waited)
                if not isinstance(error, BusyError):
                    raise
                time.sleep(_IDLE_S)
        raise AssertionError(f"the registry refused {_MOST_REFUSALS} times in a row")
