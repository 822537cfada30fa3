# ruff: noqa: D102 - the contract in `base` holds the docstrings
"""What a generator knows of its study, and the generators that ask one suggestion at a time from it."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import fsum, hypot
from statistics import median_low
from typing import Any, Generic, TypeVar

from tuner.errors import ParamsError, UsageError
from tuner.experiment import Direction, Observation, Params, Suggestion, Value, loss_of
from tuner.generators.alone import alone, on_one_thread
from tuner.generators.base import Generator
from tuner.given import listed
from tuner.space import SearchSpace, config_key
from tuner.space.values import plain

__all__ = ["History", "LearningGenerator", "RememberingGenerator", "Result"]

Belief = TypeVar("Belief")

_TOLD = "tell([Observation(suggestion.params, value)])"
_PENDING = "tell(..., pending=[suggestion.params])"
_N_REMEMBERED = 1 << 14


@dataclass(frozen=True)
class Result:
    """What is known of one finished configuration, its repeats merged.

    Attributes:
        loss: the mean of the runs that succeeded; of those stopped early only where no other did. None where
            every run failed.
        std_error: of `loss`, where that of every run is known.
        n: how many runs it is the mean of.
        partial: `loss` is where runs stood that were stopped early.
    """

    params: Params
    loss: float | None
    std_error: float | None
    n: int
    partial: bool


class History:
    """Finished, pending and asked configurations of one study, each known by its canonical key.

    Everything it hands out is in the order of the keys, so that the order of tells cannot matter.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._runs: dict[str, list[Observation]] = {}
        self._params: dict[str, Params] = {}
        self._pending: set[str] = set()
        self._asked: set[str] = set()

    def tell(self, finished: Iterable[Observation], pending: Iterable[Params]) -> None:
        """Add finished observations and replace what is pending; what the space does not hold is left out.

        Raises:
            UsageError: they are no such lists. Nothing was added.
        """
        results = listed("What is told must be a list of Observations", Observation, finished, _TOLD)
        held = listed("`pending` must be a list of configurations", Mapping, pending, _PENDING)  # type: ignore[type-abstract]
        for observation in results:
            if (key := self._enter(observation.params)) is not None:
                self._runs.setdefault(key, []).append(observation)
                self._asked.discard(key)
        keys = (self._enter(params) for params in held)
        self._pending = {key for key in keys if key is not None}

    def ask(self, params: Params) -> None:
        """Remember what was just asked: it is pending until told."""
        key = config_key(params)
        self._params[key] = params
        self._asked.add(key)

    def take_back(self, asked: Iterable[Params]) -> None:
        """Forget that these were asked."""
        self._asked.difference_update(config_key(params) for params in asked)

    def __contains__(self, key: str) -> bool:
        return key in self._runs or key in self._pending or key in self._asked

    def __len__(self) -> int:
        """How many distinct configurations are finished, pending or asked."""
        return len(self._runs.keys() | self._pending | self._asked)

    def known(self) -> list[Params]:
        """All configurations that are finished, pending or asked."""
        return [self._params[key] for key in sorted(self._runs.keys() | self._pending | self._asked)]

    def pending(self) -> list[Params]:
        """What was asked or is pending elsewhere, and has no result yet."""
        return [self._params[key] for key in sorted((self._pending | self._asked) - self._runs.keys())]

    def results(self, direction: Direction) -> list[Result]:
        """Finished configurations.

        Where one was stopped early, it was not among the best: its loss is the middle of the complete ones at
        least, however it stood.
        """
        merged = [_merged(self._params[key], self._runs[key], direction) for key in sorted(self._runs)]
        complete = [each.loss for each in merged if each.loss is not None and not each.partial]
        if not complete:
            return merged
        middle = median_low(complete)
        return [
            replace(each, loss=max(each.loss, middle)) if each.partial and each.loss is not None else each
            for each in merged
        ]

    def losses(self, direction: Direction) -> tuple[list[Params], list[float | None]]:
        """Finished configurations and their losses as in `results`."""
        results = self.results(direction)
        return [each.params for each in results], [each.loss for each in results]

    def metrics(self) -> list[dict[str, float]]:
        """What every success of a configuration measured, each their mean; in the order of `losses`."""
        return [_means(self._runs[key]) for key in sorted(self._runs)]

    def _enter(self, params: Params) -> str | None:
        try:
            entry = _remembered(self._space, tuple(params), *params.values())
        except TypeError:  # a value that has no hash
            entry = _entry(self._space, params)
        if entry is None:
            return None
        key, self._params[key] = entry
        return key


def _entry(space: SearchSpace, params: Params) -> tuple[str, Params] | None:
    """The canonical key and the plain values of what the space holds; None of what it does not."""
    try:
        valid = space.validate(params)
    except ParamsError:
        return None
    return config_key(valid), valid


@lru_cache(maxsize=_N_REMEMBERED, typed=True)  # 1, 1.0 and True are equal, and not the same value
def _remembered(space: SearchSpace, names: tuple[str, ...], *values: Value) -> tuple[str, Params] | None:
    """The same: generators are made anew for each proposal, and told the whole history again."""
    return _entry(space, dict(zip(names, values, strict=True)))


def _merged(params: Params, runs: Sequence[Observation], direction: Direction) -> Result:
    succeeded = [run for run in runs if run.value is not None]
    used = [run for run in succeeded if not run.partial] or succeeded
    values = [run.value for run in used if run.value is not None]
    if not values:
        return Result(params, None, None, len(runs), partial=False)
    errors = [run.std_error for run in used if run.std_error is not None]
    std_error = hypot(*sorted(errors)) / len(errors) if len(errors) == len(used) else None
    # Divided first, so that no sum of the largest floats overflows.
    loss = loss_of(fsum(value / len(values) for value in values), direction)
    return Result(params, loss, std_error, len(values), partial=used[0].partial)


def _means(runs: Sequence[Observation]) -> dict[str, float]:
    """Of the metrics that every success has, those stopped early aside where others are."""
    succeeded = [run for run in runs if run.value is not None]
    several = [run.metrics for run in succeeded if not run.partial] or [run.metrics for run in succeeded]
    names = [name for name in (several[0] if several else ()) if all(name in each for each in several)]
    return {name: fsum(each[name] / len(several) for each in several) for name in names}


class RememberingGenerator(Generator):
    """A generator that makes its suggestions one at a time, so that `ask(n)` equals n times `ask(1)`."""

    @cached_property
    def history(self) -> History:
        """What is known of the study."""
        return History(self.space)

    def ask(self, n: int = 1) -> list[Suggestion]:
        n = plain(n)
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise UsageError(
                f"The number of suggestions must be a whole number of at least 1, but got {n!r}."
            )
        suggestions: list[Suggestion] = []
        with alone():
            n_before = self.n_asked
            try:
                while len(suggestions) < n and (found := self._next()) is not None:
                    params, reason = found
                    suggestions.append(Suggestion(params, self.method, reason))
                    self.history.ask(params)
                    self.n_asked += 1
            except BaseException:  # an interrupt: nobody will ever tell of what nobody was given
                self.history.take_back(one.params for one in suggestions)
                self.n_asked = n_before
                raise
        return suggestions

    def tell(self, finished: Iterable[Observation], pending: Sequence[Params] = ()) -> None:
        with alone():
            self.history.tell(finished, pending)

    @abstractmethod
    def _next(self) -> tuple[Params, Mapping[str, Any]] | None:
        """A valid configuration that the history does not hold, and the reason; None when none is left."""


class LearningGenerator(RememberingGenerator, Generic[Belief]):
    """One that makes a model of what it was told, and keeps the model until it is told more."""

    _belief: Belief | None = None

    def ask(self, n: int = 1) -> list[Suggestion]:
        with on_one_thread():
            return super().ask(n)

    def tell(self, finished: Iterable[Observation], pending: Sequence[Params] = ()) -> None:
        super().tell(finished, pending)
        self._belief = None

    def __getstate__(self) -> dict[str, Any]:
        """What pickle keeps: not the model, which is made again from the history."""
        return {**self.__dict__, "_belief": None}

    def learned(self) -> Belief | None:
        """What is believed now; None where too little is known."""
        self._belief = self._belief or self._learn()
        return self._belief

    @abstractmethod
    def _learn(self) -> Belief | None:
        """Make the model of what is finished; None where too little is known."""
