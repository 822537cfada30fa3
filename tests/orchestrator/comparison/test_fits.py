"""The loop that fits and tests: what it stores, tries again, gives up, and when it stops."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.comparison.fits import Fit, Fits, find_fits
from orchestrator.comparison.job import ALL, JOB, TEST, Job, Training
from orchestrator.comparison.results import MEAN, Figure, Row, means_of
from orchestrator.plan import StopReason, TimeLimits
from orchestrator.pool import Task
from orchestrator.signals import StopRequest
from tests.orchestrator.fakes import HANG, Act, FakeClock, FakePool, Recorder, StopAt, failed
from tuner.errors import BusyError
from tuner.experiment import Evaluation, Outcome, Provenance
from tuner.registry import Registry, open_registry
from tuner.registry.base import HoldoutRead

SCORED = Evaluation(
    3.0,
    metrics={
        "value:acc:0": 0.8,
        "low:acc:0": 0.7,
        "high:acc:0": 0.9,
        "gain:acc:0": 0.1,
        "gain_low:acc:0": -0.1,
        "gain_high:acc:0": 0.3,
        "value:acc:1": 0.5,
    },
)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(tmp_path / "experiments.db", create=True, clock=lambda: 1.0) as opened:
        yield opened


def fits_of(n: int, against: float | None = 1.0) -> list[Fit]:
    training = Training("all", None, (0, 1), ("north: a", ALL))
    return [
        Fit(
            Job("forest", training, (i + 1) / n),
            {"depth": 3},
            Provenance(f"data {i}", "code", "acc"),
            training.tests,
            None if against is None else {"depth": against},
        )
        for i in range(n)
    ]


def loop(
    registry: Registry,
    pool: FakePool,
    fits: list[Fit],
    *,
    stop: StopRequest | None = None,
    display: Recorder | None = None,
    **limits: float,
) -> Fits:
    return Fits(
        registry,
        "places",
        pool,
        fits,
        seed=7,
        limits=TimeLimits(**limits),
        display=display or Recorder(),
        stop=stop or StopRequest(),
        clock=pool.clock,
        pause=pool.clock.pause,
    )


def test_what_was_found_is_stored_and_found_again(registry: Registry) -> None:
    pool = FakePool(lambda _: Act(SCORED), FakeClock())
    run = loop(registry, pool, fits_of(3))
    assert run.run() is StopReason.DONE
    assert pool.most_at_once == 2
    assert {task.seed for task in pool.ran} == {7}
    assert {str(task.params[JOB]) for task in pool.ran} == {fit.job.key for fit in fits_of(3)}
    assert {task.params[TEST] for task in pool.ran} == {'[{"depth": 3}, {"depth": 1.0}]'}
    stored = find_fits(registry, "places")
    assert stored == run.found
    assert stored[fits_of(3)[1].key]["gain_high", "acc", "north: a"] == 0.3
    assert stored[fits_of(3)[1].key]["value", "acc", ALL] == 0.5


def test_gains_over_other_defaults_are_other_figures(registry: Registry) -> None:
    loop(registry, FakePool(lambda _: Act(SCORED), FakeClock()), fits_of(1)).run()
    stored = find_fits(registry, "places")
    assert fits_of(1, against=2.0)[0].key not in stored
    assert fits_of(1, against=None)[0].key not in stored
    assert fits_of(1)[0].key in stored


def test_what_fails_is_tried_again_and_then_left(registry: Registry) -> None:
    def behave(task: Task) -> Act:
        return failed() if "0.5" in task.key else Act(SCORED)

    pool = FakePool(behave, FakeClock())
    run = loop(registry, pool, fits_of(2))
    assert run.run() is StopReason.DONE
    assert len(pool.ran) == 3
    assert list(run.failed.values()) == ["error: ValueError: no"]
    assert len(run.found) == 1


def test_a_dead_worker_is_held_against_a_fit_at_the_third_time(registry: Registry) -> None:
    pool = FakePool(lambda _: failed(Outcome.WORKER_LOST, "gone"), FakeClock())
    run = loop(registry, pool, fits_of(1))
    run.run()
    assert len(pool.ran) == 3
    assert list(run.failed.values()) == ["worker_lost: gone"]


def test_one_that_takes_too_long_is_ended(registry: Registry) -> None:
    pool = FakePool(lambda task: Act(SCORED, HANG if "0.5" in task.key else 5.0), FakeClock())
    run = loop(registry, pool, fits_of(2), experiment_timeout_s=60.0)
    assert run.run() is StopReason.DONE
    assert list(run.failed.values()) == ["it took too long"]
    assert 1060.0 <= pool.clock() < 1063.0


def test_no_more_is_begun_after_the_deadline(registry: Registry) -> None:
    pool = FakePool(lambda _: Act(SCORED, 10.0), FakeClock(), n_workers=1)
    run = loop(registry, pool, fits_of(3), deadline=1015.0)
    assert run.run() is StopReason.TIMEOUT
    assert len(pool.ran) == 2
    assert len(find_fits(registry, "places")) == 2  # the second was finished within the grace


@pytest.mark.parametrize(
    ("overrun_s", "ended_at"),
    [(3.0, 1013.0), (1e6, 1040.0)],  # by the end of the time, and by the grace where that is less
)
def test_what_runs_at_the_deadline_is_left_after_the_overrun(
    registry: Registry, overrun_s: float, ended_at: float
) -> None:
    pool = FakePool(lambda task: Act(SCORED, HANG if "0.5" in task.key else 5.0), FakeClock())
    run = loop(registry, pool, fits_of(2), deadline=1010.0, grace_s=30.0, overrun_s=overrun_s)
    assert run.run() is StopReason.TIMEOUT
    assert ended_at <= pool.clock() < ended_at + 2.0
    assert len(find_fits(registry, "places")) == 1
    assert not run.failed, "what was left is fitted by the next command"


def test_a_registry_that_refuses_for_a_while_loses_no_fit(registry: Registry) -> None:
    class Refusing:
        n_refused = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(registry, name)

        def add_holdout_read(self, read: HoldoutRead) -> HoldoutRead:
            if self.n_refused < 4:
                self.n_refused += 1
                raise BusyError("The registry is busy.")
            return registry.add_holdout_read(read)

    display = Recorder()
    pool = FakePool(lambda _: Act(SCORED), FakeClock())
    run = loop(Refusing(), pool, fits_of(3), display=display)  # type: ignore[arg-type]
    assert run.run() is StopReason.DONE
    assert len(pool.ran) == 3, "none is fitted twice"
    assert find_fits(registry, "places").keys() == {fit.key for fit in fits_of(3)}
    assert any("Nothing is lost" in note for note in display.notes)


@pytest.mark.parametrize(("insist_at", "n_stored"), [(HANG, 2), (1016.0, 1)])
def test_ctrl_c_finishes_what_runs_and_twice_stops(
    registry: Registry, insist_at: float, n_stored: int
) -> None:
    clock = FakeClock()
    pool = FakePool(lambda _: Act(SCORED, 10.0), clock, n_workers=1)
    run = loop(registry, pool, fits_of(3), stop=StopAt(clock, 1015.0, insist_at))
    assert run.run() is StopReason.INTERRUPTED
    assert len(find_fits(registry, "places")) == n_stored


def row(test: str, default: Figure | None, n: int = 10) -> Row:
    training = Training("others", 0, (1,), (test,))
    return Row(Job("forest", training, 1.0), test, "acc", 20, n, 1, default, default, default, None)


def test_the_mean_over_sites_has_the_interval_of_independent_figures() -> None:
    [mean] = means_of([row("a", Figure(0.5, 0.2, 0.6), 30), row("b", Figure(0.7, 0.3, 0.9))])
    assert mean.test == MEAN
    assert (mean.n_test, mean.n_unknown) == (40, 2)
    assert mean.default is not None
    assert mean.default.value == pytest.approx(0.6)
    assert mean.default.low == pytest.approx(0.6 - math.sqrt(0.3**2 + 0.4**2) / 2)
    assert mean.default.high == pytest.approx(0.6 + math.sqrt(0.1**2 + 0.2**2) / 2)


def test_there_is_no_mean_of_what_is_missing() -> None:
    assert means_of([row("a", Figure(0.5, 0.2, 0.6))]) == []
    [mean] = means_of([row("a", Figure(0.5, 0.2, 0.6)), row("b", None)])
    assert mean.default is None
    [mean] = means_of([row("a", Figure(0.5, 0.2, 0.6)), row("b", Figure(0.4))])
    assert mean.default == Figure(0.45)
