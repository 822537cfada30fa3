"""Figures made by hand, and a judge that asks no more than it must."""

from collections.abc import Sequence
from typing import Any

from retrain.config import GateConfig
from retrain.config.gate import named
from retrain.deploy import Figures, Verdict, judge
from retrain.metrics import direction_of
from retrain.pipeline import Detail, GroupScore
from tuner.experiment import Direction

MAX, MIN = Direction.MAXIMIZE, Direction.MINIMIZE


def figures(value: float, *folds: float, std_error: float | None = None, **metrics: float) -> Figures:
    return Figures(value, std_error, dict(enumerate(folds)), {"auc": value, **metrics})


def fresh(value: float, *repeats: Sequence[float], metric: str = "auc") -> Figures:
    """Figures with fresh cross-validations, and no folds of the study's."""
    details = tuple(Detail({metric: tuple(folds)}) for folds in repeats)
    return Figures(value, metrics={"auc": value, metric: value}, fresh=details)


def grouped(value: float, groups: dict[str, tuple[float | None, int]], metric: str = "auc") -> Figures:
    """Figures by site: {site: (score, rows)}."""
    scores = {
        site: GroupScore(score, n, "" if score is not None else "one class")
        for site, (score, n) in groups.items()
    }
    return Figures(value, metrics={"auc": value}, detail=Detail(groups={"site": {metric: scores}}))


def verdicts(
    new: Figures, old: Figures | None, *gates: dict[str, Any], **options: Any
) -> tuple[Verdict, ...]:
    options = {
        "metric": "auc",
        "direction": MAX,
        "direction_of": lambda metric: direction_of(metric.removeprefix("test_")),
        **options,
    }
    return judge(named([GateConfig(**gate) for gate in gates]), new, old, **options)


def verdict(new: Figures, old: Figures | None, *gates: dict[str, Any], **options: Any) -> Verdict:
    """The verdict on the one bound given, or of the default gate where none is."""
    return verdicts(new, old, *gates, **options)[-1]
