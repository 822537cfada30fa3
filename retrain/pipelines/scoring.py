"""Scores of one set of predictions: the metric that counts, which must exist, and the usual ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retrain.metrics import USUAL_METRICS, Predictions, UndefinedMetricError, get_metric, score
from retrain.results import ResultError
from retrain.splits import standard_error
from tuner.experiment import Evaluation, Outcome

__all__ = ["FoldScores", "mean_of", "means", "score_all"]


@dataclass(frozen=True, slots=True)
class FoldScores:
    """What one fold came to.

    Attributes:
        metrics: by name.
        predictions: of its validation rows.
        fit_seconds: of the fit alone.
        converged: the fit ended of itself.
        stopped: the best round and the number of rows learned from, where it stopped early.
    """

    metrics: dict[str, float]
    predictions: Predictions
    fit_seconds: float
    converged: bool
    stopped: tuple[int, int] | None


def score_all(
    metrics: Sequence[str],
    task: str,
    truth: np.ndarray,
    predictions: Predictions,
    n_classes: int,
    where: str,
) -> dict[str, float]:
    """Score by `metrics`, and by the usual metrics of the task as far as they are defined on these rows.

    Args:
        metrics: those that count; the first keys of what is returned.
        task: "binary", "multiclass" or "regression".
        truth: (n,) class codes or values.
        predictions: of the same rows.
        n_classes: of the whole table; 0 for a regression.
        where: which rows they are, for people.

    Raises:
        ResultError: one of `metrics` is undefined on these rows (of outcome NON_FINITE).
    """
    try:
        scores = {name: score(get_metric(name), truth, predictions, n_classes) for name in metrics}
    except UndefinedMetricError as error:
        raise ResultError(f"The metric has no value {where}: {error}.", outcome=Outcome.NON_FINITE) from None
    for name in USUAL_METRICS[task]:
        if name in scores:
            continue
        try:
            scores[name] = score(get_metric(name), truth, predictions, n_classes)
        except UndefinedMetricError:
            continue  # nobody asked for it
    return scores


def means(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean over folds of each metric that every fold defines."""
    common = [name for name in scores[0] if all(name in fold for fold in scores)]
    return {name: float(np.mean([fold[name] for fold in scores])) for name in common}


def mean_of(
    scores: Sequence[dict[str, float]],
    metric: str,
    further: dict[str, float],
    mean_sizes: tuple[float, float],
    duration_s: float,
) -> Evaluation:
    """What all folds came to: their mean with its standard error.

    Args:
        scores: of each fold, by metric.
        metric: the one that is optimised.
        further: metrics that no fold has of its own.
        mean_sizes: mean number of rows to learn from, and to score.
        duration_s: seconds that it all took.
    """
    metrics = means(scores) | further
    return Evaluation(
        metrics.pop(metric),
        std_error=standard_error([fold[metric] for fold in scores], *mean_sizes),
        metrics=metrics,
        duration_s=duration_s,
    )
