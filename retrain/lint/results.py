"""What one result says against itself: its direction, and what was reported on the way to it."""

import re
from collections.abc import Iterable

from retrain.doctor import Finding, Verdict
from retrain.lint.probe import Score
from retrain.metrics import direction_of
from retrain.pipeline import Pipeline
from tuner.experiment import Direction

__all__ = ["about_result"]

_CLOSE = 1e-6
_LARGE_IS_GOOD = re.compile(r"(^|_)(auc|accuracy|acc|f1|precision|recall|r2|kappa|ndcg|iou|reward)$")
_SMALL_IS_GOOD = re.compile(r"(^|_)(loss|error|rmse|mse|mae|mape|deviance|perplexity|regret|wer)$")
_GUESSING = {"roc_auc": 0.5, "roc_auc_ovr": 0.5, "roc_auc_ovo": 0.5, "r2": 0.0, "matthews_corrcoef": 0.0}
"""Metrics of which guessing, or always saying the mean, gives this value."""
_MARGIN = 0.05


def about_result(pipeline: Pipeline, score: Score) -> Iterable[Finding]:
    """Look at the score of the defaults, which is there."""
    assert score.value is not None
    metric, value = pipeline.metric, score.value
    wanted = _direction(metric)
    known = direction_of(metric) is not None
    guessed = _GUESSING.get(metric)
    if wanted is not None and wanted is not pipeline.direction:
        yield Finding(
            "direction",
            Verdict.PROBLEM if known else Verdict.WARNING,
            f"{metric} is to {pipeline.direction.value}, which by its name it is not meant to",
            f'Say direction = "{wanted.value}" under [pipeline], or call it otherwise.',
        )
    elif guessed is not None and value < guessed - _MARGIN:
        yield Finding(
            "direction",
            Verdict.WARNING,
            f"{metric} is {value:.4g} with the defaults, worse than the {guessed:g} of guessing",
            "Look whether labels, sign or rows are turned round.",
        )
    else:
        yield Finding("defaults", Verdict.OK, f"{metric} is {value:.6g}, to {pipeline.direction.value}")
    yield from _about_reports(metric, value, score)


def _direction(metric: str) -> Direction | None:
    if (known := direction_of(metric)) is not None:
        return known
    turned = metric.startswith("neg_")
    for pattern, direction in (
        (_LARGE_IS_GOOD, Direction.MINIMIZE if turned else Direction.MAXIMIZE),
        (_SMALL_IS_GOOD, Direction.MAXIMIZE if turned else Direction.MINIMIZE),
    ):
        if pattern.search(metric):
            return direction
    return None


def _about_reports(metric: str, value: float, score: Score) -> Iterable[Finding]:
    reported = [each.value for each in score.reports if each.metric == metric]
    if score.reports and not reported:
        names = ", ".join(sorted({each.metric for each in score.reports}))
        yield Finding(
            "reports",
            Verdict.WARNING,
            f"they hold {names}, but not {metric}, so that nothing can be paired or stopped by them",
            f'Report it by its name: report(step, {{"{metric}": ...}}).',
        )
    if len(reported) < 2:
        return
    meant = {
        "mean (folds)": sum(reported) / len(reported),
        "last (rounds)": reported[-1],
        "best (rounds)": min(reported, key=lambda each: abs(each - value)),
    }
    fits = [name for name, each in meant.items() if abs(each - value) <= _CLOSE * max(1.0, abs(value))]
    if fits:
        yield Finding("reports", Verdict.OK, f"{metric} is the {fits[0]} of its {len(reported)} reports")
        return
    yield Finding(
        "reports",
        Verdict.WARNING,
        f"{metric} is {value:.6g}, but its {len(reported)} reports have the mean "
        f"{meant['mean (folds)']:.6g}, and none is equal to it: "
        "they count as rounds, and nothing is compared in pairs",
        "Report each fold by its own step, and return the mean of them.",
    )
