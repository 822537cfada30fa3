"""Bounds with a confidence: the end of the interval must keep them, on enough folds that nobody has seen."""

import math
import re
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import pytest

from retrain.config import GateConfig
from retrain.deploy import Figures
from retrain.deploy.gate import Needs
from retrain.deploy.gate.needs import repeats_of
from retrain.deploy.scoring import Scorer, fresh_seeds
from retrain.honest import holdout_score
from retrain.stats import t_quantile
from tests.retrain.deploy.gate.figures import MIN, figures, fresh, verdict
from tests.retrain.deploy.project import BETTER, GOOD, Ridge

SURELY = {"metric": "auc", "min_improvement": 0.0, "confidence": 0.95}
OLD = fresh(0.8, [0.8, 0.7, 0.9, 0.8, 0.8], [0.7, 0.8, 0.9, 0.8, 0.81])


def better_by(*gains: float, **options: Any) -> Any:
    """The champion's folds, each better by its gain."""
    repeats = [detail.folds["auc"] for detail in OLD.fresh]
    folds = [[value + gain for value, gain in zip(part, gains, strict=True)] for part in repeats]
    return fresh(0.85, *folds, **options)


def test_the_lower_bound_of_the_paired_difference_has_to_reach_it() -> None:
    """Ten differences of mean 0.05 and deviation s; the corrected variance is (1/10 + 1/4) s^2."""
    gains = (0.03, 0.04, 0.05, 0.06, 0.07)
    deviation = math.sqrt(2 * sum((gain - 0.05) ** 2 for gain in gains) / 9)
    std_error = math.sqrt(1 / 10 + 1 / 4) * deviation
    low = 0.05 - t_quantile(0.95, 9) * std_error
    gate = {**SURELY, "repeats": 2}
    met = verdict(better_by(*gains), OLD, gate)
    assert met.passed
    assert met.std_error == pytest.approx(std_error)
    assert met.bound == pytest.approx(low)
    assert met.why.endswith(f"better by at least {low:.6g}; min_improvement is 0")
    assert "over 10 fresh folds, with 95 % confidence" in met.why
    assert verdict(better_by(*gains), OLD, {**gate, "min_improvement": low - 1e-9}).passed
    assert not verdict(better_by(*gains), OLD, {**gate, "min_improvement": low + 1e-9}).passed
    assert not verdict(better_by(*gains), OLD, {**gate, "confidence": 0.9999}).passed
    five = verdict(better_by(*gains), OLD, gate, n_folds=10)
    assert five.std_error == pytest.approx(math.sqrt(1 / 10 + 1 / 9) * deviation)


def test_less_is_better_for_an_error() -> None:
    gains = (-0.03, -0.04, -0.05, -0.06, -0.07)
    gate = {**SURELY, "repeats": 2}
    assert verdict(better_by(*gains), OLD, gate, direction=MIN).passed
    assert not verdict(better_by(*gains), OLD, gate).passed


def test_a_better_mean_alone_is_not_enough() -> None:
    noisy = better_by(0.3, -0.2, 0.25, -0.2, 0.1)
    refused = verdict(noisy, OLD, {**SURELY, "repeats": 2})
    assert refused.improvement is not None
    assert refused.improvement > 0
    assert not refused.passed
    assert "with 95 % confidence worse by at most" in refused.why


def test_a_drop_must_surely_be_small() -> None:
    noisy = better_by(0.02, -0.02, 0.02, -0.02, 0.0)
    drop = {"metric": "auc", "max_drop": 0.05, "confidence": 0.95, "repeats": 2}
    assert verdict(noisy, OLD, drop).passed
    assert not verdict(noisy, OLD, {**drop, "max_drop": 0.005}).passed


def test_two_that_agree_on_every_fold_are_no_improvement() -> None:
    gate = {"metric": "auc", "confidence": 0.95, "repeats": 2}
    assert not verdict(OLD, OLD, {**gate, "min_improvement": 0.0}).passed
    assert verdict(OLD, OLD, {**gate, "max_drop": 0.0}).passed


def test_an_absolute_bound_is_kept_by_the_end_of_the_interval() -> None:
    gate = {"metric": "auc", "confidence": 0.95, "repeats": 2}
    met = verdict(OLD, None, {**gate, "min": 0.6})
    assert met.passed
    assert met.bound is not None
    assert met.challenger == pytest.approx(0.801)
    assert 0.6 < met.bound < 0.801
    assert not verdict(OLD, None, {**gate, "min": met.bound + 1e-9}).passed
    assert verdict(OLD, None, {**gate, "max": 0.801 + (0.801 - met.bound) + 1e-9}).passed
    assert not verdict(OLD, None, {**gate, "max": 0.801 + (0.801 - met.bound) - 1e-9}).passed


def test_without_folds_the_standard_error_that_was_returned_counts() -> None:
    gate = {"metric": "auc", "min": 0.7, "confidence": 0.975}
    reach = NormalDist().inv_cdf(0.975)
    options = {"splits_follow_seed": False}
    assert verdict(figures(0.7 + 0.05 * reach + 1e-9, std_error=0.05), None, gate, **options).passed
    assert not verdict(figures(0.7 + 0.05 * reach - 1e-9, std_error=0.05), None, gate, **options).passed
    unknown = verdict(figures(0.99), None, gate, **options)
    assert not unknown.passed
    assert "no standard error of it is known" in unknown.why
    holdout = {"metric": "test_auc", "min": 0.1, "confidence": 0.95}
    refused = verdict(figures(0.9, test_auc=0.9, std_error=0.01), None, holdout)
    assert "no standard error of it is known" in refused.why


@pytest.mark.parametrize(
    ("new", "old", "options", "reason"),
    [
        (
            fresh(0.9, [0.9, 0.8]),
            fresh(0.5, [0.5, 0.4]),
            {},
            "2 folds are too few for a confidence, which needs 5",
        ),
        (
            fresh(0.9, *[[0.9]] * 6),
            fresh(0.5, *[[0.4]] * 6),
            {},
            "6 folds are too few .* 2 of them in each repeat",
        ),
        (
            fresh(0.9, *[[0.9, 0.8, 0.7]] * 2),
            fresh(0.5, *[[0.5, 0.6, 0.7]] * 2),
            {},
            "gave the very same folds",
        ),
        (fresh(0.9, [0.9] * 6), fresh(0.5, [0.5] * 5), {}, "not scored on the same folds"),
        (fresh(0.9), fresh(0.5), {}, "does not say its folds"),
        (
            fresh(0.9, [0.9] * 6, metric="f1"),
            fresh(0.5, [0.5] * 6, metric="f1"),
            {},
            "does not say its folds",
        ),
        (fresh(0.9, [math.nan] * 6), fresh(0.5, [0.5] * 6), {}, "does not say its folds"),
        (fresh(0.9, [0.9] * 6), None, {"no_champion": "it is gone"}, "could not be scored .it is gone."),
        (
            fresh(0.9, [0.9] * 6),
            fresh(0.5, [0.5] * 6),
            {"splits_follow_seed": False},
            "the same whatever the seed",
        ),
    ],
)
def test_too_few_folds_or_none_are_refused(new: Any, old: Any, options: dict[str, Any], reason: str) -> None:
    repeats = max(1, len(new.fresh))
    refused = verdict(new, old, {**SURELY, "repeats": repeats}, **options)
    assert not refused.passed
    assert "cannot be judged: " in refused.why
    assert re.search(reason, refused.why), refused.why


def test_fewer_repeats_than_asked_for_are_refused() -> None:
    assert "does not say its folds" in verdict(OLD, OLD, {**SURELY, "repeats": 3}).why


def test_repeats_without_a_confidence_compare_the_means_of_fresh_folds() -> None:
    gate = {"metric": "auc", "min_improvement": 0.04, "repeats": 2}
    assert verdict(better_by(0.05, 0.05, 0.05, 0.05, 0.05), OLD, gate).passed
    assert not verdict(better_by(0.03, 0.03, 0.03, 0.03, 0.03), OLD, gate).passed


@pytest.mark.parametrize(
    ("gate", "follows", "repeats"),
    [
        ({"metric": "auc", "min": 0.5}, True, 0),
        ({"metric": "auc", "min": 0.5, "confidence": 0.9}, True, 4),
        ({"metric": "auc", "min": 0.5, "confidence": 0.9}, False, 0),
        ({"metric": "auc", "min": 0.5, "confidence": 0.9, "repeats": 0}, True, 0),
        ({"metric": "auc", "min": 0.5, "repeats": 2}, True, 2),
        ({"metric": "test_auc", "min": 0.5, "confidence": 0.9}, True, 0),
    ],
)
def test_how_many_repeats(gate: dict[str, Any], follows: bool, repeats: int) -> None:
    config = GateConfig(**gate)
    assert repeats_of(config, follows) == repeats
    assert Needs.of([config], splits_follow_seed=follows).challenger == (repeats if follows else 0)


def test_only_relative_bounds_need_the_champion_and_none_of_them_the_same_hyperparameters() -> None:
    absolute = GateConfig(metric="auc", min=0.5, repeats=3)
    relative = GateConfig(metric="auc", max_drop=0.5, repeats=2)
    needs = Needs.of([absolute, relative], splits_follow_seed=True)
    assert (needs.challenger, needs.champion, needs.alone) == (3, 2, 3)


def test_the_seeds_of_the_gate_are_its_own_and_the_same_for_both() -> None:
    seeds = fresh_seeds(0, 50)
    assert len({0, *seeds, *fresh_seeds(1, 50)}) == 101
    assert fresh_seeds(0, 3) == seeds[:3]
    scorer = Scorer(Ridge(), 0)
    one, two = scorer.score(GOOD, 2).figures, scorer.score(BETTER, 2).figures
    assert [len(detail.folds["rmse"]) for detail in (*one.fresh, *two.fresh)] == [4] * 4
    assert one.fresh[0] != one.fresh[1]
    again = scorer.score(GOOD, 3).figures
    assert again.fresh[:2] == one.fresh
    assert len(again.fresh) == 3
    assert one.folds == Scorer(Ridge(), 0).evaluate(GOOD).folds


# ---- the holdout, whose blocks say how sure its score is


def holdout(value: float, *left_out: float) -> Any:
    return Figures(0.9, metrics={"auc": 0.9, "test_auc": value}, left_out={"test_auc": left_out})


def test_a_score_on_the_holdout_is_as_sure_as_its_blocks() -> None:
    """Deviations -2, -1, 0, 1, 2 hundredths of five blocks: the variance is 4/5 of 0.001."""
    new = holdout(0.8, 0.78, 0.79, 0.8, 0.81, 0.82)
    reach = t_quantile(0.95, 4) * math.sqrt(0.0008)
    gate = {"metric": "test_auc", "confidence": 0.95}
    met = verdict(new, None, {**gate, "min": 0.8 - reach - 1e-9})
    assert met.passed
    assert met.bound == pytest.approx(0.8 - reach)
    assert not verdict(new, None, {**gate, "min": 0.8 - reach + 1e-9}).passed
    old = holdout(0.7, *[0.7] * 5)
    assert verdict(new, old, {**gate, "min_improvement": 0.1 - reach - 1e-9}).passed
    assert not verdict(new, old, {**gate, "min_improvement": 0.1 - reach + 1e-9}).passed
    assert verdict(new, new, {**gate, "max_drop": 0.0}).passed
    assert not verdict(new, new, {**gate, "min_improvement": 0.0}).passed


def test_too_few_or_other_blocks_of_the_holdout_are_refused() -> None:
    gate = {"metric": "test_auc", "min_improvement": -1.0, "confidence": 0.95}
    five, four, six = (holdout(0.8, *[0.8] * n) for n in (5, 4, 6))
    assert "4 blocks of the holdout are too few" in verdict(four, five, gate).why
    absolute = {"metric": "test_auc", "min": 0.1, "confidence": 0.95}
    assert "4 blocks of the holdout are too few" in verdict(four, None, absolute).why
    assert "not scored on the same blocks" in verdict(five, six, gate).why
    assert "no standard error of it is known" in verdict(five, figures(0.9, test_auc=0.5), gate).why


def test_a_bound_of_a_share_stays_within_its_range() -> None:
    folds = ([0.99, 1.0, 0.97, 1.0, 0.95], [1.0, 0.96, 1.0, 0.98, 1.0])
    gate = {"max": 1.0, "confidence": 0.99, "repeats": 2}
    beyond = verdict(fresh(0.985, *folds), None, {"metric": "auc", **gate})
    assert beyond.bound is not None
    assert beyond.bound > 1.0
    new = fresh(0.985, *folds, metric="roc_auc")
    share = verdict(new, None, {"metric": "roc_auc", **gate}, metric="roc_auc")
    assert share.bound == 1.0
    assert share.passed


def test_what_is_called_as_a_share_and_counted_in_percent_is_judged_in_percent() -> None:
    folds = ([91.0, 92.0, 90.5, 91.5, 91.2], [91.1, 92.2, 90.4, 91.0, 91.6])
    new = fresh(91.2, *folds, metric="accuracy")
    gate = {"metric": "accuracy", "confidence": 0.95, "repeats": 2}
    assert verdict(new, None, {"min": 80, **gate}, metric="accuracy").passed
    assert not verdict(new, None, {"max": 80, **gate}, metric="accuracy").passed
    tested = replace(
        figures(91.2, test_accuracy=91.0),
        left_out={"test_accuracy": (90.8, 91.2, 91.1, 91.0, 90.9)},
        n_test_rows=500,
    )
    assert verdict(tested, None, {"metric": "test_accuracy", "min": 80, "confidence": 0.95}).passed


def test_the_most_of_a_share_on_the_holdout_is_the_upper_end_of_its_interval() -> None:
    left_out = (0.10, 0.11, 0.09, 0.10, 0.12)
    tested = replace(figures(0.9, test_accuracy=0.1), left_out={"test_accuracy": left_out}, n_test_rows=50)
    gate = {"metric": "test_accuracy", "max": 0.5, "confidence": 0.95}
    interval = holdout_score(0.1, left_out, level=0.9, n_rows=50)
    assert interval is not None
    assert verdict(tested, None, gate).bound == pytest.approx(interval.high)
