"""Scoring a configuration on the present data: cross-validated, and with a fitted model, on the holdout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from retrain.config import Config
from retrain.deploy.files import storage_errors
from retrain.deploy.gate import Figures
from retrain.deploy.golden import golden_document
from retrain.metrics import METRICS
from retrain.pipeline import Pipeline
from retrain.results import check_report, check_result, failure_of
from tuner.errors import RetrainError
from tuner.experiment import Direction, Params
from tuner.space import config_key

__all__ = ["Scored", "Scorer", "direction_of"]

_CLOSE = 1e-6

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Scored:
    """Figures of one configuration, and the model that was fitted with it (None where none can be)."""

    figures: Figures
    model: Any


class Scorer:
    """Scores configurations with one pipeline and one seed; each of them once.

    Args:
        pipeline: loaded with its data.
        seed: of the splits and of the fit.
    """

    def __init__(self, pipeline: Pipeline, seed: int) -> None:
        self.pipeline = pipeline
        self.seed = seed
        self._evaluated: dict[str, Figures] = {}
        self._scored: dict[str, Scored] = {}

    def evaluate(self, params: Params) -> Figures:
        """Score without the holdout: what the search sees.

        Raises:
            RetrainError: the user's code failed, or returned something that is no result; says what.
        """
        key = config_key(params)
        if key not in self._evaluated:
            self._evaluated[key] = self._evaluate(params)
        return self._evaluated[key]

    def score(self, params: Params) -> Scored:
        """Evaluate, and where the pipeline can, fit on all training data and test on the holdout.

        Raises:
            RetrainError: as for `evaluate`.
        """
        key = config_key(params)
        if key not in self._scored:
            self._scored[key] = self._tested(params, self.evaluate(params))
        return self._scored[key]

    def _evaluate(self, params: Params) -> Figures:
        pipeline, metric = self.pipeline, self.pipeline.metric
        reported: dict[int, float] = {}

        def report(step: int, metrics: Mapping[str, float]) -> None:
            reported.update({m.step: m.value for m in check_report(step, metrics) if m.metric == metric})

        evaluation = check_result(
            _guarded("Scoring", params, lambda: pipeline.evaluate(params, report, self.seed)), metric
        )
        reported = reported or {m.step: m.value for m in evaluation.measurements if m.metric == metric}
        folds = reported if _are_folds(reported, evaluation.value) else {}
        metrics = {metric: evaluation.value, **evaluation.metrics}
        return Figures(evaluation.value, evaluation.std_error, folds, metrics)

    def _tested(self, params: Params, figures: Figures) -> Scored:
        pipeline = self.pipeline
        if not pipeline.can_fit:
            return Scored(figures, None)
        model = _guarded("Fitting", params, lambda: pipeline.fit(params, self.seed))
        scores = _guarded("Testing", params, lambda: pipeline.test(model))
        metrics = {**figures.metrics, **scores.metrics}
        return Scored(replace(figures, metrics=metrics, n_test_rows=scores.n_rows), model)

    def save(self, params: Params, folder: Path) -> None:
        """Save the model fitted with `params` into a folder.

        Raises:
            StorageError: the disk refused.
            RetrainError: the user's code failed otherwise.
        """
        model = self.score(params).model

        def write() -> None:
            with storage_errors("saving the model"):
                self.pipeline.save(model, folder)

        _guarded("Saving", params, write)

    def golden(self, params: Params, config: Config) -> dict[str, Any] | None:
        """What the model fitted with `params` predicts for some rows; None where it cannot be asked.

        Raises:
            RetrainError: the user's code failed.
        """
        if not (self.pipeline.can_fit and self.pipeline.can_predict):
            return None
        model = self.score(params).model
        return _guarded("Predicting", params, lambda: golden_document(config, self.pipeline, model))


def _are_folds(reported: Mapping[int, float], value: float) -> bool:
    """Reports may be of rounds or epochs: only those whose mean is the value are folds."""
    if len(reported) < 2:
        return False
    mean = sum(reported.values()) / len(reported)
    return abs(mean - value) <= _CLOSE * max(1.0, abs(value))


def _guarded(doing: str, params: Params, call: Callable[[], Result]) -> Result:
    try:
        return call()
    except RetrainError:
        raise
    except (Exception, SystemExit) as error:  # user code may raise anything
        failure = failure_of(error)
        shown = ", ".join(f"{name}={value!r}" for name, value in params.items())
        raise RetrainError(
            f"{doing} failed with {shown}: {failure.message}", "See where with --debug."
        ) from error


def direction_of(metric: str) -> Direction | None:
    """Whether less or more of a metric is better, with or without `test_`; None for an unknown one."""
    known = METRICS.get(metric.removeprefix("test_"))
    return known.direction if known is not None else None
