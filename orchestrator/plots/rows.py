"""What the pictures of a study show: its finished experiments in the order of their ends, ready to draw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrain.tables import number, plus_minus, printable
from tuner.errors import NotFoundError
from tuner.experiment import Direction, Experiment, Outcome, State, Study
from tuner.registry.base import RegistryReader
from tuner.space import config_key

__all__ = ["Point", "Rows", "gather", "metric_label", "searched", "shortened", "thinned"]

_LONGEST_NAME = 28
_RANKS = {State.COMPLETE: 0, State.PRUNED: 1, State.FAILED: 2}


@dataclass(frozen=True, slots=True)
class Point:
    """One finished experiment.

    Attributes:
        order: its place among all finished ones, from 1 on, by the time of its end.
        experiment: the row.
    """

    order: int
    experiment: Experiment

    @property
    def value(self) -> float | None:
        """The study's metric; where it was pruned, as far as it came; None where it failed."""
        stop = self.experiment.stop
        return self.experiment.value if stop is None else stop.value

    @property
    def tip(self) -> str:
        """What is told of it when somebody points at it."""
        each = self.experiment
        scored = str(each.outcome) if each.value is None else plus_minus(each.value, each.std_error)
        if each.stop is not None:
            scored = f"{number(each.stop.value)} at step {each.stop.step}"
        state = "" if each.state is State.COMPLETE else f" ({each.state})"
        params = (
            f"{name} = {number(value) if isinstance(value, float) else value}"
            for name, value in each.params.items()
        )
        return "\n".join([f"{self.order}: {each.public_id}{state}", scored, *params])


@dataclass(frozen=True, slots=True)
class Rows:
    """The finished experiments of one study.

    Attributes:
        complete: those that can be compared: of one provenance; by `order`.
        pruned: those that were stopped early.
        failed: those that failed, what was cancelled left out.
        best: the incumbent, None where none keeps the limits; with several objectives by the study's metric.
        baseline: the reference of the study, where it is among the complete.
        n_other: complete ones of another provenance, which are not shown.
    """

    study: Study
    complete: tuple[Point, ...]
    pruned: tuple[Point, ...]
    failed: tuple[Point, ...]
    best: Point | None
    baseline: Point | None
    n_other: int

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return 1 if self.study.direction is Direction.MAXIMIZE else -1

    @property
    def always(self) -> tuple[float, ...]:
        """What has to be shown, however bad: the value of the baseline, where it has one."""
        value = None if self.baseline is None else self.baseline.value
        return () if value is None else (value,)

    @property
    def scored(self) -> tuple[Point, ...]:
        """The complete and the pruned that have a value, by `order`."""
        both = [*self.complete, *(each for each in self.pruned if each.value is not None)]
        return tuple(sorted(both, key=lambda each: each.order))

    def note_of_complete(self, n_drawn: int) -> str:
        """The note of a picture of complete experiments alone, of which so many are drawn."""
        if n_drawn < len(self.complete):
            return f"{self.note}; {n_drawn} of the complete drawn"
        return f"{self.note}; only the complete drawn" if self.pruned or self.failed else self.note

    @property
    def note(self) -> str:
        """What of the study is not shown as a complete experiment, in words."""
        parts = [f"{len(self.complete)} complete"]
        parts += [f"{len(self.pruned)} pruned"] if self.pruned else []
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        if self.n_other:
            parts.append(f"{self.n_other} of other data, code or metric left out")
        return ", ".join(parts)


def gather(registry: RegistryReader, study: Study) -> Rows:
    """Read what is finished.

    Raises:
        NotFoundError: nothing is complete yet.
    """
    best = next(iter(registry.best(study, 1)), None)
    known = registry.provenances(study)
    if not known:
        raise NotFoundError(
            f"There is nothing to plot yet: no experiment of study {study.name!r} is complete.",
            "Run some: orchestrator --method bayesian --configs 20",
        )
    provenance = known[0][0] if best is None else best.provenance
    rows = registry.experiments(study, states=[State.COMPLETE, State.PRUNED, State.FAILED])
    rows = sorted(rows, key=lambda each: (each.finished_at or 0.0, each.id))
    rows = [
        each
        for each in rows
        if each.outcome is not Outcome.CANCELLED
        and (each.state is not State.COMPLETE or each.provenance == provenance)
    ]
    points = [Point(order, each) for order, each in enumerate(rows, 1)]
    complete = tuple(each for each in points if each.experiment.state is State.COMPLETE)
    key = config_key(study.baseline)
    return Rows(
        study=study,
        complete=complete,
        pruned=tuple(each for each in points if each.experiment.state is State.PRUNED),
        failed=tuple(each for each in points if each.experiment.state is State.FAILED),
        best=next((each for each in complete if best and each.experiment.id == best.id), None),
        baseline=next((each for each in complete if config_key(each.experiment.params) == key), None),
        n_other=sum(n for each, n in known if each != provenance),
    )


def searched(study: Study, points: Iterable[Point]) -> list[Mapping[str, Any]]:
    """The documents of the parameters that were varied, in the order of the space."""
    given = [each.experiment.params for each in points]

    def varies(param: Mapping[str, Any]) -> bool:
        if param["type"] == "categorical":
            return len(param["choices"]) > 1
        return bool(param["low"] < param["high"])

    return [
        param
        for param in study.space["params"]
        if varies(param) and any(param["name"] in params for params in given)
    ]


def thinned(points: Sequence[Point], most: int, sign: int) -> list[Point]:
    """At most so many points by `order`: the better half of that number, and the others evenly.

    What was pruned is worse than what is complete, and what failed worse still, whatever their numbers say.
    """
    if len(points) <= most:
        return list(points)
    ranked = sorted(points, key=lambda each: (_RANKS[each.experiment.state], -sign * (each.value or 0.0)))
    chosen, rest = ranked[: most // 2], sorted(ranked[most // 2 :], key=lambda each: each.order)
    n = most - len(chosen)
    chosen += [rest[i * len(rest) // n] for i in range(n)]
    return sorted(chosen, key=lambda each: each.order)


def shortened(name: str, longest: int = _LONGEST_NAME) -> str:
    """A name that fits beside an axis, cut in its middle, since names often differ at both ends."""
    name = printable(name)
    if len(name) <= longest:
        return name
    head = (longest - 1) // 2
    return f"{name[:head]}…{name[-(longest - 1 - head) :]}"


def metric_label(metric: str, direction: Direction) -> str:
    """What an axis of this metric is called."""
    better = "higher" if direction is Direction.MAXIMIZE else "lower"
    return f"{shortened(metric)} ({better} is better)"
