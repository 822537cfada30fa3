"""Latin hypercubes: in every block of 20 suggestions, each parameter takes 20 evenly spread values once."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from scipy.stats import qmc

from tuner.experiment import Params
from tuner.generators.cube import Cube, unless_known
from tuner.generators.history import RememberingGenerator

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

    @cached_property
    def _cube(self) -> Cube:
        return Cube(self.space)

    def _next(self) -> tuple[Params, Mapping[str, Any]] | None:
        block, row = divmod(self.n_asked, _N_ROWS)
        params = self._cube.config(self._rows(block)[row])
        return unless_known(self.space, self.history, params, {"design": "lhs", "block": block}, self.rng())

    def _rows(self, block: int) -> np.ndarray:
        """A block: (20, n_names) points in the unit cube."""
        n_dims = len(self._cube.names)
        if not n_dims:
            return np.empty((_N_ROWS, 0))
        rows: np.ndarray = qmc.LatinHypercube(
            n_dims, rng=np.random.default_rng([self.seed, block, 2])
        ).random(_N_ROWS)
        return rows
