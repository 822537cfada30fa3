"""What is kept of a tuning, and what is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.comparison.tuned import find_tuned, finish_tuning
from orchestrator.plan import StopReason
from tuner.experiment import Direction, Evaluation, Failure, Outcome, Provenance, Study, Suggestion
from tuner.propose import open_study
from tuner.registry import Registry, StudySpec, open_registry
from tuner.space import FloatParam, SearchSpace

HERE, ELSEWHERE = Provenance("d", "c", "m"), Provenance("other", "c", "m")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(tmp_path / "experiments.db", create=True, clock=lambda: 1.0) as opened:
        yield opened


def tried(registry: Registry, *values: float | None, provenance: Provenance = HERE) -> Study:
    """A study with the defaults, which scored the first value, and candidates; None failed."""
    space = SearchSpace([FloatParam("x", 0.0, 1.0, default=0.5)])
    spec = StudySpec("tuning", space.to_dict(), "acc", Direction.MAXIMIZE, space.defaults())
    study = open_study(registry, spec)
    registry.add(study, [Suggestion({"x": i / 10}, "random") for i in range(len(values) - 1)])
    for claim, value in zip(registry.claim(study, len(values)), values, strict=True):
        if value is None:
            registry.fail(claim, Failure(Outcome.CANCELLED, "no"))
        else:
            registry.complete(claim, Evaluation(value), provenance)
    return study


@pytest.mark.parametrize("reason", [StopReason.DONE, StopReason.TIMEOUT])
def test_the_best_of_what_was_tried_is_kept(registry: Registry, reason: StopReason) -> None:
    study = tried(registry, 0.5, 0.6, 0.9, None)
    found = finish_tuning(registry, study, HERE, reason)
    assert found.params == {"x": 0.1}
    assert found.n_experiments == 4
    assert find_tuned(registry) == {"tuning": found}


def test_the_defaults_may_be_the_best(registry: Registry) -> None:
    assert finish_tuning(registry, tried(registry, 0.9, 0.6), HERE, StopReason.DONE).params == {"x": 0.5}


@pytest.mark.parametrize(
    ("values", "reason", "why", "said"),
    [
        ((0.5, None, None), StopReason.DONE, "", "no candidate could be scored"),
        ((0.5, None, None), StopReason.DONE, "error: no (2 times)", "error: no (2 times)"),
        ((0.5, 0.7, None), StopReason.SAME_ERROR, "error: no (3 times)", "error: no (3 times)"),
        ((0.5,), StopReason.TIMEOUT, "", "its time was over before a candidate was scored"),
        ((None, None), StopReason.DONE, "", "no candidate could be scored"),
    ],
)
def test_of_one_that_failed_nothing_is_kept(
    registry: Registry, values: tuple[float | None, ...], reason: StopReason, why: str, said: str
) -> None:
    found = finish_tuning(registry, tried(registry, *values), HERE, reason, why)
    assert found.params is None
    assert found.why == said
    assert find_tuned(registry) == {}


def test_what_was_scored_on_other_data_does_not_count(registry: Registry) -> None:
    study = tried(registry, 0.5, 0.6, provenance=ELSEWHERE)
    assert finish_tuning(registry, study, HERE, StopReason.DONE).params is None
