"""Latin hypercubes: in every block of 20 suggestions, each parameter takes 20 evenly spread values once."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.stats import qmc

from tuner.experiment import Direction, Params
from tuner.generators.cube import Cube, unless_known
from tuner.generators.history import RememberingGenerator
from tuner.space import SearchSpace

__all__ = ["LatinHypercubeGenerator"]

_N_ROWS = 20
"""As many as are asked for when nobody names a number."""


class LatinHypercubeGenerator(RememberingGenerator):
    """Latin hypercube sampling (McKay, Beckman and Conover, 1979) in independent blocks of 20.

    A Latin hypercube cannot be continued, so more than 20 suggestions come from several; fewer are the first
    rows of one. It depends on nothing that was told. Where values have steps, rows fall together; a repeat is
    replaced by a random configuration.
    """

    method: ClassVar[str] = "lhs"

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
        self._block, self._rows = -1, np.empty((0, 0))

    def _next(self) -> tuple[Params, Mapping[str, Any]] | None:
        block, row = divmod(self.n_asked, _N_ROWS)
        if block != self._block:
            self._block, self._rows = block, self._drawn(block)
        params = self._cube.config(self._rows[row])
        return unless_known(self.space, self.history, params, {"design": "lhs", "block": block}, self.rng())

    def _drawn(self, block: int) -> np.ndarray:
        """A block: (20, n_names) points in the unit cube."""
        n_dims = len(self._cube.names)
        if not n_dims:
            return np.empty((_N_ROWS, 0))
        rows: np.ndarray = qmc.LatinHypercube(
            n_dims, rng=np.random.default_rng([self.seed, block, 2])
        ).random(_N_ROWS)
        return rows
