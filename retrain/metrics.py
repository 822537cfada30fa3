"""The metrics by name: scikit-learn's scorer names, short names for the losses, and two of verbal autopsy.

The table is plain data, so that a configuration can be checked before anything heavy is imported. A name that
begins with `neg_` is maximised, as in scikit-learn; its short twin (`rmse`, `log_loss`) is minimised.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tuner.errors import ConfigError, did_you_mean
from tuner.experiment import Direction

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "BINARY",
    "COSTS",
    "METRICS",
    "MULTICLASS",
    "RANKING_METRICS",
    "REGRESSION",
    "SPANS",
    "USUAL_METRICS",
    "Metric",
    "Predictions",
    "UndefinedMetricError",
    "cod_accuracy",
    "csmf_accuracy",
    "direction_of",
    "get_metric",
    "is_share",
    "score",
]

BINARY, MULTICLASS, REGRESSION, SPANS = "binary", "multiclass", "regression", "spans"
_CLASSES = (BINARY, MULTICLASS)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: what users write.
        function: the function of `sklearn.metrics` (or of this module) that computes it.
        needs: what the function takes besides the truth: "labels", "probabilities" (n, n_classes),
            "positive" (the probability of the second class, n) or "values" (n).
        tasks: the kinds of problem it is defined for.
        direction: whether a smaller or larger value is better.
        sign: -1 where the name promises the negative of a loss.
        options: further arguments of the function.
        every_class: undefined on rows that lack one of the classes.
        ranks: only the order of what is given counts, so that of two classes any score will do.
    """

    name: str
    function: str
    needs: str
    tasks: tuple[str, ...]
    direction: Direction = Direction.MAXIMIZE
    sign: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    every_class: bool = False
    ranks: bool = False

    @property
    def needs_probabilities(self) -> bool:
        """Whether it has no value for a classifier that gives none."""
        return self.needs in ("probabilities", "positive") and not self.ranks


class UndefinedMetricError(ValueError):
    """The metric has no value on these rows, such as an AUC where only one class occurs."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a model said about n rows.

    Attributes:
        labels: (n,) class codes of a classifier, or the values of a regressor.
        probabilities: (n, n_classes), rows summing to 1, of a classifier that gives them; else None.
        ranking: (n,) of a classifier of two classes without probabilities: the larger, the likelier is the
            second class; else None.
    """

    labels: "np.ndarray"
    probabilities: "np.ndarray | None" = None
    ranking: "np.ndarray | None" = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: "np.ndarray") -> "Predictions":
        """Return those for some of the rows, by positions or as a mask."""
        some = (None if part is None else part[rows] for part in (self.probabilities, self.ranking))
        return Predictions(self.labels[rows], *some)

    @classmethod
    def together(cls, parts: "Sequence[Predictions]") -> "Predictions":
        """Join those of several models of one kind, one after the other."""
        import numpy as np

        def joined(name: str) -> "np.ndarray | None":
            arrays = [getattr(part, name) for part in parts]
            return None if any(array is None for array in arrays) else np.concatenate(arrays)

        return cls(
            np.concatenate([part.labels for part in parts]), joined("probabilities"), joined("ranking")
        )


def _labels(name: str, function: str, tasks: tuple[str, ...] = _CLASSES, **options: Any) -> Metric:
    return Metric(name, function, "labels", tasks, options=options)


def _averages(name: str, function: str) -> list[Metric]:
    """A metric of one class against the rest: for two classes, and averaged for several."""
    averages = [
        _labels(f"{name}_{a}", function, average=a, zero_division=0) for a in ("micro", "macro", "weighted")
    ]
    return [_labels(name, function, (BINARY,), zero_division=0), *averages]


def _several_auc(name: str, **options: Any) -> Metric:
    return Metric(name, "roc_auc_score", "probabilities", _CLASSES, options=options, every_class=True)


def _ranking(name: str, function: str) -> Metric:
    return Metric(name, function, "positive", (BINARY,), every_class=True, ranks=True)


def _losses(short: str | None, long: str, function: str, needs: str, tasks: tuple[str, ...]) -> list[Metric]:
    """A loss under scikit-learn's negative name and, where it has one, under its short name."""
    metrics = [Metric(f"neg_{long}", function, needs, tasks, sign=-1)]
    if short is not None:
        metrics.append(Metric(short, function, needs, tasks, Direction.MINIMIZE))
    return metrics


_ALL = [
    _labels("accuracy", "accuracy_score"),
    _labels("balanced_accuracy", "balanced_accuracy_score"),
    _labels("matthews_corrcoef", "matthews_corrcoef"),
    *_averages("f1", "f1_score"),
    *_averages("precision", "precision_score"),
    *_averages("recall", "recall_score"),
    *_averages("jaccard", "jaccard_score"),
    _labels("csmf_accuracy", "csmf_accuracy"),
    _labels("cod_accuracy", "cod_accuracy"),
    # Of the spans in texts, by `retrain.spans`; the last is the mean of f1_macro and span_f1.
    *(
        Metric(name, "", "spans", (SPANS,))
        for name in ("span_f1", "span_precision", "span_recall", "mean_f1")
    ),
    _ranking("roc_auc", "roc_auc_score"),
    _ranking("average_precision", "average_precision_score"),
    _several_auc("roc_auc_ovr", multi_class="ovr"),
    _several_auc("roc_auc_ovo", multi_class="ovo"),
    _several_auc("roc_auc_ovr_weighted", multi_class="ovr", average="weighted"),
    _several_auc("roc_auc_ovo_weighted", multi_class="ovo", average="weighted"),
    Metric("d2_log_loss_score", "d2_log_loss_score", "probabilities", _CLASSES),
    Metric("d2_brier_score", "d2_brier_score", "probabilities", _CLASSES),
    Metric("top_k_accuracy", "top_k_accuracy_score", "probabilities", (MULTICLASS,)),
    *_losses("log_loss", "log_loss", "log_loss", "probabilities", _CLASSES),
    *_losses("brier_score", "brier_score", "brier_score_loss", "positive", (BINARY,)),
    *_losses("rmse", "root_mean_squared_error", "root_mean_squared_error", "values", (REGRESSION,)),
    *_losses("mse", "mean_squared_error", "mean_squared_error", "values", (REGRESSION,)),
    *_losses("mae", "mean_absolute_error", "mean_absolute_error", "values", (REGRESSION,)),
    *_losses(
        "mape", "mean_absolute_percentage_error", "mean_absolute_percentage_error", "values", (REGRESSION,)
    ),
    *_losses(
        "median_absolute_error", "median_absolute_error", "median_absolute_error", "values", (REGRESSION,)
    ),
    *_losses("max_error", "max_error", "max_error", "values", (REGRESSION,)),
    *_losses("msle", "mean_squared_log_error", "mean_squared_log_error", "values", (REGRESSION,)),
    *_losses("rmsle", "root_mean_squared_log_error", "root_mean_squared_log_error", "values", (REGRESSION,)),
    *_losses(None, "mean_poisson_deviance", "mean_poisson_deviance", "values", (REGRESSION,)),
    *_losses(None, "mean_gamma_deviance", "mean_gamma_deviance", "values", (REGRESSION,)),
    Metric("r2", "r2_score", "values", (REGRESSION,)),
    Metric("explained_variance", "explained_variance_score", "values", (REGRESSION,)),
    Metric("d2_absolute_error_score", "d2_absolute_error_score", "values", (REGRESSION,)),
]

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""Every metric by name."""

USUAL_METRICS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        BINARY: ("roc_auc", "average_precision", "log_loss", "accuracy", "balanced_accuracy", "f1"),
        MULTICLASS: ("log_loss", "accuracy", "balanced_accuracy", "f1_macro"),
        REGRESSION: ("r2", "rmse", "mae"),
    }
)
"""What is reported beside the study's own metric, by task."""


COSTS: Mapping[str, str] = MappingProxyType(
    {
        "fit_seconds": "seconds of one fit",
        "predict_ms": "milliseconds that the prediction of one row takes alone, the median of 20",
        "model_kb": "size of the fitted model in kilobytes",
    }
)
"""What a model costs, by name: the less the better. None of it can be the study's own metric."""


RANKING_METRICS: Mapping[str, Direction] = MappingProxyType(
    {"pairwise_accuracy": Direction.MAXIMIZE, "pooled_pairwise_accuracy": Direction.MAXIMIZE}
)
"""Of a ranking, by name: the share of pairs that are ranked rightly, as a mean over users or over pairs."""


def direction_of(name: str) -> Direction | None:
    """Whether less or more of a metric or cost is better; None for one that is not known here."""
    if name in COSTS:
        return Direction.MINIMIZE
    return METRICS[name].direction if name in METRICS else RANKING_METRICS.get(name)


_BELOW_ZERO = ("matthews_corrcoef", "d2_log_loss_score", "d2_brier_score")
"""Metrics of classes that may be negative."""


def is_share(name: str) -> bool:
    """Whether a metric, with or without `test_`, is known to lie between 0 and 1, the best."""
    metric = METRICS.get(name.removeprefix("test_"))
    return name.removeprefix("test_") in RANKING_METRICS or (
        metric is not None
        and metric.direction is Direction.MAXIMIZE
        and metric.sign == 1
        and REGRESSION not in metric.tasks
        and metric.name not in _BELOW_ZERO
    )


def get_metric(name: str) -> Metric:
    """Return the metric of this name.

    Raises:
        ConfigError: there is none; names the closest.
    """
    if name not in METRICS:
        raise ConfigError(
            f"Unknown metric {name!r}.{did_you_mean(name, METRICS)}",
            "Known metrics: " + ", ".join(sorted(METRICS)),
        )
    return METRICS[name]


def score(metric: Metric, truth: "np.ndarray", predictions: Predictions, n_classes: int) -> float:
    """Compute `metric` on n rows.

    Args:
        metric: which one.
        truth: (n,) class codes 0..n_classes-1, or the values of a regression.
        predictions: what the model said about the same rows.
        n_classes: number of classes of the whole data set; 0 for a regression.

    Raises:
        UndefinedMetricError: the metric has no finite value on these rows.
    """
    import warnings

    import numpy as np

    said = next(
        part
        for part in (predictions.probabilities, predictions.ranking, predictions.labels)
        if part is not None
    )
    if not np.isfinite(said).all():
        raise UndefinedMetricError(
            f"{metric.name} is undefined: the model predicts {said[~np.isfinite(said)][0]}"
        )
    n_present = len(np.unique(truth)) if n_classes else 0
    if metric.every_class and n_present < n_classes:
        raise UndefinedMetricError(
            f"{metric.name} is undefined: the rows hold {n_present} of {n_classes} classes"
        )
    with warnings.catch_warnings():
        # scikit-learn warns of an undefined value, which is checked below, and of a class that was predicted
        # but does not occur, which costs a model its score already.
        warnings.simplefilter("ignore", UserWarning)
        value = float(_compute(metric, truth, predictions, n_classes))
    if not np.isfinite(value):
        raise UndefinedMetricError(f"{metric.name} is {value} on {len(truth)} rows")
    return metric.sign * value


def _compute(metric: Metric, truth: "np.ndarray", predictions: Predictions, n_classes: int) -> float:
    import sklearn.metrics

    ours = {"csmf_accuracy": csmf_accuracy, "cod_accuracy": cod_accuracy}
    function = ours.get(metric.function) or getattr(sklearn.metrics, metric.function)
    given, options = predictions.labels, dict(metric.options)
    if metric.needs in ("positive", "probabilities"):
        if predictions.probabilities is None:
            if not metric.ranks or predictions.ranking is None:
                raise UndefinedMetricError(f"{metric.name} is undefined: the model gives no probabilities")
            return float(function(truth, predictions.ranking, **options))
        given = predictions.probabilities
        if metric.needs == "positive" or (n_classes == 2 and metric.function == "roc_auc_score"):
            given = given[:, 1]
        else:
            options["labels"] = range(n_classes)
    return float(function(truth, given, **options))


def csmf_accuracy(truth: "np.ndarray", predicted: "np.ndarray") -> float:
    """Cause-specific mortality fraction accuracy: how well the shares of the causes are met, in [0, 1].

    1 - sum_j |true_j - predicted_j| / (2 (1 - min_j true_j)), where true_j and predicted_j are the shares of
    cause j among the deaths, over every cause that occurs in either. Deaths put down to the wrong cause do no
    harm as long as they cancel out. NaN where only one cause occurs.

    Source: Murray, Lopez, Feehan, Peter and Yang 2007, PLoS Medicine 4(11): e327; the formula as written out
    in Murray et al. 2011, Population Health Metrics 9: 28.
    """
    import numpy as np

    causes, codes = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    n = len(truth)
    true_shares = np.bincount(codes[:n], minlength=len(causes)) / n
    predicted_shares = np.bincount(codes[n:], minlength=len(causes)) / n
    worst = 2 * (1 - true_shares.min())
    return float(1 - np.abs(true_shares - predicted_shares).sum() / worst) if worst > 0 else float("nan")


def cod_accuracy(truth: "np.ndarray", predicted: "np.ndarray") -> float:
    """Cause-of-death accuracy: the share of single deaths whose cause is right, in [0, 1].

    The plain share, not the chance-corrected concordance of Murray et al. 2011.
    """
    import numpy as np

    return float(np.mean(truth == predicted))
