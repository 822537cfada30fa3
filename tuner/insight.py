"""What a study has taught so far, as data: which parameters mattered, and whether going on is worth it.

Made by `tuner.importance`; kept as an event at the end of every run, so that reports need no model.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tuner.experiment import Value

__all__ = ["FURTHER", "INSIGHT", "MUCH", "NOTHING", "TRENDS", "Gain", "Importance", "Insight"]

INSIGHT = "insight"
"""The kind of the events that hold one."""

FURTHER = "further"
"""The key of such an event under which those of further objectives are, by metric."""

TRENDS = ("higher", "lower", "inner", "")
"""Which values of a parameter are better: those at its upper or lower end, those inside, or open."""

NOTHING, MUCH = 0.02, 0.2
"""Shares of the variance: up to the first a parameter does nothing that matters; from the second on, much."""


@dataclass(frozen=True, slots=True)
class Importance:
    """What one parameter does to the value.

    Attributes:
        share: of the variance of the value over the space, interactions included, 0 to 1; the median of what
            is likely. Shares of several parameters may add up to more than 1.
        low, high: eight of ten likely shares lie between them.
        trend: one of `TRENDS`; open for a category and for a parameter that is not known to matter.
        best: the value that is best on average over the others.
        dead: whether it is likely to do nothing that matters: 2 % of the variance at most. To say so takes
            enough experiments in which it was active.
    """

    name: str
    share: float
    low: float
    high: float
    trend: str
    best: Value
    dead: bool

    @property
    def matters(self) -> bool:
        """Whether it is likely to do something: all likely shares are above 2 % of the variance."""
        return self.low > NOTHING

    @property
    def unsettled(self) -> bool:
        """Whether it may do nothing and may do much, for all that is known."""
        return self.low <= NOTHING and self.high >= MUCH


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much the best of `n` more experiments is expected to be better than the best so far.

    Attributes:
        n: how many more.
        mean: in the unit of the metric, 0 or more.
        low, high: eight of ten likely gains lie between them.
    """

    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Insight:
    """What was learned from `n` finished experiments.

    Attributes:
        n: how many of them succeeded.
        importances: the most important parameter first; empty where too little is known.
        gain: of ten more experiments; None where too little is known or nothing is left to try.
    """

    n: int
    importances: tuple[Importance, ...]
    gain: Gain | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "n": self.n,
            "importances": [asdict(each) for each in self.importances],
            "gain": None if self.gain is None else asdict(self.gain),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Insight":
        """What `to_dict` gave.

        Raises:
            KeyError, TypeError: it is no such document.
        """
        gain = document["gain"]
        return cls(
            document["n"],
            tuple(Importance(**each) for each in document["importances"]),
            None if gain is None else Gain(**gain),
        )
