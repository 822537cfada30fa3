"""Memory: what is stored, found again, frozen at its first use, and judged."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.contracts.registry_cases import Clock
from tests.tuner.test_propose import NEW, OLD, SPACE, keys, spec
from tests.tuner.test_recall import RATES, a_config, run_earlier
from tuner.experiment import Evaluation, Experiment, Failure, Outcome, Partial, Study, Suggestion
from tuner.patterns import Traits
from tuner.propose import open_study, propose
from tuner.recollect import adopt, judge, recollect, remember, similar
from tuner.registry import open_registry
from tuner.registry.base import Lesson, Limits, Registry

TRAITS = Traits("xgboost", "binary", {"n_rows": 1000.0})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(tmp_path: Path, clock: Clock) -> Iterator[Registry]:
    with open_registry(tmp_path / "experiments.db", create=True, clock=clock) as opened:
        yield opened


@pytest.fixture
def study(registry: Registry) -> Study:
    return open_study(registry, spec())


def taught(registry: Registry, rates: Sequence[float] = RATES, name: str = "old") -> list[Experiment]:
    """An earlier study that is remembered."""
    rows = run_earlier(registry, rates, OLD, name)
    earlier = registry.find_study(name)
    assert earlier is not None
    assert remember(registry, earlier, OLD, TRAITS) is not None
    return rows


def run_all(registry: Registry, study: Study, value_of: dict[str, float] | None = None) -> None:
    """Finish what waits; those of the memory with `value_of["earlier"]`, others with their id."""
    for claim in registry.claim(study, 100):
        row = claim.experiment
        value = (value_of or {}).get(str(row.reason.get("design")), row.id / 1000)
        registry.complete(claim, Evaluation(value), NEW)


def test_what_worked_best_is_stored_once(registry: Registry) -> None:
    rows = taught(registry)
    earlier = registry.find_study("old")
    assert earlier is not None
    [pattern] = registry.patterns()
    assert (pattern.experiment, pattern.study) == (rows[3].public_id, "old")
    assert Traits.from_dict(pattern.traits) == TRAITS
    assert remember(registry, earlier, OLD, TRAITS) is None
    run_earlier(registry, [0.7])
    better = remember(registry, earlier, OLD, TRAITS)
    assert better is not None
    assert better.value == 1.0
    [event, _] = registry.events(kind="pattern")
    assert "'old' taught" in event.message
    assert 0 < event.salience < 1


def test_nothing_is_stored_of_a_study_without_a_success(registry: Registry, study: Study) -> None:
    registry.finish([(registry.claim(study)[0], Failure(Outcome.ERROR, "no"))], OLD, Limits(failures=1))
    assert remember(registry, study, OLD, TRAITS) is None
    assert registry.patterns() == []


def test_a_similar_study_starts_from_it_and_says_so(registry: Registry, study: Study) -> None:
    rows = taught(registry)
    found = adopt(registry, study, NEW, TRAITS)
    assert str(found) == "1 similar study taught: old #1 (1.00)"
    first, second = propose(registry, study, "bayesian", 2, memory=found)
    assert dict(first.params) == dict(rows[3].params)
    assert dict(first.reason) == {
        "design": "earlier",
        "study": "old #1",
        "id": rows[3].public_id,
        "memory": {"old #1": 5},
    }
    assert second.reason["memory"] == {"old #1": 5}
    [lesson] = registry.lessons()
    assert (lesson.kind, lesson.study, lesson.weight) == ("used", "study", 1.0)


def test_it_is_what_a_warm_start_would_have_been(registry: Registry, study: Study) -> None:
    twin = open_study(registry, spec(name="twin"))
    taught(registry)
    named = propose(registry, twin, "bayesian", 6, warm_start=["old"])
    remembered = propose(registry, study, "bayesian", 6, memory=adopt(registry, study, NEW, TRAITS))
    assert keys(remembered) == keys(named)


def test_what_it_starts_from_is_frozen_at_its_first_use(
    registry: Registry, study: Study, clock: Clock
) -> None:
    taught(registry)
    first = adopt(registry, study, NEW, TRAITS)
    clock.now += 60
    taught(registry, [0.2, 0.7], name="better")
    run_earlier(registry, [0.7, 0.75])
    assert adopt(registry, study, NEW, TRAITS) == first == recollect(registry, study)
    assert len(first.earlier[0].observations) == 5
    later = open_study(registry, spec(name="later"))
    assert {each.study for each in adopt(registry, later, NEW, TRAITS).patterns} == {"old", "better"}


def test_the_same_study_on_earlier_data_counts_and_its_own_results_do_not(registry: Registry) -> None:
    taught(registry)
    earlier = registry.find_study("old")
    assert earlier is not None
    assert similar(registry, earlier, OLD, TRAITS) == []
    [match] = similar(registry, earlier, NEW, TRAITS)
    assert match.pattern.study == "old"


def test_failures_on_the_same_code_are_learned_from_too(registry: Registry, study: Study) -> None:
    taught(registry)
    earlier = registry.find_study("old")
    assert earlier is not None
    registry.add(earlier, [a_config(0.98), a_config(0.99)])
    for claim, on in zip(registry.claim(earlier, 2), (OLD, NEW), strict=True):
        registry.finish([(claim, Failure(Outcome.ERROR, "no"))], on, Limits(failures=1))
    (one,) = adopt(registry, study, NEW, TRAITS).earlier
    assert [each.params["rate"] for each in one.observations if each.value is None] == [0.98]


def test_other_models_and_forgotten_patterns_are_left_alone(registry: Registry, study: Study) -> None:
    taught(registry)
    assert adopt(registry, study, NEW, Traits("ridge", "binary")).patterns == []
    assert registry.lessons() == []
    registry.add_lesson(Lesson(1, "forgotten", why="by ann"))
    assert adopt(registry, study, NEW, TRAITS).patterns == []


def test_what_is_forgotten_is_left_out_by_those_who_use_it_already(registry: Registry, study: Study) -> None:
    taught(registry)
    assert adopt(registry, study, NEW, TRAITS).patterns
    registry.add_lesson(Lesson(1, "forgotten", why="by ann"))
    assert adopt(registry, study, NEW, TRAITS).patterns == []


@pytest.mark.parametrize(("value", "share"), [(9.0, 1.0), (-9.0, 0.0)])
def test_it_is_judged_by_how_many_others_its_best_beats(
    registry: Registry, study: Study, value: float, share: float
) -> None:
    taught(registry)
    propose(registry, study, "bayesian", 1, memory=adopt(registry, study, NEW, TRAITS))
    run_all(registry, study, {"earlier": value})
    assert judge(registry, study, NEW) == [], "there is one other result only"
    propose(registry, study, "random", 9)
    run_all(registry, study)
    [lesson] = judge(registry, study, NEW)
    assert (lesson.pattern, lesson.kind, lesson.weight) == (1, "judged", share)
    assert judge(registry, study, NEW) == []
    [event] = registry.events(kind="pattern judged")
    assert ("did not help" in event.message) is (share == 0.0)


@pytest.mark.parametrize(("pruned", "share"), [("random", 0.9), ("bayesian", 0.0)])
def test_what_is_pruned_is_beaten_by_all_that_is_not(
    registry: Registry, study: Study, pruned: str, share: float
) -> None:
    """With a pruner few experiments come to their end, and those are the better ones: here the baseline."""
    taught(registry)
    propose(registry, study, "bayesian", 1, memory=adopt(registry, study, NEW, TRAITS))
    propose(registry, study, "random", 9)
    values = {"default": 0.9, "bayesian": 0.8, "random": 0.7}
    for claim in registry.claim(study, 100):
        method = claim.experiment.method
        stood = Partial(99.0, 1) if method == pruned else Evaluation(values[method])
        registry.finish([(claim, stood)], NEW)
    [lesson] = judge(registry, study, NEW)
    assert lesson.weight == share


def test_what_was_not_tried_is_not_judged(registry: Registry, study: Study) -> None:
    taught(registry)
    adopt(registry, study, NEW, TRAITS)
    registry.add(study, [Suggestion({"rate": i / 50, "depth": 3, "kind": "b"}, "random") for i in range(20)])
    run_all(registry, study)
    assert judge(registry, study, NEW) == []


def test_what_cannot_be_expressed_here_is_not_taken(registry: Registry, study: Study) -> None:
    from tuner.experiment import Direction
    from tuner.registry.base import StudySpec
    from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace

    far = SearchSpace(
        [FloatParam("rate", 50.0, 90.0), IntParam("depth", 100, 900), CategoricalParam("kind", ["x", "y"])]
    )
    earlier = registry.open_study(StudySpec("far", far.to_dict(), "m", Direction.MAXIMIZE, far.defaults()))
    registry.add(earlier, [Suggestion(far.defaults(), "random")])
    registry.complete(registry.claim(earlier)[0], Evaluation(1.0), OLD)
    remember(registry, earlier, OLD, TRAITS)
    assert SPACE.params.keys() == far.params.keys()
    assert adopt(registry, study, NEW, TRAITS).patterns == []
    assert registry.lessons() == []
