# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""Optuna's engines: its tree-structured Parzen estimator, CMA-ES and Gaussian process.

Nothing is kept in Optuna: each suggestion comes from an in-memory study made anew of the history, so that a
study resumes exactly. Configurations travel as points of the unit cube (see `cube`), which makes constraints
hold; failures, which Optuna ignores, are told as the worst value.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from math import log
from typing import Any, ClassVar

import numpy as np

from tuner.errors import UsageError
from tuner.experiment import Observation, Params, Suggestion
from tuner.generators.alone import alone
from tuner.generators.cube import Cube
from tuner.generators.history import RememberingGenerator
from tuner.generators.random import draw_unseen
from tuner.space import CategoricalParam, config_key

try:
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.trial import FrozenTrial, TrialState, create_trial
except ModuleNotFoundError as error:
    if error.name != "optuna":
        raise
    raise UsageError(
        "The methods tpe, cmaes and gp are Optuna's, which is not installed.", "pip install 'retrain[optuna]'"
    ) from None

__all__ = ["CmaEsGenerator", "OptunaGaussianProcessGenerator", "TpeGenerator"]

_N_INITIAL = 10
_N_TRIES = 4
_MOST_STEPS = 10_000
_UNIT = FloatDistribution(0.0, 1.0)
_SPARE = "_"
"""A coordinate that means nothing: Optuna's CMA-ES needs two. No parameter can have this name."""


class _OptunaGenerator(RememberingGenerator):
    @cached_property
    def _cube(self) -> Cube:
        return Cube(self.space)

    def ask(self, n: int = 1) -> list[Suggestion]:
        with _quiet():
            return super().ask(n)

    def _next(self) -> tuple[Params, Mapping[str, Any]] | None:
        found = self._proposed() if self._cube.names else None
        if found is not None:
            return found
        unseen = draw_unseen(self.space, self.history, self.rng())
        return None if unseen is None else (unseen, {"design": "random"})

    @abstractmethod
    def _proposed(self) -> tuple[Params, Mapping[str, Any]] | None:
        """What the engine proposes; None where it finds nothing but what is known."""


class _ModelGenerator(_OptunaGenerator):
    """Told the whole history; its first ten are random, as Optuna's are."""

    _all_coordinates: ClassVar[bool]
    """Whether the engine is told a place of inactive parameters too."""

    @abstractmethod
    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Its own sampler."""

    @cached_property
    def _axes(self) -> dict[str, BaseDistribution]:
        return {name: self._axis(name) for name in self._cube.names}

    def _proposed(self) -> tuple[Params, Mapping[str, Any]] | None:
        study = optuna.create_study(
            sampler=self._sampler(int(self.rng().integers(2**31))),
            directions=["minimize"] * (1 + len(self.goals.objectives)),
        )
        told = self._told()
        study.add_trials(told)
        n_finished = sum(trial.state == TrialState.COMPLETE for trial in told)
        for _ in range(_N_TRIES):  # one that is known stays pending in Optuna, which looks elsewhere then
            params = self._config(study.ask(dict(self._axes)).params)
            if config_key(params) not in self.history:
                return params, {"design": "initial" if n_finished < _N_INITIAL else "model"}
        return None

    def _told(self) -> list[FrozenTrial]:
        """Finished and pending configurations as Optuna's trials, losses in units of the largest."""
        finished, values = self.history.losses(self.direction)
        metrics = self.history.metrics()
        others = [self.goals.losses(each) for each in metrics]
        losses = [
            None if value is None or other is None else (value, *other)
            for value, other in zip(values, others, strict=True)
        ]
        columns = list(zip(*(each for each in losses if each is not None), strict=True))
        worst = [max(column) for column in columns] or [0.0] * (1 + len(self.goals.objectives))
        units = [max(map(abs, column)) or 1.0 for column in columns] or [1.0] * len(worst)
        told = [[loss / unit for loss, unit in zip(each or worst, units, strict=True)] for each in losses]
        excesses = [self.goals.excesses(each) for each in metrics]
        return [
            *(
                self._trial(params, TrialState.COMPLETE, values, constraints)
                for params, values, constraints in zip(finished, told, excesses, strict=True)
            ),
            *(self._trial(params, TrialState.RUNNING) for params in self.history.pending()),
        ]

    def _trial(
        self,
        params: Params,
        state: TrialState,
        values: Sequence[float] | None = None,
        constraints: dict[str, float] | None = None,
    ) -> FrozenTrial:
        places = dict(zip(self._cube.names, self._cube.point(params), strict=True))
        axes = {name: axis for name, axis in self._axes.items() if self._all_coordinates or name in params}
        told = {name: _told_place(axis, places[name]) for name, axis in axes.items()}
        return create_trial(
            state=state, values=values, constraints=constraints, params=told, distributions=axes
        )

    def _config(self, told: Mapping[str, Any]) -> Params:
        return self._cube.config([_place(axis, told[name]) for name, axis in self._axes.items()])

    def _axis(self, name: str) -> BaseDistribution:
        """Categories and steps by their number, which Optuna knows how to handle; else the coordinate."""
        param = self.space.params[name]
        if name in self._cube.grouped:
            return _UNIT
        if isinstance(param, CategoricalParam):
            return CategoricalDistribution(range(param.n_values))
        if param.n_values is None or param.log or param.n_values > _MOST_STEPS:
            return _UNIT
        return IntDistribution(0, param.n_values - 1)


class TpeGenerator(_ModelGenerator):
    """Its TPE: multivariate and with the constant liar, as it is by default."""

    method: ClassVar[str] = "tpe"
    _all_coordinates = False

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.TPESampler(seed=seed)


class OptunaGaussianProcessGenerator(_ModelGenerator):
    """Its Gaussian process, which needs torch."""

    method: ClassVar[str] = "gp"
    needs = ("torch",)
    takes_goals: ClassVar[bool] = False
    _all_coordinates = True

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)


@dataclass
class _Population:
    """One generation of CMA-ES: what it is drawn from, and its members as far as they were drawn.

    Attributes:
        study: holds the generation before, from which Optuna restores its state.
        ranks: of the generation before.
        trials, members: each member as Optuna's trial and as a configuration with its key.
    """

    study: optuna.Study
    ranks: list[float]
    trials: list[FrozenTrial] = field(default_factory=list)
    members: list[tuple[str, Params]] = field(default_factory=list)


class CmaEsGenerator(_OptunaGenerator):
    """Its CMA-ES, over all coordinates, categories included.

    A generation ends when its first members are finished, as many as the population has; what is asked for
    while they run is drawn from the same distribution and not learned from. The history is replayed from the
    first generation, each with a random stream of its own, so that it alone decides. Only ranks are told.
    """

    method: ClassVar[str] = "cmaes"
    needs = ("cmaes",)
    takes_goals: ClassVar[bool] = False

    _losses: dict[str, float | None] | None = None

    @cached_property
    def _axes(self) -> dict[str, BaseDistribution]:
        names = self._cube.names if len(self._cube.names) > 1 else (*self._cube.names, _SPARE)
        return dict.fromkeys(names, _UNIT)

    @cached_property
    def _size(self) -> int:
        """Of the population, as N. Hansen recommends."""
        return 4 + int(3 * log(len(self._axes)))

    @cached_property
    def _populations(self) -> list[_Population]:
        return []

    def tell(self, finished: Iterable[Observation], pending: Sequence[Params] = ()) -> None:
        super().tell(finished, pending)
        self._losses = None

    def _proposed(self) -> tuple[Params, Mapping[str, Any]] | None:
        number, population = self._current()
        for index in range(_N_TRIES * self._size):
            key, params = self._member(population, index)
            if key not in self.history:
                return params, {"design": "model" if number else "initial", "generation": number}
        return None

    def _current(self) -> tuple[int, _Population]:
        """The first generation that is not finished, or that brought nothing new."""
        losses = self._losses_by_key()
        seen: set[str] = set()
        number = 0
        population = self._population(0, [], [])
        while True:
            keys = [self._member(population, index)[0] for index in range(self._size)]
            if seen.issuperset(keys) or any(key not in losses for key in keys):
                return number, population
            seen.update(keys)
            number += 1
            population = self._population(number, population.trials[: self._size], _ranks(losses, keys))

    def _population(self, number: int, before: Sequence[FrozenTrial], ranks: Sequence[float]) -> _Population:
        """The generation that follows `before`; the one made last time where the ranks are still the same."""
        if number < len(self._populations) and self._populations[number].ranks == ranks:
            return self._populations[number]
        seed = int(np.random.default_rng([self.seed, number, 3]).integers(2**31))
        sampler = optuna.samplers.CmaEsSampler(seed=seed, popsize=self._size, warn_independent_sampling=False)
        study = optuna.create_study(sampler=sampler)
        # Optuna learns what the coordinates are from a trial that is finished.
        study.add_trial(
            create_trial(value=0.0, params=dict.fromkeys(self._axes, 0.5), distributions=self._axes)
        )
        for trial, rank in zip(before, ranks, strict=True):
            study.add_trial(
                create_trial(
                    value=rank,
                    params=trial.params,
                    distributions=trial.distributions,
                    system_attrs=trial.system_attrs,
                )
            )
        population = _Population(study, list(ranks))
        self._populations[number:] = [population]
        return population

    def _member(self, population: _Population, index: int) -> tuple[str, Params]:
        while len(population.members) <= index:
            told = population.study.ask(self._axes)
            population.trials.append(population.study.trials[told.number])
            params = self._cube.config([told.params[name] for name in self._cube.names])
            population.members.append((config_key(params), params))
        return population.members[index]

    def _losses_by_key(self) -> dict[str, float | None]:
        if self._losses is None:
            finished, losses = self.history.losses(self.direction)
            self._losses = dict(zip(map(config_key, finished), losses, strict=True))
        return self._losses


def _ranks(losses: Mapping[str, float | None], keys: Sequence[str]) -> list[float]:
    """How many are better than each; a failure is worse than every success."""
    values = [float("inf") if (loss := losses[key]) is None else loss for key in keys]
    return [float(sum(other < value for other in values)) for value in values]


def _told_place(axis: BaseDistribution, u: float) -> Any:
    if isinstance(axis, CategoricalDistribution):
        return min(int(u * len(axis.choices)), len(axis.choices) - 1)
    if isinstance(axis, IntDistribution):
        return min(int(u * (axis.high + 1)), axis.high)
    return min(max(u, 0.0), 1.0)


def _place(axis: BaseDistribution, told: Any) -> float:
    if isinstance(axis, CategoricalDistribution):
        return float((told + 0.5) / len(axis.choices))
    if isinstance(axis, IntDistribution):
        return float((told + 0.5) / (axis.high + 1))
    return float(told)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna announces every study that it makes; here each suggestion makes one."""
    with alone():
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)
