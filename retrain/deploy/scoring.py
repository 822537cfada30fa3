"""Scoring a configuration on the present data: cross-validated, and with a fitted model, on the holdout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from retrain.config import Config
from retrain.deploy.files import storage_errors
from retrain.deploy.gate import Figures, Needs
from retrain.deploy.golden import golden_document
from retrain.metrics import METRICS, RANKING_METRICS
from retrain.pipeline import Detail, GroupScore, Pipeline, Scores, evaluate_in_detail
from retrain.results import ResultError, check_report, check_result, failure_of
from tuner.errors import RetrainError
from tuner.experiment import Direction, Params
from tuner.space import config_key

__all__ = ["Scored", "Scorer", "direction_of", "fresh_seeds"]

_CLOSE = 1e-6
_GATE = 0x67617465
"""Keeps the seeds of the gate apart from all others that follow from the study's seed."""


def fresh_seeds(seed: int, n: int) -> list[int]:
    """Seeds of the gate's own cross-validations: their folds were in no search, and are the same for all."""
    children = np.random.SeedSequence([seed, _GATE]).spawn(n)
    return [int(child.generate_state(1)[0]) for child in children]


_Groups = Mapping[str, Mapping[str, Mapping[str, GroupScore]]]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Scored:
    """Figures of one configuration, the model that was fitted with it, and how; None where none can be."""

    figures: Figures
    model: Any
    fit: Mapping[str, Any] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What people must know of the fit."""
        return () if self.fit is None or "note" not in self.fit else (str(self.fit["note"]),)


class Scorer:
    """Scores configurations with one pipeline and one seed; each of them once.

    Args:
        pipeline: loaded with its data.
        seed: of the splits and of the fit.
        needs: what the gate has to know besides.
        looked: is told of every look at the holdout, with what was seen.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        seed: int,
        needs: Needs | None = None,
        looked: Callable[[Params, Scores], object] | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.seed = seed
        self.needs = needs or Needs()
        self._looked = looked
        self._evaluated: dict[str, Figures] = {}
        self._scored: dict[str, Scored] = {}

    def evaluate(self, params: Params) -> Figures:
        """Score without the holdout: what the search sees.

        Raises:
            RetrainError: the user's code failed, or returned something that is no result; says what.
        """
        key = config_key(params)
        if key not in self._evaluated:
            self._evaluated[key] = self._evaluate(params, self.seed)
        return self._evaluated[key]

    def score(self, params: Params, repeats: int = 0) -> Scored:
        """Evaluate, and where the pipeline can, fit on all training data and test on the holdout.

        Args:
            params: the configuration.
            repeats: this many cross-validations with fresh folds come on top, at least.

        Raises:
            RetrainError: as for `evaluate`.
        """
        key = config_key(params)
        found = self._scored.get(key) or self._tested(params, self.evaluate(params))
        fresh = found.figures.fresh
        for seed in fresh_seeds(self.seed, repeats)[len(fresh) :]:
            fresh = (*fresh, self._evaluate(params, seed).detail)
        self._scored[key] = replace(found, figures=replace(found.figures, fresh=fresh))
        return self._scored[key]

    def _tested(self, params: Params, figures: Figures) -> Scored:
        pipeline, needs = self.pipeline, self.needs
        if not pipeline.can_fit:
            return Scored(figures, None)
        model = _guarded("Fitting", params, lambda: pipeline.fit(params, self.seed))

        def test() -> tuple[Any, Detail]:
            return _detailed(pipeline.test_in_detail(model, needs.test_by))

        scores, of_test = _guarded("Testing", params, test)
        if self._looked is not None:
            self._looked(params, scores)
        metrics = {**figures.metrics, **scores.metrics}
        if needs.costs:
            metrics |= _guarded("Measuring", params, lambda: pipeline.costs_of(model, needs.costs))
        detail = Detail(figures.detail.folds, _merged(figures.detail.groups, of_test.groups))
        fit = _guarded("Fitting", params, lambda: dict(pipeline.fit_rule(model)))
        tested = replace(figures, metrics=metrics, n_test_rows=scores.n_rows, detail=detail)
        return Scored(replace(tested, left_out=scores.left_out), model, fit)

    def _evaluate(self, params: Params, seed: int) -> Figures:
        """Cross-validate with the folds of one seed."""
        pipeline, metric = self.pipeline, self.pipeline.metric
        reported: dict[int, float] = {}

        def report(step: int, metrics: Mapping[str, float]) -> None:
            reported.update({m.step: m.value for m in check_report(step, metrics) if m.metric == metric})

        def evaluate() -> tuple[Any, Detail]:
            return _detailed(evaluate_in_detail(pipeline, params, report, seed, self.needs.by))

        raw, detail = _guarded("Scoring", params, evaluate)
        evaluation = check_result(raw, metric)
        reported = reported or {m.step: m.value for m in evaluation.measurements if m.metric == metric}
        folds = reported if _are_folds(reported, evaluation.value) else {}
        if folds and metric not in detail.folds:
            detail = replace(detail, folds={**detail.folds, metric: tuple(folds.values())})
        metrics = {metric: evaluation.value, **evaluation.metrics}
        return Figures(evaluation.value, evaluation.std_error, folds, metrics, detail=detail)

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


def _detailed(returned: object) -> tuple[Any, Detail]:
    """What a pipeline returned, and the detail behind it."""
    if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Detail):
        return returned
    raise ResultError(f"A pair of a result and its Detail was expected, but got {type(returned).__name__}.")


def _merged(one: _Groups, other: _Groups) -> _Groups:
    """The groups of both, column by column; their metrics differ."""
    return {column: {**one.get(column, {}), **other.get(column, {})} for column in {*one, *other}}


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
    name = metric.removeprefix("test_")
    return METRICS[name].direction if name in METRICS else RANKING_METRICS.get(name)
