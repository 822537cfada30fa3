"""Tells a broken pipeline from a region that crashes: how many experiments in a row failed alike."""

import re
from collections.abc import Sequence

from tuner.experiment import Experiment, Outcome, State

__all__ = ["SameErrors", "fingerprint"]

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(\.\d*)?([eE][-+]?\d+)?")
_FRAME = re.compile(r'\s*File "')
_COUNTS = (Outcome.ERROR, Outcome.BAD_RESULT, Outcome.NON_FINITE)
_SAYS_NOTHING = (Outcome.WORKER_LOST, Outcome.CANCELLED)
_MOST_SEEN = 1_000
_MOST_TIMES = 1_000


class SameErrors:
    """Follows the ends of experiments, in the order in which they come.

    Only experiments count that failed for good with an error of the pipeline or a result that is none. A
    success, another error or another kind of failure ends the row; a lost worker or a cancelled experiment
    leaves it as it is.

    Attributes:
        times: when each of the present row ended, oldest first.
        last: the last experiment of the row, or None.
    """

    def __init__(self) -> None:
        self._present: int | None = None
        self._seen: set[int] = set()
        self._outlived: set[int] = set()
        self.times: list[float] = []
        self.last: Experiment | None = None

    @property
    def is_regional(self) -> bool:
        """Whether experiments succeeded after the same error had come before: then not everything fails."""
        return self._present in self._outlived

    def add(self, experiment: Experiment, now: float) -> None:
        """Take in an experiment that finished for good."""
        if experiment.outcome in _SAYS_NOTHING:
            return
        if experiment.outcome not in _COUNTS:
            if experiment.state in (State.COMPLETE, State.PRUNED):
                self._outlived |= self._seen
            self._present, self.times, self.last = None, [], None
            return
        found = hash(fingerprint(experiment))
        if found != self._present:
            self._present, self.times = found, []
        if len(self._seen) < _MOST_SEEN:
            self._seen.add(found)
        if len(self.times) < _MOST_TIMES:
            self.times.append(now)
        self.last = experiment


def fingerprint(experiment: Experiment) -> Sequence[str]:
    """What two failures share when they are the same: kind, frames and all words, but not numbers in words.

    Where there is no traceback, as of a program in another language or a result that is none, the message
    stands for it.
    """
    lines = (experiment.traceback or experiment.error or "").splitlines()
    words = (line if _FRAME.match(line) else _NUMBER.sub("0", line) for line in lines)
    return str(experiment.outcome), *words
