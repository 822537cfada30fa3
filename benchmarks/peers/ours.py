"""Our generators, used as `tuner.propose` uses them: made anew of the whole history for every proposal."""

from collections.abc import Sequence
from typing import Any

from benchmarks.peers.base import Config, Param, Peer, Told
from tuner import CategoricalParam, FloatParam, IntParam, Observation, SearchSpace, Sum, make_generator

__all__ = ["Ours", "search_space"]


def _param(p: Param) -> Any:
    when = None if p.when is None else {p.when[0]: p.when[1]}
    if p.choices is not None:
        return CategoricalParam(p.name, p.choices, when=when)
    kind = IntParam if p.type == "int" else FloatParam
    return kind(p.name, p.low, p.high, log=p.log, when=when)


def search_space(space: Sequence[Param], sum_to_one: bool = False) -> SearchSpace:
    """The problem's space as ours, with no defaults named."""
    constraints = [Sum([p.name for p in space], 1.0)] if sum_to_one else []
    return SearchSpace([_param(p) for p in space], constraints)


class Ours(Peer):
    """One method of `tuner.generators`; what was asked and not told is pending.

    Args:
        space, seed, n_experiments: as every peer's.
        method: its name.
        sum_to_one: whether all parameters are weights that sum to one.
        options: further arguments of the method.
    """

    def __init__(
        self,
        space: Sequence[Param],
        seed: int,
        n_experiments: int,
        method: str = "bayesian",
        sum_to_one: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(space, seed, n_experiments)
        self._space = search_space(space, sum_to_one)
        self._method, self._options = method, options
        self._finished: list[Observation] = []
        self._pending: dict[int, Config] = {}
        self._n_asked = 0

    def ask(self, n: int) -> list[Config]:
        generator = make_generator(
            self._method,
            self._space,
            seed=self.seed,
            n_asked=self._n_asked,
            **self._options,
        )
        generator.tell(self._finished, list(self._pending.values()))
        configs = [dict(each.params) for each in generator.ask(n)]
        for config in configs:
            self._pending[self._n_asked] = config
            self._n_asked += 1
        return configs

    def tell(self, results: Sequence[Told]) -> None:
        for each in results:
            # What was asked and not told stays pending, as the contract of generators has it: it is not asked
            # again where the nearest measured configuration was told in its stead.
            if each.number is not None and self._pending[each.number] == each.config:
                del self._pending[each.number]
            self._finished.append(Observation(each.config, each.loss))
