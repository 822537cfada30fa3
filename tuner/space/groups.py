"""What a group constraint (Sum, Increasing) offers to the space: its members are drawn and mended together."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tuner.space.constraints import Increasing, Sum
from tuner.space.params import NumericParam

__all__ = ["Domain", "Group"]


@dataclass(frozen=True, slots=True)
class Domain:
    """The values a member may take, given its predecessors: lattice indices, or the interval [low, high]."""

    indices: Sequence[int] | None
    low: float
    high: float


class Group(ABC):
    """A Sum or Increasing over numeric parameters that are active together.

    Attributes:
        params: the members in the order in which values are settled.
        names: their names, in that order. Vectors below are in that order too.
        constraint: the declaration.
    """

    constraint: Sum | Increasing

    def __init__(self, params: Sequence[NumericParam]) -> None:
        self.params = tuple(params)
        self.names = tuple(param.name for param in params)

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> list[float]:
        """Draw values that satisfy the constraint."""

    @abstractmethod
    def nearest(self, wanted: Sequence[float]) -> list[float]:
        """Return the satisfying values nearest to `wanted` (finite numbers)."""

    @abstractmethod
    def domain(self, prefix: Sequence[float]) -> Domain:
        """What the next member may be after `prefix`, such that the rest can be completed. Never empty."""

    @abstractmethod
    def count(self) -> float:
        """Number of satisfying vectors; infinite where continuous or beyond counting."""

    @abstractmethod
    def problem(self, values: dict[str, float]) -> str:
        """Return "" or a sentence saying how these values, by name, break the constraint."""

    def vectors(self, prefix: tuple[float, ...] = ()) -> Iterator[tuple[float, ...]]:
        """Every satisfying vector of a finite group, ascending in the order of the members."""
        if len(prefix) == len(self.params):
            yield prefix
            return
        param = self.params[len(prefix)]
        for index in self.domain(prefix).indices or ():
            yield from self.vectors((*prefix, param.at(index)))
