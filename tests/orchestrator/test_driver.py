"""The driver on a real registry and a pool without processes: what is stored after every kind of ending."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.driver import Driver
from orchestrator.plan import RunLimits, StopReason
from orchestrator.pool import Event, Finished, Printed, Progress, Returned, Task
from orchestrator.progress import Status
from orchestrator.signals import StopRequest
from orchestrator.tally import Tally
from orchestrator.telling import recovery_lines
from tests.orchestrator.fakes import (
    HANG,
    Act,
    FakeClock,
    FakePool,
    Recorder,
    StopAt,
    failed,
    one_after_another,
    scored,
)
from tuner.errors import BusyError, PoolError, StorageError
from tuner.experiment import (
    Direction,
    Evaluation,
    Experiment,
    Failure,
    Measurement,
    Outcome,
    Provenance,
    State,
    Study,
    Suggestion,
)
from tuner.registry import open_registry
from tuner.registry.base import Recovered, Registry, Run, StudySpec
from tuner.space import FloatParam, SearchSpace

HERE = Provenance(data="d1", code="c1", metric="m1")
SPACE = SearchSpace([FloatParam("x", 0.0, 1e6, default=0.0)])


@dataclass
class Bench:
    """One study, and drivers on it."""

    registry: Registry
    study: Study
    started: Run
    clock: FakeClock = field(default_factory=FakeClock)
    display: Recorder = field(default_factory=Recorder)

    def add(self, n: int) -> list[Experiment]:
        first = len(self.experiments())
        new = [Suggestion({"x": float(first + i)}, "random") for i in range(n)]
        return self.registry.add(self.study, new, run=self.started)

    def pool(self, behave: Callable[[Task], Act], n_workers: int = 2) -> FakePool:
        return FakePool(behave, self.clock, n_workers)

    def driver(self, pool: FakePool, **given: Any) -> Driver:
        limits = {each.name: given.pop(each.name) for each in fields(RunLimits) if each.name in given}
        settings: dict[str, Any] = {
            "provenance": HERE,
            "limits": RunLimits(**{"n_workers": pool.n_workers, "ahead": pool.takes_ahead, **limits}),
            "propose": None,
            "n_to_propose": 0,
            "display": self.display,
            "stop": StopRequest(),
            "clock": self.clock,
            "pause": self.clock.pause,
        }
        registry = given.pop("registry", self.registry)
        tally = given.pop("tally", None) or Tally(self.study, HERE)
        return Driver(registry, self.study, self.started, pool, tally, **{**settings, **given})

    def run(self, behave: Callable[[Task], Act], n_workers: int = 2, **given: Any) -> StopReason:
        return self.driver(self.pool(behave, n_workers), **given).run()

    def experiments(self, *states: State) -> list[Experiment]:
        return self.registry.experiments(self.study, states=states or None)

    def states(self) -> dict[State, int]:
        return {state: n for state, n in self.registry.counts(self.study).items() if n}


def open_bench(path: Path) -> Bench:
    registry = open_registry(path, create=True)
    spec = StudySpec("s", SPACE.to_dict(), "loss", Direction.MINIMIZE, SPACE.defaults())
    study = registry.open_study(spec)
    return Bench(registry, study, registry.start_run(study, method="random", n_wanted=9, seed=0, info={}))


class Counting:
    """A registry that notes how many results each of its transactions took, and how often it had to count."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.sizes: list[int] = []
        self.n_counts = self.n_claims = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    def finish(self, results: Sequence[Any], *given: Any) -> Any:
        self.sizes.append(len(results))
        return self._registry.finish(results, *given)

    def claim(self, *given: Any) -> Any:
        self.n_claims += 1
        return self._registry.claim(*given)

    def counts(self, *given: Any) -> Any:
        self.n_counts += 1
        return self._registry.counts(*given)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path / "experiments.db")
    with made.registry:
        yield made


def ok(task: Task) -> Act:
    return scored(float(task.params["x"]))  # type: ignore[arg-type]


# ---- the good course


def test_runs_all_that_waits_and_stores_what_came_of_it(bench: Bench) -> None:
    bench.add(5)
    assert bench.run(ok) is StopReason.DONE
    stored = bench.experiments()
    assert [e.state for e in stored] == [State.COMPLETE] * 5
    assert [e.value for e in stored] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert {e.provenance for e in stored} == {HERE}
    assert {e.attempt for e in stored} == {1}


def test_what_is_written_meanwhile_runs_too(bench: Bench) -> None:
    bench.add(1)

    def behave(task: Task) -> Act:
        if task.params["x"] == 0.0:
            bench.add(3)  # `retrain --tune` in another terminal
        return ok(task)

    bench.run(behave)
    assert bench.states() == {State.COMPLETE: 4}


def test_a_task_carries_parameters_and_the_seed_of_its_study(bench: Bench) -> None:
    bench.add(1)
    pool = bench.pool(ok)
    bench.driver(pool).run()
    assert (pool.ran[0].params, pool.ran[0].seed) == ({"x": 0.0}, bench.study.seed)


def test_a_result_is_stored_before_it_is_told(bench: Bench) -> None:
    """Whoever sees 3 done, and pulls the plug, finds 3 in the registry."""
    bench.add(4)
    seen: list[tuple[int, int]] = []

    class Watching(Recorder):
        def show(self, status: Status) -> None:
            seen.append((status.n_done, bench.states().get(State.COMPLETE, 0)))

    bench.run(ok, display=Watching())
    assert all(told == stored for told, stored in seen)
    assert seen[-1] == (4, 4)


def test_what_came_back_together_is_committed_together(bench: Bench) -> None:
    bench.add(6)
    written = Counting(bench.registry)
    bench.run(ok, n_workers=3, registry=written)
    assert written.sizes == [3, 3]
    assert bench.states() == {State.COMPLETE: 6}


def test_of_those_that_came_back_together_none_is_told_before_all_are_stored(bench: Bench) -> None:
    bench.add(4)
    seen: list[dict[State, int]] = []

    class Watching(Tally):
        def add(self, experiment: Experiment) -> None:
            seen.append(bench.states())
            super().add(experiment)

    bench.run(ok, n_workers=4, tally=Watching(bench.study, HERE))
    assert seen == [{State.COMPLETE: 4}] * 4


def test_what_waits_is_counted_each_half_second_and_not_after_each_experiment(bench: Bench) -> None:
    bench.add(200)
    written = Counting(bench.registry)
    bench.run(lambda task: scored(0.0, 0.01), n_workers=1, registry=written)  # two seconds
    assert bench.states() == {State.COMPLETE: 200}
    assert 4 <= written.n_counts <= 6


def test_status_counts_everything_there_is_to_do(bench: Bench) -> None:
    bench.add(3)
    bench.run(ok, n_workers=2)
    assert {status.n_total for status in bench.display.statuses} == {3}
    assert bench.display.statuses[0].n_running <= 2
    assert (bench.display.statuses[-1].n_done, bench.display.statuses[-1].best) == (3, 0.0)


def test_reports_are_stored_while_a_task_runs(bench: Bench) -> None:
    (experiment,) = bench.add(1)
    seen: list[list[Measurement]] = []

    class Watching(Recorder):
        def show(self, status: Status) -> None:
            seen.append(bench.registry.measurements(experiment))

    reports = ((0, {"loss": 0.5}), (1, {"loss": 0.25}))
    bench.run(lambda task: Act(Evaluation(0.25), 10.0, reports), display=Watching())
    assert seen[-2] == [Measurement(0, "loss", 0.5), Measurement(1, "loss", 0.25)]


@pytest.mark.parametrize(("n_workers", "n_stored"), [(2, 8), (400, 2)])
def test_reports_of_many_workers_are_stored_more_rarely(bench: Bench, n_workers: int, n_stored: int) -> None:
    """A hundred transactions a second for reports, and not one a second for each of a thousand workers."""
    bench.add(1)
    seen: list[int] = []

    class Noting(Counting):
        def measure(self, right: Any, measurements: Sequence[Measurement]) -> None:
            seen.append(len(measurements))
            self._registry.measure(right, measurements)

    pool = bench.pool(lambda task: Act(Evaluation(0.0), 8.9), n_workers)
    wait = pool.wait

    def report(timeout_s: float) -> list[Event]:
        events = wait(timeout_s)
        step = int(2 * bench.clock.now)
        return [*events, *(Progress(key, step, {"loss": 1.0}) for key in pool._running)]

    pool.wait = report  # type: ignore[method-assign]
    bench.driver(pool, registry=Noting(bench.registry)).run()
    assert len(seen) == n_stored
    assert sum(seen) >= 16


# ---- experiments of milliseconds


def test_experiments_of_milliseconds_find_their_worker_without_waiting_for_a_commit(bench: Bench) -> None:
    bench.add(100)
    written = Counting(bench.registry)
    pool = bench.pool(lambda task: scored(0.0, 0.01))
    pool.takes_ahead = True
    bench.driver(pool, registry=written).run()
    assert bench.states() == {State.COMPLETE: 100}
    assert {e.attempt for e in bench.experiments()} == {1}
    assert [task.params["x"] for task in pool.ran] == [float(n) for n in range(100)]
    assert (pool.most_at_once, pool.most_ahead) == (2, 20)
    assert written.n_claims < 20, "each claim is a commit"


def test_what_never_began_waits_again(bench: Bench) -> None:
    """A worker dies: the pool gives back what was claimed ahead, and that is nobody's failure."""
    bench.add(60)
    pool = bench.pool(lambda task: scored(0.0, 0.01))
    pool.takes_ahead = True
    wait = pool.wait

    def lose(timeout_s: float) -> list[Event]:
        events = wait(timeout_s)
        if len(pool.ran) >= 20 and not returned:
            returned.extend(task.key for task in pool._ahead)
            pool._ahead.clear()
            events += [Returned(key) for key in returned]
        return events

    returned: list[str] = []
    pool.wait = lose  # type: ignore[method-assign]
    bench.driver(pool).run()
    assert len(returned) > 5
    assert bench.states() == {State.COMPLETE: 60}
    assert sum(e.interruptions for e in bench.experiments()) == len(returned)
    assert sum(e.failures + e.deaths for e in bench.experiments()) == 0


def test_the_time_before_it_began_is_no_part_of_an_experiments_time(bench: Bench) -> None:
    bench.add(20)
    slow = {"x": 6.0}, {"x": 7.0}, {"x": 8.0}, {"x": 9.0}
    pool = bench.pool(lambda task: scored(0.0, 9.0 if task.params in slow else 0.01))
    pool.takes_ahead = True
    bench.driver(pool, experiment_timeout_s=10.0).run()
    assert pool.most_ahead >= 4
    assert bench.states() == {State.COMPLETE: 20}, "18 s after its claim, one had run for 9 s"


# ---- proposing


def proposer(bench: Bench, asked: list[int | None], space: int = 10**6) -> Callable[[int | None], Any]:
    def propose(n: int | None) -> Sequence[Experiment]:
        asked.append(n)
        left = space - len(bench.experiments())
        return bench.add(min(left, 6 if n is None else n))

    return propose


def test_a_method_that_learns_is_asked_as_workers_become_free(bench: Bench) -> None:
    asked: list[int | None] = []
    bench.run(ok, propose=proposer(bench, asked), n_to_propose=7, learns=True)
    assert asked == [2, 2, 2, 1]
    assert bench.states() == {State.COMPLETE: 7}


def test_one_worker_means_one_at_a_time(bench: Bench) -> None:
    asked: list[int | None] = []
    bench.run(ok, n_workers=1, propose=proposer(bench, asked), n_to_propose=3, learns=True)
    assert asked == [1, 1, 1]


def test_reference_rows_run_before_anything_is_proposed(bench: Bench) -> None:
    bench.add(2)
    asked: list[int | None] = []
    pool = bench.pool(ok)
    bench.driver(pool, propose=proposer(bench, asked), n_to_propose=2, learns=True).run()
    assert [task.params["x"] for task in pool.ran] == [0.0, 1.0, 2.0, 3.0]
    assert asked == [2]


def test_other_methods_write_all_at_once(bench: Bench) -> None:
    for wanted in (5, None):
        asked: list[int | None] = []
        bench.run(ok, propose=proposer(bench, asked), n_to_propose=wanted)
        assert asked == [wanted]
    assert bench.states() == {State.COMPLETE: 11}


@pytest.mark.parametrize("learns", [True, False])
def test_an_exhausted_space_ends_the_run(bench: Bench, learns: bool) -> None:
    asked: list[int | None] = []
    driver = bench.driver(bench.pool(ok), propose=proposer(bench, asked, 3), n_to_propose=9, learns=learns)
    assert driver.run() is StopReason.DONE
    assert driver.exhausted
    assert bench.states() == {State.COMPLETE: 3}


@pytest.mark.parametrize("learns", [True, False])
def test_another_orchestrator_that_writes_the_same_at_the_same_time(bench: Bench, learns: bool) -> None:
    """Both draw from one seed and one history; what the other wrote first is not new, and not the end."""
    asked: list[int | None] = []
    alone = proposer(bench, asked)

    def propose(n: int | None) -> Sequence[Experiment]:
        if len(asked) < 3:
            alone(n)  # the other one was faster
            return []
        return alone(n)  # type: ignore[no-any-return]

    driver = bench.driver(bench.pool(ok), propose=propose, n_to_propose=4, learns=learns)
    driver.run()
    assert not driver.exhausted
    assert bench.states() == {State.COMPLETE: sum(n or 0 for n in asked[:3]) + 4}


# ---- failures


def test_an_error_is_tried_once_more_and_the_others_go_on(bench: Bench) -> None:
    bench.add(3)
    bench.run(lambda task: failed() if task.params["x"] == 1.0 else ok(task))
    first, bad, last = bench.experiments()
    assert (first.state, last.state) == (State.COMPLETE, State.COMPLETE)
    assert (bad.state, bad.outcome, bad.attempt, bad.failures) == (State.FAILED, Outcome.ERROR, 2, 2)
    assert bench.display.notes == [f"{bad.public_id} failed (error): ValueError: no; it is tried again"]


def test_an_error_that_goes_away_leaves_a_result(bench: Bench) -> None:
    bench.add(1)
    bench.run(one_after_another([failed(), scored(0.5)]))
    (experiment,) = bench.experiments()
    assert (experiment.state, experiment.value, experiment.attempt) == (State.COMPLETE, 0.5, 2)


def test_a_configuration_that_always_kills_its_worker_stops_after_three(bench: Bench) -> None:
    bench.add(2)
    lost = failed(Outcome.WORKER_LOST, "worker died (SIGSEGV)")
    pool = bench.pool(lambda task: lost if task.params["x"] == 0.0 else ok(task))
    bench.driver(pool).run()
    poison, fine = bench.experiments()
    assert (poison.state, poison.outcome, poison.deaths) == (State.FAILED, Outcome.WORKER_LOST, 3)
    assert fine.state is State.COMPLETE
    assert len(pool.ran) == 4


def test_one_slot_less_while_something_runs_out_of_memory(bench: Bench) -> None:
    bench.add(6)
    at_once: list[int] = []

    def behave(task: Task) -> Act:
        at_once.append(pool.n_workers - pool.n_free + 1)
        return failed(Outcome.OUT_OF_MEMORY, "killed") if len(pool.ran) <= 1 else ok(task)

    pool = bench.pool(behave)
    bench.driver(pool).run()
    assert bench.states() == {State.COMPLETE: 6}
    alone = at_once.index(2, 2)  # from the third task on, one at a time until the unlucky one is through
    assert alone > 3
    assert set(at_once[2:alone]) == {1}


def test_a_hang_is_ended_and_tried_once_more(bench: Bench) -> None:
    bench.add(2)
    bench.run(
        lambda task: Act(Evaluation(0.0), HANG) if task.params["x"] == 0.0 else ok(task),
        experiment_timeout_s=30.0,
    )
    hung, fine = bench.experiments()
    assert (hung.state, hung.outcome, hung.failures) == (State.FAILED, Outcome.TIMEOUT, 2)
    assert hung.error == "did not finish within 30 s"
    assert fine.state is State.COMPLETE
    assert bench.clock.now == pytest.approx(1060.0, abs=2)


def test_a_result_that_beats_its_cancellation_counts(bench: Bench) -> None:
    bench.add(1)
    pool = bench.pool(lambda task: Act(Evaluation(0.5), HANG))

    def too_late(key: str) -> None:
        pool._running.pop(key)
        pool._events.append(Finished(key, Evaluation(0.5)))

    pool.cancel = too_late  # type: ignore[method-assign]
    bench.driver(pool, experiment_timeout_s=5.0).run()
    assert bench.states() == {State.COMPLETE: 1}


def test_a_thousand_failures_of_one_cause_are_one_line(bench: Bench) -> None:
    bench.add(40)
    driver = bench.driver(bench.pool(lambda task: failed()), same_error=0)
    assert driver.run() is StopReason.DONE
    assert bench.states() == {State.FAILED: 40}
    assert len(bench.display.notes) == 1


def test_of_as_many_causes_as_failures_ten_are_told(bench: Bench) -> None:
    bench.add(30)
    causes = (Failure(Outcome.ERROR, f"ValueError: {i}") for i in itertools.count())
    driver = bench.driver(bench.pool(lambda task: Act(next(causes))), same_error=0)
    assert driver.run() is StopReason.DONE
    assert bench.states() == {State.FAILED: 30}
    assert len(bench.display.notes) == 10


def test_a_worker_that_dies_between_look_and_submit_costs_nothing(bench: Bench) -> None:
    bench.add(1)
    pool = bench.pool(ok)
    submit, refusals = pool.submit, [ValueError("no worker is free")]

    def refusing(task: Task) -> None:
        if refusals:
            raise refusals.pop()
        submit(task)

    pool.submit = refusing  # type: ignore[method-assign]
    bench.driver(pool).run()
    (experiment,) = bench.experiments()
    assert (experiment.state, experiment.interruptions, experiment.failures) == (State.COMPLETE, 1, 0)


def test_a_task_that_never_began_is_claimed_again_and_costs_nothing(bench: Bench) -> None:
    bench.add(2)
    pool = bench.pool(ok)
    submit, losses = pool.submit, [1]

    def losing(task: Task) -> None:
        submit(task)
        if losses:
            losses.pop()
            del pool._running[task.key]
            pool._events.append(Returned(task.key))

    pool.submit = losing  # type: ignore[method-assign]
    bench.driver(pool).run()
    counts = {(e.state, e.interruptions, e.failures, e.deaths) for e in bench.experiments()}
    assert counts == {(State.COMPLETE, 1, 0, 0), (State.COMPLETE, 0, 0, 0)}


def test_what_experiments_print_is_said_with_their_id(bench: Bench) -> None:
    bench.add(1)
    pool = bench.pool(ok)
    submit = pool.submit

    def printing(task: Task) -> None:
        submit(task)
        pool._events.append(Printed(task.key, ("epoch 1", "epoch 2")))

    pool.submit = printing  # type: ignore[method-assign]
    bench.driver(pool).run()
    (experiment,) = bench.experiments()
    assert bench.display.notes == [f"{experiment.public_id} | epoch {i}" for i in (1, 2)]


# ---- the registry in trouble


class Refusing:
    """A registry that refuses some calls of one method, each with the next error."""

    def __init__(self, registry: Registry, method: str, errors: Iterator[Exception]) -> None:
        self._registry, self._method, self._errors = registry, method, errors

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._registry, name)
        return partial(self._refuse, attribute) if name == self._method else attribute

    def _refuse(self, method: Callable[..., Any], *given: Any, **named: Any) -> Any:
        error = next(self._errors, None)
        if error is not None:
            raise error
        return method(*given, **named)


@pytest.mark.parametrize("method", ["counts", "claim", "finish", "recover", "measure"])
def test_a_locked_registry_loses_nothing(bench: Bench, method: str) -> None:
    bench.add(3)
    locked = iter([BusyError("The database is locked."), BusyError("The database is locked.")])
    acts = one_after_another([failed(), *[Act(Evaluation(1.0), 5.0, ((0, {"loss": 1.0}),))] * 3])
    assert bench.run(acts, registry=Refusing(bench.registry, method, locked)) is StopReason.DONE
    assert next(locked, None) is None, "the test must have refused twice"
    assert bench.states() == {State.COMPLETE: 3}
    assert "the registry answers again after 1.5 s" in bench.display.notes


def test_after_five_minutes_the_run_ends_and_the_work_waits_again(bench: Bench) -> None:
    bench.add(2)
    full = (StorageError("The disk is full.") for _ in range(10**6))
    with pytest.raises(StorageError, match="full"):
        bench.run(ok, registry=Refusing(bench.registry, "finish", full))
    assert 300 <= bench.clock.now - 1000 < 320
    assert bench.states() == {State.WAITING: 2}


@pytest.mark.parametrize("method", ["counts", "claim", "finish", "measure"])
def test_a_registry_that_refuses_is_asked_no_longer_than_the_run_has_time(bench: Bench, method: str) -> None:
    """Twenty seconds, and six tenths that experiments may take longer."""
    bench.add(2)
    full = (StorageError("The disk is full.") for _ in range(10**6))
    reporting = Act(Evaluation(1.0), 5.0, ((0, {"loss": 1.0}),))
    limits: dict[str, Any] = {"deadline": bench.clock.now + 20.0, "overrun_s": 0.6}
    with pytest.raises(StorageError, match="full"):
        bench.run(lambda _: reporting, registry=Refusing(bench.registry, method, full), **limits)
    assert bench.clock.now - 1000 == pytest.approx(20.6)
    assert bench.states() == {State.WAITING: 2}


def test_a_claim_that_was_lost_is_fenced_and_the_run_goes_on(bench: Bench, tmp_path: Path) -> None:
    """The orchestrator slept longer than its lease; another one has run the experiment meanwhile."""
    bench.add(2)

    def behave(task: Task) -> Act:
        if task.params["x"] == 0.0:
            (held,) = [e for e in bench.experiments(State.RUNNING) if e.params == task.params]
            stolen.append(held)
        return ok(task)

    stolen: list[Experiment] = []
    pool = bench.pool(behave)
    submit = pool.submit

    def submit_and_steal(task: Task) -> None:
        submit(task)
        if task.params["x"] == 0.0:
            driver._registry.release([driver._tasks[task.key].right])
            with open_registry(tmp_path / "experiments.db", create=False) as other:
                (claim,) = other.claim(bench.study, 1)
                other.complete(claim, Evaluation(-1.0), HERE)

    pool.submit = submit_and_steal  # type: ignore[method-assign]
    driver = bench.driver(pool)
    assert driver.run() is StopReason.DONE
    first, second = bench.experiments()
    assert (first.value, first.attempt, second.value) == (-1.0, 2, 1.0)
    fenced = [note for note in bench.display.notes if note.startswith("fenced:")]
    assert len(fenced) == 1
    assert "attempt 1 is superseded by 2" in fenced[0]
    assert [event.kind for event in bench.registry.events()] == ["fenced"]


def test_a_lost_claim_among_several_results_takes_nothing_from_the_others(
    bench: Bench, tmp_path: Path
) -> None:
    """Five come back at once: one stolen and finished by another, one failed, the others as they should."""
    bench.add(5)
    with open_registry(tmp_path / "experiments.db", create=False) as other:

        def behave(task: Task) -> Act:
            if len(pool.ran) == 5:
                (stolen,) = [each.right for each in driver._tasks.values() if each.right.experiment.id == 3]
                bench.registry.release([stolen])
                (claim,) = other.claim(bench.study, 1)
                other.complete(claim, Evaluation(-1.0), HERE)
            return failed() if task.params["x"] == 1.0 else ok(task)

        written = Counting(bench.registry)
        pool = bench.pool(behave, 5)
        driver = bench.driver(pool, registry=written)
        assert driver.run() is StopReason.DONE
    assert written.sizes == [5, 1]
    assert [e.value for e in bench.experiments()] == [0.0, None, -1.0, 3.0, 4.0]
    assert [e.attempt for e in bench.experiments()] == [1, 2, 2, 1, 1]
    assert driver._tally.n_complete == 3, "what another orchestrator scored is not this one's"
    assert [event.kind for event in bench.registry.events()] == ["fenced"]


def test_a_task_whose_claim_was_lost_is_not_run_to_its_end(bench: Bench) -> None:
    bench.add(1)
    pool = bench.pool(lambda task: Act(Evaluation(0.0), HANG, ((0, {"loss": 1.0}),)))
    driver = bench.driver(pool, n_workers=1)
    submit = pool.submit

    def submit_and_lose(task: Task) -> None:
        if len(pool.ran) == 1:
            pool.behave = ok
        submit(task)
        if len(pool.ran) == 1:
            bench.registry.release([driver._tasks[task.key].right])

    pool.submit = submit_and_lose  # type: ignore[method-assign]
    assert driver.run() is StopReason.DONE
    assert bench.states() == {State.COMPLETE: 1}


def test_what_dead_orchestrators_left_is_told_per_orchestrator() -> None:
    recovered = [
        Recovered("a_1", "8f2c99", 12.4),
        Recovered("a_2", "8f2c99", 3.0),
        Recovered("a_3", "11aa22", 0.5),
    ]
    assert recovery_lines(recovered) == [
        "recovered 2 experiments left by orchestrator 8f2c (dead 12 s)",
        "recovered 1 experiment left by orchestrator 11aa (dead 0.5 s)",
    ]


def test_what_another_orchestrator_leaves_behind_meanwhile_is_run(bench: Bench, tmp_path: Path) -> None:
    bench.add(4)
    other = open_registry(tmp_path / "experiments.db", create=False)
    other.claim(bench.study, 2)

    def behave(task: Task) -> Act:
        other.close()  # it dies with two claims
        return scored(0.0, 4.0)

    assert bench.run(behave) is StopReason.DONE
    assert bench.states() == {State.COMPLETE: 4}
    assert [note.split(" left")[0] for note in bench.display.notes] == ["recovered 2 experiments"]


def test_the_last_experiments_are_waited_for_where_another_orchestrator_runs_them(
    bench: Bench, tmp_path: Path
) -> None:
    bench.add(2)
    done: list[Experiment] = []
    with open_registry(tmp_path / "experiments.db", create=False) as other:
        (claim,) = other.claim(bench.study, 1)

        def finish() -> None:
            if not done:
                done.append(other.complete(claim, Evaluation(9.0), HERE))

        bench.clock.alarms.append((1030.0, finish))
        assert bench.run(ok) is StopReason.DONE
    assert bench.states() == {State.COMPLETE: 2}
    assert bench.clock.now == pytest.approx(1030.0, abs=0.5)
    assert len(bench.display.notes) == 1
    assert bench.display.notes[0].startswith("another orchestrator runs the last experiments")


# ---- the end before the end


def test_the_first_signal_lets_running_ones_finish(bench: Bench) -> None:
    bench.add(6)
    stop = StopAt(bench.clock, at=1005.0)
    assert bench.run(lambda task: scored(0.0, 10.0), stop=stop) is StopReason.INTERRUPTED
    assert bench.states() == {State.COMPLETE: 2, State.WAITING: 4}
    assert bench.display.notes == ["finishing 2 running experiments (up to 30 s); Ctrl-C again stops now"]


def test_what_does_not_finish_within_the_grace_waits_again(bench: Bench) -> None:
    bench.add(3)
    stop = StopAt(bench.clock, at=1005.0)
    driver = bench.driver(bench.pool(lambda task: Act(Evaluation(0.0), HANG)), stop=stop, grace_s=30.0)
    assert driver.run() is StopReason.INTERRUPTED
    assert bench.clock.now == pytest.approx(1035.0)
    assert bench.states() == {State.WAITING: 3}
    assert [e.interruptions for e in bench.experiments()] == [1, 1, 0]
    assert driver.n_released == 2


def test_the_second_signal_does_not_wait(bench: Bench) -> None:
    bench.add(3)
    stop = StopAt(bench.clock, at=1005.0, insist_at=1006.0)
    bench.run(lambda task: Act(Evaluation(0.0), HANG), stop=stop)
    assert bench.clock.now == pytest.approx(1006.0, abs=0.5)
    assert bench.states() == {State.WAITING: 3}


def test_a_signal_while_the_registry_is_locked_ends_within_the_grace(bench: Bench) -> None:
    bench.add(1)
    locked = (BusyError("The database is locked.") for _ in range(10**6))
    stop = StopAt(bench.clock, at=1005.0)
    with pytest.raises(BusyError):
        bench.run(ok, stop=stop, grace_s=30.0, registry=Refusing(bench.registry, "finish", locked))
    assert 1035 <= bench.clock.now <= 1046


def test_the_budget_ends_the_run(bench: Bench) -> None:
    bench.add(9)
    assert bench.run(lambda task: scored(0.0, 10.0), deadline=1015.0) is StopReason.TIMEOUT
    assert bench.states() == {State.COMPLETE: 4, State.WAITING: 5}
    assert bench.clock.now == pytest.approx(1020.0, abs=0.5)


def test_what_does_not_end_in_time_is_given_back_and_did_not_fail(bench: Bench) -> None:
    """A timeout of 100 s: never more than 5 % over it."""
    bench.add(9)
    limits: dict[str, Any] = {"deadline": 1100.0, "overrun_s": 3.0}
    assert bench.run(lambda task: Act(Evaluation(0.0), HANG), **limits) is StopReason.TIMEOUT
    assert bench.states() == {State.WAITING: 9}
    assert bench.clock.now <= 1105.0
    assert [each.interruptions for each in bench.experiments()] == [1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert not any(each.failures or each.deaths for each in bench.experiments())


def test_what_a_driver_runs_is_part_of_a_search(bench: Bench) -> None:
    bench.add(2)
    pool = bench.pool(lambda task: scored(0.0))
    bench.driver(pool).run()
    assert [task.tuning for task in pool.ran] == [True, True]


def test_what_would_not_end_in_time_is_not_begun(bench: Bench) -> None:
    bench.add(20)
    assert bench.run(lambda task: scored(0.0, 20.0), deadline=1090.0, overrun_s=3.0) is StopReason.TIMEOUT
    assert bench.states() == {State.COMPLETE: 8, State.WAITING: 12}
    assert bench.clock.now == pytest.approx(1080.0, abs=0.5)
    assert bench.display.notes[-1] == "10 s are left, and an experiment takes about 20 s: none is begun"


@pytest.mark.parametrize(
    "error", [PoolError("The cluster is gone."), KeyboardInterrupt(), RuntimeError("a bug")]
)
def test_whatever_ends_a_run_gives_the_work_back(bench: Bench, error: BaseException) -> None:
    bench.add(3)
    pool = bench.pool(lambda task: Act(Evaluation(0.0), HANG))
    wait = pool.wait

    def gone(timeout_s: float) -> list[Event]:
        if bench.clock.now > 1003:
            raise error
        return wait(timeout_s)

    pool.wait = gone  # type: ignore[method-assign]
    driver = bench.driver(pool)
    with pytest.raises(type(error)):
        driver.run()
    assert bench.states() == {State.WAITING: 3}
    assert [e.failures + e.deaths for e in bench.experiments()] == [0, 0, 0]
    assert driver.n_released == 2


# ---- whatever happens

acts = st.one_of(
    st.builds(scored, st.floats(-1e6, 1e6), st.floats(0.0, 20.0)),
    st.builds(failed, st.sampled_from([Outcome.ERROR, Outcome.NON_FINITE, Outcome.BAD_RESULT])),
    st.builds(failed, st.sampled_from([Outcome.WORKER_LOST, Outcome.OUT_OF_MEMORY])),
    st.just(Act(Evaluation(0.0), HANG)),
)


@settings(deadline=None, max_examples=12)
@given(st.lists(acts, min_size=40, max_size=40), st.integers(0, 8), st.integers(1, 4), st.booleans())
def test_a_run_ends_with_every_experiment_finished_once(
    tmp_path_factory: pytest.TempPathFactory, course: list[Act], n: int, n_workers: int, learns: bool
) -> None:
    bench = open_bench(tmp_path_factory.mktemp("run") / "experiments.db")
    with bench.registry:
        bench.add(2)
        pool = bench.pool(one_after_another(course), n_workers)
        driver = bench.driver(
            pool, propose=proposer(bench, []), n_to_propose=n, learns=learns, experiment_timeout_s=15.0
        )
        assert driver.run() is StopReason.DONE
        stored = bench.experiments()
        assert len(stored) == n + 2
        assert all(e.state.finished for e in stored)
        assert sum(e.attempt for e in stored) == len(pool.ran)
        for experiment in stored:
            limits = (experiment.failures, experiment.deaths)
            assert limits < (3, 4)
            assert (experiment.state is State.FAILED) == (experiment.failures == 2 or experiment.deaths == 3)
        assert pool.most_at_once <= n_workers
