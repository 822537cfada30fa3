"""Hypervolume and what to expect of it, against inclusion-exclusion, closed forms and plain Monte Carlo."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tuner.generators.bayesian.acquisition import log_h
from tuner.generators.bayesian.feasibility import log_feasibility, scaled_excess
from tuner.generators.bayesian.pareto import Cells, cells_beyond, hypervolume
from tuner.generators.bayesian.surrogate import Array

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

FRONT = {
    2: np.array([[0.1, 0.8], [0.3, 0.5], [0.7, 0.2]]),
    3: np.array([[0.2, 0.8, 0.5], [0.5, 0.3, 0.6], [0.8, 0.6, 0.1], [0.4, 0.5, 0.55]]),
    4: np.array([[0.2, 0.8, 0.5, 0.5], [0.5, 0.3, 0.6, 0.4], [0.8, 0.6, 0.1, 0.9], [0.9, 0.9, 0.9, 0.1]]),
}


def by_inclusion_and_exclusion(losses: Array, reference: Array) -> float:
    total = 0.0
    for size in range(1, len(losses) + 1):
        for some in itertools.combinations(losses, size):
            sides = np.maximum(reference - np.max(some, axis=0), 0.0)
            total -= (-1) ** size * float(np.prod(sides))
    return total


points = st.integers(1, 4).flatmap(
    lambda m: st.lists(st.tuples(*[st.integers(0, 12)] * m), min_size=1, max_size=6)
)


@UNHURRIED
@given(points)
def test_the_hypervolume_is_that_of_inclusion_and_exclusion(given_points: list[tuple[int, ...]]) -> None:
    losses = np.array(given_points, dtype=float) / 10
    reference = np.ones(losses.shape[1])
    assert hypervolume(losses, reference) == pytest.approx(by_inclusion_and_exclusion(losses, reference))


def test_nothing_has_no_hypervolume() -> None:
    assert hypervolume(np.empty((0, 2)), np.ones(2)) == 0.0


@UNHURRIED
@given(points)
def test_the_cells_are_all_that_nothing_dominates_and_none_twice(given_points: list[tuple[int, ...]]) -> None:
    losses = np.array(given_points, dtype=float) / 10
    m = losses.shape[1]
    cells = Cells.of(losses, np.ones(m))
    # Between the tenths, so that no point lies on an edge.
    for z in itertools.product(*[[-0.05, 0.25, 0.55, 0.95, 1.05]] * m):
        n_holding = int(((cells.lower < z) & (z < cells.upper)).all(axis=1).sum())
        free = bool((np.array(z) < 1).all()) and not (losses <= z).all(axis=1).any()
        assert n_holding == free


def gain_by_drawing(
    front: Array, reference: Array, mean: Array, deviation: Array, n: int
) -> tuple[float, float]:
    """The mean gain of hypervolume over draws, and the standard error of that."""
    drawn = mean + deviation * np.random.default_rng(0).standard_normal((n, len(mean)))
    before = hypervolume(front, reference)
    gains = [hypervolume(np.vstack([front, y]), reference) - before for y in drawn]
    return float(np.mean(gains)), float(np.std(gains)) / math.sqrt(n)


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("level", [0.15, 0.4, 0.75])
def test_the_expected_gain_is_that_of_drawing(m: int, level: float) -> None:
    front, reference = FRONT[m], np.ones(m)
    mean, deviation = np.full(m, level), np.linspace(0.1, 0.3, m)
    expected, error = gain_by_drawing(front, reference, mean, deviation, 1500)
    found = Cells.of(front, reference).log_expected_gain(mean[None], deviation[None])
    # Always the same draws. 4 standard errors: a right formula would fail 1 in 16,000 times, of nine.
    assert float(np.exp(found[0])) == pytest.approx(expected, abs=4 * error)


def test_with_one_loss_it_is_the_log_expected_improvement() -> None:
    mean, deviation = np.array([[0.2], [1.0], [40.0]]), np.array([[0.5], [0.1], [0.01]])
    found = Cells.of(np.array([[0.7], [0.3]]), np.array([np.inf])).log_expected_gain(mean, deviation)
    assert found == pytest.approx(log_h((0.3 - mean[:, 0]) / deviation[:, 0]) + np.log(deviation[:, 0]))


def test_without_a_front_the_gain_is_a_product() -> None:
    mean, deviation = np.array([[0.4, 0.9]]), np.array([[0.2, 0.3]])
    found = Cells.of(np.empty((0, 2)), np.ones(2)).log_expected_gain(mean, deviation)
    z = (1 - mean) / deviation
    assert np.exp(found[0]) == pytest.approx(float(np.prod(deviation * (norm.pdf(z) + z * norm.cdf(z)))))


def test_far_from_the_front_the_gain_still_has_a_slope() -> None:
    means = np.array([[50.0, 50.0], [49.0, 50.0], [0.2, 0.2]])
    found = Cells.of(FRONT[2], np.ones(2)).log_expected_gain(means, np.full((3, 2), 0.1))
    assert np.isfinite(found).all()
    assert found[0] < found[1] - 1 < found[2] - 1


@settings(UNHURRIED, max_examples=30)
@given(points, st.floats(0.01, 2.0))
def test_more_deviation_at_the_same_mean_is_never_less_gain(
    given_points: list[tuple[int, ...]], deviation: float
) -> None:
    """The gain is convex in no way, but a wider normal reaches every box at least as far below its mean."""
    front = np.array(given_points, dtype=float) / 10
    m = front.shape[1]
    mean = front[:1]  # where the gain of certainty is 0
    cells = Cells.of(front, np.full(m, 2.0))
    narrow, wide = (cells.log_expected_gain(mean, np.full((1, m), s))[0] for s in (deviation / 10, deviation))
    assert wide >= narrow - 1e-6


def test_there_is_as_much_to_gain_below_the_best_as_there_is_room() -> None:
    front, room = FRONT[2] * 3, np.array([0.2, 0.4])
    cells = cells_beyond(front, room)
    assert cells.lower.min(axis=0) == pytest.approx(front.min(axis=0) - room)
    assert cells.upper.max(axis=0) == pytest.approx(front.max(axis=0) + 1.0)
    gains = cells.log_expected_gain(
        np.array([[0.5, 0.8], [5.0, 5.0], [-9.0, 2.3], [-99.0, 2.3]]), np.full((4, 2), 0.01)
    )
    assert gains[0] > gains[1]
    assert gains[2] == pytest.approx(gains[3]), "further below than there is room is no more"


def test_long_fronts_are_thinned() -> None:
    shares = np.linspace(0.0, 1.0, 500)
    cells = cells_beyond(np.column_stack([shares, 1 - shares]), np.ones(2))
    assert 100 < len(cells.lower) <= 201


def test_an_end_that_pays_much_for_next_to_nothing_does_not_stretch_the_front() -> None:
    cells = cells_beyond(np.array([[0.0, 2.0], [0.0001, 0.5], [1.0, 0.0]]), np.ones(2))
    assert cells.upper[:, 1].max() == pytest.approx(0.5 + 1.0)


# ---- feasibility


@UNHURRIED
@given(st.lists(st.floats(-1e308, 1e308), min_size=2, max_size=8))
def test_the_scale_of_excesses_keeps_their_sign(excesses: list[float]) -> None:
    scaled = scaled_excess(excesses)
    assert np.isfinite(scaled.y).all()
    for y, excess in zip(scaled.y, excesses, strict=True):
        if abs(excess) > 1e-6 * max(map(abs, excesses)):
            assert (y > scaled.threshold) == (excess > 0) or (scaled.y == 0).all()


def test_excesses_are_fine_about_the_bound_and_coarse_far_from_it() -> None:
    y = scaled_excess([-1.0, 0.5, 1.0, 1e6, 2e6]).y
    assert y[2] - y[1] > 0.2 * (y[4] - y[3])
    assert y.mean() == pytest.approx(0)
    assert y.std() == pytest.approx(1)


def test_equal_excesses_are_all_kept_or_all_not() -> None:
    assert scaled_excess([-2.0, -2.0]).threshold > 0
    assert scaled_excess([2.0, 2.0]).threshold < 0


def test_the_chance_to_keep_a_limit_is_that_of_a_normal() -> None:
    found = log_feasibility(0.5, np.array([0.0, 0.5, 60.0]), np.array([1.0, 2.0, 1.0]))
    assert found[:2] == pytest.approx(np.log([norm.cdf(0.5), 0.5]))
    assert -2000 < found[2] < -1700
