"""The Gaussian process, its targets and its candidates, against closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.generator_contract import MIXED
from tests.tuner.spaces import is_valid, search_spaces, seeds
from tuner.experiment import Params
from tuner.generators.bayesian.acquisition import KAPPA, lower_bounds
from tuner.generators.bayesian.candidates import draws, variations
from tuner.generators.bayesian.gaussian_process import GaussianProcess
from tuner.generators.bayesian.surrogate import Array
from tuner.generators.bayesian.targets import scaled
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace, config_key


def some_points(n: int, d: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random((n, d))


def smooth(x: Array) -> Array:
    y = np.sin(3 * x[:, 0]) + (x[:, 1] - 0.4) ** 2
    return np.asarray((y - y.mean()) / y.std())


def dense(gp: GaussianProcess, x: Array, y: Array, at: Array) -> tuple[Array, Array]:
    """Equations 2.25 and 2.26 of Rasmussen and Williams (2006), solved densely."""
    kernel, noise = gp._kernel, gp._noise
    cross = kernel(at, x)
    solved = np.linalg.solve(kernel(x) + noise * np.eye(len(x)), np.column_stack([y, cross.T]))
    variance = np.diag(kernel(at)) - np.einsum("ij,ji->i", cross, solved[:, 1:])
    return cross @ solved[:, 0], np.sqrt(variance)


# ---- the Gaussian process


@pytest.mark.parametrize(("n", "d"), [(1, 2), (2, 2), (30, 2), (60, 5), (120, 12)])
def test_predictions_equal_the_closed_form(n: int, d: int) -> None:
    x, at = some_points(n, d), some_points(40, d, seed=1)
    y = smooth(x) if n > 1 else np.zeros(1)
    gp = GaussianProcess.fit(x, y)
    for found, wanted in zip(gp.predict(at), dense(gp, x, y, at), strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_it_learns_a_smooth_function_and_which_dimensions_matter() -> None:
    x, at = some_points(60, 6), some_points(200, 6, seed=1)
    both = np.vstack([x, at])
    y = smooth(both)
    gp = GaussianProcess.fit(x, y[:60])
    mean, deviation = gp.predict(at)
    # Among 60 points in 6 dimensions only a model that ignores the four dead ones is this good.
    assert np.abs(mean - y[60:]).mean() < 0.1
    assert np.mean(np.abs(mean - y[60:]) < 3 * deviation + 0.05) > 0.95


def test_conditioning_equals_believing_the_mean() -> None:
    x, y, new, at = (
        some_points(30, 3),
        smooth(some_points(30, 3)),
        some_points(7, 3, 2),
        some_points(40, 3, 1),
    )
    gp = GaussianProcess.fit(x, y)
    believed = dense(gp, np.vstack([x, new]), np.concatenate([y, gp.predict(new)[0]]), at)
    for found, wanted in zip(gp.condition(new).predict(at), believed, strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_conditioning_leaves_the_model_it_came_from_alone() -> None:
    x = some_points(20, 2)
    gp = GaussianProcess.fit(x, smooth(x))
    before = gp.predict(x)
    at = some_points(3, 2, 9)
    assert (gp.condition(at).predict(at)[1] < gp.predict(at)[1]).all()
    np.testing.assert_array_equal(gp.predict(x), before)
    assert gp.condition(np.empty((0, 2))) is gp


def test_a_point_pending_twice_as_near_as_rounding_is_no_obstacle() -> None:
    x = some_points(20, 2)
    near = np.repeat(some_points(1, 2, 5), 30, axis=0) + 1e-12 * some_points(30, 2)
    mean, deviation = GaussianProcess.fit(x, smooth(x)).condition(near).predict(near)
    assert np.isfinite(mean).all()
    assert (deviation > 0).all()


def test_equal_targets_give_a_finite_model() -> None:
    mean, deviation = GaussianProcess.fit(some_points(20, 3), np.zeros(20)).predict(some_points(5, 3, 1))
    np.testing.assert_allclose(mean, 0.0, atol=1e-9)
    assert (deviation > 0).all()


def test_large_histories_are_thinned_and_keep_the_best() -> None:
    x = some_points(1500, 2)
    y = smooth(x)
    gp = GaussianProcess.fit(x, y)
    kept = {tuple(row) for row in gp._x}
    assert len(kept) == 1000
    assert {tuple(row) for row in x[np.argsort(y)[:500]]} <= kept
    assert np.abs(gp.predict(x[:200])[0] - y[:200]).mean() < 0.1


def test_lower_bounds_are_the_mean_less_some_deviations() -> None:
    x, at = some_points(20, 2), some_points(50, 2, 1)
    gp = GaussianProcess.fit(x, smooth(x))
    mean, deviation = gp.predict(at)
    np.testing.assert_allclose(lower_bounds(gp, at), mean - KAPPA * deviation)


# ---- targets


def test_targets_have_mean_0_and_deviation_1_and_lead_back() -> None:
    losses = [3.0, 1.0, 2.0, 2.5, 1.5]
    targets = scaled(losses)
    assert (targets.y.mean(), targets.y.std()) == pytest.approx((0.0, 1.0))
    np.testing.assert_allclose(targets.center + targets.scale * targets.y, losses)


def test_one_outlier_does_not_flatten_the_rest() -> None:
    losses = [*np.linspace(0.0, 1.0, 20)]
    without, spoilt = scaled(losses).y, scaled([*losses, 1e12]).y
    assert np.ptp(spoilt[:20]) > 0.6 * np.ptp(without)
    assert spoilt[20] == spoilt.max()
    # A very good one is news, not an outlier.
    assert scaled([*losses, -100.0]).y[20] < -3


def test_a_failure_counts_as_the_worst_that_remains() -> None:
    y = scaled([1.0, None, 3.0, 2.0, None, 1e9]).y
    assert y[1] == y[4] == y[5] == y.max()
    assert y[2] < y[5]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=30)
)
def test_any_losses_give_finite_targets_in_their_order(losses: list[float | None]) -> None:
    known = [loss for loss in losses if loss is not None]
    if not known:
        return
    y = scaled(losses).y
    assert np.isfinite(y).all()
    assert np.abs(y).max() < 6
    ordered = [
        target for _, target in sorted((loss, y[i]) for i, loss in enumerate(losses) if loss is not None)
    ]
    assert (np.diff(ordered) >= -1e-12).all()
    assert all(y[i] == max(ordered) for i, loss in enumerate(losses) if loss is None)


# ---- candidates


@settings(max_examples=60, deadline=None)
@given(space=search_spaces(), seed=seeds)
def test_variations_are_valid(space: SearchSpace, seed: int) -> None:
    if space.size() == 1 or all(param.n_values == 1 for param in space.params.values()):
        return
    rng = np.random.default_rng(seed)
    assert all(is_valid(space, one) for one in variations(space, draws(space, 3, rng), 20, rng))


def test_variations_stay_near_and_reach_every_parameter() -> None:
    parent = MIXED.defaults()
    found = variations(MIXED, [parent], 300, np.random.default_rng(0))
    at = MIXED.encode([parent])
    numbers = [MIXED.columns[name].start for name in ("rate", "depth", "w0", "low")]
    moved = np.abs(MIXED.encode(found) - at)[:, numbers]
    assert (moved > 0).any(axis=0).all()
    assert np.median(moved[moved > 0]) < 0.15
    # In the median half of the parameters rest, so that what is good is kept.
    assert 1 <= np.median((moved > 1e-12).sum(axis=1)) <= 3
    drops = {one["drop"] for one in found if "drop" in one}
    assert len(drops) > 10


def test_variations_move_what_has_steps_by_one_at_least() -> None:
    space = SearchSpace(
        [IntParam("n", 1, 3), CategoricalParam("kind", ["a"]), FloatParam("x", 0.0, 1.0, step=1.0)]
    )
    parent: Params = {"n": 2, "kind": "a", "x": 0.0}
    found = variations(space, [parent], 200, np.random.default_rng(0))
    assert {one["n"] for one in found} == {1, 2, 3}
    assert {one["x"] for one in found} == {0.0, 1.0}


def test_variations_have_no_more_digits_than_draws() -> None:
    space = SearchSpace([FloatParam("rate", 1e-4, 1.0, log=True), FloatParam("x", 0.0, 1.0)])
    found = variations(space, draws(space, 3, np.random.default_rng(1)), 100, np.random.default_rng(0))
    assert all(len(f"{one['x']!r}") <= 11 for one in found)
    assert all(float(f"{one['rate']:.9g}") == one["rate"] for one in found)


def test_better_parents_have_more_children() -> None:
    space = SearchSpace([FloatParam("x", 0.0, 1.0), FloatParam("y", 0.0, 1.0)])
    parents = [{"x": 0.0, "y": 0.2}, {"x": 0.0, "y": 0.8}]
    rng = np.random.default_rng(0)
    found = [one for one in variations(space, parents, 600, rng) if one["y"] in (0.2, 0.8)]
    first = sum(one["y"] == 0.2 for one in found)
    # About 180 children, of which sqrt(1/2) = 71 % are the first's: half lies 6 standard deviations off.
    assert len(found) > 150
    assert first > len(found) / 2
    assert len({config_key(one) for one in found}) == len(found)
