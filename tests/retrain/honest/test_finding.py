import numpy as np
import pytest

from retrain.honest import (
    Basis,
    Estimate,
    Finding,
    Race,
    Shown,
    compare,
    confirmed,
    confirmed_optimism,
    find_winner,
    finding_text,
    validation_optimism,
)
from retrain.stats import t_cdf
from tests.retrain.honest.worlds import Run, World, run, value_of
from tuner.experiment import Direction

UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE

ZERO = [run(0, 0, 0, 0, 0, 0)]


def against_zero(*folds: float, n_tried: int = 1, direction: Direction = UP) -> Finding:
    finding = compare(
        [run(0, *folds)], ZERO, direction, against="the baseline", n_tried=n_tried, n_confirmed=1
    )
    assert finding is not None
    return finding


def test_the_confidence_by_hand() -> None:
    # Gains 1 to 5: mean 3, standard error sqrt(1.125), so t = 2.828 with 4 degrees of freedom.
    chance = 1 - t_cdf(3 / 1.125**0.5, 4)
    assert against_zero(1, 2, 3, 4, 5).confidence == pytest.approx(1 - chance)
    assert against_zero(1, 2, 3, 4, 5, n_tried=10).confidence == pytest.approx(1 - 10 * chance)
    assert against_zero(1, 2, 3, 4, 5, n_tried=10_000).confidence == 0


def test_sentences() -> None:
    assert finding_text(against_zero(1, 2, 3, 4, 5)) == (
        "better than the baseline with 97 % confidence: by 3.0, with 95 % confidence at least 0.7"
    )
    assert finding_text(against_zero(-1, -2, -3, -4, -5)) == (
        "worse than the baseline with 97 % confidence: by 3.0, with 95 % confidence at least 0.7"
    )
    assert finding_text(against_zero(1, 2, 3, 4, 5, n_tried=30)) == (
        "no better than the baseline beyond noise: +3.0, with 95 % confidence at least -3.6 (a choice among"
        " 30 allowed for) and at most +5.3"
    )
    assert "with more than 99 % confidence" in finding_text(against_zero(3.0, 3.1, 2.9, 3.0, 3.0))


def test_of_a_loss_less_is_better() -> None:
    assert against_zero(-1, -2, -3, -4, -5, direction=DOWN).shown is Shown.BETTER
    assert against_zero(1, 2, 3, 4, 5, direction=DOWN).shown is Shown.WORSE


@pytest.mark.parametrize("n_tried", [1, 7, 40])
def test_better_is_said_exactly_where_the_lower_bound_is_above_zero(n_tried: int) -> None:
    rng = np.random.default_rng(40)
    said = set()
    for _ in range(60):
        finding = against_zero(*map(float, rng.normal(3, 1.5, 5)), n_tried=n_tried)
        assert finding.low is not None
        assert finding.high is not None
        assert (finding.shown is Shown.BETTER) == (finding.low >= 0)
        assert finding.low <= finding.amount <= finding.high
        said.add(finding.shown)
    assert len(said) > 1


def test_the_same_in_every_run() -> None:
    series = [run(seed, 0.5 + seed, 0.7) for seed in range(3)]
    finding = compare(series, series, UP, against="the baseline", n_tried=5, n_confirmed=5)
    assert finding is not None
    assert finding.shown is Shown.SAME
    assert finding_text(finding) == "the same as the baseline in every run"


def test_a_difference_without_any_noise_is_no_proof() -> None:
    ours, theirs = ([value_of(seed, value) for seed in range(3)] for value in (0.75, 0.5))
    finding = compare(ours, theirs, UP, against="the baseline", n_tried=5, n_confirmed=5)
    assert finding is not None
    assert (finding.shown, finding.confidence) == (Shown.UNKNOWN, None)
    assert finding_text(finding) == (
        "0.25 better than the baseline; whether that is noise cannot be said: "
        "the pipeline reports no folds, and no noise between runs was seen: there is no interval"
    )


@pytest.mark.parametrize(
    ("ours", "direction", "said"),
    [(0.25, DOWN, "0.25 better than"), (0.75, DOWN, "0.25 worse than"), (0.5, UP, "no different from")],
)
def test_without_noise_it_says_which_is_better_and_no_sign(
    ours: float, direction: Direction, said: str
) -> None:
    finding = compare(
        [value_of(0, ours)],
        [value_of(0, 0.5)],
        direction,
        against="the baseline",
        n_tried=5,
        n_confirmed=5,
    )
    assert finding is not None
    assert finding_text(finding).startswith(f"{said} the baseline; whether")


def test_the_same_gain_in_every_fold_is_no_proof_either() -> None:
    finding = against_zero(1, 1, 1, 1, 1)
    assert finding.shown is Shown.UNKNOWN
    assert finding_text(finding).endswith("the difference is the same in every fold")


def test_without_folds_the_choice_is_among_the_confirmed() -> None:
    noise = [0.01, -0.01, 0.0, 0.02]
    ours = [value_of(seed, 0.8 + each) for seed, each in enumerate(noise)]
    theirs = [value_of(seed, 0.5 - each) for seed, each in enumerate(noise)]
    finding = compare(ours, theirs, UP, against="the baseline", n_tried=100, n_confirmed=3)
    assert finding is not None
    assert (finding.basis, finding.n_chosen_from, finding.shown) == (Basis.RUNS, 3, Shown.BETTER)
    assert finding_text(finding).endswith("; only the noise between runs was measured")


def test_without_a_common_seed_nothing_is_said() -> None:
    ours, theirs = [value_of(1, 0.5)], [value_of(2, 0.5)]
    assert compare(ours, theirs, UP, against="the baseline", n_tried=1, n_confirmed=1) is None


# ---- optimism


def estimate_of(*folds: float, direction: Direction = UP) -> Estimate:
    return confirmed([run(0, *folds)], direction)


def test_a_validation_score_that_was_too_good() -> None:
    found = validation_optimism(0.95, estimate_of(0.8, 0.9, 1.0), UP)
    assert found.amount == pytest.approx(0.05)
    assert found.low is not None
    assert found.low < 0.05
    assert validation_optimism(0.95, estimate_of(0.8, 0.9, 1.0), DOWN).amount == pytest.approx(-0.05)


def test_confirmed_against_holdout_by_hand() -> None:
    # Errors 0.3 with 4 and 0.4 with 16 degrees of freedom: together 0.5 with 0.25^2 / (0.09^2/4 + 0.16^2/16)
    # = 17.2, so 17, whose t(0.975) = 2.110.
    ours = Estimate(3.0, 0.3, 4, 0.0, 0.0, 0.0, Basis.FOLDS, 1, 0.95, "")
    found = confirmed_optimism(ours, 2.0, 0.4, 16, UP)
    assert found.amount == 1.0
    assert found.low == pytest.approx(1 - 0.5 * 2.110, abs=1e-3)
    assert found.high == pytest.approx(1 + 0.5 * 2.110, abs=1e-3)


def test_where_an_error_is_missing_there_is_no_interval() -> None:
    found = confirmed_optimism(estimate_of(0.8, 0.9, 1.0), 0.7, None, 1, UP)
    assert (found.low, found.high) == (None, None)
    only = confirmed([value_of(0, 0.7)], UP)
    assert validation_optimism(0.8, only, UP).low is None


# ---- false claims


def study(rng: np.random.Generator, n_tried: int, gain: float, *, split: bool) -> tuple[Finding, Finding]:
    """A search among equals on the same rows, its best five confirmed: corrected by all, and by the five."""
    world = World(rng, np.array([0.0] + [gain] * n_tried), n_rows=100)
    validation = world.scores()[1:]
    order = np.argsort(-(validation[:, 0] if split else validation.mean(axis=1)))[:5]
    repeats: dict[str, list[Run]] = {str(i): runs for i, runs in enumerate(world.repeats(5))}
    top = tuple(str(1 + i) for i in order)
    race = Race(top, (0, 1, 2, 3, 4), UP, repeats, references=("0",))
    winner = find_winner(race)
    assert winner is not None
    found = [
        compare(repeats[winner], repeats["0"], UP, against="it", n_tried=n, n_confirmed=5)
        for n in (n_tried, 5)
    ]
    assert found[0] is not None
    assert found[1] is not None
    return found[0], found[1]


@pytest.mark.parametrize("split", [True, False], ids=["split", "folds"])
def test_no_real_difference_is_rarely_called_better(split: bool) -> None:
    """At most 5 of 100 studies of 30 configurations that are truly equal to the baseline.

    300 studies. A procedure that errs in just 5 % fails above 26 with probability 0.3 %. These worlds are the
    worst case: the luck of each configuration on the rows is its own, and the search saw all of the rows.
    """
    rng = np.random.default_rng(50)
    findings = [study(rng, 30, 0.0, split=split)[0].shown for _ in range(300)]
    assert findings.count(Shown.BETTER) <= 26
    assert findings.count(Shown.WORSE) <= 26


def test_correcting_for_the_five_alone_would_be_too_sure() -> None:
    """Why all that were tried count. 300 studies; of a rate of 5 %, 26 or more have a chance of 0.6 %."""
    rng = np.random.default_rng(51)
    too_sure = sum(study(rng, 30, 0.0, split=False)[1].shown is Shown.BETTER for _ in range(300))
    assert too_sure >= 26


def test_a_real_difference_is_found() -> None:
    """The correction is no refusal: a gain of six true standard errors is called better in most studies."""
    rng = np.random.default_rng(52)
    found = [study(rng, 30, 6 * 2**0.5 / 10, split=False)[0].shown for _ in range(40)]
    assert found.count(Shown.BETTER) >= 30
