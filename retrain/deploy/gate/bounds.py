"""The bounds of one metric: kept by the figure itself or, with a confidence, by its confidence bound.

Every bound on folds uses the corrected standard error of `paired_difference` and Student's t.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

from retrain.deploy.gate.figures import finite, spoken
from retrain.deploy.gate.pair import Pair
from retrain.deploy.gate.verdict import Verdict
from retrain.honest import holdout_gain, holdout_score
from retrain.metrics import is_share
from retrain.stats import PairedDifference, paired_difference
from tuner.experiment import Direction

__all__ = ["FEWEST_FOLDS", "absolute", "relative"]

FEWEST_FOLDS = 5
"""Fewer than that say too little about how much folds differ for any confidence."""

_MORE_FOLDS = "Ask for more: repeats in [[gate]], or folds in [splits]."


def absolute(pair: Pair, rule: str, limit: float, confidence: float | None) -> Verdict:
    """Judge `min` or `max`."""
    new = pair.new
    if new is None:
        return pair.refusal(rule, limit, confidence=confidence)
    if confidence is not None:
        return _surely_absolute(pair, new, rule, limit, confidence)
    passed = new >= limit if rule == "min" else new <= limit
    side = {
        ("min", True): "at least",
        ("min", False): "below",
        ("max", True): "at most",
        ("max", False): "above",
    }
    over = f" {pair.where(pair.sample(pair.challenger))}" if pair.repeats else ""
    why = f"{pair.metric} is {spoken(new)}{over}, {side[rule, passed]} the {rule} of {spoken(limit)}"
    return pair.verdict(rule, limit, passed, why)


def relative(pair: Pair, rule: str, limit: float, confidence: float | None) -> Verdict:
    """Judge `min_improvement` or `max_drop`."""
    improvement = pair.improvement
    if improvement is None:
        return pair.refusal(rule, limit, confidence=confidence)
    if confidence is not None:
        return _surely_relative(pair, improvement, rule, limit, confidence)
    passed = improvement >= (limit if rule == "min_improvement" else -limit)
    over = f" {pair.where(pair.sample(pair.challenger))}" if pair.repeats else ""
    why = f"{pair.compared(improvement)}{over}; {rule} is {spoken(limit)}"
    return pair.verdict(rule, limit, passed, why)


def _surely_absolute(pair: Pair, new: float, rule: str, limit: float, confidence: float) -> Verdict:
    sample = pair.sample(pair.challenger)
    std_error = pair.challenger.std_error if pair.is_own and not pair.repeats else None
    left_out = pair.challenger.left_out.get(pair.metric, ())
    share = is_share(pair.metric) and 0 <= new <= 1  # and no accuracy in percent
    if left_out:
        n_rows = pair.challenger.n_test_rows if share else None
        tested = holdout_score(new, left_out, level=2 * confidence - 1, n_rows=n_rows)
        if tested is None or len(left_out) < FEWEST_FOLDS:
            return pair.refusal(rule, limit, _few_blocks(len(left_out)), confidence=confidence)
        reach = tested.value - tested.low if rule == "min" else tested.high - tested.value
        std_error, over = tested.std_error, ""
    elif sample:
        fault = _fault(sample)
        if fault:
            return pair.refusal(rule, limit, fault, remedy=_MORE_FOLDS, confidence=confidence)
        spread = _spread(sample, None, pair.n_folds, confidence)
        std_error, reach = spread.std_error, spread.mean - spread.low
        over = f" {pair.where(sample)}"
    elif std_error is not None:
        reach, over = NormalDist().inv_cdf(confidence) * std_error, ""
    else:
        return pair.refusal(rule, limit, "no standard error of it is known", confidence=confidence)
    bound = new - reach if rule == "min" else new + reach
    if share:  # whose value is never beyond
        bound = min(max(bound, 0.0), 1.0) if math.isfinite(bound) else bound
    if finite(bound) is None:
        return pair.refusal(rule, limit, f"its standard error is {std_error}", confidence=confidence)
    passed = bound >= limit if rule == "min" else bound <= limit
    side = "at least" if rule == "min" else "at most"
    why = (
        f"{pair.metric} is {spoken(new)}{over}, with {_percent(confidence)} confidence {side}"
        f" {spoken(bound)}; {rule} is {spoken(limit)}"
    )
    return pair.verdict(rule, limit, passed, why, std_error=std_error, confidence=confidence, bound=bound)


def _surely_relative(pair: Pair, improvement: float, rule: str, limit: float, confidence: float) -> Verdict:
    """The lower bound of the mean difference, fold by fold, must keep the limit.

    An improvement must lie above it: two models that agree on every fold have no spread at all, and are no
    improvement of at least 0 all the same.
    """
    if pair.metric.startswith("test_"):
        return _surely_on_holdout(pair, improvement, rule, limit, confidence)
    new, old = pair.sample(pair.challenger), pair.sample(pair.champion)
    if not new or not old:
        reason = "the pipeline does not say its folds, so that the two cannot be compared in pairs"
        return pair.refusal(rule, limit, reason, confidence=confidence)
    if [len(folds) for folds in new] != [len(folds) for folds in old]:
        return pair.refusal(rule, limit, "the two were not scored on the same folds", confidence=confidence)
    fault = _fault(new, old)
    if fault:
        return pair.refusal(rule, limit, fault, remedy=_MORE_FOLDS, confidence=confidence)
    first, second = (new, old) if pair.direction is Direction.MAXIMIZE else (old, new)
    spread = _spread(first, second, pair.n_folds, confidence)
    if finite(spread.low) is None:
        return pair.refusal(rule, limit, f"its standard error is {spread.std_error}", confidence=confidence)
    said = f"{pair.compared(improvement)} {pair.where(new)}"
    return _bounded(pair, said, rule, limit, confidence, spread.low, spread.std_error)


def _surely_on_holdout(pair: Pair, improvement: float, rule: str, limit: float, confidence: float) -> Verdict:
    """The same by the blocks of the holdout, on which two fitted models are compared."""
    new = pair.challenger.left_out.get(pair.metric, ())
    old = () if pair.champion is None else pair.champion.left_out.get(pair.metric, ())
    if min(len(new), len(old)) < FEWEST_FOLDS:
        return pair.refusal(rule, limit, _few_blocks(min(len(new), len(old))), confidence=confidence)
    assert pair.new is not None, "there is an improvement"
    assert pair.old is not None, "there is an improvement"
    assert pair.direction is not None, "there is an improvement"
    gain = holdout_gain(pair.new, new, pair.old, old, pair.direction, level=2 * confidence - 1)
    if gain is None or finite(gain.low) is None:
        return pair.refusal(rule, limit, "the two were not scored on the same blocks", confidence=confidence)
    return _bounded(pair, pair.compared(improvement), rule, limit, confidence, gain.low, gain.std_error)


def _bounded(
    pair: Pair, said: str, rule: str, limit: float, confidence: float, low: float, std_error: float
) -> Verdict:
    """The verdict on the lower end of a difference."""
    passed = low > limit if rule == "min_improvement" else low >= -limit
    side = "better by at least" if low >= 0 else "worse by at most"
    why = (
        f"{said}, with {_percent(confidence)} confidence {side} {spoken(abs(low))}; {rule} is {spoken(limit)}"
    )
    return pair.verdict(rule, limit, passed, why, std_error=std_error, confidence=confidence, bound=low)


def _spread(
    first: Sequence[Sequence[float]],
    second: Sequence[Sequence[float]] | None,
    n_folds: int | None,
    confidence: float,
) -> PairedDifference:
    """First less second (or nothing), its `low` being the one-sided bound."""
    values = [value for folds in first for value in folds]
    others = [0.0] * len(values) if second is None else [value for folds in second for value in folds]
    return paired_difference(values, others, folds=n_folds or len(first[0]), level=2 * confidence - 1)


def _fault(*samples: Sequence[Sequence[float]]) -> str:
    """Why nothing can be concluded from these folds; "" where it can."""
    n = sum(map(len, samples[0]))
    if n < FEWEST_FOLDS or len(samples[0][0]) < 2:
        return f"{n} folds are too few for a confidence, which needs {FEWEST_FOLDS}, 2 of them in each repeat"
    for sample in samples:
        varied = len({value for folds in sample for value in folds}) > 1
        if len(sample) > 1 and varied and len(set(map(tuple, sample))) < len(sample):
            return "two repeats gave the very same folds, so that the seed seems to change nothing"
    return ""


def _few_blocks(n: int) -> str:
    if not n:
        return "no standard error of it is known"
    return f"{n} blocks of the holdout are too few for a confidence, which needs {FEWEST_FOLDS}"


def _percent(confidence: float) -> str:
    return f"{100 * confidence:g} %"
