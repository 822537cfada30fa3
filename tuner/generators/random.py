"""Random search: independent draws from the space, without repeats."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tuner.experiment import Params
from tuner.generators.history import History, RememberingGenerator
from tuner.space import SearchSpace, config_key

__all__ = ["RandomGenerator", "draw_unseen"]

_N_TRIES, _N_TRIES_UNCOUNTED = 64, 10_000


def draw_unseen(space: SearchSpace, history: History, rng: np.random.Generator) -> Params | None:
    """Draw a configuration that the history does not hold; None when a space is exhausted.

    Draws that were seen are thrown away a fixed number of times only. A finite space is then looked through
    for what is left, so that the last configurations of a nearly exhausted one are found too. One that cannot
    be counted is given up after 10,000 draws: it may have few configurations and one branch without end.
    """
    tried = 0
    while tried < _N_TRIES or (tried < _N_TRIES_UNCOUNTED and space.size() is None):
        tried += 1
        params = space.sample(rng)
        if config_key(params) not in history:
            return params
    if space.size() is None:
        return None
    unseen = [params for params in space.enumerate() if config_key(params) not in history]
    return unseen[int(rng.integers(len(unseen)))] if unseen else None


class RandomGenerator(RememberingGenerator):
    """Samples the space; a finite space is exhausted without repeats."""

    method: ClassVar[str] = "random"

    def _next(self) -> tuple[Params, Mapping[str, Any]] | None:
        params = draw_unseen(self.space, self.history, self.rng())
        return None if params is None else (params, {"design": "random"})
