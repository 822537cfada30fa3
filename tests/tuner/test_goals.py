"""Objectives, limits, and the Pareto front."""

import itertools
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.direction import Direction
from tuner.errors import UsageError
from tuner.experiment import Experiment, Observation, State
from tuner.goals import Goals, Limit, Objective, front

FAST = Goals((Objective("predict_ms", Direction.MINIMIZE),), (Limit("size_kb", max=100.0),))


def test_what_was_measured_is_judged() -> None:
    assert FAST.losses({"predict_ms": 3.0}) == (3.0,)
    assert Goals((Objective("f1", Direction.MAXIMIZE),)).losses({"f1": 0.75}) == (-0.75,)
    assert FAST.excesses({"size_kb": 130.0}) == {"size_kb <= 100": 30.0}
    assert FAST.metrics == ("predict_ms", "size_kb")
    assert FAST.kept({"predict_ms": 9.0, "size_kb": 100.0}), "a bound itself is kept"
    assert not FAST.kept({"predict_ms": 9.0, "size_kb": 100.1})


@pytest.mark.parametrize("metrics", [{}, {"predict_ms": 1.0}, {"size_kb": 1.0}])
def test_what_was_not_measured_is_not_kept(metrics: dict[str, float]) -> None:
    assert not FAST.kept(metrics)
    assert (FAST.losses(metrics) is None) == ("predict_ms" not in metrics)
    assert (FAST.excesses(metrics) is None) == ("size_kb" not in metrics)


@pytest.mark.parametrize(
    ("value", "kept"), [(0.9, False), (1.0, True), (1.5, True), (2.0, True), (2.1, False)]
)
def test_a_limit_has_two_sides(value: float, kept: bool) -> None:
    limit = Limit("ratio", min=1, max=2)
    assert all(excess <= 0 for excess in limit.excesses(value).values()) == kept
    assert str(limit) == "ratio at least 1 and at most 2"


def test_goals_travel() -> None:
    for goals in (FAST, Goals(), Goals(limits=(Limit("a", min=-1.5), Limit("b", min=0, max=0)))):
        assert pickle.loads(pickle.dumps(goals)) == goals
        assert Goals.from_dict(goals.to_dict()) == goals
        assert bool(goals) == (goals != Goals())


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: Objective("", Direction.MINIMIZE), "The metric of an objective must be a name, but got ''."),
        (lambda: Objective("x", "minimise"), "Did you mean 'minimize'?"),  # type: ignore[arg-type]
        (lambda: Limit("x"), "A limit needs min, max or both, but 'x' has none."),
        (lambda: Limit("x", max=float("nan")), "The max of a limit must be a finite number, but got nan"),
        (lambda: Limit("x", min=-(10**400)), "must be a finite number, but got -1000"),
        (lambda: Limit("x", min=True), "must be a finite number, but got True"),
        (lambda: Limit("x", min=2, max=1), "`min <= max` must hold for the limit of 'x'"),
        (lambda: Goals(limits=(Limit("x", min=1), Limit("x", max=2))), "'x' is there twice"),
        (lambda: Goals("x"), "The objectives of Goals must be a list of Objectives, but got 'x'."),  # type: ignore[arg-type]
        (lambda: Goals(FAST.objectives[0]), "must be a list of Objectives, but got Objective("),  # type: ignore[arg-type]
        (lambda: Goals(FAST.limits), "must be a list of Objectives, but one of them is Limit("),  # type: ignore[arg-type]
        (lambda: Goals(limits=None), "The limits of Goals must be a list of Limits, but got None."),  # type: ignore[arg-type]
    ],
)
def test_goals_that_cannot_be_are_refused(make: Any, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert what in str(caught.value)
    assert caught.value.remedy


def test_an_experiment_tells_its_metrics() -> None:
    experiment = Experiment(1, "x", 1, {"a": 1}, "grid", State.COMPLETE, 1, 0.0, value=2.0, metrics={"ms": 3})
    told = experiment.observation()
    assert told == Observation({"a": 1}, 2.0, metrics={"ms": 3.0})
    assert pickle.loads(pickle.dumps(told)) == told
    with pytest.raises(TypeError):
        told.metrics["ms"] = 4.0  # type: ignore[index]
    with pytest.raises(UsageError, match="Metric 'ms' of an Observation must be finite, but got inf"):
        Observation({}, 1.0, metrics={"ms": float("inf")})
    with pytest.raises(UsageError, match="Metric 'ms' of an Observation must be a number, but got None"):
        Observation({}, 1.0, metrics={"ms": None})  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="`value` of an Observation must be a number, but got 'good'"):
        Observation({}, "good")  # type: ignore[arg-type]


def dominates(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 4).flatmap(lambda m: st.lists(st.tuples(*[st.integers(0, 4)] * m), max_size=12)))
def test_the_front_is_what_nothing_dominates(losses: list[tuple[int, ...]]) -> None:
    found = front(losses)
    assert found == sorted(set(found))
    kept = [losses[i] for i in found]
    assert len(set(kept)) == len(kept), "of equal ones, one"
    assert not any(dominates(a, b) for a, b in itertools.permutations(kept, 2))
    for i, point in enumerate(losses):
        assert i in found or any(dominates(other, point) for other in kept) or losses.index(point) in found
