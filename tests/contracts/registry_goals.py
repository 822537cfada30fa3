"""What a Registry makes of a study's further objectives and limits."""

from dataclasses import replace

import pytest

from tests.contracts.registry_cases import ON, SPEC, some
from tests.contracts.registry_fixtures import RegistryFixtures
from tuner.direction import Direction
from tuner.errors import MismatchError
from tuner.experiment import Evaluation, Provenance, Study
from tuner.goals import Goals, Limit, Objective
from tuner.registry.base import Registry

__all__ = ["GoalsContract"]

LIMITED = replace(SPEC, name="limited", goals=Goals(limits=(Limit("ms", max=5.0),)))
SEVERAL = replace(
    SPEC,
    name="several",
    goals=Goals((Objective("ms", Direction.MINIMIZE),), (Limit("kb", min=1.0, max=9.0),)),
)


def finish(registry: Registry, study: Study, results: list[Evaluation], on: Provenance = ON) -> list[str]:
    """Complete new experiments with these results; return their ids."""
    rows = registry.add(study, some(len(results), first=sum(registry.counts(study).values())))
    claims = registry.claim(study, len(results))
    registry.finish(list(zip(claims, results, strict=True)), on)
    return [row.public_id for row in rows]


class GoalsContract(RegistryFixtures):
    def test_a_study_keeps_its_goals(self, registry: Registry, other: Registry) -> None:
        study = registry.open_study(SEVERAL)
        assert study.goals == SEVERAL.goals
        assert other.find_study("several") == study
        assert registry.open_study(SPEC).goals == Goals()

    @pytest.mark.parametrize(
        ("goals", "named"),
        [
            (Goals(), "goals .*limits"),
            (Goals(limits=(Limit("ms", max=6.0),)), "goals .*5.0.*6.0"),
            (Goals((Objective("ms", Direction.MINIMIZE),), LIMITED.goals.limits), "goals .*objectives"),
        ],
    )
    def test_other_goals_under_the_same_name_are_refused_and_named(
        self, registry: Registry, goals: Goals, named: str
    ) -> None:
        registry.open_study(LIMITED)
        with pytest.raises(MismatchError, match=named):
            registry.open_study(replace(LIMITED, goals=goals))
        assert registry.open_study(LIMITED).goals == LIMITED.goals

    def test_the_best_keeps_the_limits(self, registry: Registry, other: Registry) -> None:
        study = registry.open_study(LIMITED)
        ids = finish(
            registry,
            study,
            [
                Evaluation(0.9, metrics={"ms": 5.1}),
                Evaluation(0.8, metrics={"ms": 5.0}),
                Evaluation(0.7, metrics={"ms": 1.0}),
                Evaluation(0.95),
            ],
        )
        assert [one.public_id for one in other.best(study, 9)] == [ids[1], ids[2]]
        assert [one.public_id for one in other.front(study)] == [ids[1]]
        assert other.n_infeasible(study) == 2
        assert [one.feasible for one in other.experiments(study)] == [False, True, True, False]

    def test_without_any_that_keeps_them_there_is_no_best(self, registry: Registry) -> None:
        study = registry.open_study(LIMITED)
        assert registry.front(study) == registry.best(study) == []
        finish(registry, study, [Evaluation(0.9, metrics={"ms": 50.0})])
        assert registry.front(study) == registry.best(study) == []
        assert registry.n_infeasible(study) == 1

    def test_the_front_is_of_one_provenance_and_feasible(self, registry: Registry) -> None:
        study = registry.open_study(SEVERAL)
        finish(
            registry, study, [Evaluation(0.99, metrics={"ms": 0.1, "kb": 2.0})], replace(ON, data="before")
        )
        ids = finish(
            registry,
            study,
            [
                Evaluation(0.5, metrics={"ms": 1.0, "kb": 2.0}),
                Evaluation(0.9, metrics={"ms": 4.0, "kb": 9.0}),
                Evaluation(0.9, metrics={"ms": 4.0, "kb": 1.0}),  # equal, and younger
                Evaluation(0.7, metrics={"ms": 4.5, "kb": 2.0}),  # beaten in both
                Evaluation(0.95, metrics={"ms": 0.5, "kb": 10.0}),  # infeasible
                Evaluation(0.8, metrics={"ms": 2.0, "kb": 2.0}),
            ],
        )
        assert [one.public_id for one in registry.front(study, ON)] == [ids[1], ids[5], ids[0]]
        assert registry.front(study) == registry.front(study, ON), "the latest"
        assert registry.n_infeasible(study, ON) == 1
