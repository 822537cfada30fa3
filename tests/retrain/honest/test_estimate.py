import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.honest import Basis, confirmed, spread_of
from retrain.stats import paired_difference, t_quantile
from tests.retrain.honest.worlds import Run, World, run, value_of
from tuner.experiment import Direction

UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE


def test_one_repeat_by_hand() -> None:
    # Folds 1 to 5: mean 3, s^2 = 2.5; variance (1/5 + 1/4) 2.5 = 1.125; t(0.975, 4) = 2.776.
    estimate = confirmed([run(0, 1, 2, 3, 4, 5)], UP)
    reach = 2.7764451 * math.sqrt(1.125)
    assert estimate.mean == 3
    assert estimate.std_error == pytest.approx(math.sqrt(1.125))
    assert (estimate.low, estimate.high) == pytest.approx((3 - reach, 3 + reach), abs=1e-6)
    assert (estimate.basis, estimate.df, estimate.note) == (Basis.FOLDS, 4, "")


def test_two_repeats_by_hand() -> None:
    # 1, 3, 5 and 2, 3, 4: mean 3, s^2 = 10/5; k = 3: variance (1/6 + 1/2) 2.
    estimate = confirmed([run(0, 1, 3, 5), run(1, 2, 3, 4)], UP)
    assert estimate.std_error == pytest.approx(math.sqrt(4 / 3))
    assert estimate.df == 5


def test_the_bound_is_the_worse_end() -> None:
    runs = [run(0, 1, 2, 3, 4, 5)]
    up, down = confirmed(runs, UP), confirmed(runs, DOWN)
    assert up.bound == up.low
    assert down.bound == down.high


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_the_worse_end_of_a_winner_holds_for_all_that_were_tried(direction: Direction) -> None:
    # Thirty at 2.5 % each on one side: t(1 - 0.025 / 30, 4) standard errors; the other end stays.
    runs = [run(0, 1, 2, 3, 4, 5)]
    one, best = (confirmed(runs, direction, n_chosen_from=n) for n in (1, 30))
    reach = t_quantile(1 - 0.025 / 30, 4) * math.sqrt(1.125)
    if direction is UP:
        assert best.low == pytest.approx(3 - reach)
        assert best.high == one.high
        assert best.bound == best.low
    else:
        assert best.high == pytest.approx(3 + reach)
        assert best.low == one.low
        assert best.bound == best.high


def test_the_choice_among_equals_is_covered() -> None:
    """The winner of 30 equal ones by the same rows, each with luck of its own: at least 95 of 100.

    300 studies; a procedure that covers just 95 % fails below 274 with probability 0.3 %. As if it had not
    been chosen, the interval would hold the truth in fewer than that.
    """
    rng = np.random.default_rng(22)
    covered = {1: 0, 30: 0}
    for _ in range(300):
        world = World(rng, np.zeros(30), n_rows=100)
        best = int(world.scores().mean(axis=1).argmax())
        runs = world.repeats(3)[best]
        for n in covered:
            found = confirmed(runs, UP, n_chosen_from=n)
            assert found.low is not None
            assert found.high is not None
            covered[n] += found.low <= 0 <= found.high
    assert covered[30] >= 274
    assert covered[1] < 274


def test_several_cross_validations_in_one_repeat() -> None:
    twice = run(0, *[1.0, 2.0, 3.0, 4.0, 5.0] * 2)
    assert spread_of([twice], folds=5).std_error == pytest.approx(math.sqrt((1 / 10 + 1 / 4) * 20 / 9))


def test_repeats_that_are_all_the_same_count_once_and_say_so() -> None:
    once, thrice = (confirmed([run(seed, 1, 2, 3, 4, 5) for seed in range(n)], UP) for n in (1, 3))
    assert (thrice.low, thrice.high, thrice.df) == (once.low, once.high, once.df)
    assert thrice.n_repeats == 3
    assert "same scores" in thrice.note
    assert not once.note


def test_without_folds_only_the_noise_between_runs_is_known() -> None:
    estimate = confirmed([value_of(seed, value) for seed, value in enumerate((1.0, 2.0, 3.0))], UP)
    assert estimate.basis is Basis.RUNS
    assert estimate.std_error == pytest.approx(math.sqrt(1 / 3))
    assert estimate.df == 2
    assert "only the noise between runs was measured" in estimate.note


@pytest.mark.parametrize("values", [[0.7], [0.7, 0.7, 0.7]])
def test_without_folds_and_noise_there_is_no_interval(values: list[float]) -> None:
    estimate = confirmed([value_of(seed, value) for seed, value in enumerate(values)], UP)
    assert (estimate.basis, estimate.std_error, estimate.low, estimate.high) == (Basis.NONE, None, None, None)
    assert estimate.bound == pytest.approx(0.7)
    assert "no interval" in estimate.note


def test_reports_that_are_epochs_are_no_folds() -> None:
    epochs = [Run(seed, value, (0.1, 0.5, value)) for seed, value in enumerate((0.8, 0.9))]
    assert confirmed(epochs, UP).basis is Basis.RUNS


def test_repeats_with_other_numbers_of_folds_are_taken_by_their_values() -> None:
    assert confirmed([run(0, 1, 2), run(1, 1, 2, 4)], UP).basis is Basis.RUNS


@pytest.mark.parametrize(
    ("runs", "folds", "match"),
    [([], None, "at least one"), ([run(0, 1, 2)] * 2, None, "distinct"), ([run(0, 1, 2)], 1, "at least 2")],
)
def test_what_is_no_series_of_repeats_is_refused(runs: list[Run], folds: int | None, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        spread_of(runs, folds=folds)


scores = st.lists(st.lists(st.floats(-100, 100), min_size=3, max_size=3), min_size=1, max_size=4)


@given(scores=scores, shift=st.floats(-10, 10), scale=st.floats(0.1, 10))
@settings(deadline=None, max_examples=60)
def test_an_estimate_moves_with_its_scores(scores: list[list[float]], shift: float, scale: float) -> None:
    before = spread_of([run(seed, *folds) for seed, folds in enumerate(scores)])
    moved = [[scale * score + shift for score in folds] for folds in scores]
    after = spread_of([run(seed, *folds) for seed, folds in enumerate(moved)])
    assert after.mean == pytest.approx(scale * before.mean + shift, abs=1e-6)
    if not (before.identical or after.identical):
        assert after.std_error == pytest.approx(scale * (before.std_error or 0.0), rel=1e-6, abs=1e-6)


@given(first=st.lists(st.floats(0, 1), min_size=2, max_size=8))
@settings(deadline=None, max_examples=60)
def test_one_repeat_agrees_with_the_paired_difference_against_nothing(first: list[float]) -> None:
    ours, theirs = confirmed([run(0, *first)], UP), paired_difference(first, [0.0] * len(first))
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize(
    ("n_repeats", "fold_noise"), [(1, 0.0), (5, 0.0), (5, 0.3)], ids=["once", "repeated", "restless"]
)
def test_intervals_cover_the_truth(n_repeats: int, fold_noise: float) -> None:
    """At least 95 of 100, over worlds in which nothing but the rows and the learning is random.

    1,000 worlds. A procedure that covers just 95 % fails below 930 with probability 0.3 %; ours covers more,
    since its correction also stands for what these worlds lack: luck of a training set that all folds share.
    """
    rng = np.random.default_rng(20)
    covered = 0
    for _ in range(1000):
        world = World(rng, np.array([0.3]), fold_noise=fold_noise)
        estimate = confirmed(world.repeats(n_repeats)[0], UP)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 0.3 <= estimate.high
    assert covered >= 930


def test_the_textbook_error_would_not_cover() -> None:
    """The test above can fail: s / sqrt(J) of five repeats covers far less than 95 %."""
    rng = np.random.default_rng(21)
    covered = 0
    for _ in range(500):
        spread = spread_of(World(rng, np.array([0.3])).repeats(5)[0])
        assert spread.std_error is not None
        textbook = spread.std_error / math.sqrt(1 / 25 + 1 / 4) * math.sqrt(1 / 25)
        covered += abs(spread.mean - 0.3) <= 2.06 * textbook
    assert covered < 400
