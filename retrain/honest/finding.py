"""Whether the winner is better than the baseline: one plain sentence with its figures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from retrain.honest.estimate import LEVEL, NOTES, Basis, Repeat
from retrain.honest.pairs import gain_over
from retrain.stats import t_cdf, t_quantile
from retrain.tables import signed
from tuner.experiment import Direction

__all__ = ["Finding", "Shown", "compare", "finding_text"]

_NEGLIGIBLE = 1e-9
"""An error of this part of the difference is rounding."""


class Shown(StrEnum):
    """What a comparison shows."""

    BETTER = "better"
    WORSE = "worse"
    NOISE = "noise"
    SAME = "same"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the repeats show of the winner against a reference.

    Attributes:
        against: what the reference is to people, such as "the baseline".
        shown: the finding itself. SAME: every score is the same. UNKNOWN: no noise could be measured.
        amount: the mean gain of the winner in the unit of the metric; positive is better in either direction.
        low, high: bounds of the gain, each of which holds with `level` for itself; None where UNKNOWN.
        confidence: in what `amount` says, that the winner is better, or that it is worse, in [0, 1]; of
            "better" corrected for the choice. None where UNKNOWN or SAME.
        n_chosen_from: what the choice was corrected for.
        n_scores: pairs of scores.
        basis: where the noise was measured.
        level: the confidence that "better" and "worse" need.
    """

    against: str
    shown: Shown
    amount: float
    low: float | None
    high: float | None
    confidence: float | None
    n_chosen_from: int
    n_scores: int
    basis: Basis
    level: float


def compare(
    winner: Sequence[Repeat],
    reference: Sequence[Repeat],
    direction: Direction,
    *,
    against: str,
    n_tried: int,
    n_confirmed: int,
    folds: int | None = None,
    level: float = LEVEL,
) -> Finding | None:
    """Compare the winner with a reference over the seeds that both were run with; None where there is none.

    The folds of a confirmation are fresh, but their rows are those that the search has seen: what is lucky
    on these rows was chosen for it. So the chance of the difference under "no better" is multiplied by
    `n_tried`, every configuration of the study (Bonferroni); by the 5 confirmed ones alone it would be too
    sure, as the tests show. Where only the noise between runs is known, fresh runs owe nothing to the
    search, and `n_confirmed` is enough. "Worse" is not corrected, since a choice only makes it rarer.

    Args:
        winner: repeats of the one.
        reference: repeats of the other.
        direction: of the metric.
        against: what the reference is to people.
        n_tried: configurations that the study has scored on these rows, at least 1.
        n_confirmed: candidates of the confirmation, at least 1.
        folds: k of one cross-validation; see `confirmed`.
        level: confidence that a claim needs, in (0.5, 1).
    """
    spread = gain_over(winner, reference, direction, folds=folds)
    if spread is None:
        return None
    n_chosen_from = max(1, n_confirmed if spread.basis is Basis.RUNS else max(n_tried, n_confirmed))
    rest = (n_chosen_from, spread.n_scores, spread.basis, level)
    error = spread.std_error
    if error is None or error <= _NEGLIGIBLE * abs(spread.mean):
        same = spread.mean == 0 and (error is not None or spread.n_repeats > 1)
        shown = Shown.SAME if same else Shown.UNKNOWN
        return Finding(against, shown, spread.mean, None, None, None, *rest)
    chance = t_cdf(spread.mean / error, spread.df)
    better, worse = 1 - min(1.0, n_chosen_from * (1 - chance)), 1 - chance
    low = spread.mean - t_quantile(1 - (1 - level) / n_chosen_from, spread.df) * error
    high = spread.mean + t_quantile(level, spread.df) * error
    shown = Shown.BETTER if better >= level else Shown.WORSE if worse >= level else Shown.NOISE
    confidence = better if spread.mean >= 0 else worse
    return Finding(against, shown, spread.mean, low, high, confidence, *rest)


def finding_text(finding: Finding) -> str:
    """The finding as a sentence without its subject: "better than the baseline with 97 % confidence: ..."."""
    against, amount = finding.against, finding.amount
    if finding.shown is Shown.SAME:
        return f"the same as {against} in every run"
    if finding.low is None or finding.high is None or finding.confidence is None:
        than = "better than" if amount > 0 else "worse than"
        differs = f"{abs(amount):.4g} {than}" if amount else "no different from"
        return f"{differs} {against}; whether that is noise cannot be said: {_why_unknown(finding)}"
    reach = finding.high - amount
    if finding.shown is Shown.NOISE:
        low, mean, high = (signed(each, reach) for each in (finding.low, amount, finding.high))
        level = _percent(finding.level)
        text = f"no better than {against} beyond noise: {mean}, with {level} confidence at least {low}"
        text += f"{_allowance(finding)} and at most {high}"
    else:
        least = finding.low if finding.shown is Shown.BETTER else -finding.high
        by, at_least = (signed(each, reach).removeprefix("+") for each in (abs(amount), least))
        text = f"{finding.shown} than {against} with {_percent(finding.confidence)} confidence"
        text += (
            f": by {by}, with {_percent(finding.level)} confidence at least {at_least}{_allowance(finding)}"
        )
    if finding.basis is Basis.RUNS:
        text += "; only the noise between runs was measured"
    return text


def _allowance(finding: Finding) -> str:
    """Only of "better", since a choice makes "worse" rarer."""
    if finding.n_chosen_from < 2 or finding.shown is Shown.WORSE:
        return ""
    return f" (a choice among {finding.n_chosen_from} allowed for)"


def _percent(confidence: float) -> str:
    """Rounded down, and never a certainty."""
    return f"{math.floor(100 * confidence + 1e-9)} %" if confidence < 0.99 else "more than 99 %"


def _why_unknown(finding: Finding) -> str:
    if finding.basis is Basis.FOLDS:
        return "the difference is the same in every fold"
    return (NOTES[finding.basis][0].lower() + NOTES[finding.basis][1:]).removesuffix(".")
