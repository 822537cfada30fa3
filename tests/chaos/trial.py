"""The fake trial: what a configuration does is fixed by its number; what it scores is drawn anew each time.

No two executions ever return the same value, so that a stored value says which execution it came from.
"""

import math
import random
from collections.abc import Sequence

from tuner.experiment import (
    Direction,
    Evaluation,
    Experiment,
    Failure,
    Measurement,
    Outcome,
    Partial,
    Provenance,
    Suggestion,
)
from tuner.registry import StudySpec

__all__ = ["ON", "SPEC", "always_scores", "duration_s", "execute", "suggestions"]

SPEC = StudySpec(
    name="chaos",
    space={"params": {"number": {"type": "int", "low": 0, "high": 10**6}}},
    metric="value",
    direction=Direction.MINIMIZE,
    baseline={"number": 0},
)
ON = Provenance(data="d", code="c", metric="m")


def suggestions(numbers: Sequence[int]) -> list[Suggestion]:
    """The configurations with these numbers."""
    return [Suggestion({"number": number, "rate": number / 8}, "random") for number in numbers]


def duration_s(rng: random.Random) -> float:
    """5 to 50 ms."""
    return rng.uniform(0.005, 0.05)


def always_scores(experiment: Experiment) -> bool:
    """Whether every execution of this configuration returns a value."""
    number = experiment.params["number"]
    assert isinstance(number, int)
    return (
        number % 25 != 7
        and number % 40 != 11
        and number % 50 != 13
        and number % 60 != 19
        and number % 30 != 23
    )


def execute(experiment: Experiment, rng: random.Random) -> Evaluation | Failure | Partial:
    """One in 25 raises at first, one in 40 always, one in 50 kills its worker, one in 60 scores NaN.

    One in 30 is stopped by a pruner, better than all that come to their end.
    """
    number = experiment.params["number"]
    assert isinstance(number, int)
    if number % 25 == 7 and experiment.failures == 0:
        return Failure(Outcome.ERROR, "ValueError: the first time")
    if number % 40 == 11:
        return Failure(Outcome.ERROR, "ValueError: always")
    if number % 50 == 13:
        return Failure(Outcome.WORKER_LOST, "worker died (SIGSEGV)")
    if number % 60 == 19:
        return Evaluation(math.nan)
    if number % 30 == 23:
        value = -1.0 - rng.random()
        return Partial(value, 1, measurements=(Measurement(0, "value", 0.0), Measurement(1, "value", value)))
    folds = tuple(Measurement(step, "value", rng.random()) for step in range(rng.randint(2, 4)))
    return Evaluation(rng.random(), measurements=folds)
