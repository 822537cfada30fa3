"""A Sobol design: points that fill the space evenly, however many are asked for."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.stats import qmc

from tuner.experiment import Params
from tuner.generators.cube import Cube, unless_known
from tuner.generators.history import RememberingGenerator

__all__ = ["SobolGenerator"]


class SobolGenerator(RememberingGenerator):
    """Suggestion number i is point i of a Sobol sequence, scrambled by the seed (A. B. Owen, 1998).

    It depends on nothing that was told. Where values have steps, points fall together; a repeat is replaced
    by a random configuration.
    """

    method: ClassVar[str] = "sobol"

    @cached_property
    def _cube(self) -> Cube:
        return Cube(self.space)

    @cached_property
    def _sequence(self) -> qmc.Sobol:
        rng = np.random.default_rng([self.seed, 0, 1])
        return qmc.Sobol(max(len(self._cube.names), 1), rng=rng)

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
