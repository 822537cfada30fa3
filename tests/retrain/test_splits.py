import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.splits import Rows, Split, make_folds, split_holdout, standard_error, why_not_stratified
from tuner.errors import DataError


def classes(*counts: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


def check_partition(splits: list[Split], n: int, folds: int) -> None:
    """Each repeat scores every row exactly once, and never one that it learned from."""
    for start in range(0, len(splits), folds):
        scored = np.concatenate([valid for _, valid in splits[start : start + folds]])
        assert sorted(scored) == list(range(n))
    for train, valid in splits:
        assert len(train)
        assert len(valid)
        assert not set(train) & set(valid)
        assert len(train) + len(valid) == n


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    folds=st.integers(2, 6),
    repeats=st.integers(1, 3),
    seed=st.integers(0, 2**40),
)
def test_plain_folds_are_a_partition_and_follow_the_seed_alone(
    counts: list[int], folds: int, repeats: int, seed: int
) -> None:
    rows = Rows(classes(*counts), len(counts))
    if len(rows) < folds:
        with pytest.raises(DataError, match="rows to train on"):
            make_folds(rows, folds, repeats, seed)
        return
    splits = make_folds(rows, folds, repeats, seed)
    assert len(splits) == folds * repeats
    check_partition(splits, len(rows), folds)
    again = make_folds(rows, folds, repeats, seed)
    assert all(
        np.array_equal(a, b)
        for one, other in zip(splits, again, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def test_another_seed_and_another_repeat_give_other_folds() -> None:
    rows = Rows(classes(50, 50), 2)
    first, second = make_folds(rows, 2, 2, 0)[::2]
    assert not np.array_equal(first[1], second[1])
    assert not np.array_equal(first[1], make_folds(rows, 2, 1, 1)[0][1])


def test_classes_keep_their_shares_in_every_fold() -> None:
    rows = Rows(classes(90, 10), 2)
    assert why_not_stratified(rows, 5) == ""
    for _, valid in make_folds(rows, 5, 1, 0):
        assert rows.y[valid].sum() == 2


def test_a_class_rarer_than_the_folds_gives_plain_folds_and_a_reason() -> None:
    rows = Rows(classes(40, 3), 2)
    assert "has 3 rows to train on, fewer than the 5 folds" in why_not_stratified(rows, 5)
    check_partition(make_folds(rows, 5, 1, 0), 43, 5)


# ---- groups


@settings(deadline=None, max_examples=40)
@given(n_groups=st.integers(2, 12), n_classes=st.sampled_from([0, 2, 3]), seed=st.integers(0, 1000))
def test_groups_stay_together(n_groups: int, n_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(n_groups), rng.integers(0, n_groups, size=60)])
    y = rng.integers(0, n_classes, size=len(groups)) if n_classes else rng.normal(size=len(groups))
    rows = Rows(y, n_classes, groups=groups)
    folds = min(4, n_groups)
    splits = make_folds(rows, folds, 2, seed)
    check_partition(splits, len(rows), folds)
    train, held = split_holdout(rows, 0.25, seed)
    for left, right in [*splits, (train, held)]:
        assert not set(groups[left]) & set(groups[right])


def test_a_large_holdout_of_groups_is_large() -> None:
    rows = Rows(classes(100, 100), 2, groups=np.arange(200) // 4)
    train, held = split_holdout(rows, 0.8, 0)
    assert (len(train), len(held)) == (40, 160)


def test_groups_are_dealt_out_so_that_classes_keep_their_shares() -> None:
    groups = np.repeat(np.arange(20), 10)
    rows = Rows((groups % 4 == 0).astype(int), 2, groups=groups)
    for _, valid in make_folds(rows, 5, 1, 0):
        assert rows.y[valid].mean() == pytest.approx(0.25)


def test_fewer_groups_than_folds_is_refused() -> None:
    rows = Rows(classes(10, 10), 2, groups=np.arange(20) % 3)
    with pytest.raises(DataError, match="at least 5 groups, but there are 3"):
        make_folds(rows, 5, 1, 0)


# ---- time


@settings(deadline=None, max_examples=60)
@given(
    times=st.lists(st.integers(0, 30), min_size=1, max_size=80),
    folds=st.integers(2, 5),
    share=st.sampled_from([0.1, 0.2, 0.5]),
)
def test_what_is_scored_is_always_later(times: list[int], folds: int, share: float) -> None:
    ranks = np.unique(times, return_inverse=True)[1]
    rows = Rows(np.zeros(len(ranks)), times=ranks)
    if len(set(times)) <= folds:
        with pytest.raises(DataError, match="distinct times"):
            make_folds(rows, folds, 1, 0)
    else:
        splits = make_folds(rows, folds, 1, 0)
        assert len(splits) == folds
        for train, valid in splits:
            assert len(train)
            assert ranks[train].max() < ranks[valid].min()
        for (train, valid), (longer, _) in pairwise(splits):
            assert sorted([*train, *valid]) == sorted(longer)
    if len(set(times)) > 1 and len(times) >= 4:
        train, held = split_holdout(rows, share, 0)
        assert ranks[train].max() < ranks[held].min()
        assert len(train) + len(held) == len(rows)


def test_blocks_of_time_are_about_equal() -> None:
    rows = Rows(np.zeros(600), times=np.random.default_rng(0).permutation(600))
    assert [(len(train), len(valid)) for train, valid in make_folds(rows, 5, 1, 0)] == [
        (100 * i, 100) for i in range(1, 6)
    ]
    assert [len(part) for part in split_holdout(rows, 0.2, 0)] == [480, 120]


# ---- holdout


@settings(deadline=None, max_examples=60)
@given(n=st.integers(4, 200), share=st.floats(0.01, 0.9), seed=st.integers(0, 100))
def test_the_holdout_is_about_its_share_and_never_all_or_nothing(n: int, share: float, seed: int) -> None:
    rows = Rows(np.random.default_rng(seed).normal(size=n))
    train, held = split_holdout(rows, share, seed)
    assert sorted([*train, *held]) == list(range(n))
    assert 1 <= len(held) <= n - 1
    assert abs(len(held) - share * n) <= 1


def test_the_holdout_is_stratified_and_follows_its_seed() -> None:
    rows = Rows(classes(80, 20), 2)
    train, held = split_holdout(rows, 0.2, 0)
    assert (rows.y[held].sum(), rows.y[train].sum()) == (4, 16)
    assert np.array_equal(held, split_holdout(rows, 0.2, 0)[1])
    assert not np.array_equal(held, split_holdout(rows, 0.2, 1)[1])


def test_a_class_of_one_row_does_not_stop_the_holdout() -> None:
    train, held = split_holdout(Rows(classes(20, 1), 2), 0.2, 0)
    assert len(train) + len(held) == 21


# ---- standard error


def test_the_standard_error_is_corrected_for_folds_that_share_rows() -> None:
    values = [0.7, 0.8, 0.75, 0.85, 0.9]
    s2 = sum((v - 0.8) ** 2 for v in values) / 4
    assert standard_error(values, 80, 20) == pytest.approx(math.sqrt((1 / 5 + 20 / 80) * s2))
    assert standard_error([0.5], 80, 20) is None


def test_the_corrected_error_covers_where_the_plain_one_does_not() -> None:
    """The share of ones in 10 repeats of 5 folds of one sample, against its true value, 0.6.

    The mean over folds is the mean of the sample, whose standard deviation is sqrt(.24/100) = 0.049, while
    s/sqrt(50) of folds of 20 rows is about 0.110/7.1 = 0.015. Two plain errors cover the truth in about 47 %
    of samples, two corrected ones (0.110 sqrt(1/50 + 1/4) = 0.057) in about 98 %. Of 200 samples at least 180
    are asked for, and at most 140 tolerated of the plain one: both beyond 6 binomial deviations, a false
    failure less likely than 1e-8.
    """
    rng = np.random.default_rng(0)
    corrected = plain = 0
    for seed in range(200):
        right = (rng.random(100) < 0.6).astype(float)
        values = [right[valid].mean() for _, valid in make_folds(Rows(right), 5, 10, seed)]
        error = standard_error(values, 80, 20)
        assert error is not None
        off = abs(np.mean(values) - 0.6)
        corrected += off < 2 * error
        plain += off < 2 * np.std(values, ddof=1) / math.sqrt(50)
    assert corrected >= 180
    assert plain <= 140
