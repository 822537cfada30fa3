"""Several objectives and limits on metrics: what the methods that learn make of them."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from tuner.direction import Direction
from tuner.experiment import Observation, Params
from tuner.generators import make_generator
from tuner.generators.bayesian.pareto import hypervolume
from tuner.goals import Goals, Limit, Objective
from tuner.space import FloatParam, SearchSpace

CUBE = SearchSpace([FloatParam(f"x{i}", 0.0, 1.0) for i in range(3)])
LEARNING = ["bayesian", "tpe"]

Measured = tuple[float, Mapping[str, float]] | None


def numbers(params: Params) -> list[float]:
    return [float(params[f"x{i}"]) for i in range(3)]  # type: ignore[arg-type]


def search(
    method: str,
    goals: Goals,
    objective: Callable[[list[float]], Measured],
    n: int,
    *,
    direction: str = "minimize",
) -> list[tuple[list[float], Measured]]:
    generator = make_generator(method, CUBE, seed=3, direction=direction, goals=goals)
    found = []
    for _ in range(n):
        [one] = generator.ask()
        result = objective(numbers(one.params))
        value, metrics = result or (None, {})
        generator.tell([Observation(one.params, value, metrics=metrics)])
        found.append((numbers(one.params), result))
    return found


def two_bowls(x: list[float]) -> Measured:
    """The front is the line between the two bottoms."""
    return math.dist(x, [0.2, 0.5, 0.5]), {"other": -math.dist(x, [0.8, 0.5, 0.5])}


def volume(found: list[tuple[list[float], Measured]]) -> float:
    """Of 0.18, which a whole front has."""
    losses = [(result[0], -result[1]["other"]) for _, result in found if result]
    return hypervolume(np.array(losses), np.array([0.6, 0.6]))


BOTH = Goals((Objective("other", Direction.MAXIMIZE),))


def test_the_front_is_found_where_random_search_finds_a_part_of_it() -> None:
    # A fixed function of the seed.
    ours, random = (volume(search(method, BOTH, two_bowls, 32)) for method in ("bayesian", "random"))
    assert ours > 0.155
    assert random < 0.12


def test_failures_are_left_and_the_front_is_found_beside_them() -> None:
    found = search("bayesian", BOTH, lambda x: None if x[2] > 0.6 else two_bowls(x), 30)
    assert sum(result is None for _, result in found[12:]) <= 3
    assert volume(found) > 0.14


@pytest.mark.parametrize("method", LEARNING)
def test_a_limit_is_kept_where_the_objective_leads_beyond_it(method: str) -> None:
    goals = Goals(limits=(Limit("cost", max=1.0),))

    def objective(x: list[float]) -> Measured:
        return sum(x), {"cost": 2 * x[0] + x[1]}

    n = 30 if method == "bayesian" else 60
    found = search(method, goals, objective, n, direction="maximize")
    late = [result for _, result in found[n // 2 :] if result]
    kept = [value for value, metrics in late if metrics["cost"] <= 1.0]
    # A quarter of the cube keeps the limit. The best there is x1 = x2 = 1: 2.
    if method == "bayesian":
        # Beside the best of all, which lies on the limit itself, half of the measured are a hair beyond it.
        assert sum(metrics["cost"] <= 1.01 for _, metrics in late) > len(late) / 2
        assert max(kept) > 1.95
    else:
        assert len(kept) > len(late) / 3


def test_what_is_feasible_is_looked_for_first() -> None:
    goals = Goals(limits=(Limit("corner", max=0.25),))

    def objective(x: list[float]) -> Measured:
        return -sum(x), {"corner": math.dist(x, [0.1, 0.9, 0.1])}

    found = search("bayesian", goals, objective, 26)
    kept = [result for _, result in found if result and result[1]["corner"] <= 0.25]
    # 1.5 % of the cube: 16 draws would find none with a chance of 0.8.
    assert len(kept) >= 4


def test_a_limit_with_two_sides_and_a_third_objective_together() -> None:
    goals = Goals(
        (Objective("b", Direction.MINIMIZE), Objective("c", Direction.MINIMIZE)),
        (Limit("d", min=0.4, max=0.6),),
    )

    def objective(x: list[float]) -> Measured:
        return x[0], {"b": x[1], "c": (1 - x[0]) * (1 - x[1]), "d": x[2]}

    found = search("bayesian", goals, objective, 18)
    assert sum(0.4 <= x[2] <= 0.6 for x, _ in found[10:]) >= 6


def test_the_reason_says_what_is_predicted_of_each_goal() -> None:
    goals = Goals((Objective("other", Direction.MAXIMIZE),), (Limit("cost", max=0.5),))
    generator = make_generator("bayesian", CUBE, seed=0, direction="minimize", goals=goals)
    for one in generator.ask(12):
        x = numbers(one.params)
        generator.tell([Observation(one.params, x[0], metrics={"other": -x[1], "cost": x[2]})])
    [one] = generator.ask()
    x = numbers(one.params)
    reason = dict(one.reason)
    assert reason.keys() == {"design", "mean", "std", "mean of other", "std of other", "feasible"}
    assert reason["design"] == "model"
    assert abs(reason["mean"] - x[0]) < 0.2
    assert abs(reason["mean of other"] + x[1]) < 0.2
    assert 0 <= reason["feasible"] <= 1


def test_what_is_pending_is_not_looked_for_again() -> None:
    generator = make_generator("bayesian", CUBE, seed=0, goals=BOTH)
    for one in generator.ask(12):
        result = two_bowls(numbers(one.params))
        assert result
        generator.tell([Observation(one.params, result[0], metrics=result[1])])
    batch = [numbers(one.params) for one in generator.ask(4)]
    assert min(math.dist(a, b) for i, a in enumerate(batch) for b in batch[:i]) > 0.02
