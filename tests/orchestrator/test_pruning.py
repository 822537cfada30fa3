"""Pruning by the driver: who is stopped, what is stored, and what a restart or another driver makes of it."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.plan import StopReason
from orchestrator.pool import Task
from orchestrator.pruning import Judge
from orchestrator.spill import Spill
from orchestrator.tally import Tally
from tests.orchestrator.fakes import Act
from tests.orchestrator.test_driver import HERE, Bench, open_bench
from tuner.experiment import (
    Direction,
    Evaluation,
    Experiment,
    Measurement,
    Partial,
    Provenance,
    State,
    Stop,
    Suggestion,
    loss_of,
)
from tuner.goals import Goals, Objective
from tuner.propose import propose
from tuner.pruners import Curve, Pruner, make_pruner
from tuner.registry import open_registry
from tuner.registry.base import StudySpec

LENGTH = 9


def flat(task: Task) -> Act:
    """A curve that stays where it is: at x, for nine steps."""
    loss = float(task.params["x"])  # type: ignore[arg-type]
    reports = tuple((step, {"loss": loss, "ms": 1.0}) for step in range(1, LENGTH + 1))
    told = tuple(Measurement(step, name, value) for step, each in reports for name, value in each.items())
    return Act(Evaluation(loss, measurements=told, duration_s=1.0), 1.0, reports, paced=True)


def asha() -> Pruner:
    return make_pruner("asha", grace=1, reduction_factor=3, max_steps=LENGTH)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path / "experiments.db")
    with made.registry:
        yield made


class Asked(Pruner):
    """Says what it is told to, and keeps what it was asked."""

    name = "asked"

    def __init__(self, prune: Callable[[Curve], bool]) -> None:
        self._prune = prune
        self.asked: list[tuple[Curve, dict[int, Curve]]] = []

    def should_prune(self, own: Curve, others: object) -> bool:
        self.asked.append((own, {each.number: each for each in others}))  # type: ignore[attr-defined]
        return self._prune(own)


def test_the_bad_are_stopped_and_the_good_come_to_their_end(bench: Bench) -> None:
    bench.add(9)  # x = 0, 1, ... 8: the first is the best
    tally = Tally(bench.study, HERE)
    pool = bench.pool(flat, n_workers=1)
    driver = bench.driver(pool, tally=tally, judge=Judge(asha(), bench.study, HERE))
    assert driver.run() is StopReason.DONE
    assert bench.states() == {State.COMPLETE: 1, State.PRUNED: 8}
    best, *others = bench.experiments()
    assert best.value == 0.0
    for each in others:
        assert each.stop is not None
        assert (each.value, each.ended_on) == (None, HERE)
        measured = [m for m in bench.registry.measurements(each) if m.metric == "loss"]
        assert (each.stop.value, each.stop.step) == (measured[-1].value, measured[-1].step)
        assert each.stop.step == 1, "decided on its first report, stopped at its first"
    assert (tally.n_complete, tally.n_pruned, tally.n_failed) == (1, 8, 0)
    assert tally.best is not None
    assert tally.best.id == best.id
    status = bench.display.statuses[-1]
    assert (status.n_pruned, status.n_done, status.n_total) == (8, 9, 9)
    assert "8 pruned" in status.line()


def test_a_task_is_told_once_and_may_still_finish(bench: Bench) -> None:
    bench.add(1)
    pool = bench.pool(lambda task: Act(Evaluation(0.5), 1.0, ((1, {"loss": 9.0}), (2, {"loss": 9.0}))))
    pruner = Asked(lambda own: True)
    bench.driver(pool, judge=Judge(pruner, bench.study, HERE)).run()
    assert bench.states() == {State.COMPLETE: 1}
    assert len(pruner.asked) == 1


def test_what_others_are_compared_with_is_never_pruned(bench: Bench) -> None:
    new = [Suggestion({"x": 1e5}, "default"), Suggestion({"x": 2e5}, "deployed"), Suggestion({"x": 3e5}, "r")]
    bench.registry.add(bench.study, new)
    pruner = Asked(lambda own: True)
    bench.run(flat, judge=Judge(pruner, bench.study, HERE))
    assert [each.state for each in bench.experiments()] == [State.COMPLETE, State.COMPLETE, State.PRUNED]


def test_curves_are_losses_whatever_the_direction(bench: Bench) -> None:
    spec = StudySpec("up", bench.study.space, "loss", Direction.MAXIMIZE, {"x": 0.0})
    study = bench.registry.open_study(spec)
    judge = Judge(pruner := Asked(lambda own: False), study, HERE)
    [row] = bench.registry.add(study, [Suggestion({"x": 1.0}, "random")])
    judge.should_prune(row, 1, {"loss": 0.75})
    assert pruner.asked[-1][0].losses == ((-0.75,),)


def test_a_report_costs_no_more_the_longer_the_curve_is(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    converted: list[float] = []

    def counting(value: float, direction: Direction) -> float:
        converted.append(value)
        return loss_of(value, direction)

    monkeypatch.setattr("orchestrator.pruning.loss_of", counting)
    [row] = bench.add(1)
    judge = Judge(pruner := Asked(lambda own: False), bench.study, HERE)
    for step in range(300):
        judge.should_prune(row, step, {"loss": float(step)})
    assert len(converted) == 300
    assert pruner.asked[-1][0] == Curve(row.id, tuple(range(300)), tuple((float(s),) for s in range(300)))


@pytest.mark.parametrize("folds", [False, True])
def test_reports_in_any_order_make_the_curve_that_a_restart_reads(bench: Bench, folds: bool) -> None:
    rng = random.Random(0)
    row, other = bench.add(2)
    for _ in range(100):
        told = [
            Measurement(rng.randrange(6), rng.choice(["loss", "ms"]), rng.random())
            for _ in range(rng.randrange(12))
        ]
        live, read = Asked(lambda own: False), Asked(lambda own: False)
        judges = [Judge(pruner, bench.study, HERE, folds=folds) for pruner in (live, read)]
        for each in told:
            judges[0].should_prune(row, each.step, {each.metric: each.value})
        judges[1].end(replace(row, state=State.PRUNED), told)
        for judge in judges:
            judge.should_prune(other, 0, {"loss": 0.0})
        nothing = Curve(row.id, (), ())
        seen, stored = (pruner.asked[-1][1].get(row.id, nothing) for pruner in (live, read))
        assert seen == stored


def test_folds_are_averaged_for_those_that_do_not_pair_them(bench: Bench) -> None:
    [row] = bench.add(1)
    seen = []
    for name in ("asha", "wilcoxon"):
        pruner = Asked(lambda own: False)
        pruner.compares_folds = make_pruner(name).compares_folds  # type: ignore[misc]
        judge = Judge(pruner, bench.study, HERE, folds=True)
        for step, loss in enumerate((1.0, 3.0, 2.0)):
            judge.should_prune(row, step, {"loss": loss})
        seen.append(pruner.asked[-1][0].losses)
    assert seen == [((1.0,), (2.0,), (2.0,)), ((1.0,), (3.0,), (2.0,))]


def test_of_folds_the_first_look_is_after_the_first(bench: Bench) -> None:
    """They are reported from 0 on; a grace of one fold is over when that is done."""
    *others, own = bench.add(4)
    judge = Judge(make_pruner("asha", grace=1, reduction_factor=3), bench.study, HERE, folds=True)
    for loss, row in enumerate(others):
        judge.should_prune(row, 0, {"loss": float(loss)})
    assert judge.should_prune(own, 0, {"loss": 9.0})
    epochs = Judge(make_pruner("asha", grace=1, reduction_factor=3), bench.study, HERE)
    for loss, row in enumerate(others):
        epochs.should_prune(row, 0, {"loss": float(loss)})
    assert not epochs.should_prune(own, 0, {"loss": 9.0}), "whose steps are what they are called"


def test_nothing_is_stopped_at_what_was_the_last_step_of_a_complete_one(bench: Bench) -> None:
    """As the last of five folds: all its work is done, and its value would be lost."""
    own, whole, stopped = bench.add(3)
    judge = Judge(pruner := Asked(lambda own: True), bench.study, HERE)
    judge.end(replace(whole, state=State.COMPLETE), [Measurement(step, "loss", 0.0) for step in range(5)])
    judge.end(replace(stopped, state=State.PRUNED), [Measurement(2, "loss", 9.0)])
    said = [judge.should_prune(own, step, {"loss": 9.0}) for step in range(6)]
    assert said == [True, True, True, True, False, True]
    assert len(pruner.asked) == 5


def test_of_several_objectives_each_is_a_loss(bench: Bench) -> None:
    goals = Goals((Objective("auc", Direction.MAXIMIZE),))
    spec = StudySpec("two", bench.study.space, "loss", Direction.MINIMIZE, {"x": 0.0}, goals=goals)
    study = bench.registry.open_study(spec)
    [row] = bench.registry.add(study, [Suggestion({"x": 1.0}, "random")])
    judge = Judge(pruner := Asked(lambda own: True), study, HERE)
    assert not judge.should_prune(row, 1, {"loss": 0.5}), "one objective was not measured"
    assert judge.should_prune(row, 2, {"loss": 0.5, "auc": 0.9})
    assert pruner.asked[-1][0] == Curve(row.id, (2,), ((0.5, -0.9),))


def test_an_objective_that_no_report_has_is_named_once(bench: Bench) -> None:
    """As what a model costs, which is known at the end: a pruner was asked for, and nothing was pruned."""
    goals = Goals((Objective("kb", Direction.MINIMIZE),))
    spec = StudySpec("two", bench.study.space, "loss", Direction.MINIMIZE, {"x": 0.0}, goals=goals)
    bench.study = bench.registry.open_study(spec)
    bench.add(5)
    bench.run(flat, judge=Judge(asha(), bench.study, HERE))
    assert State.PRUNED not in bench.states()
    [note] = [each for each in bench.display.notes if "came without" in each]
    assert note.startswith("a report came without kb: nothing is stopped early by it")


def test_where_every_objective_is_reported_nothing_is_said(bench: Bench) -> None:
    bench.add(5)
    bench.run(flat, judge=Judge(asha(), bench.study, HERE))
    assert State.PRUNED in bench.states()
    assert not any("came without" in each for each in bench.display.notes)


def test_a_run_that_was_killed_goes_on_with_the_same_decisions(bench: Bench, tmp_path: Path) -> None:
    """The curves are read back: every answer of a second judge is that of one that saw it all."""
    bench.add(8)
    bench.run(flat, judge=Judge(asha(), bench.study, HERE))
    new = bench.add(4)
    fresh, informed = (Judge(Asked(lambda own: False), bench.study, HERE) for _ in range(2))
    n_ended = sum(n for state, n in bench.registry.counts(bench.study).items() if state.finished)
    informed.catch_up(bench.registry, n_ended, lambda row: False)
    for row in bench.experiments(State.COMPLETE, State.PRUNED):
        fresh.end(row, bench.registry.measurements(row))
    for row in new:
        assert not fresh.should_prune(row, 1, {"loss": 5.0})
        assert not informed.should_prune(row, 1, {"loss": 5.0})
    asked = [judge._pruner.asked for judge in (fresh, informed)]  # type: ignore[attr-defined]
    assert asked[0] == asked[1]
    assert len(asked[0][0][1]) == 8


def test_what_another_driver_measured_counts(bench: Bench, tmp_path: Path) -> None:
    bench.add(3)
    [theirs] = bench.registry.claim(bench.study)
    bench.registry.measure(theirs, [Measurement(1, "loss", -5.0)])
    pruner = Asked(lambda own: False)
    driver = bench.driver(bench.pool(flat, 1), judge=Judge(pruner, bench.study, HERE))
    with open_registry(tmp_path / "experiments.db", create=False) as other:
        [second] = other.claim(bench.study)
        other.finish([(second, Evaluation(-7.0, measurements=(Measurement(1, "loss", -7.0),)))], HERE)
        bench.registry.finish([(theirs, Partial(-5.0, 1, {}, (Measurement(1, "loss", -5.0),)))], HERE)
        driver.run()
    first_asked = pruner.asked[0][1]
    assert {curve.losses[0] for curve in first_asked.values()} == {(-5.0,), (-7.0,)}
    assert [first_asked[number].complete for number in sorted(first_asked)] == [False, True]


def test_what_was_scored_on_other_data_is_no_measure(bench: Bench) -> None:
    bench.add(2)
    [old] = bench.registry.claim(bench.study)
    told = (Measurement(1, "loss", -9.0),)
    bench.registry.finish([(old, Partial(-9.0, 1, {}, told))], Provenance("other", "c1", "m1"))
    pruner = Asked(lambda own: False)
    bench.run(flat, judge=Judge(pruner, bench.study, HERE))
    assert all(old.experiment.id not in others for _, others in pruner.asked)


def test_steps_that_are_something_else_are_no_measure(bench: Bench) -> None:
    """Looks after 40 rounds and whole folds, of before, ended whatever was looked at after 2 rounds."""

    def looks(*given: tuple[str, float]) -> list[dict[str, float]]:
        return [{"loss": 0.1, f"look_at_{unit}": amount} for unit, amount in given]

    late = looks(("rounds", 40), ("rounds", 80), ("folds", 1))
    other = looks(("samples", 2), ("samples", 9), ("folds", 1))
    folds = [{"loss": 0.1}] * 4
    alike = looks(("rounds", 2), ("rounds", 9))  # one of these was stopped at its second look
    short = looks(("rounds", 2), ("rounds", 9), ("folds", 1))[2:]  # too short for both looks
    own, *others = bench.add(6)
    judge = Judge(pruner := Asked(lambda _: False), bench.study, HERE)
    for row, reports, first in zip(others, (late, other, folds, alike, short), (1, 1, 0, 1, 3), strict=True):
        told = [Measurement(i, *item) for i, each in enumerate(reports, first) for item in each.items()]
        judge.end(replace(row, state=State.COMPLETE), [*told, Measurement(9, "loss", 0.1)])
    for step, report in enumerate(looks(("rounds", 2), ("rounds", 9), ("folds", 1)), 1):
        assert not judge.should_prune(own, step, report)
        assert [*pruner.asked[-1][1]] == [others[3].id, others[4].id]


@pytest.mark.parametrize("before", ["samples", "epochs", ""])
def test_steps_in_another_unit_are_no_measure(bench: Bench, before: str) -> None:
    """Also at steps that the others had none at."""

    def reports(unit: str, steps: tuple[int, ...]) -> list[Measurement]:
        marks = [Measurement(step, f"step_in_{unit}", float(step)) for step in steps if unit]
        return [*marks, *(Measurement(step, "loss", 0.1) for step in steps)]

    own, other, alike = bench.add(3)
    judge = Judge(pruner := Asked(lambda _: False), bench.study, HERE)
    judge.end(replace(other, state=State.COMPLETE), reports(before, (12, 36, 100)))
    judge.end(replace(alike, state=State.COMPLETE), reports("rounds", (10, 30, 90)))
    for step in (10, 30):
        assert not judge.should_prune(own, step, {"loss": 0.5, "step_in_rounds": float(step)})
        assert [*pruner.asked[-1][1]] == [alike.id]


def test_an_attempt_that_is_given_back_begins_its_curve_anew(bench: Bench) -> None:
    [row] = bench.add(1)
    judge = Judge(pruner := Asked(lambda own: False), bench.study, HERE)
    judge.should_prune(row, 5, {"loss": 1.0})
    judge.forget(row)
    judge.should_prune(row, 1, {"loss": 2.0})
    assert pruner.asked[-1][0] == Curve(row.id, (1,), ((2.0,),))


def test_what_was_pruned_teaches_the_generator_as_partial(bench: Bench) -> None:
    bench.add(8)
    bench.run(flat, n_workers=1, judge=Judge(asha(), bench.study, HERE))
    told: list[Experiment] = bench.experiments(State.PRUNED)
    assert len(told) == 7
    assert all(each.observation().partial for each in told)
    new = propose(bench.registry, bench.study, "bayesian", 1, provenance=HERE)
    assert new[0].params not in [each.params for each in told]


def test_where_the_registry_refuses_what_was_pruned_is_kept_beside_it(bench: Bench, tmp_path: Path) -> None:
    bench.add(1)
    [claim] = bench.registry.claim(bench.study)
    spill = Spill.of(f"sqlite:///{tmp_path / 'experiments.db'}", tmp_path)
    spill.keep([(claim, Partial(0.25, 3, {"ms": 1.5}, (Measurement(3, "loss", 0.25),), 2.0))], HERE)
    bench.registry.close()
    with open_registry(tmp_path / "experiments.db", create=False) as registry:
        spill.bring_in(registry, lambda line: None)
        [row] = registry.experiments(bench.study)
        assert (row.state, row.stop, dict(row.metrics)) == (State.PRUNED, Stop(0.25, 3), {"ms": 1.5})
        assert registry.measurements(row) == [Measurement(3, "loss", 0.25)]
