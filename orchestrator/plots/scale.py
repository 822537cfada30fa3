"""Where the values of a parameter stand on an axis from 0 to 1, and which of them are written beside it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.plots.rows import shortened
from retrain.tables import number
from tuner.experiment import Params, Value

__all__ = ["INACTIVE", "Scale"]

INACTIVE = -0.12
"""Where a parameter stands that the configuration does not have: below its axis."""

_MOST_CHOICES = 14
_N_TICKS = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis.

    Attributes:
        name: of the parameter, in full.
        low, high: ends of a numeric range.
        log: whether it is a logarithmic one.
        choices: of a categorical parameter; empty for a numeric one.
        whole: whether its values are whole numbers.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Value, ...] = ()
    whole: bool = False

    @classmethod
    def of(cls, param: Mapping[str, Any]) -> "Scale":
        """Of a parameter, as the document of a space has it."""
        if param["type"] == "categorical":
            return cls(param["name"], choices=tuple(param["choices"]))
        return cls(
            param["name"], param["low"], param["high"], bool(param.get("log")), whole=param["type"] == "int"
        )

    def place_in(self, params: Params) -> float:
        """Where a configuration stands; `INACTIVE` where it lacks the parameter (None may be a choice)."""
        return self.place(params[self.name]) if self.name in params else INACTIVE

    def place(self, value: Value | None) -> float:
        """From 0 to 1; `INACTIVE` for None and for what is not on the scale."""
        if self.choices:
            n = len(self.choices)
            found = [i for i, each in enumerate(self.choices) if each == value and type(each) is type(value)]
            return (found[0] / (n - 1) if n > 1 else 0.5) if found else INACTIVE
        if isinstance(value, bool) or not isinstance(value, int | float):
            return INACTIVE
        if self.log:
            if value <= 0:
                return INACTIVE
            place = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            place = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, place))

    def ticks(self) -> list[tuple[float, str]]:
        """(place, text) of what is written, from the bottom up; of many choices every second, third, ..."""
        if self.choices:
            step = -(-len(self.choices) // _MOST_CHOICES)
            return [(self.place(each), shortened(str(each), 12)) for each in self.choices[::step]]
        places = [i / (_N_TICKS - 1) for i in range(_N_TICKS)]
        values = [self._at(place) for place in places]
        if self.whole:
            values = [float(each) for each in dict.fromkeys(round(value) for value in values)]
        written = [(self.place(each), number(each, 3)) for each in values]
        return [each for i, each in enumerate(written) if each[1] not in [other[1] for other in written[:i]]]

    def _at(self, place: float) -> float:
        if self.log:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + place * (self.high - self.low)
