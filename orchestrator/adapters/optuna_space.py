# ruff: noqa: D102 - `StudySpace` holds the docstrings
"""What a study of Optuna searches: a space of ours that was given, or one read off its earlier trials.

Optuna's users write their space into the objective, as they go ("define by run"). So it is read off what
earlier trials suggested: which parameters, in which ranges, and for those that only some trials have, which
value of another parameter decides.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from tuner.errors import SpaceError
from tuner.experiment import Params, Value
from tuner.space import CategoricalParam, FloatParam, IntParam, Param, SearchSpace

__all__ = ["Codes", "GivenSpace", "Observed", "ObservedSpace", "StudySpace", "at_position"]

_N_LOOKED = 300
"""The space is read off so many of the latest trials: programs change, and this has to be quick."""

_MOST_DECIDING = 100
"""Most values of a parameter that decides whether another one exists."""

Codes = Mapping[str, Value]
"""A configuration under Optuna's names, fit for JSON; the values are those of our space."""


class StudySpace(ABC):
    """A space of ours, and how it translates to a study's trials and back.

    Attributes:
        space: ours.
        distributions: Optuna's, of the parameters whose values are proposed.
    """

    space: SearchSpace
    distributions: dict[str, BaseDistribution]
    _names: Mapping[str, str]
    _resting: Mapping[str, Value]

    @abstractmethod
    def codes(self, values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> Codes | None:
        """The codes of a trial's values, as far as this space knows them; None where one is out of range.

        Raises:
            ValueError: a value that is none of a category's choices.
        """

    @abstractmethod
    def values(self, codes: Codes) -> dict[str, Any]:
        """Optuna's values of those in `distributions`."""

    def config(self, codes: Codes) -> Params:
        """The configuration with these codes. It may break constraints."""
        return self.space.active({**self._resting, **self._ours(codes)})

    def proposed(self, params: Params) -> Codes:
        """The codes of a valid configuration."""
        return {name: params[ours] for name, ours in self._names.items() if ours in params}

    def fitted(self, codes: Codes, fixed: Codes) -> Params:
        """The valid configuration nearest to `codes` that has the `fixed` ones, where there is any."""
        params, held = self.config({**codes, **fixed}), self._ours(fixed)
        pinned = [
            param
            if isinstance(param, CategoricalParam)
            else replace(param, low=held.get(name, param.low), high=held.get(name, param.high), default=None)
            for name, param in self.space.params.items()
        ]
        try:
            return SearchSpace(pinned, self.space.constraints).repair(params)
        except SpaceError:
            return self.space.repair(params)

    def _ours(self, codes: Codes) -> dict[str, Value]:
        return {self._names[name]: value for name, value in codes.items() if name in self._names}


class GivenSpace(StudySpace):
    """A space of ours with its conditions and constraints; Optuna has the same names and values."""

    def __init__(self, space: SearchSpace) -> None:
        self.space = space
        self.distributions = {name: _distribution_of(param) for name, param in space.params.items()}
        self._names = {name: name for name in space.params}
        self._resting = {}

    def codes(
        self,
        values: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],  # noqa: ARG002
    ) -> Codes | None:
        return {name: value for name, value in values.items() if name in self.space.params}

    def values(self, codes: Codes) -> dict[str, Any]:
        return dict(codes)


class ObservedSpace(StudySpace):
    """What finished trials suggested, as far as it holds together.

    A parameter whose range changes from trial to trial is searched by its position between its bounds: each
    position leads to a value of the trial's own range, whichever that is. One whose range has changed for
    good has its new range, and trials outside of it are no longer learned from.

    Args:
        observed: from `observe`.
        wanted: search only these, in these ranges; all of `observed` when not given.

    Raises:
        SpaceError: nothing is there to be searched.
    """

    def __init__(self, observed: "Observed", wanted: Mapping[str, BaseDistribution] | None = None) -> None:
        fixed = observed.fixed if wanted is None else wanted
        self.distributions = {}
        params: dict[str, Param] = {}
        for name in sorted({*fixed, *observed.moving}):
            ours = f"p{len(params)}"  # Optuna's names may hold any character
            try:
                params[name] = _param_of(ours, fixed[name]) if name in fixed else FloatParam(ours, 0.0, 1.0)
            except SpaceError:
                continue  # such as a range up to 1e300: sampled independently
            if name in fixed:
                self.distributions[name] = fixed[name]
        self._names = {name: param.name for name, param in params.items()}
        self._moving = {name for name in params if name not in fixed}
        same = {name for name in self.distributions if fixed[name] == observed.fixed.get(name)}
        self.space = SearchSpace(
            replace(param, when={self._names[condition[0]]: condition[1]})
            if (condition := observed.conditions.get(name)) and condition[0] in same
            else param
            for name, param in params.items()
        )
        self._resting = {name: param.default for name, param in self.space.params.items()}

    def codes(self, values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> Codes | None:
        codes: dict[str, Value] = {}
        for name, value in values.items():
            if name in self._moving:
                codes[name] = _position(distributions[name], value)
            elif name in self._names:
                here = self.distributions[name]
                if not here._contains(here.to_internal_repr(value)):
                    return None
                codes[name] = _code(here, value)
        return codes

    def values(self, codes: Codes) -> dict[str, Any]:
        return {
            name: _value(self.distributions[name], value)
            for name, value in codes.items()
            if name in self.distributions
        }


class Observed:
    """What trials say of the space.

    Attributes:
        fixed: parameters with the distribution that they keep.
        moving: numbers whose range differs from trial to trial.
        conditions: of those that not every trial has: the parameter that decides, and its values.
    """

    def __init__(self, trials: Sequence[FrozenTrial]) -> None:
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        # Others may have ended before they had suggested everything.
        looked = (complete or [trial for trial in trials if trial.state.is_finished()])[-_N_LOOKED:]
        self.fixed: dict[str, BaseDistribution] = {}
        self.moving: set[str] = set()
        self.conditions: dict[str, tuple[str, list[Value]]] = {}
        for name in {name for trial in looked for name in trial.distributions}:
            seen = [trial.distributions[name] for trial in looked if name in trial.distributions]
            if len(seen) > 1 and seen[-1] != seen[-2] and not isinstance(seen[-1], CategoricalDistribution):
                self.moving.add(name)
            elif not seen[-1].single():
                self.fixed[name] = seen[-1]
        self._explain([self._codes(trial) for trial in looked])

    def _codes(self, trial: FrozenTrial) -> dict[str, Value]:
        return {
            name: _code(trial.distributions[name], value) if name in self.fixed else None
            for name, value in trial.params.items()
            if name in self.fixed or name in self.moving
        }

    def _explain(self, rows: list[dict[str, Value]]) -> None:
        """Find the conditions; what is there now and then for no reason that can be seen is left out."""
        counts = {name: sum(name in row for row in rows) for name in {*self.fixed, *self.moving}}
        # A parameter that decides is there at least as often: in this order, no circle can arise.
        order = sorted(counts, key=lambda name: (-counts[name], name))
        deciding: list[tuple[str, CategoricalParam | IntParam]] = []
        for name in order:
            if counts[name] < len(rows):
                first = next(i for i, row in enumerate(rows) if name in row)
                # One that is new in the program had no reason to be missing before.
                found = _decider(name, deciding, rows) or _decider(name, deciding, rows[first:])
                if found is not None:
                    self.conditions[name] = found
                elif counts[name] < len(rows) - first:
                    self.fixed.pop(name, None)
                    self.moving.discard(name)
                    continue
            if name in self.fixed and (param := _countable(self.fixed[name])) is not None:
                deciding.append((name, param))


def at_position(distribution: BaseDistribution, position: float) -> float | None:
    """The number at a position in [0, 1] between the bounds, on its scale; None where ours cannot say."""
    try:
        param = _param_of("p", distribution)
    except SpaceError:
        return None
    value: float = _value(distribution, param.from_unit(position))
    return value


def _param_of(name: str, distribution: BaseDistribution) -> Param:
    """Our parameter with the codes of a distribution (see `_code`).

    Raises:
        SpaceError: it has values that ours cannot have, such as numbers beyond 1e100.
    """
    if isinstance(distribution, CategoricalDistribution):
        return CategoricalParam(name, range(len(distribution.choices)))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, log, step = distribution.low, distribution.high, distribution.log, distribution.step
    if isinstance(distribution, IntDistribution):
        return IntParam(name, low, high, log=log, step=step)
    if step is not None:  # Optuna takes any step and bounds, however they are rounded
        return IntParam(name, 0, round((high - low) / step))
    return FloatParam(name, low, high, log=log)


def _distribution_of(param: Param) -> BaseDistribution:
    if isinstance(param, CategoricalParam):
        return CategoricalDistribution(param.choices)
    if isinstance(param, IntParam):  # Optuna knows no steps on a log scale
        return IntDistribution(param.low, param.high, log=param.log and param.step == 1, step=param.step)
    return FloatDistribution(param.low, param.high, log=param.log, step=None if param.log else param.step)


def _code(distribution: BaseDistribution, value: Any) -> int | float:
    """The value of ours: a number as it is; which step, or which category, as an index from 0."""
    number = distribution.to_internal_repr(value)
    if not isinstance(distribution, FloatDistribution):
        return int(number)
    return number if distribution.step is None else round((number - distribution.low) / distribution.step)


def _value(distribution: BaseDistribution, code: Value) -> Any:
    assert isinstance(code, int | float)
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return distribution.to_external_repr(code)
    exact = min(distribution.low + code * distribution.step, distribution.high)
    short = float(f"{exact:.12g}")  # 0.3 rather than 0.30000000000000004
    return short if distribution._contains(short) else exact


def _position(distribution: BaseDistribution, value: Any) -> float:
    """Where a number lies between its bounds, in [0, 1]; the middle where ours cannot say."""
    try:
        param = _param_of("p", distribution)
    except SpaceError:
        return 0.5
    assert not isinstance(param, CategoricalParam)
    return float(min(max(param.to_unit(_code(distribution, value)), 0.0), 1.0))


def _countable(distribution: BaseDistribution) -> CategoricalParam | IntParam | None:
    if isinstance(distribution, FloatDistribution):
        return None
    try:
        param = _param_of("p", distribution)
    except SpaceError:
        return None
    assert isinstance(param, CategoricalParam | IntParam)
    return param if (param.n_values or 0) <= _MOST_DECIDING else None


def _decider(
    name: str,
    deciding: Iterable[tuple[str, CategoricalParam | IntParam]],
    rows: Sequence[Mapping[str, Value]],
) -> tuple[str, list[Value]] | None:
    """The parameter, and its values, with which `name` was there and without which it was not."""
    for other, param in deciding:
        inside = {row.get(other) for row in rows if name in row}
        outside = {row.get(other) for row in rows if name not in row}
        if None in inside or not outside or inside & outside:
            continue
        every = [param.at(index) for index in range(param.n_values or 0)]
        if isinstance(param, CategoricalParam):
            return other, [value for value in every if value in inside]
        found = _beyond(inside, outside - {None}, every)
        if found:
            return other, found
    return None


def _beyond(inside: Iterable[Any], outside: Iterable[Any], every: Sequence[Any]) -> list[Value]:
    """Of the ascending numbers, those from the first inside on, or up to the last; none where they mix."""
    inside, outside = sorted(inside), sorted(outside)
    if not outside:
        return list(every)
    if outside[-1] < inside[0]:
        return [value for value in every if value >= inside[0]]
    if outside[0] > inside[-1]:
        return [value for value in every if value <= inside[-1]]
    return []
