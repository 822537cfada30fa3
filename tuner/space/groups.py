"""What a Sum or an Increasing offers to the space: its members are drawn and mended together."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.experiment import Value
from tuner.space.conditions import Key
from tuner.space.constraints import Increasing, Sum
from tuner.space.params import NumericParam

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Domain", "Group"]


@dataclass(frozen=True, slots=True)
class Domain:
    """What a member may be: the values at `indices` (ascending), or where None, the interval [low, high]."""

    indices: Sequence[int] | None
    low: float
    high: float


class Group(ABC):
    """Numeric parameters that are active together and satisfy one constraint together.

    Attributes:
        constraint: the declaration.
        params: the members in the order in which their values are settled.
        names: their names in that order. Vectors below are in that order too.
    """

    constraint: Sum | Increasing

    def __init__(self, params: Sequence[NumericParam]) -> None:
        self.params = tuple(params)
        self.names = tuple(param.name for param in params)

    @abstractmethod
    def with_params(self, params: Sequence[NumericParam]) -> "Group":
        """Build the same constraint over other parameters of the same names.

        Raises:
            SpaceError: it can never hold over these.
        """

    @abstractmethod
    def draw(self, rng: "np.random.Generator") -> list[float]:
        """Draw a vector that satisfies the constraint."""

    @abstractmethod
    def nearest(self, wanted: Sequence[float]) -> list[float]:
        """Return the satisfying vector nearest to `wanted` (finite numbers, within bounds or not)."""

    @abstractmethod
    def domain(self, prefix: Sequence[float]) -> Domain:
        """Return what the next member may be after `prefix`, such that the rest can be completed.

        Never empty where the members of `prefix` were taken from their own domains.
        """

    @abstractmethod
    def count(self) -> float:
        """Return the number of satisfying vectors; infinite where continuous or beyond counting."""

    @abstractmethod
    def tally(self, named: Mapping[str, Collection[Key]]) -> Iterator[tuple[dict[str, Value], float]]:
        """Yield what the members hold of their `named` values, each with how many vectors hold just that.

        Of countable members only. A member that holds none of its own is left out. Beyond counting it is all
        one: no values at all, and infinitely many vectors.
        """

    @abstractmethod
    def problem(self, values: Mapping[str, float]) -> str:
        """Return "" or a sentence on how these values, by name, break the constraint."""

    def vectors(self, prefix: tuple[float, ...] = ()) -> Iterator[tuple[float, ...]]:
        """Yield every satisfying vector of countable members, ascending in the order of the members."""
        if len(prefix) == len(self.params):
            yield prefix
            return
        param = self.params[len(prefix)]
        for index in self.domain(prefix).indices or ():
            yield from self.vectors((*prefix, param.at(index)))
