"""A Sobol design: points that fill the space evenly, however many are asked for."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.stats import qmc

from tuner.experiment import Direction, Params
from tuner.generators.cube import Cube, unless_known
from tuner.generators.history import RememberingGenerator
from tuner.space import SearchSpace

__all__ = ["SobolGenerator"]


class SobolGenerator(RememberingGenerator):
    """Suggestion number i is point i of a Sobol sequence, scrambled by the seed (A. B. Owen, 1998).

    It depends on nothing that was told. Where values have steps, points fall together; a repeat is replaced
    by a random configuration.
    """

    method: ClassVar[str] = "sobol"

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        direction: Direction | str = Direction.MINIMIZE,
        baseline: Params | None = None,
        n_asked: int = 0,
    ) -> None:
        super().__init__(space, seed=seed, direction=direction, baseline=baseline, n_asked=n_asked)
        self._cube = Cube(space)
        self._sequence = qmc.Sobol(max(len(self._cube.names), 1), rng=np.random.default_rng([seed, 0, 1]))

    def _next(self) -> tuple[Params, Mapping[str, Any]] | None:
        params = self._cube.config(self._point()[: len(self._cube.names)])
        return unless_known(self.space, self.history, params, {"design": "sobol"}, self.rng())

    def _point(self) -> np.ndarray:
        ahead = self.n_asked - self._sequence.num_generated
        if ahead < 0:  # the last point was not used, since nothing was left to propose
            self._sequence.reset()
            ahead = self.n_asked
        if ahead:
            self._sequence.fast_forward(ahead)
        point: np.ndarray = self._sequence.random(1)[0]
        return point
