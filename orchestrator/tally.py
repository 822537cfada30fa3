"""What a run has to show so far: the incumbent, the baseline, the failures, how long experiments take."""

from collections import Counter, deque
from collections.abc import Iterable

from tuner.experiment import Experiment, Provenance, State, Study, loss_of

__all__ = ["Tally"]

_N_DURATIONS = 500


class Tally:
    """Follows a study as its experiments finish. Only results of one provenance are compared.

    Attributes:
        best: the best complete experiment; ties go to the older one.
        baseline: the latest complete experiment of the study's baseline.
        durations_s: seconds that the latest complete experiments took.
        n_complete: experiments told by `add` that are complete.
        failed: experiments told by `add` that failed for good.
    """

    def __init__(self, study: Study, provenance: Provenance, earlier: Iterable[Experiment] = ()) -> None:
        self._study = study
        self._provenance = provenance
        self.best: Experiment | None = None
        self.baseline: Experiment | None = None
        self.durations_s: deque[float] = deque(maxlen=_N_DURATIONS)
        self.n_complete = 0
        self.failed: list[Experiment] = []
        for experiment in earlier:
            self._learn(experiment)

    def add(self, experiment: Experiment) -> None:
        """Take in an experiment that finished just now."""
        if experiment.state is State.COMPLETE:
            self.n_complete += 1
            self._learn(experiment)
        elif experiment.state is State.FAILED:
            self.failed.append(experiment)

    def causes(self) -> list[tuple[str, int]]:
        """Why experiments failed, most common first: outcome and message, with how many."""
        causes = Counter(f"{e.outcome}: {e.error}" if e.outcome else str(e.error) for e in self.failed)
        return causes.most_common()

    def _learn(self, experiment: Experiment) -> None:
        if experiment.duration_s is not None:
            self.durations_s.append(experiment.duration_s)
        if experiment.value is None or experiment.provenance != self._provenance:
            return
        if dict(experiment.params) == dict(self._study.baseline):
            self.baseline = experiment
        if self.best is None or self._loss(experiment) < self._loss(self.best):
            self.best = experiment

    def _loss(self, experiment: Experiment) -> float:
        assert experiment.value is not None
        return loss_of(experiment.value, self._study.direction)
