"""The surrogate: what is believed of configurations that were not run. `Surrogate` is the seam."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Surrogate"]

Array = NDArray[np.float64]


class Surrogate(ABC):
    """A model of the loss over the unit cube. Never changes: conditioning gives another.

    Deterministic: what it was made of decides it, in every process.
    """

    @property
    def members(self) -> "Sequence[Surrogate]":
        """The equally likely models whose mixture this is; itself where it is one alone."""
        return (self,)

    def means_each(self, x: Array) -> Array:
        """The means of `predict_each` alone, at less cost: (n_members, m)."""
        return self.predict_each(x)[0]

    def predict_each(self, x: Array) -> tuple[Array, Array]:
        """Mean and deviation, as `predict` gives them, of each member: (n_members, m), (n_members, m)."""
        means, deviations = zip(*(member.predict(x) for member in self.members), strict=True)
        return np.array(means), np.array(deviations)

    @property
    @abstractmethod
    def noises(self) -> Array:
        """The variance of the noise of an observation as noisy as most, of each member: (n_members,)."""

    @abstractmethod
    def condition(self, x: Array) -> Self:
        """Believe that each row of `x`, (m, d), came out at its mean: means stay, deviations shrink."""

    @abstractmethod
    def drawn(self, x: Array, rng: np.random.Generator) -> Array:
        """One draw of the noise-free loss at all rows of `x` together from each member: (n_members, m)."""

    @abstractmethod
    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation (> 0) of the noise-free loss at each row of `x`: (m,), (m,)."""
