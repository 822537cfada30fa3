"""What a Registry makes of experiments that a pruner stopped."""

import math
from dataclasses import replace

import pytest

from tests.contracts.registry_cases import ON, SPEC, some
from tests.contracts.registry_fixtures import RegistryFixtures
from tuner.errors import ClaimLostError, UsageError
from tuner.experiment import Evaluation, Failure, Measurement, Observation, Outcome, Partial, State, Stop
from tuner.registry.base import Registry

__all__ = ["PruningContract"]

CURVE = (Measurement(1, "roc_auc", 0.5), Measurement(3, "roc_auc", 0.625), Measurement(3, "f1", 0.25))
STOPPED = Partial(0.625, 3, {"f1": 0.25}, CURVE, 1.5)


class PruningContract(RegistryFixtures):
    def test_what_was_pruned_is_finished_with_where_it_stood(
        self, registry: Registry, other: Registry
    ) -> None:
        study = registry.open_study(SPEC)
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        registry.measure(claim, CURVE[:1])
        [pruned] = registry.finish([(claim, STOPPED)], ON)
        assert not isinstance(pruned, ClaimLostError)
        assert (pruned.state, pruned.value, pruned.provenance) == (State.PRUNED, None, None)
        assert (pruned.stop, pruned.ended_on) == (Stop(0.625, 3), ON)
        assert (dict(pruned.metrics), pruned.duration_s, pruned.outcome) == ({"f1": 0.25}, 1.5, None)
        assert other.get_experiment(pruned.public_id) == pruned
        assert sorted(other.measurements(pruned), key=lambda m: (m.step, m.metric)) == sorted(
            CURVE, key=lambda m: (m.step, m.metric)
        )
        [attempt] = other.attempts(pruned)
        assert (attempt.ending, attempt.message) == ("pruned", "at step 3")
        assert pruned.observation() == Observation(pruned.params, 0.625, partial=True, metrics={"f1": 0.25})
        assert other.effort(study).experiments_s == 1.5

    def test_what_was_pruned_is_never_the_best(self, registry: Registry) -> None:
        study = registry.open_study(SPEC)
        registry.add(study, some(2))
        first, second = registry.claim(study, 2)
        registry.finish([(first, replace(STOPPED, value=0.99))], ON)
        assert registry.best(study, 9) == registry.front(study) == []
        registry.finish([(second, Evaluation(0.5))], ON)
        assert [each.id for each in registry.best(study, 9)] == [second.experiment.id]
        assert [each.id for each in registry.front(study)] == [second.experiment.id]
        assert registry.find_scored(study, ON, params=first.experiment.params) is None
        counts = registry.counts(study)
        assert (counts[State.PRUNED], counts[State.COMPLETE]) == (1, 1)
        assert registry.provenances(study) == [(ON, 1)]

    def test_it_is_fenced_as_every_end_is(self, registry: Registry, other: Registry) -> None:
        study = registry.open_study(SPEC)
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        registry.release([claim])
        [again] = other.claim(study)
        [lost] = registry.finish([(claim, STOPPED)], ON)
        assert isinstance(lost, ClaimLostError)
        assert registry.get_experiment(claim.experiment.public_id).state is State.RUNNING
        other.finish([(again, STOPPED)], ON)
        [lost] = other.finish([(again, Evaluation(0.9))], ON)
        assert isinstance(lost, ClaimLostError)
        assert "pruned" in str(lost)

    def test_it_ends_together_with_others(self, registry: Registry) -> None:
        study = registry.open_study(SPEC)
        registry.add(study, some(3))
        claims = registry.claim(study, 3)
        results: list[Evaluation | Failure | Partial] = [
            STOPPED,
            Failure(Outcome.CANCELLED, "by ann"),
            Evaluation(0.5),
        ]
        ended = registry.finish(list(zip(claims, results, strict=True)), ON)
        assert [each.state for each in ended if not isinstance(each, ClaimLostError)] == [
            State.PRUNED,
            State.FAILED,
            State.COMPLETE,
        ]

    @pytest.mark.parametrize(
        "partial",
        [
            replace(STOPPED, value=math.nan),
            replace(STOPPED, metrics={"f1": math.inf}),
            replace(STOPPED, step=-1),
            replace(STOPPED, measurements=(Measurement(0, "roc_auc", math.nan),)),
        ],
    )
    def test_no_number_that_is_none_gets_in(self, registry: Registry, partial: Partial) -> None:
        study = registry.open_study(SPEC)
        registry.add(study, some(1))
        [claim] = registry.claim(study)
        with pytest.raises(UsageError):
            registry.finish([(claim, partial)], ON)
        assert registry.get_experiment(claim.experiment.public_id).state is State.RUNNING
