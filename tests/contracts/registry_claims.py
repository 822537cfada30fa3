"""What a Registry keeps from a claim to its end, whoever dies on the way."""

from typing import Any

import numpy as np
import pytest

from tests.contracts.registry_cases import ON, SPEC, START, Clock, Connect, some
from tests.contracts.registry_fixtures import RegistryFixtures
from tuner.errors import ClaimLostError, UsageError
from tuner.experiment import (
    GUESS,
    Evaluation,
    Experiment,
    Failure,
    Measurement,
    Outcome,
    Provenance,
    State,
    Study,
)
from tuner.registry.base import Claim, Limits, Registry, StudySpec

__all__ = ["ClaimsContract"]


class ClaimsContract(RegistryFixtures):
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

    def test_guesses_of_the_user_are_claimed_before_what_waited_longer(
        self, registry: Registry, study: Study
    ) -> None:
        generated = registry.add(study, some(3))
        second = registry.open_study(StudySpec("b", SPEC.space, SPEC.metric, SPEC.direction, SPEC.baseline))
        registry.add(second, some(1, method=GUESS))
        guesses = registry.add(study, some(2, first=3, method=GUESS))
        late = registry.add(study, some(1, first=5))
        assert registry.cancel(guesses[:1], "no")
        wanted = [guesses[1].id, *(one.id for one in [*generated, *late])]
        first = registry.claim(study, 2)
        assert [c.experiment.id for c in first] == wanted[:2]
        registry.release(first[:1])  # a guess that waits again is first again
        assert [c.experiment.id for c in registry.claim(study, 9)] == [wanted[0], *wanted[2:]]
        assert registry.claim(study) == []

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

    # ---- many ends in one transaction

    def test_many_ends_are_what_each_alone_would_be(
        self, registry: Registry, other: Registry, study: Study, clock: Clock
    ) -> None:
        registry.add(study, some(3))
        held = registry.claim(study, 3)
        clock.now += 5
        measured = (Measurement(0, "auc", 0.7),)
        ended = registry.finish(
            [
                (held[0], Evaluation(0.5, 0.1, {"f1": 0.25}, measured, 4.5)),
                (held[1], Failure(Outcome.ERROR, "ValueError: no", "Traceback ...")),
                (held[2], Evaluation(0.75)),
            ],
            ON,
        )
        first, second, third = ended
        assert isinstance(first, Experiment)
        assert isinstance(second, Experiment)
        assert isinstance(third, Experiment)
        assert (first.state, first.value, first.std_error, first.metrics) == (
            State.COMPLETE,
            0.5,
            0.1,
            {"f1": 0.25},
        )
        assert (first.provenance, first.finished_at, first.duration_s) == (ON, START + 5, 4.5)
        assert (second.state, second.failures, second.error) == (State.WAITING, 1, "ValueError: no")
        assert (third.state, third.value, third.provenance) == (State.COMPLETE, 0.75, ON)
        assert other.experiments(study) == ended
        assert other.measurements(first) == list(measured)
        assert [other.attempts(one)[0].ending for one in (first, second, third)] == [
            "complete",
            "failed",
            "complete",
        ]
        assert other.provenances(study) == [(ON, 2)]
        assert other.best(study)[0] == third
        assert registry.finish([], ON) == []

    def test_each_of_many_ends_is_fenced_on_its_own(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        registry.add(study, some(5))
        ended, taken_back, mine, twice = registry.claim(study, 4)
        [theirs] = other.claim(study)
        registry.complete(ended, Evaluation(0.9), ON)
        registry.release([taken_back])
        stolen = Claim(theirs.experiment, registry.owner)
        later = Provenance("d2")
        answers = registry.finish(
            [
                (ended, Evaluation(0.1, measurements=(Measurement(0, "auc", 0.1),))),
                (taken_back, Failure(Outcome.ERROR, "stale")),
                (stolen, Evaluation(0.2)),
                (mine, Evaluation(0.3)),
                (twice, Evaluation(0.4)),
                (twice, Failure(Outcome.CANCELLED, "again")),
            ],
            later,
        )
        lost = [isinstance(one, ClaimLostError) for one in answers]
        assert lost == [True, True, True, False, False, True]
        assert "attempt 1 has already ended" in str(answers[0])
        assert "attempt 1 was taken back" in str(answers[1])
        stored = {one.id: one for one in other.experiments(study)}
        values = [stored[one.experiment.id].value for one in (ended, taken_back, theirs, mine, twice)]
        assert values == [0.9, None, None, 0.3, 0.4]
        assert stored[theirs.experiment.id] == theirs.experiment
        assert other.measurements(ended.experiment) == []
        assert other.provenances(study) == [(later, 2), (ON, 1)]

    def test_many_lost_claims_leave_no_trace(self, registry: Registry, other: Registry, study: Study) -> None:
        registry.add(study, some(2))
        held = registry.claim(study, 2)
        registry.release(held)
        before = other.experiments(study)
        answers = registry.finish([(one, Evaluation(0.5)) for one in held], ON)
        assert all(isinstance(one, ClaimLostError) for one in answers)
        assert other.experiments(study) == before
        assert other.provenances(study) == []

    def test_one_value_that_is_not_finite_refuses_the_whole_batch(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        registry.add(study, some(2))
        good, bad = registry.claim(study, 2)
        with pytest.raises(UsageError):
            registry.finish([(good, Evaluation(0.5)), (bad, Evaluation(float("nan")))], ON)
        assert other.experiments(study) == [good.experiment, bad.experiment]
        assert other.provenances(study) == []

    def test_a_lost_claim_refuses_nobody_whatever_its_value(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(2))
        stale, good = registry.claim(study, 2)
        registry.release([stale])
        nan = Evaluation(float("nan"))
        lost, stored = registry.finish([(stale, nan), (good, Evaluation(0.5))], ON)
        assert isinstance(lost, ClaimLostError)
        assert isinstance(stored, Experiment)
        assert stored.value == 0.5
        with pytest.raises(ClaimLostError):
            registry.complete(stale, nan, ON)

    def test_the_limits_hold_for_many_failures(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(2))
        broken = [(one, Failure(Outcome.ERROR, "x")) for one in registry.claim(study, 2)]
        ended = registry.finish(broken, ON, Limits(failures=1))
        assert [one.state for one in ended if isinstance(one, Experiment)] == [State.FAILED] * 2

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

    def test_an_earlier_attempt_of_the_same_owner_can_write_nothing(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        registry.add(study, some(1))
        [early] = registry.claim(study)
        registry.release([early])
        with pytest.raises(ClaimLostError, match="attempt 1 was taken back"):
            registry.complete(early, Evaluation(0.1), ON)
        [late] = registry.claim(study)
        self.refuse_all_writes(registry, early)
        assert other.experiments(study) == [late.experiment]

    def test_a_claim_is_its_owners_alone(self, registry: Registry, other: Registry, study: Study) -> None:
        registry.add(study, some(2))
        [mine], [theirs] = registry.claim(study), other.claim(study)
        self.refuse_all_writes(registry, Claim(theirs.experiment, mine.owner))
        self.refuse_all_writes(registry, Claim(theirs.experiment, "nobody"))
        assert other.experiments(study) == [mine.experiment, theirs.experiment]

    # ---- cancel

    def test_what_waits_is_cancelled_unrun(
        self, registry: Registry, other: Registry, study: Study, clock: Clock
    ) -> None:
        written = registry.add(study, some(4))
        [claim] = other.claim(study)
        other.release([claim])
        [running] = other.claim(study)
        clock.now += 3
        cancelled = registry.cancel(written[::-1], "cancelled by me")
        assert [each.public_id for each in cancelled] == [each.public_id for each in written[:0:-1]]
        assert cancelled[::-1] == other.experiments(study, states=[State.FAILED])
        for each in cancelled:
            assert (each.outcome, each.error, each.owner) == (Outcome.CANCELLED, "cancelled by me", None)
            assert (each.finished_at, each.duration_s, each.failures, each.deaths) == (clock.now, None, 0, 0)
            [attempt] = other.attempts(each)
            assert (attempt.owner, attempt.ending, attempt.message) == (
                registry.owner,
                "failed",
                "cancelled by me",
            )
            assert (attempt.started_at, attempt.ended_at) == (clock.now, clock.now)
        assert other.claim(study, 9) == []
        [event] = registry.events()
        assert (event.kind, event.message) == ("cancelled", "3 waiting experiments cancelled by me")
        assert event.data == {"experiments": [each.public_id for each in cancelled]}
        assert other.complete(running, Evaluation(0.5), ON).state is State.COMPLETE

    def test_cancelling_what_no_longer_waits_writes_nothing(self, registry: Registry, study: Study) -> None:
        written = registry.add(study, some(1))
        [claim] = registry.claim(study)
        registry.complete(claim, Evaluation(0.5), ON)
        assert registry.cancel(written, "too late") == []
        assert registry.cancel([], "nothing") == []
        assert registry.events() == []
        assert registry.experiments(study)[0].state is State.COMPLETE

    def test_more_are_cancelled_than_one_statement_takes(self, registry: Registry, study: Study) -> None:
        written = registry.add(study, some(1200))
        assert len(registry.cancel(written, "all")) == 1200
        assert registry.counts(study)[State.FAILED] == 1200
        [event] = registry.events()
        assert event.message == "1200 waiting experiments all"

    def refuse_all_writes(self, registry: Registry, stale: Claim) -> None:
        for write in (
            lambda: registry.complete(stale, Evaluation(0.1), ON),
            lambda: registry.fail(stale, Failure(Outcome.ERROR, "stale")),
            lambda: registry.measure(stale, [Measurement(0, "auc", 0.1)]),
        ):
            with pytest.raises(ClaimLostError):
                write()
        assert registry.release([stale]) == 0

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
