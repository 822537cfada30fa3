"""What a proposer looks like to the benchmark; nothing but the standard library, since every peer imports it.

A peer runs in a process of its own, in the environment that it needs (see `serve` and `environments`).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Config", "Param", "Peer", "Told", "active", "from_unit", "middle", "to_unit"]

Config = dict[str, Any]


@dataclass(frozen=True)
class Param:
    """One parameter of a problem.

    Attributes:
        name: its name.
        type: "float", "int" or "cat".
        low, high, log: range of a number, both ends included; None and False for "cat".
        choices: of a "cat"; None for numbers.
        when: (parent, its values with which this parameter is active), or None: always active.
    """

    name: str
    type: str
    low: float | None
    high: float | None
    log: bool
    choices: list[Any] | None
    when: tuple[str, list[Any]] | None

    @property
    def n_choices(self) -> int:
        """How many choices; 0 for numbers."""
        return len(self.choices or ())

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Whether it is active in a configuration that has its parents already."""
        return self.when is None or (self.when[0] in config and config[self.when[0]] in self.when[1])


@dataclass(frozen=True)
class Told:
    """One result.

    Attributes:
        number: of the proposal that it answers, counted from 0 in the order of asking; None: never asked.
        config: what was really measured, active parameters only: for a table of measured configurations the
            nearest one to what was asked.
        loss: the smaller the better; None: the experiment failed.
    """

    number: int | None
    config: Config
    loss: float | None


class Peer(ABC):
    """Proposes configurations.

    Args:
        space: the parameters, parents before their children.
        seed: of its random stream.
        n_experiments: how many there will be in all, for those that want to know.
    """

    def __init__(self, space: Sequence[Param], seed: int, n_experiments: int) -> None:
        self.space = list(space)
        self.seed = seed
        self.n_experiments = n_experiments

    @abstractmethod
    def ask(self, n: int) -> list[Config]:
        """Propose `n` configurations before any of them is told; a value for every active parameter."""

    @abstractmethod
    def tell(self, results: Sequence[Told]) -> None:
        """Learn from finished experiments: those of one batch, or many that were never asked."""


def active(space: Sequence[Param], config: Mapping[str, Any]) -> Config:
    """The part of a configuration whose conditions hold."""
    kept: Config = {}
    for p in space:
        if p.holds(kept):
            kept[p.name] = config[p.name]
    return kept


def middle(p: Param) -> Any:
    """What a method that knows no conditions is told of a parameter that is not active."""
    return from_unit(p, 0.5) if p.choices is None else p.choices[0]


def from_unit(p: Param, u: float) -> float | int:
    """A number of the parameter's range, from its place in [0, 1]."""
    assert p.low is not None
    assert p.high is not None
    u = min(max(u, 0.0), 1.0)
    low, high = (math.log(p.low), math.log(p.high)) if p.log else (p.low, p.high)
    value = low + u * (high - low)
    value = min(max(math.exp(value) if p.log else value, p.low), p.high)
    return round(value) if p.type == "int" else value


def to_unit(p: Param, value: float) -> float:
    """The place of a number in [0, 1]."""
    assert p.low is not None
    assert p.high is not None
    if p.high == p.low:
        return 0.5
    if p.log:
        return (math.log(value) - math.log(p.low)) / (math.log(p.high) - math.log(p.low))
    return (value - p.low) / (p.high - p.low)
