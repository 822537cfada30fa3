"""The loop of a confirmation on a real registry and a pool without processes."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.plan import StopReason, TimeLimits
from orchestrator.pool import Event, Returned, Task
from orchestrator.repeats import Repeats
from orchestrator.signals import StopRequest
from retrain.confirmation import Plan, fresh_seeds
from retrain.honest import find_winner, standing
from tests.contracts.registry_cases import ON
from tests.orchestrator.fakes import HANG, Act, FakeClock, FakePool, Recorder, StopAt, failed
from tuner.errors import BusyError
from tuner.experiment import Confirmation, Direction, Evaluation, Measurement, Outcome, Study, Suggestion
from tuner.registry import open_registry
from tuner.registry.base import Registry, StudySpec

GOOD, BAD, BASE = 1.0, 9.0, 2.0
N_FOLDS = 4


def folded(task: Task, offset: float = 0.0) -> Act:
    """The loss is `x` with noise that folds of one seed share, and a little of its own."""
    x = float(task.params["x"]) + offset  # type: ignore[arg-type]
    shared = (task.seed % 97) / 970
    scores = [x + shared + 0.01 * i * (1 + x % 0.3) for i in range(N_FOLDS)]
    measured = tuple(Measurement(i, "loss", score) for i, score in enumerate(scores))
    return Act(Evaluation(sum(scores) / N_FOLDS, measurements=measured, duration_s=1.0))


@dataclass
class Bench:
    registry: Registry
    study: Study
    plan: Plan
    params: dict[str, Any]
    clock: FakeClock = field(default_factory=FakeClock)
    display: Recorder = field(default_factory=Recorder)

    def repeats(self, pool: FakePool, **given: Any) -> Repeats:
        names = [each.name for each in fields(TimeLimits)]
        limits = TimeLimits(**{name: given.pop(name) for name in names if name in given})
        settings: dict[str, Any] = {
            "limits": limits,
            "display": self.display,
            "stop": StopRequest(),
            "clock": self.clock,
            "pause": self.clock.pause,
        }
        registry = given.pop("registry", self.registry)
        return Repeats(registry, self.study, pool, self.plan, self.params, **{**settings, **given})

    def run(self, behave: Callable[[Task], Act] = folded, n_workers: int = 2, **given: Any) -> StopReason:
        self.pool = FakePool(behave, self.clock, n_workers)
        self.last = self.repeats(self.pool, **given)
        return self.last.run()

    def stored(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for each in self.registry.confirmations(self.study, ON):
            found.setdefault(each.experiment, []).append(each.seed)
        return found

    def winner(self) -> str | None:
        race = self.last.plan.race(Direction.MINIMIZE, self.registry.confirmations(self.study, ON))
        return find_winner(race)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with open_registry(tmp_path / "experiments.db", create=True) as registry:
        study = registry.open_study(StudySpec("s", {}, "loss", Direction.MINIMIZE, {"x": BASE}))
        values = (GOOD, GOOD + 0.001, BAD, BASE)
        rows = registry.add(study, [Suggestion({"x": x}, "random") for x in values])
        for claim in registry.claim(study, len(values)):
            registry.complete(claim, Evaluation(float(claim.experiment.params["x"])), ON)  # type: ignore[arg-type]
        ids = [each.public_id for each in rows]
        plan = Plan(tuple(ids[:3]), {"baseline": ids[3]}, fresh_seeds(0, 5), ON)
        yield Bench(registry, study, plan, {each.public_id: each.params for each in rows})


def test_each_repeat_is_stored_with_its_folds_and_the_loser_stops_early(bench: Bench) -> None:
    assert bench.run() is StopReason.DONE
    good, _, bad = bench.plan.candidates
    stored = bench.stored()
    assert stored[good] == list(bench.plan.seeds)
    assert stored[bench.plan.references["baseline"]] == list(bench.plan.seeds)
    assert len(stored[bad]) < len(bench.plan.seeds), "a clear loser"
    [first, *_] = bench.registry.confirmations(bench.study, ON)
    assert len(first.folds) == N_FOLDS
    assert first.value == pytest.approx(sum(first.folds) / N_FOLDS)
    assert first.duration_s == 1.0
    assert bench.winner() == good
    told = [note for note in bench.display.notes if note.startswith(f"{bad} is out after")]
    assert len(told) == 1
    assert bench.last.n_done == sum(map(len, stored.values()))


def test_everybody_has_the_same_folds(bench: Bench) -> None:
    bench.run()
    assert {task.seed for task in bench.pool.ran} == set(bench.plan.seeds)
    assert len({task.key for task in bench.pool.ran}) == len(bench.pool.ran)
    assert bench.pool.most_at_once == 2


@pytest.mark.parametrize("n_workers", [1, 3, 8])
def test_the_number_of_workers_does_not_change_who_wins(bench: Bench, n_workers: int) -> None:
    assert bench.run(n_workers=n_workers) is StopReason.DONE
    assert bench.winner() == bench.plan.candidates[0]


def test_it_goes_on_from_what_is_stored(bench: Bench) -> None:
    started_at = bench.clock.now
    assert bench.run(stop=StopAt(bench.clock, started_at + 2.5)) is StopReason.INTERRUPTED
    before = {(task.params["x"], task.seed) for task in bench.pool.ran}
    n_before = sum(map(len, bench.stored().values()))
    assert len(before) == n_before, "what ran was waited for, and nothing more began"
    assert 0 < n_before < 20
    assert bench.run() is StopReason.DONE
    again = {(task.params["x"], task.seed) for task in bench.pool.ran}
    assert not before & again, "nothing is run twice"
    assert bench.winner() == bench.plan.candidates[0]


def test_a_second_signal_does_not_wait(bench: Bench) -> None:
    started_at = bench.clock.now
    stop = StopAt(bench.clock, started_at + 1, insist_at=started_at + 2)
    assert bench.run(lambda _: Act(Evaluation(0.0), HANG), stop=stop, grace_s=1e6) is StopReason.INTERRUPTED
    assert bench.clock.now < started_at + 10
    assert bench.stored() == {}


def test_what_hangs_after_a_signal_is_left_after_the_grace(bench: Bench) -> None:
    started_at = bench.clock.now
    stop = StopAt(bench.clock, started_at + 1)
    assert bench.run(lambda _: Act(Evaluation(0.0), HANG), stop=stop, grace_s=5.0) is StopReason.INTERRUPTED
    assert started_at + 6 <= bench.clock.now < started_at + 7


def test_the_time_is_up(bench: Bench) -> None:
    assert bench.run(deadline=bench.clock.now + 2.5) is StopReason.TIMEOUT
    assert 0 < sum(map(len, bench.stored().values())) < 20
    assert bench.run() is StopReason.DONE


@pytest.mark.parametrize(
    ("outcome", "n_tries"), [(Outcome.ERROR, 2), (Outcome.NON_FINITE, 2), (Outcome.WORKER_LOST, 3)]
)
def test_one_that_fails_is_left_out_with_a_message(bench: Bench, outcome: Outcome, n_tries: int) -> None:
    good, second, _ = bench.plan.candidates

    def behave(task: Task) -> Act:
        return failed(outcome, "no luck") if task.params["x"] == GOOD else folded(task)

    assert bench.run(behave, n_workers=1) is StopReason.DONE
    assert bench.last.plan.failed == {good: f"{outcome}: no luck"}
    assert sum(task.params["x"] == GOOD for task in bench.pool.ran) == n_tries
    assert bench.winner() == second
    assert good not in bench.stored()
    assert f"{good} cannot be confirmed and is left out: {outcome}: no luck" in bench.display.notes


def test_one_that_fails_once_is_tried_again(bench: Bench) -> None:
    tries: Counter[tuple[Any, int]] = Counter()

    def behave(task: Task) -> Act:
        job = (task.params["x"], task.seed)
        tries[job] += 1
        return failed() if tries[job] == 1 else folded(task)

    assert bench.run(behave) is StopReason.DONE
    assert bench.last.plan.failed == {}
    assert bench.winner() == bench.plan.candidates[0]


def test_where_all_fail_nobody_wins(bench: Bench) -> None:
    assert bench.run(lambda _: failed()) is StopReason.DONE
    assert bench.winner() is None
    assert bench.stored() == {}
    assert set(bench.last.plan.failed) >= set(bench.plan.candidates)


def test_without_a_baseline_the_others_go_on(bench: Bench) -> None:
    def behave(task: Task) -> Act:
        return failed() if task.params["x"] == BASE else folded(task)

    assert bench.run(behave) is StopReason.DONE
    assert set(bench.last.plan.failed) == {bench.plan.references["baseline"]}
    assert bench.winner() == bench.plan.candidates[0]


def test_what_takes_too_long_is_ended(bench: Bench) -> None:
    def behave(task: Task) -> Act:
        return Act(Evaluation(0.0), HANG) if task.params["x"] == GOOD else folded(task)

    assert bench.run(behave, n_workers=3, experiment_timeout_s=30.0) is StopReason.DONE
    good = bench.plan.candidates[0]
    assert bench.last.plan.failed == {good: "timeout: did not finish within 30 s"}


def test_what_another_has_stored_is_not_run_again(bench: Bench) -> None:
    """Another confirmation of the same study stores the very repeat that would be next here."""
    good, *_ = bench.plan.candidates
    other = Confirmation(good, bench.plan.seeds[3], 0.5, (), ON)

    def behave(task: Task) -> Act:
        if len(bench.pool.ran) == 2:
            bench.registry.add_confirmation(other)
        return folded(task)

    bench.pool = FakePool(behave, bench.clock, 1)
    bench.last = bench.repeats(bench.pool)
    assert bench.last.run() is StopReason.DONE
    ran = [(task.params["x"], task.seed) for task in bench.pool.ran]
    assert (GOOD, bench.plan.seeds[3]) not in ran
    assert other in bench.registry.confirmations(bench.study, ON)


def test_a_worker_that_is_gone_before_it_begins_costs_nothing(bench: Bench) -> None:
    class Returning(FakePool):
        n_returned = 0

        def wait(self, timeout_s: float) -> list[Event]:
            if self._running and self.n_returned < 3:
                self.n_returned += 1
                key, _ = self._running.popitem()
                return [Returned(key)]
            return super().wait(timeout_s)

    bench.pool = Returning(folded, bench.clock, 2)
    bench.last = bench.repeats(bench.pool)
    assert bench.last.run() is StopReason.DONE
    assert bench.last.plan.failed == {}
    assert bench.stored()[bench.plan.candidates[0]] == list(bench.plan.seeds)


def test_a_registry_that_refuses_for_a_while_loses_nothing(bench: Bench) -> None:
    class Refusing:
        n_refused = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(bench.registry, name)

        def add_confirmation(self, confirmation: Confirmation) -> Confirmation:
            if self.n_refused < 4:
                self.n_refused += 1
                raise BusyError("The registry is busy.")
            return bench.registry.add_confirmation(confirmation)

    assert bench.run(registry=Refusing()) is StopReason.DONE
    tasks = [(task.params["x"], task.seed) for task in bench.pool.ran]
    assert len(tasks) == len(set(tasks))
    assert any("Nothing is lost" in note for note in bench.display.notes)


def test_where_no_seed_changes_anything_two_repeats_are_enough(bench: Bench) -> None:
    assert bench.run(lambda task: Act(Evaluation(float(task.params["x"])))) is StopReason.DONE  # type: ignore[arg-type]
    assert {len(seeds) for seeds in bench.stored().values()} == {2}
    race = replace(bench.last.plan).race(Direction.MINIMIZE, bench.registry.confirmations(bench.study, ON))
    assert standing(race).over
    assert bench.winner() == bench.plan.candidates[0]
