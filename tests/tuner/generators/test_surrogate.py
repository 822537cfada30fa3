"""The Gaussian process, its targets, acquisition and candidates, against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from tuner.generators.bayesian.acquisition import incumbents, log_expected_improvement, log_h
from tuner.generators.bayesian.factors import Bordered, factored, lower_inverse, solved, whitener
from tuner.generators.bayesian.gaussian_process import GaussianProcess, _factor, _Member
from tuner.generators.bayesian.noise import SMOOTH, USUAL, NoisePrior
from tuner.generators.bayesian.posterior import Posterior, level
from tuner.generators.bayesian.surrogate import Array
from tuner.generators.bayesian.targets import noises_of, scaled
from tuner.generators.bayesian.transfer import Informed
from tuner.generators.history import Result


def some_points(n: int, d: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random((n, d))


def smooth(x: Array) -> Array:
    y = np.sin(3 * x[:, 0]) + (x[:, 1] - 0.4) ** 2
    return np.asarray((y - y.mean()) / y.std())


def matern(a: Array, b: Array) -> Array:
    """Matern 5/2 (Rasmussen and Williams 2006, equation 4.17), point by point."""
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    return np.asarray((1 + math.sqrt(5) * distance + 5 / 3 * distance**2) * np.exp(-math.sqrt(5) * distance))


def dense(member: _Member, x: Array, y: Array, at: Array) -> tuple[Array, Array]:
    """Equations 2.25 and 2.26 of Rasmussen and Williams (2006), solved densely."""
    x, at = x * member.scales, at * member.scales
    cross = matern(at, x)
    covariance = matern(x, x) + (member.noise + member.jitter) * np.eye(len(x))
    solved = np.linalg.solve(covariance, np.column_stack([y - member.mean, cross.T]))
    share = 1 - np.einsum("ij,ji->i", cross, solved[:, 1:])
    return member.mean + cross @ solved[:, 0], np.sqrt(share * member.variance)


# ---- the Gaussian process


@pytest.mark.parametrize(("n", "d"), [(1, 2), (2, 2), (30, 2), (60, 5), (120, 12)])
def test_predictions_equal_the_closed_form(n: int, d: int) -> None:
    x, at = some_points(n, d), some_points(40, d, seed=1)
    y = smooth(x) if n > 1 else np.zeros(1)
    gp = GaussianProcess.fit(x, y)
    each = [dense(member, x, y, at) for member in gp._members]
    for member, wanted in zip(gp.members, each, strict=True):
        for found, exact in zip(member.predict(at), wanted, strict=True):
            np.testing.assert_allclose(found, exact, atol=2e-5)
    means, deviations = (np.array(part) for part in zip(*each, strict=True))
    for together, exact in zip(gp.predict_each(at), (means, deviations), strict=True):
        np.testing.assert_allclose(together, exact, atol=2e-5)
    np.testing.assert_allclose(gp.means_each(at), means, atol=2e-5)
    # A mixture's mean and variance, by the law of total variance.
    mean, deviation = gp.predict(at)
    np.testing.assert_allclose(mean, means.mean(axis=0), atol=2e-5)
    np.testing.assert_allclose(deviation**2, (deviations**2).mean(axis=0) + means.var(axis=0), atol=2e-5)


def test_the_noise_is_in_the_unit_of_what_was_told() -> None:
    x = some_points(80, 2)
    y = smooth(x) + 0.3 * np.random.default_rng(0).standard_normal(80)
    gp = GaussianProcess.fit(x, y)
    assert gp.noises.shape == (len(gp.members),)
    # Of 80, a variance is known to 16 %; hyperparameters that the data allow leave a factor of two.
    assert all(0.3**2 / 2 < each < 0.3**2 * 2 for each in gp.noises)
    assert Informed(gp, lambda rows: np.zeros(len(rows)), 3.0).noises == pytest.approx(9 * gp.noises)


def test_a_mean_and_a_variance_are_the_likeliest() -> None:
    x, y = some_points(25, 2), smooth(some_points(25, 2)) + 3.0
    for member in GaussianProcess.fit(x, y)._members:
        noise = (member.noise + member.jitter) * np.eye(25)
        inverse = np.linalg.inv(matern(x * member.scales, x * member.scales) + noise)
        assert member.mean == pytest.approx(inverse.sum(axis=0) @ y / inverse.sum())
        rest = y - member.mean
        assert member.variance == pytest.approx((rest @ inverse @ rest + 1) / 26)


def test_the_columns_of_a_category_share_one_length_scale() -> None:
    x = np.column_stack([some_points(20, 1), np.eye(3)[np.arange(20) % 3]])
    y = smooth(x) + (np.arange(20) % 3)
    for member in GaussianProcess.fit(x, (y - y.mean()) / y.std(), [0, 1, 1, 1])._members:
        assert member.scales[1] == member.scales[2] == member.scales[3] != member.scales[0]


# ---- hyperparameters


def test_the_gradient_of_the_posterior_equals_finite_differences() -> None:
    x = some_points(15, 4)
    posterior = Posterior(x, smooth(x), [0, 1, 1, 2], np.linspace(0.5, 2, len(x)), SMOOTH)
    rng = np.random.default_rng(0)
    for _ in range(5):
        theta = posterior.center + rng.standard_normal(4) * [1.0, 1.0, 1.0, 0.5]
        _, gradient = posterior.log_density(theta)
        for i, step in enumerate(1e-5 * np.eye(4)):
            ahead, behind = posterior.log_density(theta + step)[0], posterior.log_density(theta - step)[0]
            assert gradient[i] == pytest.approx((ahead - behind) / 2e-5, rel=1e-4, abs=1e-4)


def test_the_mode_is_the_top() -> None:
    x = some_points(25, 3)
    posterior = Posterior(x, smooth(x), range(3), np.ones(len(x)))
    mode = posterior.mode()
    rng = np.random.default_rng(0)
    around = [posterior.log_density(mode + 0.3 * rng.standard_normal(4))[0] for _ in range(50)]
    assert posterior.log_density(mode)[0] >= max(around)


@pytest.mark.parametrize("noise", [-16.0, -14.0, -10.0, -6.0, -3.0, 0.0])
def test_the_prior_of_the_noise_is_a_mixture(noise: float) -> None:
    value, slope = SMOOTH.correction(noise)
    ahead, behind = SMOOTH.correction(noise + 1e-5)[0], SMOOTH.correction(noise - 1e-5)[0]
    assert slope == pytest.approx((ahead - behind) / 2e-5, abs=1e-6)
    mixture = 0.9 * norm.pdf(noise, -14.0, 3.0) + 0.1 * norm.pdf(noise, -6.0, 1.5)
    assert value == pytest.approx(math.log(mixture / norm.pdf(noise, SMOOTH.center, SMOOTH.spread)))
    assert USUAL.correction(noise) == (0.0, 0.0)


def test_a_bowl_has_no_noise_and_a_noisy_loss_has_its_own() -> None:
    errors: dict[NoisePrior, list[float]] = {USUAL: [], SMOOTH: []}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        x, at = rng.random((60, 10)), rng.random((200, 10))
        bowl = ((np.vstack([x, at]) - 0.3) ** 2).sum(axis=1)
        bowl = (bowl - bowl[:60].mean()) / bowl[:60].std()
        for prior, found in errors.items():
            gp = GaussianProcess.fit(x, bowl[:60], prior=prior)
            found.append(float(np.abs(gp.predict(at)[0] - bowl[60:]).mean()))
        assert max(member.noise * member.variance for member in gp._members) < 1e-4
    assert sum(errors[SMOOTH]) < 0.92 * sum(errors[USUAL])
    signal = np.sin(3 * x[:, 0]) + x[:, 1]
    y = signal / signal.std() + rng.standard_normal(60)
    noisy = GaussianProcess.fit(x[:, :3], (y - y.mean()) / y.std(), prior=SMOOTH)
    # Half of the variance is noise. Its own estimate from 60 varies by a fifth, 0.5 +- 0.1.
    assert 0.25 < np.mean([member.noise * member.variance for member in noisy._members]) < 0.8


def test_draws_without_data_are_those_of_the_prior() -> None:
    # One observation says nothing of length scales: its likelihood is nearly the same for all.
    posterior = Posterior(np.full((1, 2), 0.5), np.zeros(1), [0, 1], np.ones(1))
    drawn = np.array(posterior.draws(posterior.center, 600, np.random.default_rng(0)))
    # Standard errors of independent draws: 0.04 and 0.03. These depend a little on each other.
    z = (drawn[:, :2] - posterior.center[:2]) / posterior.spread[:2]
    np.testing.assert_allclose(z.mean(axis=0), 0.0, atol=0.2)
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=0.15)


@pytest.mark.parametrize("prior", [USUAL, SMOOTH])
def test_draws_follow_the_posterior(prior: NoisePrior) -> None:
    # One parameter, so that the posterior can be integrated on a grid.
    x = some_points(8, 1, 3)
    y = np.sin(6 * x[:, 0])
    posterior = Posterior(x, (y - y.mean()) / y.std(), [0], np.ones(len(x)), prior)
    lengths, noises = np.linspace(-3.9, 6.9, 160), np.linspace(-16.0, 0.0, 80)
    logs = np.array([[posterior.log_density(np.array([a, b]))[0] for b in noises] for a in lengths])
    weights = np.exp(logs - logs.max()).sum(axis=1)
    wanted = float(lengths @ weights / weights.sum())
    deviation = math.sqrt((lengths - wanted) ** 2 @ weights / weights.sum())
    drawn = np.array(posterior.draws(posterior.mode(), 500, np.random.default_rng(1)))[:, 0]
    assert abs(drawn.mean() - wanted) < 0.25 * deviation
    assert drawn.std() == pytest.approx(deviation, rel=0.25)


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
    conditioned_members = gp.condition(new).members
    for member, conditioned in zip(gp._members, conditioned_members, strict=True):
        told = np.concatenate([y, member.predict(new)[0]])
        believed = dense(member, np.vstack([x, new]), told, at)
        for found, wanted in zip(conditioned.predict(at), believed, strict=True):
            np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_conditioning_leaves_the_model_it_came_from_alone() -> None:
    x = some_points(20, 2)
    gp = GaussianProcess.fit(x, smooth(x))
    before = gp.predict(x)
    at = some_points(3, 2, 9)
    assert (gp.condition(at).predict(at)[1] < gp.predict(at)[1]).all()
    np.testing.assert_array_equal(gp.predict(x), before)
    assert gp.condition(np.empty((0, 2))) is gp


@pytest.mark.parametrize(("n_pending", "n_kept"), [(0, 8), (91, 8), (92, 4), (291, 4), (292, 2), (980, 2)])
def test_with_many_pending_fewer_of_the_draws_are_kept(n_pending: int, n_kept: int) -> None:
    x, at = some_points(9, 2), some_points(10, 2, 1)
    gp = GaussianProcess.fit(x, smooth(x))
    conditioned = gp.condition(some_points(n_pending, 2, 7))
    assert len(conditioned.members) == n_kept
    for kept, member in zip(conditioned.members, gp.members[:: 8 // n_kept], strict=True):
        np.testing.assert_allclose(kept.predict(at)[0], member.predict(at)[0])


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
    [only] = gp._members
    kept = {tuple(row) for row in (only.x / only.scales).round(9)}
    assert len(kept) == 1000
    assert {tuple(row) for row in x[np.argsort(y)[:500]].round(9)} <= kept
    assert np.abs(gp.predict(x[:200])[0] - y[:200]).mean() < 0.1


def test_a_wide_model_keeps_as_many_bad_ones_as_good_ones() -> None:
    x = some_points(400, 2)
    y = smooth(x)
    gp = GaussianProcess.fit_widely(x, y, range(2), np.ones(400))
    assert len(gp.members) == 32
    member = gp._members[0]
    kept = {tuple(row) for row in (member.x / member.scales).round(9)}
    order = np.argsort(y)
    n_good = len(kept & {tuple(row) for row in x[order[:200]].round(9)})
    assert (len(kept), n_good) == (300, 150)
    assert {tuple(row) for row in x[order[[0, -1]]].round(9)} <= kept


def test_peaks_that_are_far_less_likely_are_left_out() -> None:
    """A fast wave: beside it, that all is noise explains little."""
    rng = np.random.default_rng(1)
    x = rng.random((20, 2))
    y = np.sin(25 * x[:, 0]) + 0.3 * rng.standard_normal(20)
    posterior = Posterior(x, (y - y.mean()) / y.std(), range(2), np.ones(20))
    heights = [posterior.log_density(peak)[0] for peak in posterior.peaks(np.random.default_rng(0))]
    all_noise = posterior._peak(posterior.center, 20)[0]
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] > heights[0] - 3 > all_noise


# ---- the acquisition function


@pytest.mark.parametrize("z", [5.0, 0.3, 0.0, -0.999, -1.001, -4.0, -12.0, -30.0])
def test_log_h_equals_the_integral(z: float) -> None:
    # h(z) = E[max(z - N, 0)]; exp(z**2 / 2) keeps the integral within floats.
    scaled_tail, _ = quad(lambda t: t * math.exp(-t * t / 2 + t * min(z, 0.0)), 0, np.inf)
    wanted = (
        math.log(norm.pdf(z) + z * norm.cdf(z))
        if z > 0
        else math.log(scaled_tail) - z * z / 2 - math.log(2 * math.pi) / 2
    )
    assert log_h(np.array([z]))[0] == pytest.approx(wanted, rel=1e-9)


def test_log_h_is_finite_and_rises_everywhere() -> None:
    z = np.concatenate([-np.logspace(150, -6, 400), np.logspace(-6, 8, 100)])
    found = log_h(z)
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()


def test_expected_improvement_equals_its_average() -> None:
    x, at = some_points(20, 2), some_points(30, 2, 1)
    gp = GaussianProcess.fit(x, smooth(x))
    normal = np.random.default_rng(0).standard_normal(200_000)
    gains = []
    for member in gp.members:
        best = member.predict(x)[0].min()
        mean, deviation = member.predict(at)
        gains.append(
            [np.maximum(best - m - d * normal, 0).mean() for m, d in zip(mean, deviation, strict=True)]
        )
    found = np.exp(log_expected_improvement(gp, incumbents(gp, x), at))
    likely = found > 1e-3  # where 200,000 draws can tell
    assert likely.any()
    np.testing.assert_allclose(found[likely], np.mean(gains, axis=0)[likely], rtol=0.1)


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


def test_the_walls_of_a_smooth_bowl_are_kept_and_an_outlier_is_not() -> None:
    # Far above the median, as random places are once a search has closed in on the bottom.
    losses = [*np.linspace(0.0, 0.1, 50), *np.linspace(1.0, 3.0, 20)]
    targets = scaled(losses, smooth=True)
    np.testing.assert_allclose(targets.center + targets.scale * targets.y, losses)
    assert len(set(scaled(losses).y[50:])) == 1
    for n in (4, 70):
        spoilt = scaled([*losses[-n:], 1e12], smooth=True).y
        assert np.ptp(spoilt[:n]) > 0.2 * np.ptp(scaled(losses[-n:], smooth=True).y)


def test_a_model_is_found_where_rounding_makes_points_one() -> None:
    x = np.repeat(some_points(10, 2), 4, axis=0) + 1e-13 * some_points(40, 2)
    gp = GaussianProcess.fit(x, smooth(x), noises=np.full(40, 1e-12), prior=SMOOTH)
    assert np.isfinite(gp.predict(x)[0]).all()


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


def test_a_noisy_observation_moves_the_mean_less_than_an_exact_one() -> None:
    x = np.linspace(0, 1, 12)[:, None]
    y = np.sin(6 * x[:, 0])
    y[5] -= 1.5
    y = (y - y.mean()) / y.std()

    def at_outlier(noise: float) -> float:
        noises = np.ones(12)
        noises[5] = noise
        return float(GaussianProcess.fit(x, y, noises=noises).predict(x[5:6])[0][0])

    assert at_outlier(0.01) < at_outlier(1.0) < at_outlier(100.0)


def test_how_noisy_results_are_is_told_by_their_standard_errors_and_repeats() -> None:
    def result(std_error: float | None = None, n: int = 1, *, partial: bool = False) -> Result:
        return Result({}, 1.0, std_error, n, partial)

    assert noises_of([result(), result(n=4), result(partial=True)]).tolist() == [1.0, 0.25, 4.0]
    assert noises_of([result(0.1), result(0.2), result(0.2), result()]).tolist() == [0.25, 1.0, 1.0, 1.0]
    assert noises_of([result(0.0), result(1e300), result(1.0), result(1.0)]).tolist() == pytest.approx(
        [0.01, 100.0, 1.0, 1.0]
    )
    for extreme, least in ((1.7e308, 0.01), (5e-324, 100.0)):
        noises = noises_of([result(extreme), result(extreme), result(1.0)])
        assert noises.tolist() == pytest.approx([1.0, 1.0, least])


# ---- factors


def test_factors_solve_what_they_should() -> None:
    half = some_points(30, 30)
    covariance = half @ half.T + 0.1 * np.eye(30)
    b = some_points(30, 3, 1)
    factor = factored(covariance.copy())
    assert np.triu(factor, 1).max() == 0
    assert factor @ factor.T == pytest.approx(covariance)
    assert factor @ solved(factor, b) == pytest.approx(b)
    assert factor.T @ solved(factor, b, transposed=True) == pytest.approx(b)
    assert whitener(factor) @ factor == pytest.approx(np.eye(30), abs=1e-9)
    updated = np.linalg.inv(covariance) - 2 * np.outer(b[:, 0], b[:, 0])
    assert lower_inverse(factor, b[:, 0], -2.0) == pytest.approx(np.tril(updated), abs=1e-9)


def test_a_factor_with_a_border_tells_the_level() -> None:
    half, y = some_points(20, 20), smooth(some_points(20, 2))
    covariance = half @ half.T + 0.1 * np.eye(20)
    later, earlier = np.tril_indices(20, -1)
    bordered = Bordered(y, later, earlier)
    for _ in range(2):  # the second as good as the first
        factor, (ones, given) = bordered.factored(covariance[later, earlier], covariance.diagonal())
        assert factor == pytest.approx(factored(covariance.copy()))
        assert factor @ ones == pytest.approx(np.ones(20))
        assert factor @ given == pytest.approx(y)
    mean = level(factor, y).mean
    assert mean == pytest.approx(ones @ given / (ones @ ones))
    with pytest.raises(np.linalg.LinAlgError, match="order 2"):
        bordered.factored(covariance[later, earlier], np.full(20, 1e-3))


def test_a_matrix_that_is_not_positive_definite_has_no_factor() -> None:
    with pytest.raises(np.linalg.LinAlgError, match="order 2"):
        factored(np.array([[1.0, 2.0], [2.0, 1.0]]))


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_rounding_made_indefinite_is_factored_however_it_lies_in_memory(order: str) -> None:
    covariance = np.array([[1.0, 1.005], [1.005, 1.0]], order="F" if order == "F" else "C")
    wanted = covariance + 0.01 * np.eye(2)
    factor = np.tril(_factor(covariance))
    assert factor @ factor.T == pytest.approx(wanted)
