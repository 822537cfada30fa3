"""Dealing the rows: shares, rare classes, groups, nested sizes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.comparison.rows import Dealt, deal


@st.composite
def rows(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(1, 120))
    seed = draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    return rng.integers(0, draw(st.integers(1, 4)), n), rng.integers(0, draw(st.integers(1, 6)), n)


@given(rows(), st.floats(0.05, 0.9), st.integers(0, 50))
def test_each_class_of_each_site_is_held_out_to_its_share(
    given_rows: tuple[np.ndarray, np.ndarray], share: float, seed: int
) -> None:
    site, y = given_rows
    dealt = deal(site, y, None, share, seed)
    for stratum in np.unique(site * 10 + y):
        held = dealt.held[site * 10 + y == stratum]
        assert abs(held.sum() - share * len(held)) < 1 + 1e-9  # to the next whole row, either way


@given(rows(), st.floats(0.05, 0.9), st.integers(0, 50), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_smaller_training_size_is_part_of_a_larger_and_never_of_what_is_held_out(
    given_rows: tuple[np.ndarray, np.ndarray], share: float, seed: int, one: float, other: float
) -> None:
    site, y = given_rows
    dealt = deal(site, y, None, share, seed)
    every = list(range(4))
    small, large = sorted((dealt.training(every, one), dealt.training(every, other)), key=len)
    assert set(small) <= set(large)
    assert not set(large) & set(dealt.held_out(every))
    assert len(dealt.training(every, 1.0)) + len(dealt.held_out(every)) == len(site)


@given(rows(), st.integers(0, 50))
def test_a_training_size_is_the_share_of_each_class_of_each_site(
    given_rows: tuple[np.ndarray, np.ndarray], seed: int
) -> None:
    site, y = given_rows
    dealt = deal(site, y, None, 0.2, seed)
    half = np.isin(np.arange(len(site)), dealt.training(list(range(4)), 0.5))
    for stratum in np.unique(site * 10 + y):
        learned = (site * 10 + y == stratum) & ~dealt.held
        assert abs(half[learned].sum() - learned.sum() / 2) < 1 + 1e-9


def test_rows_of_a_group_stay_together() -> None:
    groups = np.arange(90) // 3
    dealt = deal(np.zeros(90, int), np.arange(90) % 2, groups, 0.3, 0)
    for keys in (dealt.held, dealt.order):
        assert all(len(set(keys[groups == group])) == 1 for group in range(30))
    assert 0 < dealt.held.sum() < 90


def test_a_regression_is_dealt_by_site_alone() -> None:
    site = np.repeat([0, 1], [40, 80])
    dealt = deal(site, None, None, 0.25, 1)
    assert [dealt.held[site == each].sum() for each in (0, 1)] == [10, 20]


def test_the_seed_decides() -> None:
    def held(seed: int) -> list[bool]:
        return list(deal(np.zeros(50, int), None, None, 0.3, seed).held)

    assert held(1) == held(1) != held(2)


def test_a_whole_site_is_all_its_rows() -> None:
    dealt = Dealt(np.array([0, 1, 0]), np.array([True, False, False]), np.zeros(3))
    assert list(dealt.whole(0)) == [0, 2]
