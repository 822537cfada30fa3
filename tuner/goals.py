"""What a study wants besides its own metric: further objectives, and limits that metrics have to keep.

An experiment is *feasible* where its metrics keep every limit. With further objectives there is no best one:
the *front* holds those feasible experiments that no other beats in one objective without losing in another.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tuner.direction import Direction, loss_of
from tuner.errors import UsageError, did_you_mean
from tuner.given import listed

__all__ = ["NO_GOALS", "Goals", "Limit", "Objective", "front"]

_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric that is optimised beside the study's own."""

    metric: str
    direction: Direction

    def __post_init__(self) -> None:
        _check_metric("an objective", self.metric)
        known = [each.value for each in Direction]
        if self.direction not in known:
            raise UsageError(
                f"The direction of an objective must be one of {', '.join(known)}, but got"
                f" {self.direction!r} for {self.metric!r}.{did_you_mean(str(self.direction), known)}",
                "Say whether less or more of it is better.",
            )
        object.__setattr__(self, "direction", Direction(self.direction))


@dataclass(frozen=True, slots=True)
class Limit:
    """What a metric has to keep: at least `min`, at most `max`, or both; the bounds themselves are kept.

    It looks at results. What ties parameters to each other is a constraint of the space, and what decides on
    a deployment is a gate.
    """

    metric: str
    min: float | None = None
    max: float | None = None

    def __post_init__(self) -> None:
        _check_metric("a limit", self.metric)
        if self.min is None and self.max is None:
            raise UsageError(f"A limit needs min, max or both, but {self.metric!r} has none.", "Give one.")
        for side in ("min", "max"):
            bound = getattr(self, side)
            if bound is None:
                continue
            if isinstance(bound, bool) or not isinstance(bound, int | float) or not abs(bound) <= _LARGEST:
                raise UsageError(
                    f"The {side} of a limit must be a finite number, but got {bound!r} for {self.metric!r}.",
                    "Leave out a side that has no bound.",
                )
            object.__setattr__(self, side, float(bound))
        if self.min is not None and self.max is not None and self.min > self.max:
            raise UsageError(
                f"`min <= max` must hold for the limit of {self.metric!r}, but got min={self.min},"
                f" max={self.max}.",
                "Exchange them.",
            )

    def excesses(self, value: float) -> dict[str, float]:
        """By how much `value` is beyond each bound, by a name of it; kept where nothing is above 0."""
        found = {}
        if self.min is not None:
            found[f"{self.metric} >= {self.min:g}"] = self.min - value
        if self.max is not None:
            found[f"{self.metric} <= {self.max:g}"] = value - self.max
        return found

    def __str__(self) -> str:
        sides = [f"at least {self.min:g}"] if self.min is not None else []
        sides += [f"at most {self.max:g}"] if self.max is not None else []
        return f"{self.metric} {' and '.join(sides)}"


@dataclass(frozen=True, slots=True)
class Goals:
    """What a study wants besides its own metric; false where that is all it wants.

    Attributes:
        objectives: further objectives; their metrics differ.
        limits: what metrics have to keep; one for each metric.
    """

    objectives: tuple[Objective, ...] = ()
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        kinds: dict[str, type[Objective | Limit]] = {"objectives": Objective, "limits": Limit}
        for what, kind in kinds.items():
            given = listed(
                f"The {what} of Goals must be a list of {kind.__name__}s",
                kind,
                getattr(self, what),
                'Such as Goals([Objective("seconds", "minimize")], [Limit("seconds", max=1)]).',
            )
            metrics = [each.metric for each in given]
            if twice := [metric for metric in metrics if metrics.count(metric) > 1]:
                raise UsageError(
                    f"Each metric may be among the {what} once, but {twice[0]!r} is there twice.",
                    "Take one of them out.",
                )
            object.__setattr__(self, what, given)

    def __bool__(self) -> bool:
        return bool(self.objectives or self.limits)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that a result must have to be judged, once."""
        return tuple(
            dict.fromkeys([each.metric for each in self.objectives] + [each.metric for each in self.limits])
        )

    def losses(self, metrics: Mapping[str, float]) -> tuple[float, ...] | None:
        """What the further objectives lose, in their order; None where one was not measured."""
        if any(each.metric not in metrics for each in self.objectives):
            return None
        return tuple(loss_of(metrics[each.metric], each.direction) for each in self.objectives)

    def excesses(self, metrics: Mapping[str, float]) -> dict[str, float] | None:
        """By how much metrics are beyond each bound of the limits; None where one was not measured."""
        if any(each.metric not in metrics for each in self.limits):
            return None
        return {
            name: excess
            for each in self.limits
            for name, excess in each.excesses(metrics[each.metric]).items()
        }

    def kept(self, metrics: Mapping[str, float]) -> bool:
        """Whether all that these goals ask for was measured, and every limit is kept."""
        excesses = self.excesses(metrics)
        measured = excesses is not None and self.losses(metrics) is not None
        return measured and all(excess <= 0 for excess in (excesses or {}).values())

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready document of them, from which `from_dict` makes them again."""
        return {
            "objectives": [
                {"metric": each.metric, "direction": each.direction.value} for each in self.objectives
            ],
            "limits": [
                {"metric": each.metric}
                | {side: bound for side in ("min", "max") if (bound := getattr(each, side)) is not None}
                for each in self.limits
            ],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Make them of a document that `to_dict` wrote.

        Raises:
            TypeError, KeyError, UsageError: it is none.
        """
        return cls(
            tuple(Objective(**each) for each in document["objectives"]),
            tuple(Limit(**each) for each in document["limits"]),
        )


NO_GOALS = Goals()
"""Of a study that wants nothing but its metric."""


def front(losses: Iterable[Sequence[float]]) -> list[int]:
    """The Pareto front: which of these, each of m losses, no other dominates; ascending.

    One dominates another where it is nowhere worse and somewhere better. Of equal ones the first is taken.
    """
    points = list(losses)
    found: list[int] = []
    # None is dominated by what comes after it in this order, and few are but by the latest of the front.
    for index in sorted(range(len(points)), key=lambda i: (tuple(points[i]), i)):
        point = points[index]
        if not any(
            all(a <= b for a, b in zip(points[other], point, strict=True)) for other in reversed(found)
        ):
            found.append(index)
    return sorted(found)


def _check_metric(what: str, metric: object) -> None:
    if not isinstance(metric, str) or not metric:
        raise UsageError(f"The metric of {what} must be a name, but got {metric!r}.", "Name a metric.")
