"""The nouns of the loop: frozen, validated when built, free of any database or clock.

A `Suggestion` is a proposed configuration; once written it is an `Experiment` (a row); once finished a
generator learns from it as an `Observation`. A `Study` holds what all of its experiments share.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from tuner.direction import Direction, loss_of
from tuner.errors import UsageError
from tuner.given import insist
from tuner.goals import NO_GOALS, Goals

__all__ = [
    "GUESS",
    "Confirmation",
    "Direction",
    "Evaluation",
    "Experiment",
    "Failure",
    "Measurement",
    "Observation",
    "Outcome",
    "Params",
    "Partial",
    "Provenance",
    "State",
    "Stop",
    "Study",
    "Suggestion",
    "Value",
    "loss_of",
]

Value = float | int | str | bool | None
"""One hyperparameter's value: a JSON scalar. None only as a choice of a categorical parameter."""

GUESS = "guess"
"""The method of what users propose themselves: it runs before whatever generators proposed."""

Params = Mapping[str, Value]
"""A configuration: the active parameters only, by name."""


class State(StrEnum):
    """Where an experiment stands: WAITING -> RUNNING -> one of the three finished states, for good."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """True for the absorbing states."""
        return self in (State.COMPLETE, State.PRUNED, State.FAILED)


class Outcome(StrEnum):
    """Why an experiment failed."""

    ERROR = "error"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    WORKER_LOST = "worker_lost"
    NON_FINITE = "non_finite"
    BAD_RESULT = "bad_result"
    CANCELLED = "cancelled"

    @property
    def is_worker_death(self) -> bool:
        """True where the worker process died with the experiment: a death, and not a user's error."""
        return self in (Outcome.OUT_OF_MEMORY, Outcome.WORKER_LOST)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A proposed configuration, not yet a row.

    Attributes:
        params: active parameters, valid in the study's space, plain Python values.
        method: name of the generator that made it ("default" and "deployed" for a study's first rows, GUESS
            for what a user proposed).
        reason: why it was made, for people; JSON-ready, such as {"design": "initial"}.
        parent: public id of the experiment it was derived from, or None.
    """

    params: Params
    method: str
    reason: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))
        object.__setattr__(self, "reason", MappingProxyType(dict(self.reason)))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Suggestion, (dict(self.params), self.method, dict(self.reason), self.parent))


@dataclass(frozen=True, slots=True)
class Observation:
    """What a generator learns from a finished experiment.

    Attributes:
        params: the configuration that ran.
        value: the study's metric in the study's own direction; None for an experiment that failed.
        std_error: standard error of `value` (>= 0), where known.
        partial: the evaluation was stopped early, and `value` is where it stood.
        metrics: the other numbers by name, all finite: what goals beside the study's metric are judged by.

    Raises:
        UsageError: one of the numbers is none, or out of its range; or `params` or `metrics` are no table.
    """

    params: Params
    value: float | None
    std_error: float | None = None
    partial: bool = False
    metrics: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, such_as in (("params", "suggestion.params"), ("metrics", '{"seconds": 1.5}')):
            rule = f"`{name}` of an Observation must be a table of names and values"
            insist(rule, Mapping, getattr(self, name), f"Such as {such_as}.")  # type: ignore[type-abstract]
        object.__setattr__(self, "params", MappingProxyType(dict(self.params)))
        for name in ("value", "std_error"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, _finite(f"`{name}` of an Observation", given))
        if self.std_error is not None and self.std_error < 0:
            raise UsageError(
                f"`std_error` of an Observation must be at least 0, but got {self.std_error!r}.",
                "Leave it out where it is not known.",
            )
        metrics = {name: _finite(f"Metric {name!r} of an Observation", n) for name, n in self.metrics.items()}
        object.__setattr__(self, "metrics", MappingProxyType(metrics))

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            Observation,
            (dict(self.params), self.value, self.std_error, self.partial, dict(self.metrics)),
        )


def _finite(what: str, given: object, remedy: str = "Tell a failed experiment as value=None.") -> float:
    try:
        number = float(given)  # type: ignore[arg-type]
    except OverflowError:  # a whole number beyond every float
        number = math.inf
    except (TypeError, ValueError):
        raise UsageError(f"{what} must be a number, but got {given!r}.", remedy) from None
    if not math.isfinite(number):
        raise UsageError(f"{what} must be finite, but got {number!r}.", remedy)
    return number


@dataclass(frozen=True, slots=True)
class Measurement:
    """One number reported on the way: `metric` at `step` (a fold, a boosting round, an epoch; >= 0)."""

    step: int
    metric: str
    value: float


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a value was scored on. Values of different provenance are never compared.

    Attributes:
        data: fingerprint of the data ("" where a pipeline has no data of its own).
        code: version of the code that scored it.
        metric: definition of the metric, splits included.
    """

    data: str = ""
    code: str = ""
    metric: str = ""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One repeat of a confirmation: an experiment's configuration scored once more, on fresh folds.

    Two of one seed and provenance were scored on the same folds, so they are compared fold by fold.

    Attributes:
        experiment: public id of the experiment whose configuration it is.
        seed: of the folds; none that the search used.
        value: the study's metric in the study's own direction.
        folds: the score of each fold, in their order; empty where the pipeline has none.
        provenance: what it was scored on.
        duration_s: seconds of evaluation (>= 0), where known.
    """

    experiment: str
    seed: int
    value: float
    folds: tuple[float, ...]
    provenance: Provenance
    duration_s: float | None = None

    def __post_init__(self) -> None:
        what = f"of a confirmation of {self.experiment!r}"
        drop = "Leave a configuration that cannot be scored out."
        object.__setattr__(self, "value", _finite(f"The value {what}", self.value, drop))
        folds = tuple(_finite(f"Each fold {what}", fold, drop) for fold in self.folds)
        object.__setattr__(self, "folds", folds)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A successful result of one experiment.

    Attributes:
        value: the study's metric, finite.
        std_error: its standard error over folds (>= 0), or None.
        metrics: further numbers by name, all finite.
        measurements: what was reported on the way, such as the value of each fold.
        duration_s: seconds of evaluation.
    """

    value: float
    std_error: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An unsuccessful end of one attempt.

    Attributes:
        outcome: the class of failure.
        message: one line for people, such as "ValueError: max_depth must be positive".
        traceback: the last lines of the traceback, or "".
        measurements: what had been reported before it failed.
    """

    outcome: Outcome
    message: str
    traceback: str = ""
    measurements: tuple[Measurement, ...] = ()
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Partial:
    """Where an experiment stood when a pruner stopped it: neither a result nor a failure.

    Its value was reached with less than a whole evaluation, so it is never the best of anything.

    Attributes:
        value: the study's metric at the last step, finite.
        step: the last step (>= 0).
        metrics: the other numbers reported at that step, all finite.
        measurements: all that was reported.
        duration_s: seconds of evaluation.
    """

    value: float
    step: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a pruned experiment stood: the study's metric at its last step (>= 0)."""

    value: float
    step: int


@dataclass(frozen=True, slots=True)
class Study:
    """A campaign: what all of its experiments share. `space` is the JSON document of the SearchSpace.

    `goals` is what it wants besides its metric.
    """

    id: int
    name: str
    space: Mapping[str, Any]
    metric: str
    direction: Direction
    baseline: Params
    seed: int
    created_at: float
    goals: Goals = NO_GOALS


@dataclass(frozen=True, slots=True)
class Experiment:
    """A row of `experiments`: one configuration and what became of it. Times are Unix seconds, UTC.

    Attributes:
        id: integer key; rising in the order of writing.
        public_id: readable and unique, `<method>_<YYYYMMDD>_<HHMMSS>_<NNN>`.
        attempt: number of times it was claimed; the fence of every later write.
        failures, deaths, interruptions: attempts that ended by the user's error, by a dead worker, by us.
        feasible: False where its metrics do not keep the limits of the study.
        ended_on: what it ran on where it ended without a value, as far as known; None otherwise.
        stop: where it stood, if it was pruned. Its `value` is None then.
    """

    id: int
    public_id: str
    study_id: int
    params: Params
    method: str
    state: State
    attempt: int
    created_at: float
    outcome: Outcome | None = None
    value: float | None = None
    std_error: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    reason: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None
    run_id: int | None = None
    owner: str | None = None
    seed: int = 0
    repeat: int = 0
    error: str | None = None
    traceback: str | None = None
    failures: int = 0
    deaths: int = 0
    interruptions: int = 0
    provenance: Provenance | None = None
    started_at: float | None = None
    finished_at: float | None = None
    duration_s: float | None = None
    feasible: bool = True
    ended_on: Provenance | None = None
    stop: Stop | None = None

    def observation(self) -> Observation:
        """What a generator learns from this finished experiment."""
        if self.stop is not None:
            return Observation(self.params, self.stop.value, partial=True, metrics=self.metrics)
        return Observation(self.params, self.value, self.std_error, metrics=self.metrics)
