"""Scoring configurations within a budget, and telling whether two scores are the same."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from retrain.metrics import COSTS
from retrain.pipeline import Pipeline
from retrain.results import check_goals, check_report, check_result, failure_of
from tuner.experiment import Failure, Measurement, Params

__all__ = ["Probe", "Score", "score"]

_TIMING = re.compile(r"(^|_)(seconds?|duration|elapsed|time|latency|m?s)$")


@dataclass(frozen=True, slots=True)
class Score:
    """What one evaluation gave: plain values, or a failure.

    Attributes:
        value: of the pipeline's metric; None where it failed.
        metrics: the others.
        reports: what was reported on the way, in order.
        failure: why there is no value.
    """

    value: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    reports: tuple[Measurement, ...] = ()
    failure: Failure | None = None

    def equals(self, other: "Score", echoed: Iterable[str] = ()) -> bool:
        """Whether both are the same to the last digit, but for times and for the metrics `echoed`."""
        ignored = set(echoed)

        def told(score: Score) -> object:
            metrics = {k: v for k, v in score.metrics.items() if not _is_timing(k) and k not in ignored}
            reports = [r for r in score.reports if not _is_timing(r.metric) and r.metric not in ignored]
            failed = None if score.failure is None else (score.failure.outcome, score.failure.message)
            return score.value, metrics, reports, failed

        return told(self) == told(other)


def _is_timing(metric: str) -> bool:
    return metric in COSTS or _TIMING.search(metric) is not None


def score(pipeline: Pipeline, params: Params, seed: int) -> Score:
    """Score one configuration as a worker does; whatever the user's code raises becomes a failure."""
    reports: list[Measurement] = []
    try:
        raw = pipeline.evaluate(
            dict(params), lambda step, metrics: reports.extend(check_report(step, metrics)), seed
        )
        evaluation = check_result(raw, pipeline.metric)
        check_goals(evaluation, pipeline.goals)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - user code may raise anything
        return Score(reports=tuple(reports), failure=failure_of(error))
    return Score(evaluation.value, dict(evaluation.metrics), evaluation.measurements or tuple(reports))


class Probe:
    """Scores configurations until the budget ends.

    Args:
        pipeline: with its data in use.
        seed: of the evaluations.
        runs: at most so many; None for any number.
        timeout_s: none is started that would end later, going by the longest so far.
        tell: hears of each one.
        clock: seconds, rising.

    Attributes:
        n_runs: evaluations so far.
        refused: whether one was asked for after the budget was over.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        seed: int,
        *,
        runs: int | None = None,
        timeout_s: float | None = None,
        tell: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pipeline, self.seed = pipeline, seed
        self.n_runs, self.refused = 0, False
        self._runs, self._tell, self._clock = runs, tell, clock
        self._deadline = None if timeout_s is None else clock() + timeout_s
        self._longest_s = 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds left; None without a timeout."""
        return None if self._deadline is None else self._deadline - self._clock()

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be started."""
        left_s = self.left_s
        late = left_s is not None and left_s <= self._longest_s and self.n_runs > 0
        return late or (self._runs is not None and self.n_runs >= self._runs)

    def run(self, what: str, params: Params, *, seed: int | None = None) -> Score | None:
        """Score a configuration here; None where the budget is over. `what` it is for, is told."""
        return self.count(what, lambda: score(self.pipeline, params, self.seed if seed is None else seed))

    def count(self, what: str, call: Callable[[], Score | None]) -> Score | None:
        """Take one run of the budget for `call`; None where there is none left."""
        if self.is_over:
            self.refused = True
            return None
        self.n_runs += 1
        start = self._clock()
        found = call()
        took_s = self._clock() - start
        self._longest_s = max(self._longest_s, took_s)
        self._tell(f"{self.n_runs}: {what}: {_shown(found)} ({took_s:.2g} s)")
        return found


def _shown(found: Score | None) -> str:
    if found is None:
        return "no result"
    return f"{found.value:.6g}" if found.value is not None else "failed"
