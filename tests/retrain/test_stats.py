import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.stats import paired_difference, t_cdf, t_quantile

# Two-sided 95 % and 99 % points as printed in every table of Student's t.
TABLE = {
    (0.975, 1): 12.706,
    (0.975, 2): 4.303,
    (0.975, 3): 3.182,
    (0.975, 4): 2.776,
    (0.975, 9): 2.262,
    (0.975, 10): 2.228,
    (0.975, 30): 2.042,
    (0.975, 120): 1.980,
    (0.995, 1): 63.657,
    (0.995, 4): 4.604,
    (0.995, 9): 3.250,
    (0.95, 4): 2.132,
    (0.95, 60): 1.671,
}


@pytest.mark.parametrize(("point", "expected"), TABLE.items())
def test_quantiles_agree_with_the_printed_table(point: tuple[float, int], expected: float) -> None:
    assert t_quantile(*point) == pytest.approx(expected, abs=6e-4)


def test_quantiles_approach_the_normal_distribution() -> None:
    assert t_quantile(0.975, 5000) == pytest.approx(1.959964, abs=1e-3)


@given(p=st.floats(0.001, 0.999), df=st.integers(1, 60))
@settings(deadline=None, max_examples=100)
def test_quantile_inverts_the_distribution_and_is_odd(p: float, df: int) -> None:
    assert t_cdf(t_quantile(p, df), df) == pytest.approx(p, abs=1e-12)
    assert t_quantile(1 - p, df) == pytest.approx(-t_quantile(p, df), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("p", "df"), [(0.0, 3), (1.0, 3), (0.5, 0)])
def test_quantile_refuses_what_has_none(p: float, df: int) -> None:
    with pytest.raises(ValueError, match="inside"):
        t_quantile(p, df)


def test_the_corrected_interval_by_hand() -> None:
    # Differences 1 to 5: mean 3, s^2 = 2.5; corrected variance (1/5 + 1/4) * 2.5 = 1.125;
    # t(0.975, 4) = 2.776.
    result = paired_difference([11, 12, 13, 14, 15], [10, 10, 10, 10, 10])
    assert result.mean == pytest.approx(3)
    assert result.std_error == pytest.approx(math.sqrt(1.125))
    assert result.low == pytest.approx(3 - 2.7764451 * math.sqrt(1.125), abs=1e-6)
    assert result.high == pytest.approx(3 + 2.7764451 * math.sqrt(1.125), abs=1e-6)
    assert not result.includes_zero


def test_repeats_are_corrected_by_the_folds_of_one_repeat() -> None:
    # Twice 5 folds: n_test/n_train stays 1/4, not 1/9.
    first, second = [1.0, 2.0] * 5, [0.0] * 10
    repeated = paired_difference(first, second, folds=5)
    variance = 2.5 / 9
    assert repeated.std_error == pytest.approx(math.sqrt((1 / 10 + 1 / 4) * variance))


def test_pairing_sees_what_unpaired_scores_hide() -> None:
    folds = [0.90, 0.80, 0.95, 0.85, 0.70]
    better = [score + gain for score, gain in zip(folds, [0.010, 0.011, 0.010, 0.009, 0.010], strict=True)]
    assert not paired_difference(better, folds).includes_zero
    assert paired_difference(sorted(better), folds).includes_zero


def test_equal_scores_include_zero() -> None:
    result = paired_difference([0.5, 0.6], [0.5, 0.6])
    assert (result.low, result.high, result.includes_zero) == (0.0, 0.0, True)


@pytest.mark.parametrize(
    ("first", "second", "folds"), [([1], [1], None), ([1, 2], [1], None), ([1, 2], [1, 2], 1)]
)
def test_too_few_folds_are_refused(first: list[float], second: list[float], folds: int | None) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        paired_difference(first, second, folds=folds)


@given(
    scores=st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=12),
    level=st.sampled_from([0.8, 0.95, 0.99]),
)
@settings(deadline=None, max_examples=60)
def test_swapping_the_two_mirrors_the_interval(scores: list[tuple[float, float]], level: float) -> None:
    first, second = zip(*scores, strict=True)
    ab, ba = paired_difference(first, second, level=level), paired_difference(second, first, level=level)
    assert ab.low <= ab.mean <= ab.high
    assert (ab.low, ab.high) == pytest.approx((-ba.high, -ba.low), abs=1e-9)
