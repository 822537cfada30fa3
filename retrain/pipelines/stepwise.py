"""Folds that are scored before they are whole: after some rounds or epochs, or on a part of their rows.

Either all folds go forward side by side, so that a step is the mean over the same folds as the value at the
end; or they are fitted one after the other, and only the first is looked at on its way.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from retrain.metrics import UndefinedMetricError, get_metric, score
from retrain.models import ModelFamily, family_module, make_model
from retrain.pipeline import FOLD_SUFFIX, FOLDS, LOOK_PREFIX, STEP_PREFIX, Report
from retrain.pipelines.artifact import fit_estimator, predict
from retrain.pipelines.folds import Fold
from retrain.pipelines.lockstep import Pause, in_lockstep
from retrain.pipelines.scoring import FoldScores, means
from tuner.experiment import Measurement, Params

__all__ = ["Marks", "Stepwise"]

_DEFAULT_ROUNDS = 100
"""`n_estimators` of all families that learn in rounds, where nobody says."""

Marks = dict[str, float] | None
"""The metrics that count at one step; None where one of them has no value there."""

Job = Callable[[Pause[Marks] | None], FoldScores]
"""Scores one fold; with a `pause`, also on its way."""


@dataclass(frozen=True, slots=True)
class Stepwise:
    """How a fold is scored on its way.

    Attributes:
        unit: "rounds", "epochs" or "samples" (a percentage of the rows to learn from).
        looks: after so much the first fold is looked at, ascending; each of these and each fold is one step.
            Empty where all folds go side by side, looked at in steps of `first * ratio ** k`.
        first, ratio: as above.
        metrics: those that count.
        task, n_classes: of the table.
    """

    unit: str
    looks: Sequence[int]
    first: int
    ratio: float
    metrics: Sequence[str]
    task: str
    n_classes: int

    def last(self, given: Params, n_folds: int) -> int:
        """The step at which a configuration has come to its end."""
        return len(self.looks) + n_folds if self.looks else self._whole(given)

    def _whole(self, given: Params) -> int:
        """How many rounds, epochs or percent a whole fit has."""
        if self.unit == "samples":
            return 100
        if self.unit == "epochs":
            return int(str(given.get("epochs", 1)))  # of naive Bayes, which takes no number of them
        return int(str(given.get("n_estimators") or _DEFAULT_ROUNDS))

    def marked(self, whole: int) -> Iterator[int]:
        """After how many rounds, epochs or percent to look, ascending, and all below `whole`."""
        if self.looks:
            yield from (look for look in self.looks if look < whole)
            return
        k, before = 0, 0
        while (step := int(self.first * self.ratio**k)) < whole:
            if step > before:
                yield (before := step)
            k += 1

    def fit_parts(
        self, family: ModelFamily, given: Params, fold: Fold, seeds: tuple[int, int], pause: Pause[Marks]
    ) -> None:
        """Fit on growing parts of the rows, each of which holds the smaller ones; `seeds`: study, fold."""
        shuffled = np.random.default_rng(seeds).permutation(len(fold.y_train))
        for percent in self.marked(100):
            part = np.sort(shuffled[: max(1, len(shuffled) * percent // 100)])
            smaller = replace(fold, x_train=fold.x_train[part], y_train=fold.y_train[part])
            if self.n_classes and (smaller.y_train == smaller.y_train[0]).all():
                pause(percent, None)
                continue
            estimator = make_model(family.name, given, self.task, seeds[0])
            present = fit_estimator(estimator, smaller.x_train, smaller.y_train, self.n_classes)
            pause(percent, self._marks(estimator, fold, present))

    def fit_watched(
        self, family: ModelFamily, estimator: Any, given: Params, fold: Fold, pause: Pause[Marks]
    ) -> np.ndarray | None:
        """Fit as `fit_estimator` does, looking at it after some of its rounds or epochs."""
        present, codes = (
            np.unique(fold.y_train, return_inverse=True) if self.n_classes else (None, fold.y_train)
        )
        steps = set(self.marked(self._whole(given)))

        def at(step: int, model: Any) -> None:
            if step in steps:
                pause(step, self._marks(model, fold, present))

        module = family_module(family.name)
        fit = module.fit_epochs if self.unit == "epochs" else module.fit_rounds
        fit(estimator, fold.x_train, codes, at)
        return present

    def _marks(self, model: Any, fold: Fold, present: np.ndarray | None) -> Marks:
        predictions = predict(model, fold.x_valid, present, self.n_classes)
        try:
            return {
                name: score(get_metric(name), fold.y_valid, predictions, self.n_classes)
                for name in self.metrics
            }
        except UndefinedMetricError:
            return None

    def scored(self, jobs: Sequence[Job], report: Report) -> tuple[list[FoldScores], list[Measurement]]:
        """Score all folds, reporting the metrics that count at each step before the last.

        Returns:
            What the folds came to, and the curve.
        """
        curve: list[Measurement] = []

        def tell(step: int, marks: Sequence[Marks]) -> None:
            known = [each for each in marks if each is not None]
            if len(known) == len(marks):
                told = means(known) | self._said_of(step)
                curve.extend(Measurement(step, name, value) for name, value in told.items())
                report(step, told)

        return self._in_turn(jobs, tell) if self.looks else in_lockstep(jobs, tell), curve

    def whole_curve(
        self, curve: Sequence[Measurement], metric: str, value: float, last: int, folds: Sequence[FoldScores]
    ) -> tuple[Measurement, ...]:
        """The curve with its end, and the scores of the folds there."""
        end = {metric: value} | self._said_of(last)
        ended = (Measurement(last, name, number) for name, number in end.items())
        scores = (Measurement(i, metric + FOLD_SUFFIX, fold.metrics[metric]) for i, fold in enumerate(folds))
        return (*curve, *ended, *scores)

    def _said_of(self, step: int) -> dict[str, float]:
        """What this step is: its number alone does not say it."""
        if not self.looks:
            return {STEP_PREFIX + self.unit: float(step)}
        n_whole = step - len(self.looks)
        unit, amount = (FOLDS, n_whole) if n_whole > 0 else (self.unit, self.looks[step - 1])
        return {LOOK_PREFIX + unit: float(amount)}

    def _in_turn(self, jobs: Sequence[Job], tell: Callable[[int, Sequence[Marks]], None]) -> list[FoldScores]:
        """One fold after the other; a step is the mean of those that are whole, or a look at the first."""
        done: list[FoldScores] = []
        for job in jobs:
            if done:
                whole = [{name: fold.metrics[name] for name in self.metrics} for fold in done]
                tell(len(self.looks) + len(done), whole)
            pause = None if done else lambda look, marks: tell(self.looks.index(look) + 1, [marks])
            done.append(job(pause))
        return done
