"""What every Registry must keep. A subclass gives `connect`: each call opens the same database anew."""

from typing import Any

import numpy as np
import pytest

from tests.contracts.registry_cases import ON, SPEC, START, Clock, Connect, some
from tuner.errors import ClaimLostError, MismatchError, NotFoundError, UsageError
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
from tuner.registry.base import Limits, Registry, StudySpec, VersionState

__all__ = ["RegistryContract"]


class RegistryContract:
    """Where it runs, two fixtures are known: `clock`, a Clock, and `connect`, which opens with it."""

    @pytest.fixture
    def registry(self, connect: Connect) -> Registry:
        return connect()

    @pytest.fixture
    def other(self, connect: Connect, registry: Registry) -> Registry:
        """A second connection to the same database."""
        return connect()

    @pytest.fixture
    def study(self, registry: Registry) -> Study:
        return registry.open_study(SPEC)

    # ---- studies

    def test_a_study_is_stored_as_it_was_defined(self, registry: Registry, other: Registry) -> None:
        study = registry.open_study(SPEC)
        assert (study.name, study.metric, study.direction, study.seed) == ("credit", "roc_auc", "maximize", 7)
        assert (study.space, study.baseline, study.created_at) == (SPEC.space, SPEC.baseline, START)
        assert other.find_study("credit") == study
        assert other.studies() == [study]

    def test_opening_a_study_again_returns_it_and_keeps_its_seed_and_baseline(
        self, study: Study, other: Registry
    ) -> None:
        again = StudySpec(
            SPEC.name, SPEC.space, SPEC.metric, SPEC.direction, {"depth": 9, "rate": 0.2}, seed=8
        )
        assert other.open_study(again) == study

    @pytest.mark.parametrize(
        ("changed", "named"),
        [
            ({"metric": "f1"}, "'roc_auc'.*'f1'"),
            ({"direction": Direction.MINIMIZE}, "'maximize'.*'minimize'"),
            (
                {"space": {"params": {"depth": {"type": "int", "low": 1, "high": 8}}}},
                "params.depth.high 9.*8",
            ),
        ],
    )
    def test_another_definition_under_the_same_name_is_refused_and_named(
        self, study: Study, other: Registry, changed: dict[str, object], named: str
    ) -> None:
        fields = {"space": SPEC.space, "metric": SPEC.metric, "direction": SPEC.direction}
        spec = StudySpec(name="credit", baseline=SPEC.baseline, **(fields | changed))  # type: ignore[arg-type]
        with pytest.raises(MismatchError, match=named):
            other.open_study(spec)
        assert other.studies() == [study]

    def test_the_order_of_parameters_is_no_difference(self, registry: Registry) -> None:
        def spec(*names: str) -> StudySpec:
            space = {"params": {name: {"type": "int"} for name in names}}
            return StudySpec("s", space, "m", Direction.MINIMIZE, {})

        assert registry.open_study(spec("a", "b")) == registry.open_study(spec("b", "a"))

    def test_an_unknown_study_is_none(self, registry: Registry) -> None:
        assert registry.find_study("credit") is None
        assert registry.studies() == []

    # ---- runs

    def test_the_run_of_a_dead_owner_is_taken_over_and_that_of_a_living_one_is_not(
        self, connect: Connect, registry: Registry, study: Study
    ) -> None:
        wanted = {"method": "random", "n_wanted": 5, "seed": 7}
        run = registry.start_run(study, info={"argv": ["x"]}, **wanted)  # type: ignore[arg-type]
        assert (run.method, run.n_wanted, run.seed, run.ended_at, run.info) == (
            "random",
            5,
            7,
            None,
            {"argv": ["x"]},
        )
        other = connect()
        second = other.start_run(study, info={}, **wanted)  # type: ignore[arg-type]
        assert second.id != run.id
        registry.close()
        third = connect()
        taken = third.start_run(study, info={}, **wanted)  # type: ignore[arg-type]
        assert (taken.id, taken.owner, taken.started_at) == (run.id, third.owner, run.started_at)

    @pytest.mark.parametrize("changed", [{"method": None}, {"method": "grid"}, {"n_wanted": 6}, {"seed": 8}])
    def test_only_the_same_command_continues_a_run(
        self, connect: Connect, registry: Registry, study: Study, changed: dict[str, object]
    ) -> None:
        wanted: dict[str, object] = {"method": "random", "n_wanted": 5, "seed": 7}
        run = registry.start_run(study, info={}, **wanted)  # type: ignore[arg-type]
        registry.close()
        assert connect().start_run(study, info={}, **(wanted | changed)).id != run.id  # type: ignore[arg-type]

    def test_a_run_that_came_to_its_end_is_not_taken_over(
        self, connect: Connect, registry: Registry, study: Study
    ) -> None:
        run = registry.start_run(study, method="random", n_wanted=5, seed=7, info={})
        registry.end_run(run)
        registry.close()
        assert connect().start_run(study, method="random", n_wanted=5, seed=7, info={}).id != run.id

    # ---- writing candidates

    def test_suggestions_become_waiting_rows_in_order(
        self, registry: Registry, study: Study, other: Registry
    ) -> None:
        run = registry.start_run(study, method="random", n_wanted=2, seed=7, info={})
        [first] = registry.add(study, some(1))
        suggestions = [
            Suggestion({"depth": 5, "rate": 0.5}, "grid", {"axis": "rate"}, parent=first.public_id),
            Suggestion({"rate": 0.25, "depth": 4}, "grid"),
        ]
        written = registry.add(study, suggestions, run=run)
        assert [e.params for e in written] == [s.params for s in suggestions]
        assert [list(e.params) for e in written] == [["depth", "rate"], ["rate", "depth"]]
        assert [e.reason for e in written] == [{"axis": "rate"}, {}]
        assert [(e.parent, e.run_id, e.seed) for e in written] == [
            (first.public_id, run.id, 7),
            (None, run.id, 7),
        ]
        assert all(e.state is State.WAITING and e.attempt == 0 for e in written)
        assert other.experiments(study) == [first, *written]
        assert other.experiments(run=run) == written

    def test_public_ids_say_method_and_utc_time_and_are_numbered(
        self, registry: Registry, other: Registry, study: Study, clock: Clock
    ) -> None:
        ids = [e.public_id for e in registry.add(study, some(2)) + other.add(study, some(1, first=2))]
        assert ids == [f"random_20231114_221320_{n:03d}" for n in (1, 2, 3)]
        assert registry.add(study, some(1, first=5, method="grid"))[0].public_id == "grid_20231114_221320_001"
        clock.now += 1
        assert registry.add(study, some(1, first=6))[0].public_id == "random_20231114_221321_001"

    def test_a_configuration_is_written_once_per_study(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        [kept] = registry.add(study, some(1))
        same_in_other_order = Suggestion(dict(sorted(kept.params.items(), reverse=True)), "grid")
        assert (
            other.add(study, [same_in_other_order, *some(1), *some(1, first=1), *some(1, first=1)])
            == (other.experiments(study)[1:])
        )
        assert [e.params["depth"] for e in other.experiments(study)] == [0, 1]
        second_study = registry.open_study(
            StudySpec("other", SPEC.space, SPEC.metric, SPEC.direction, SPEC.baseline)
        )
        assert len(registry.add(second_study, some(1))) == 1

    def test_a_repeat_is_a_new_row(self, registry: Registry, study: Study) -> None:
        [first] = registry.add(study, some(1))
        second, third = registry.add(study, some(1) * 2, repeat=True)
        assert [e.repeat for e in (first, second, third)] == [0, 1, 2]
        assert registry.add(study, some(1)) == []

    def test_types_of_values_are_kept(self, registry: Registry, other: Registry, study: Study) -> None:
        params = {
            "a": 1,
            "b": 1.0,
            "c": True,
            "d": None,
            "e": "1",
            "f": 0.1 + 0.2,
            "g": 1e-300,
            "h": 'ü"\n\x00',
        }
        registry.add(study, [Suggestion(params, "random")])
        [read] = other.experiments(study)
        assert read.params == params
        assert [type(value) for value in read.params.values()] == [type(value) for value in params.values()]

    def test_numpy_scalars_become_plain(self, registry: Registry, other: Registry, study: Study) -> None:
        given = {"a": np.int64(3), "b": np.float64(0.5), "c": np.bool_(True), "d": np.str_("x")}
        written = registry.add(study, [Suggestion(given, "random")])  # type: ignore[arg-type]
        assert written == other.experiments(study)
        assert [type(value) for value in written[0].params.values()] == [int, float, bool, str]

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), [1], object()])
    def test_a_value_that_is_no_finite_scalar_is_refused_and_nothing_is_written(
        self, registry: Registry, study: Study, bad: object
    ) -> None:
        with pytest.raises(UsageError):
            registry.add(study, [*some(1), Suggestion({"depth": bad}, "random")])  # type: ignore[dict-item]
        assert registry.experiments(study) == []

    def test_what_no_database_can_store_is_a_usage_error(self, registry: Registry, study: Study) -> None:
        for write in (
            lambda: registry.start_run(study, method="random", n_wanted=1, seed=2**70, info={}),
            lambda: registry.find_study("\ud800"),
            lambda: registry.add(study, [Suggestion({"depth": 1}, "\ud800")]),
        ):
            with pytest.raises(UsageError):
                write()
        assert registry.experiments(study) == []

    def test_an_unknown_parent_is_refused(self, registry: Registry, study: Study) -> None:
        with pytest.raises(UsageError, match="grid_x"):
            registry.add(study, [Suggestion({"depth": 1}, "grid", parent="grid_x")])
        assert registry.experiments(study) == []

    # ---- claim and finish

    def test_claims_are_the_oldest_and_disjoint(
        self, registry: Registry, other: Registry, study: Study, clock: Clock
    ) -> None:
        written = registry.add(study, some(5))
        clock.now += 1
        mine, theirs = registry.claim(study, 2), other.claim(study, 9)
        assert [c.experiment.id for c in mine + theirs] == [e.id for e in written]
        assert other.claim(study) == []
        assert registry.claim(study, 0) == []
        assert [(c.owner, c.attempt) for c in mine] == [(registry.owner, 1)] * 2
        assert all(c.owner == other.owner for c in theirs)
        assert [c.experiment for c in mine] == other.experiments(study)[:2]
        first = mine[0].experiment
        assert (first.state, first.owner, first.started_at) == (State.RUNNING, registry.owner, clock.now)

    def test_a_claim_is_of_its_own_study(self, registry: Registry, study: Study) -> None:
        second = registry.open_study(StudySpec("b", SPEC.space, SPEC.metric, SPEC.direction, SPEC.baseline))
        registry.add(second, some(1))
        assert registry.claim(study) == []

    def test_a_result_is_stored_whole(
        self, registry: Registry, other: Registry, study: Study, clock: Clock
    ) -> None:
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        clock.now += 5
        evaluation = Evaluation(
            0.75, 0.01, {"f1": 0.5}, (Measurement(1, "auc", 0.8), Measurement(0, "auc", 0.7)), 4.5
        )
        done = registry.complete(claim, evaluation, ON)
        assert (done.state, done.outcome, done.owner, done.attempt) == (State.COMPLETE, None, None, 1)
        assert (done.value, done.std_error, done.metrics, done.duration_s) == (0.75, 0.01, {"f1": 0.5}, 4.5)
        assert (done.provenance, done.finished_at, done.started_at) == (ON, START + 5, START)
        assert other.get_experiment(done.public_id) == done
        assert other.measurements(done) == [Measurement(0, "auc", 0.7), Measurement(1, "auc", 0.8)]
        [attempt] = other.attempts(done)
        assert (attempt.number, attempt.owner, attempt.ending) == (1, registry.owner, "complete")
        assert (attempt.started_at, attempt.ended_at) == (START, START + 5)

    def test_plain_numbers_come_back(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        given: Any = {
            "value": np.float32(0.5),
            "std_error": np.int64(0),
            "metrics": {"f1": np.float64(1)},
            "measurements": (Measurement(np.int64(0), "f1", np.int64(1)),),  # type: ignore[arg-type]
        }
        evaluation = Evaluation(**given)
        done = registry.complete(claim, evaluation, ON)
        [measured] = registry.measurements(done)
        numbers = [done.value, done.std_error, done.metrics["f1"], measured.value, float(measured.step)]
        assert numbers == [0.5, 0.0, 1.0, 1.0, 0.0]
        assert {type(number) for number in numbers} == {float}

    @pytest.mark.parametrize(
        "evaluation",
        [
            Evaluation(float("nan")),
            Evaluation(float("inf")),
            Evaluation(float("-inf")),
            Evaluation(True),
            Evaluation("0.9"),  # type: ignore[arg-type]
            Evaluation(10**400),
            Evaluation(0.5, std_error=float("nan")),
            Evaluation(0.5, std_error=-0.1),
            Evaluation(0.5, metrics={"f1": float("nan")}),
            Evaluation(0.5, measurements=(Measurement(0, "f1", float("inf")),)),
            Evaluation(0.5, measurements=(Measurement(-1, "f1", 0.5),)),
        ],
        ids=repr,
    )
    def test_what_is_not_finite_never_becomes_a_result(
        self, registry: Registry, other: Registry, study: Study, evaluation: Evaluation
    ) -> None:
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        with pytest.raises(UsageError):
            registry.complete(claim, evaluation, ON)
        assert other.experiments(study) == [claim.experiment]
        assert other.best(study) == []
        registry.complete(claim, Evaluation(0.5), ON)  # the claim still stands

    def test_finished_is_for_good(self, registry: Registry, other: Registry, study: Study) -> None:
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        done = registry.complete(claim, Evaluation(0.5), ON)
        with pytest.raises(ClaimLostError, match="attempt 1 has already ended"):
            registry.complete(claim, Evaluation(0.9), ON)
        with pytest.raises(ClaimLostError):
            registry.fail(claim, Failure(Outcome.ERROR, "late"))
        with pytest.raises(ClaimLostError):
            registry.measure(claim, [Measurement(0, "auc", 0.5)])
        assert registry.release([claim]) == 0
        assert other.recover() == []
        assert other.experiments(study) == [done]
        assert other.measurements(done) == []

    def test_a_failure_is_retried_until_the_limit(
        self, registry: Registry, other: Registry, study: Study, clock: Clock
    ) -> None:
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        failure = Failure(Outcome.ERROR, "ValueError: no", "Traceback ...", duration_s=2.0)
        once = registry.fail(claim, failure)
        assert (once.state, once.outcome, once.failures, once.owner) == (State.WAITING, None, 1, None)
        assert (once.error, once.traceback) == ("ValueError: no", "Traceback ...")
        [again] = registry.claim(study)
        assert again.attempt == 2
        clock.now += 3
        twice = registry.fail(again, failure)
        assert (twice.state, twice.outcome, twice.failures, twice.deaths) == (
            State.FAILED,
            Outcome.ERROR,
            2,
            0,
        )
        assert (twice.finished_at, twice.duration_s, twice.value) == (START + 3, 2.0, None)
        assert [(a.number, a.ending, a.message) for a in other.attempts(twice)] == [
            (1, "failed", "ValueError: no"),
            (2, "failed", "ValueError: no"),
        ]
        assert registry.claim(study) == []

    def test_a_success_after_a_failure_leaves_no_error(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(1))
        registry.fail(registry.claim(study)[0], Failure(Outcome.ERROR, "once", "Traceback"))
        done = registry.complete(registry.claim(study)[0], Evaluation(0.5), ON)
        assert (done.error, done.traceback, done.failures, done.attempt) == (None, None, 1, 2)

    def test_failures_and_deaths_are_counted_apart(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(1))
        outcomes = [Outcome.WORKER_LOST, Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY, Outcome.WORKER_LOST]
        ends = [registry.fail(registry.claim(study)[0], Failure(outcome, "x")) for outcome in outcomes]
        assert [(e.failures, e.deaths) for e in ends] == [(0, 1), (1, 1), (1, 2), (1, 3)]
        assert [e.state for e in ends] == [State.WAITING] * 3 + [State.FAILED]

    def test_limits_can_be_given_and_cancelled_is_final(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(2))
        first, second = registry.claim(study, 2)
        once = registry.fail(first, Failure(Outcome.ERROR, "x"), Limits(failures=1))
        assert once.state is State.FAILED
        cancelled = registry.fail(second, Failure(Outcome.CANCELLED, "x"))
        assert (cancelled.state, cancelled.outcome) == (State.FAILED, Outcome.CANCELLED)
        assert (cancelled.failures, cancelled.deaths) == (0, 0)

    def test_a_failure_is_recorded_whatever_it_says(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(1))
        broken = (Measurement(0, "auc", float("nan")), Measurement(1, "auc", 0.5))
        failure = Failure(Outcome.NON_FINITE, "a\x00b \ud800", "t" * 100_000, broken)
        failed = registry.fail(registry.claim(study)[0], failure, Limits(failures=1))
        assert failed.error == "a\ufffdb ?"
        assert failed.traceback is not None
        assert len(failed.traceback) < 20_000
        assert registry.measurements(failed) == [Measurement(1, "auc", 0.5)]

    def test_the_last_measurement_of_a_step_stands_and_a_new_attempt_starts_afresh(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        registry.measure(claim, [Measurement(2, "auc", 0.3), Measurement(0, "auc", 0.1)])
        registry.measure(claim, [Measurement(2, "auc", 0.5), Measurement(0, "f1", 0.2)])
        assert other.measurements(claim.experiment) == [
            Measurement(0, "auc", 0.1),
            Measurement(2, "auc", 0.5),
            Measurement(0, "f1", 0.2),
        ]
        registry.release([claim])
        [again] = registry.claim(study)
        assert other.measurements(again.experiment) == []

    def test_a_measurement_that_is_not_finite_is_refused_with_its_batch(
        self, registry: Registry, study: Study
    ) -> None:
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        with pytest.raises(UsageError, match="'auc' at step 1"):
            registry.measure(claim, [Measurement(0, "auc", 0.1), Measurement(1, "auc", float("nan"))])
        assert registry.measurements(claim.experiment) == []

    def test_release_gives_back_what_is_still_ours(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        registry.add(study, some(2))
        first, second = registry.claim(study, 2)
        registry.complete(first, Evaluation(0.5), ON)
        assert registry.release([first, second]) == 1
        waiting = other.get_experiment(second.experiment.public_id)
        assert (waiting.state, waiting.interruptions, waiting.failures) == (State.WAITING, 1, 0)
        assert [a.ending for a in other.attempts(waiting)] == ["released"]
        assert registry.release([second]) == 0

    # ---- dead owners

    def test_a_stale_claim_can_write_nothing(
        self, connect: Connect, registry: Registry, study: Study, clock: Clock
    ) -> None:
        [written] = registry.add(study, some(1))
        [stale] = registry.claim(study)
        registry.close()
        other = connect()
        clock.now += 12
        [taken] = other.recover()
        assert (taken.public_id, taken.owner, taken.dead_s) == (written.public_id, stale.owner, 12)
        [fresh] = other.claim(study)
        for write in (
            lambda: other.complete(stale, Evaluation(0.1), ON),
            lambda: other.fail(stale, Failure(Outcome.ERROR, "stale")),
            lambda: other.measure(stale, [Measurement(0, "auc", 0.1)]),
        ):
            with pytest.raises(ClaimLostError, match="attempt 1 is superseded by 2"):
                write()
        assert other.release([stale]) == 0
        assert other.experiments(study) == [fresh.experiment]
        done = other.complete(fresh, Evaluation(0.5), ON)
        assert [(a.number, a.ending) for a in other.attempts(done)] == [(1, "lost"), (2, "complete")]
        assert (done.interruptions, done.failures, done.deaths) == (1, 0, 0)

    def test_the_living_are_left_alone(self, registry: Registry, other: Registry, study: Study) -> None:
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        assert other.recover() == []
        assert registry.recover() == []
        assert other.experiments(study) == [claim.experiment]

    def test_only_the_dead_ones_experiments_are_taken_back(
        self, connect: Connect, registry: Registry, other: Registry, study: Study
    ) -> None:
        registry.add(study, some(4))
        dead, alive = registry.claim(study, 2), other.claim(study, 1)
        registry.close()
        third = connect()
        assert [r.public_id for r in third.recover()] == [c.experiment.public_id for c in dead]
        assert third.recover() == []
        assert other.complete(alive[0], Evaluation(0.5), ON).state is State.COMPLETE
        assert third.counts(study)[State.WAITING] == 3

    # ---- queries

    def test_an_experiment_is_found_by_any_unique_prefix(
        self, registry: Registry, study: Study, clock: Clock
    ) -> None:
        first, second = registry.add(study, some(2))
        clock.now += 60
        [later] = registry.add(study, some(1, first=2, method="grid"))
        assert registry.get_experiment("g") == later
        assert registry.get_experiment(first.public_id) == first
        assert registry.get_experiment(second.public_id) == second

    def test_an_exact_id_wins_over_longer_ones(self, registry: Registry, study: Study) -> None:
        written = registry.add(study, some(1001))
        assert written[1000].public_id.endswith("_1001")
        assert registry.get_experiment(written[99].public_id) == written[99]

    @pytest.mark.parametrize(
        "prefix", ["random_", "", "%", "random%", "x", "RANDOM", "\ud800", "random_\x00"]
    )
    def test_no_prefix_of_several_or_none_is_accepted(
        self, registry: Registry, study: Study, prefix: str
    ) -> None:
        registry.add(study, some(2))
        with pytest.raises(NotFoundError):
            registry.get_experiment(prefix)

    def test_a_mistyped_id_gets_a_suggestion(self, registry: Registry, study: Study) -> None:
        [written] = registry.add(study, some(1))
        with pytest.raises(NotFoundError, match=f"Did you mean '{written.public_id}'"):
            registry.get_experiment(written.public_id.replace("random", "randon"))

    def test_several_matches_are_named(self, registry: Registry, study: Study) -> None:
        first, second = registry.add(study, some(2))
        with pytest.raises(NotFoundError, match=f"{first.public_id}, {second.public_id}"):
            registry.get_experiment("random")

    def test_experiments_are_filtered_and_ordered(self, registry: Registry, study: Study) -> None:
        written = registry.add(study, some(4))
        registry.claim(study, 1)
        ids = [e.id for e in written]

        def read(**filters: object) -> list[int]:
            return [e.id for e in registry.experiments(study, **filters)]  # type: ignore[arg-type]

        assert read() == ids
        assert read(states=[State.WAITING]) == ids[1:]
        assert read(states=[]) == []
        assert read(limit=2) == ids[:2]
        assert read(limit=2, newest_first=True) == [ids[3], ids[2]]
        assert [e.id for e in registry.experiments()] == ids

    def test_counts_have_every_state(self, registry: Registry, study: Study) -> None:
        assert registry.counts(study) == dict.fromkeys(State, 0)
        run = registry.start_run(study, method="random", n_wanted=1, seed=0, info={})
        registry.add(study, some(2))
        registry.add(study, some(1, first=2), run=run)
        registry.claim(study, 1)
        assert registry.counts(study) == dict.fromkeys(State, 0) | {State.WAITING: 2, State.RUNNING: 1}
        assert registry.counts(study, run) == dict.fromkeys(State, 0) | {State.WAITING: 1}

    def score(
        self, registry: Registry, study: Study, values: list[float], on: Provenance
    ) -> list[Experiment]:
        n = len(registry.experiments(study))
        registry.add(study, some(len(values), first=n))
        return [registry.complete(registry.claim(study)[0], Evaluation(v), on) for v in values]

    @pytest.mark.parametrize(("direction", "order"), [("maximize", [1, 3, 0, 2]), ("minimize", [2, 0, 1, 3])])
    def test_best_follows_the_direction_and_ties_go_to_the_older(
        self, registry: Registry, direction: str, order: list[int]
    ) -> None:
        study = registry.open_study(
            StudySpec("s", SPEC.space, SPEC.metric, Direction(direction), SPEC.baseline)
        )
        assert registry.best(study) == []
        scored = self.score(registry, study, [0.2, 0.9, -0.1, 0.9], ON)
        assert registry.best(study, 9) == [scored[i] for i in order]
        assert registry.best(study) == [scored[order[0]]]

    def test_best_never_mixes_what_was_scored_on_other_data_code_or_metric(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        old = self.score(registry, study, [0.9, 0.8], ON)
        newer = Provenance(data="d2", code="c1", metric="m1")
        new = self.score(registry, study, [0.5, 0.6], newer)
        assert other.provenances(study) == [(newer, 2), (ON, 2)]
        assert other.best(study, 9) == [new[1], new[0]]
        assert other.best(study, 9, ON) == [old[0], old[1]]
        assert other.best(study, 9, Provenance("d3")) == []

    def test_the_latest_provenance_is_that_of_the_latest_result_whatever_the_clock_says(
        self, registry: Registry, study: Study, clock: Clock
    ) -> None:
        newer = Provenance(data="d2")
        self.score(registry, study, [0.1], ON)
        self.score(registry, study, [0.2], newer)
        clock.now -= 86_400
        self.score(registry, study, [0.3], ON)
        assert [p for p, _ in registry.provenances(study)] == [ON, newer]
        assert registry.best(study)[0].value == 0.3

    def test_failed_experiments_are_never_best(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(1))
        registry.fail(registry.claim(study)[0], Failure(Outcome.NON_FINITE, "NaN"), Limits(failures=1))
        assert registry.best(study) == []
        assert registry.provenances(study) == []

    # ---- versions, ledger, events

    def test_a_version_goes_from_staged_to_active_to_retired(
        self, registry: Registry, other: Registry, study: Study, clock: Clock
    ) -> None:
        [source] = registry.add(study, some(1))
        first = registry.stage_version(
            "credit", {"depth": 3}, manifest={"files": {}}, experiment=source.public_id
        )
        assert (first.number, first.state, first.params) == (1, VersionState.STAGED, {"depth": 3})
        assert (first.experiment, first.created_at) == (source.public_id, START)
        assert other.find_active("credit") is None
        clock.now += 1
        gates = [{"metric": "auc", "ok": True}]
        deployed = registry.activate(first, action="apply", who="ann", reason="better", gates=gates)
        assert (deployed.from_version, deployed.to_version, deployed.at) == (None, 1, START + 1)
        assert (deployed.action, deployed.who, deployed.reason) == ("apply", "ann", "better")
        assert (deployed.gates, deployed.experiment, deployed.pipeline) == (gates, source.public_id, "credit")
        second = registry.stage_version("credit", {"depth": 4}, manifest={})
        registry.activate(
            second, action="apply", who="ann", reason="", manifest={"files": {"m": "1"}}, expect_active=1
        )
        active = other.find_active("credit")
        assert active is not None
        assert (active.number, active.manifest, active.experiment) == (2, {"files": {"m": "1"}}, None)
        back = registry.activate(first, action="rollback", who="bob", reason="worse", expect_active=2)
        assert (back.from_version, back.to_version) == (2, 1)
        assert [v.state for v in other.versions("credit")] == [VersionState.ACTIVE, VersionState.RETIRED]
        assert [d.action for d in other.deployments("credit")] == ["apply", "apply", "rollback"]

    def test_pipelines_do_not_touch_each_other(self, registry: Registry) -> None:
        for pipeline in ("a", "b"):
            version = registry.stage_version(pipeline, {}, manifest={})
            registry.activate(version, action="apply", who="", reason="")
        assert [v.number for v in registry.versions("a") + registry.versions("b")] == [1, 2]
        assert all(registry.find_active(pipeline) for pipeline in ("a", "b"))

    def test_a_stale_view_of_what_is_active_changes_nothing(
        self, registry: Registry, other: Registry
    ) -> None:
        first, second = (registry.stage_version("credit", {"n": n}, manifest={}) for n in (1, 2))
        registry.activate(first, action="apply", who="ann", reason="")
        before = (registry.versions("credit"), registry.deployments("credit"))
        with pytest.raises(MismatchError, match="must still be none, but it is version 1"):
            other.activate(second, action="apply", who="bob", reason="")
        with pytest.raises(MismatchError, match="already in production"):
            other.activate(first, action="apply", who="bob", reason="", expect_active=1)
        assert (registry.versions("credit"), registry.deployments("credit")) == before

    def test_only_a_staged_version_is_discarded_and_its_number_never_comes_back(
        self, registry: Registry
    ) -> None:
        staged = registry.stage_version("credit", {}, manifest={})
        registry.discard_version(staged)
        assert registry.versions("credit") == []
        with pytest.raises(NotFoundError):
            registry.activate(staged, action="apply", who="", reason="")
        active = registry.stage_version("credit", {}, manifest={})
        assert active.number == staged.number + 1
        registry.activate(active, action="apply", who="", reason="")
        with pytest.raises(MismatchError):
            registry.discard_version(active)
        assert [v.number for v in registry.versions("credit")] == [active.number]

    def test_a_version_of_an_unknown_experiment_is_refused(self, registry: Registry) -> None:
        with pytest.raises(NotFoundError):
            registry.stage_version("credit", {}, manifest={}, experiment="nothing")
        assert registry.versions("credit") == []

    def test_events_come_newest_first(self, registry: Registry, other: Registry, clock: Clock) -> None:
        registry.log("recovered", "3 experiments", salience=0.9, n=3)
        clock.now += 1
        registry.log("note", "second")
        newest, oldest = other.events()
        assert (newest.kind, newest.message, newest.salience, newest.data, newest.at) == (
            "note",
            "second",
            0.5,
            {},
            START + 1,
        )
        assert (oldest.salience, oldest.data) == (0.9, {"n": 3})
        assert other.events(limit=1) == [newest]

    @pytest.mark.parametrize("salience", [-0.1, 1.1, float("nan")])
    def test_a_salience_is_between_0_and_1(self, registry: Registry, salience: float) -> None:
        with pytest.raises(UsageError):
            registry.log("note", "x", salience=salience)
        assert registry.events() == []

    # ---- the object itself

    def test_close_is_idempotent_and_a_context_manager_closes(self, connect: Connect, study: Study) -> None:
        with connect() as registry:
            registry.add(study, some(1))
            registry.claim(study)
        registry.close()
        assert len(connect().recover()) == 1

    def test_owners_differ(self, registry: Registry, other: Registry) -> None:
        assert registry.owner != other.owner
