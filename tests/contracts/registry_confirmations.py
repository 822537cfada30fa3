"""How a Registry keeps what was scored once more, and who looked at the holdout."""

from dataclasses import replace

import pytest

from tests.contracts.registry_cases import ON, SPEC, START, Clock, some
from tests.contracts.registry_fixtures import RegistryFixtures
from tuner.errors import NotFoundError, UsageError
from tuner.experiment import Confirmation, Evaluation, Experiment, Provenance, Study
from tuner.registry.base import HoldoutRead, Registry

__all__ = ["ConfirmationsContract"]

LATER = Provenance("d2", "c1", "m1")
LOOK = HoldoutRead("credit", {"depth": 1, "rate": 0.5}, {"test_auc": 0.75}, ON, "retrain --apply-hp", "ann")


class ConfirmationsContract(RegistryFixtures):
    @pytest.fixture
    def scored(self, registry: Registry, study: Study) -> Experiment:
        registry.add(study, some(1))
        return registry.complete(registry.claim(study)[0], Evaluation(0.5), ON)

    # ---- confirmations

    def test_repeats_are_kept_in_the_order_of_writing(
        self, registry: Registry, other: Registry, study: Study, scored: Experiment
    ) -> None:
        repeats = [
            Confirmation(scored.public_id, 2**53 - 1, 0.1 + 0.2, (0.1, 0.7, 1e-300), ON, 1.5),
            Confirmation(scored.public_id, 0, -0.5, (), ON),
        ]
        assert [registry.add_confirmation(each) for each in repeats] == repeats
        assert other.confirmations(study) == other.confirmations(study, ON) == repeats
        first = other.confirmations(study)[0]
        assert [type(each) for each in (first.value, *first.folds, first.duration_s)] == [float] * 5

    def test_the_first_of_one_seed_stands(
        self, registry: Registry, other: Registry, study: Study, scored: Experiment
    ) -> None:
        first = registry.add_confirmation(Confirmation(scored.public_id, 1, 0.5, (0.25, 0.75), ON, 2.0))
        again = Confirmation(scored.public_id, 1, 0.9, (0.9,), ON)
        assert other.add_confirmation(again) == first
        assert registry.confirmations(study) == [first]

    def test_another_provenance_has_its_own_and_is_not_the_latest_for_it(
        self, registry: Registry, other: Registry, study: Study, scored: Experiment
    ) -> None:
        on_old = registry.add_confirmation(Confirmation(scored.public_id, 1, 0.5, (), ON))
        on_new = registry.add_confirmation(Confirmation(scored.public_id, 1, 0.25, (), LATER))
        assert other.confirmations(study) == [on_old]
        assert other.confirmations(study, LATER) == [on_new]
        assert other.confirmations(study, Provenance("never")) == []
        assert other.provenances(study) == [(ON, 1), (LATER, 0)]
        assert other.best(study) == [scored]
        registry.add(study, some(1, first=1))
        newer = registry.complete(registry.claim(study)[0], Evaluation(0.125), LATER)
        assert other.best(study) == [newer]
        assert other.confirmations(study) == [on_new]

    def test_a_study_has_only_its_own(self, registry: Registry, study: Study, scored: Experiment) -> None:
        registry.add_confirmation(Confirmation(scored.public_id, 1, 0.5, (), ON))
        assert registry.confirmations(registry.open_study(replace(SPEC, name="films")), ON) == []

    def test_an_unknown_experiment_cannot_be_confirmed(self, registry: Registry, study: Study) -> None:
        with pytest.raises(NotFoundError):
            registry.add_confirmation(Confirmation("nothing", 1, 0.5, (), ON))
        assert registry.confirmations(study, ON) == []
        assert registry.provenances(study) == []

    # ---- looks at the holdout

    def test_every_look_at_the_holdout_is_kept_with_its_time(
        self, registry: Registry, other: Registry, scored: Experiment, clock: Clock
    ) -> None:
        first = registry.add_holdout_read(
            replace(
                LOOK,
                experiment=scored.public_id,
                version=7,
                n_rows=114,
                intervals={"test_auc": (0.625, 0.875)},
            )
        )
        clock.now += 60
        second = registry.add_holdout_read(LOOK)
        third = registry.add_holdout_read(LOOK)
        assert [each.at for each in (first, second, third)] == [START, START + 60, START + 60]
        assert replace(second, at=0.0) == LOOK
        assert other.holdout_reads("credit") == [first, second, third]
        assert other.holdout_reads("films") == []

    @pytest.mark.parametrize(
        "odd",
        [
            replace(LOOK, metrics={"test_auc": float("nan")}),
            replace(LOOK, intervals={"test_auc": (0.5, float("inf"))}),
            replace(LOOK, params={"depth": float("nan")}),
        ],
    )
    def test_a_look_that_saw_no_number_is_refused(self, registry: Registry, odd: HoldoutRead) -> None:
        with pytest.raises(UsageError, match="finite"):
            registry.add_holdout_read(odd)
        assert registry.holdout_reads("credit") == []

    def test_a_look_at_an_unknown_experiment_is_refused(self, registry: Registry) -> None:
        with pytest.raises(NotFoundError):
            registry.add_holdout_read(replace(LOOK, experiment="nothing"))
        assert registry.holdout_reads("credit") == []
