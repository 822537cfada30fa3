"""What a run has to show so far: the incumbent, the baseline, the failures, how long experiments take.

What it keeps does not grow with the number of experiments.
"""

from bisect import bisect_left, insort
from collections import Counter, deque
from collections.abc import Iterable

from tuner.experiment import Experiment, Provenance, State, Study, loss_of

__all__ = ["N_DURATIONS", "Tally"]

N_DURATIONS = 500
"""How many of the latest durations the typical one is taken from."""

_TYPICAL_NEEDS = 5
_N_CAUSES = 1_000
_OTHERS = "further causes, each another one"


class Tally:
    """Follows a study as its experiments finish. Only results of one provenance are compared.

    Args:
        earlier: complete experiments of the study from before, in any number: the best and the baseline among
            them, and some of the latest, from which the typical duration is learnt.

    Attributes:
        best: the best complete experiment that keeps the study's limits; ties go to the older one.
        baseline: the latest complete experiment of the study's baseline.
        n_complete: experiments told by `add` that are complete.
        n_pruned: experiments told by `add` that a pruner stopped.
        n_failed: experiments told by `add` that failed for good.
    """

    def __init__(self, study: Study, provenance: Provenance, earlier: Iterable[Experiment] = ()) -> None:
        self._study = study
        self._provenance = provenance
        self._baseline_params = dict(study.baseline)
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []
        self._causes: Counter[str] = Counter()
        self.best: Experiment | None = None
        self.baseline: Experiment | None = None
        self.n_complete = 0
        self.n_pruned = 0
        self.n_failed = 0
        for experiment in earlier:
            self._learn(experiment)

    @property
    def typical_s(self) -> float | None:
        """Median seconds of the latest complete experiments, or None while fewer than five are known."""
        n = len(self._sorted)
        if n < _TYPICAL_NEEDS:
            return None
        return (self._sorted[(n - 1) // 2] + self._sorted[n // 2]) / 2

    def add(self, experiment: Experiment) -> None:
        """Take in an experiment that finished just now."""
        if experiment.state is State.COMPLETE:
            self.n_complete += 1
            self._learn(experiment)
        elif experiment.state is State.PRUNED:
            self.n_pruned += 1
        elif experiment.state is State.FAILED:
            self.n_failed += 1
            error = str(experiment.error)
            cause = f"{experiment.outcome}: {error}" if experiment.outcome else error
            self._causes[cause if cause in self._causes or len(self._causes) < _N_CAUSES else _OTHERS] += 1

    def causes(self) -> list[tuple[str, int]]:
        """Why experiments failed, most common first: outcome and message, with how many."""
        return self._causes.most_common()

    def _learn(self, experiment: Experiment) -> None:
        if experiment.duration_s is not None:
            self._took(experiment.duration_s)
        if experiment.value is None or experiment.provenance != self._provenance:
            return
        if experiment.params == self._baseline_params:
            self.baseline = experiment
        if not experiment.feasible:
            return
        if self.best is None or self._loss(experiment) < self._loss(self.best):
            self.best = experiment

    def _took(self, duration_s: float) -> None:
        self._latest.append(duration_s)
        insort(self._sorted, duration_s)
        if len(self._latest) > N_DURATIONS:
            del self._sorted[bisect_left(self._sorted, self._latest.popleft())]

    def _loss(self, experiment: Experiment) -> float:
        assert experiment.value is not None
        return loss_of(experiment.value, self._study.direction)
