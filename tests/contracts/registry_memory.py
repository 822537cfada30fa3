"""How a Registry keeps what worked, what became of it, and what failures ran on."""

from dataclasses import replace

import pytest

from tests.contracts.registry_cases import ON, SPEC, START, Clock, some
from tests.contracts.registry_fixtures import RegistryFixtures
from tuner.errors import NotFoundError, UsageError
from tuner.experiment import Confirmation, Evaluation, Experiment, Failure, Outcome, Provenance, Study
from tuner.registry.base import Lesson, Limits, Pattern, Registry

__all__ = ["MemoryContract"]

LATER = Provenance("d2", "c1", "m1")
TRAITS = {"model": "xgboost", "kind": "classification", "features": {"n_rows": 569.0}}
NO = Failure(Outcome.ERROR, "no")


def fail(registry: Registry, study: Study, provenance: Provenance, failure: Failure = NO) -> Experiment:
    registry.add(study, some(1, first=sum(registry.counts(study).values())))
    [ended] = registry.finish([(registry.claim(study)[0], failure)], provenance, Limits(failures=1))
    assert isinstance(ended, Experiment)
    return ended


class MemoryContract(RegistryFixtures):
    @pytest.fixture
    def scored(self, registry: Registry, study: Study) -> Experiment:
        registry.add(study, some(1))
        return registry.complete(registry.claim(study)[0], Evaluation(0.5), ON)

    # ---- patterns

    def test_a_pattern_is_what_worked_and_where(
        self, registry: Registry, other: Registry, scored: Experiment, clock: Clock
    ) -> None:
        pattern = registry.add_pattern(scored.public_id, TRAITS)
        assert pattern == Pattern(1, "credit", scored.public_id, TRAITS, scored.params, 0.5, ON, START)
        clock.now += 60
        assert other.add_pattern(scored.public_id, {"model": "ridge"}) == pattern, "the first stands"
        assert registry.patterns() == other.patterns() == [pattern]

    def test_only_what_has_a_value_is_remembered(self, registry: Registry, study: Study) -> None:
        [waiting] = registry.add(study, some(1))
        with pytest.raises(UsageError, match=f"{waiting.public_id} is waiting"):
            registry.add_pattern(waiting.public_id, TRAITS)
        with pytest.raises(NotFoundError):
            registry.add_pattern("nothing", TRAITS)
        assert registry.patterns() == []

    # ---- lessons

    def test_lessons_are_kept_in_their_order_and_the_first_of_a_kind_stands(
        self, registry: Registry, other: Registry, scored: Experiment, clock: Clock
    ) -> None:
        pattern = registry.add_pattern(scored.public_id, TRAITS).id
        registry.open_study(replace(SPEC, name="films"))
        given = [
            Lesson(pattern, "used", "films", 0.875, "like it"),
            Lesson(pattern, "used", "credit", 0.5),
            Lesson(pattern, "judged", "films", 1.0),
            Lesson(pattern, "forgotten", why="by ann"),
        ]
        stored = [registry.add_lesson(each) for each in given]
        assert stored == [replace(each, at=START) for each in given]
        clock.now += 60
        assert other.add_lesson(replace(given[0], weight=0.1)) == stored[0]
        assert other.add_lesson(given[3]) == stored[3]
        assert registry.lessons() == other.lessons() == stored

    def test_a_lesson_needs_its_pattern_and_study(self, registry: Registry, scored: Experiment) -> None:
        with pytest.raises(NotFoundError, match="pattern 1"):
            registry.add_lesson(Lesson(1, "used", "credit", 0.5))
        registry.add_pattern(scored.public_id, TRAITS)
        with pytest.raises(NotFoundError, match="'films'"):
            registry.add_lesson(Lesson(1, "used", "films", 0.5))
        assert registry.lessons() == []

    # ---- what failures ran on

    def test_a_failure_keeps_what_it_ran_on(self, registry: Registry, other: Registry, study: Study) -> None:
        first, second = fail(registry, study, ON), fail(registry, study, LATER)
        assert [first.ended_on, second.ended_on] == [ON, LATER]
        assert (first.provenance, first.value) == (None, None)
        assert other.experiments(study) == [first, second]

    def test_one_that_is_tried_again_has_ended_on_nothing_yet(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(1))
        [again] = registry.finish([(registry.claim(study)[0], NO)], ON)
        assert isinstance(again, Experiment)
        assert again.ended_on is None
        done = registry.complete(registry.claim(study)[0], Evaluation(0.5), LATER)
        assert (done.ended_on, done.provenance) == (None, LATER)

    def test_what_only_failed_is_no_provenance_of_values(self, registry: Registry, study: Study) -> None:
        fail(registry, study, ON)
        assert registry.provenances(study) == []
        fail(registry, study, LATER)
        registry.add(study, some(2, first=10))
        registry.complete(registry.claim(study)[0], Evaluation(0.5), ON)
        assert registry.provenances(study) == [(ON, 1)]
        registry.complete(registry.claim(study)[0], Evaluation(0.25), LATER)
        assert registry.provenances(study) == [(LATER, 1), (ON, 1)]
        fail(registry, study, ON)
        assert registry.provenances(study) == [(LATER, 1), (ON, 1)], "a failure is never the latest"

    def test_a_value_and_a_failure_may_come_together(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(2))
        bad, good = registry.claim(study, 2)
        ended = registry.finish([(bad, NO), (good, Evaluation(0.5))], ON, Limits(failures=1))
        assert [each.ended_on for each in ended if isinstance(each, Experiment)] == [ON, None]
        assert registry.provenances(study) == [(ON, 1)]

    def test_what_only_failed_may_be_confirmed_on(self, registry: Registry, scored: Experiment) -> None:
        study = registry.open_study(SPEC)
        fail(registry, study, LATER)
        registry.add_confirmation(Confirmation(scored.public_id, 1, 0.5, (), LATER))
        assert registry.provenances(study) == [(ON, 1), (LATER, 0)]

    def test_a_lost_claim_leaves_no_provenance(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        registry.add(study, some(1))
        [stale] = registry.claim(study)
        registry.release([stale])
        other.claim(study)
        [lost] = registry.finish([(stale, NO)], LATER, Limits(failures=1))
        assert isinstance(lost, Exception)
        registry.add(study, some(1, first=5))
        registry.complete(registry.claim(study)[0], Evaluation(0.5), ON)
        assert registry.provenances(study) == [(ON, 1)]
