"""Follows the learning curves of a study, and asks its pruner after each report.

What a pruner is handed are losses: the sign changes here, and the scores of folds become their running mean.
Pipelines number their folds from 0; here a step is how many are done, so that a grace of 1 is over after one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from retrain.pipeline import LOOK_PREFIX, STEP_PREFIX
from tuner.experiment import Experiment, Measurement, Provenance, State, Study, loss_of
from tuner.pruners import Curve, Pruner
from tuner.registry.base import RegistryReader

__all__ = ["Judge"]

_REFERENCES = ("default", "deployed")
"""What the others are compared with is never pruned."""

_MOST_CURVES = 2_000
"""The latest of a study are as good a measure as all."""

Losses = tuple[float, ...]


@dataclass
class _Reports:
    """What one experiment reported: metrics by step, what these are, and what they count."""

    by_step: dict[int, dict[str, float]] = field(default_factory=dict)
    looks: dict[int, tuple[str, float]] = field(default_factory=dict)
    unit: str = ""
    state: State = State.RUNNING

    def take(self, step: int, metrics: Mapping[str, float]) -> dict[str, float]:
        """Add metrics to a step; returns all of that step."""
        told = self.by_step.setdefault(step, {})
        told.update(metrics)
        self.looks.update((step, look) for look in metrics.items() if look[0].startswith(LOOK_PREFIX))
        self.unit = next((name for name in metrics if name.startswith(STEP_PREFIX)), self.unit)
        return told

    def is_like(self, other: "_Reports") -> bool:
        """Whether their steps are the same thing, as far as they say what these are."""
        if self.unit != other.unit:
            return False
        if not self.looks or not other.looks:
            return not self.looks and not other.looks
        return all(other.looks.get(step, look) == look for step, look in self.looks.items())


class Judge:
    """Says which running experiments should stop.

    Args:
        pruner: decides.
        study: whose metric, direction and objectives count.
        provenance: only curves of this are compared.
        folds: the steps are folds, each of which reports a score of its own.

    Attributes:
        lacking: further objectives that reports of the metric came without; at those nothing is stopped.
    """

    def __init__(self, pruner: Pruner, study: Study, provenance: Provenance, *, folds: bool = False) -> None:
        self._pruner = pruner
        self._study = study
        self._provenance = provenance
        self._averages = folds and not pruner.compares_folds
        self._shift = int(folds)
        self._reports: dict[int, _Reports] = {}
        self._curves: dict[int, Curve] = {}
        self._n_ended = 0
        self.lacking: set[str] = set()

    def should_prune(self, experiment: Experiment, step: int, metrics: Mapping[str, float]) -> bool:
        """Take in a report of a running experiment; True where it should stop now."""
        reports = self._reports.setdefault(experiment.id, _Reports())
        told = reports.take(step, metrics)
        if self._study.metric in told:
            self.lacking.update(
                each.metric for each in self._study.goals.objectives if each.metric not in told
            )
        own = self._curves[experiment.id] = self._after(experiment.id, reports, step)
        if experiment.method in _REFERENCES or own.step != step + self._shift:
            return False
        others = [
            curve
            for number, curve in self._curves.items()
            if number != experiment.id and reports.is_like(self._reports[number])
        ]
        if any(each.complete and each.step == own.step for each in others):
            return False  # this was its last step, too: there is nothing left to save
        return self._pruner.should_prune(own, others)

    def end(self, experiment: Experiment, measurements: Iterable[Measurement]) -> None:
        """Take in how an experiment ended; what did not end for good begins anew at its next attempt."""
        self._n_ended += experiment.state.finished
        if experiment.state in (State.COMPLETE, State.PRUNED):
            self._learn(experiment.id, measurements, experiment.state)
        else:
            self.forget(experiment)

    def forget(self, experiment: Experiment) -> None:
        """Drop the curve of an attempt that was given back."""
        self._reports.pop(experiment.id, None)
        self._curves.pop(experiment.id, None)

    def catch_up(self, registry: RegistryReader, n_ended: int, is_ours: Callable[[Experiment], bool]) -> None:
        """Read what others have measured in this study, where more have ended than this one knows of.

        Args:
            registry: where to read.
            n_ended: how many experiments of the study are finished.
            is_ours: of the running ones, those that report here.
        """
        if n_ended == self._n_ended:
            return
        self._n_ended = n_ended
        states = (State.COMPLETE, State.PRUNED, State.RUNNING)
        rows = registry.experiments(self._study, states=states, limit=_MOST_CURVES, newest_first=True)
        for row in rows:
            known = self._reports.get(row.id)
            if row.state is State.RUNNING:
                if not is_ours(row):
                    self._learn(row.id, registry.measurements(row), row.state)
            elif (known is None or known.state is State.RUNNING) and self._is_comparable(row):
                self._learn(row.id, registry.measurements(row), row.state)

    def _is_comparable(self, row: Experiment) -> bool:
        return (row.provenance or row.ended_on) == self._provenance

    def _learn(self, number: int, measurements: Iterable[Measurement], state: State) -> None:
        reports = self._reports[number] = _Reports(state=state)
        for each in measurements:
            reports.take(each.step, {each.metric: each.value})
        curve = self._curve(number, reports)
        self._curves[number] = replace(curve, complete=state is State.COMPLETE)

    def _after(self, number: int, reports: _Reports, step: int) -> Curve:
        """The curve with the report of a step: made anew only where that is not simply the next of it."""
        known = self._curves.get(number)
        if known is None or self._averages or step <= known.step:
            return self._curve(number, reports)
        losses = self._losses(reports.by_step[step])
        return known if losses is None else known.then(step, losses)

    def _curve(self, number: int, reports: _Reports) -> Curve:
        told = {step: losses for step, each in reports.by_step.items() if (losses := self._losses(each))}
        steps = tuple(sorted(told))
        reported = tuple(told[step] for step in steps)
        steps = tuple(step + self._shift for step in steps)
        return Curve(number, steps, _running_means(reported) if self._averages else reported)

    def _losses(self, metrics: Mapping[str, float]) -> Losses | None:
        """Of the study's metric and its further objectives; None where one is not there."""
        if self._study.metric not in metrics:
            return None
        others = self._study.goals.losses(metrics)
        if others is None:
            return None
        return (loss_of(metrics[self._study.metric], self._study.direction), *others)


def _running_means(losses: tuple[Losses, ...]) -> tuple[Losses, ...]:
    means: list[Losses] = []
    sums = [0.0] * len(losses[0]) if losses else []
    for n, each in enumerate(losses, 1):
        sums = [total + loss for total, loss in zip(sums, each, strict=True)]
        means.append(tuple(total / n for total in sums))
    return tuple(means)
