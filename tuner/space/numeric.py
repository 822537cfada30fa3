"""FloatParam and IntParam: numbers between two bounds, on a linear or log scale, with or without a step."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from tuner.errors import SpaceError
from tuner.space.declaring import When, check_name, checked_when
from tuner.space.values import brief, decimals, exact, is_number, plain, type_name

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FloatParam", "IntParam", "NumericParam"]

_MAX_INT = 2**63 - 1
_MAX_FLOAT = 1e100
_NEAR = 1e-6
"""How far, in steps, a given value may lie beside the lattice and still be meant to be on it."""
_DIGITS = 9
"""Of a continuous value that is drawn: more would tell nothing apart, and be read and stored for nothing."""


@dataclass(frozen=True)
class NumericParam(ABC):
    """What FloatParam and IntParam share; build one of these instead.

    Attributes:
        low, high: bounds, both included.
        log: whether the scale is logarithmic (low > 0).
        step: the values are low, low + step, ..., high; None for every number between.
        default: a value of the parameter; the middle of its scale when none was given.
        when: `{parent: (values, ...)}`, or None for always.
        default_given: whether the default was given.
    """

    name: str
    low: Any
    high: Any
    _: KW_ONLY
    log: bool = False
    step: Any = None
    default: Any = None
    when: When | None = field(default=None, hash=False)
    default_given: bool = field(init=False, repr=False, compare=False)

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        check_name(self.name)
        self._settle("low", self._number("low"))
        self._settle("high", self._number("high"))
        if not self.low <= self.high:
            raise SpaceError(
                f"`low <= high` must hold for {self.name!r}, but got low={self.low!r}, high={self.high!r}."
            )
        if not isinstance(self.log, bool):
            raise SpaceError(f"`log` of {self.name!r} must be true or false, but got {brief(self.log)}.")
        if self.log and not self.low > 0:
            raise SpaceError(
                f"`low > 0` must hold for {self.name!r} on a log scale, but got low={self.low!r}.",
                "Raise low above zero or leave log out.",
            )
        if self.step is not None:
            self._settle("step", self._number("step"))
            self._check_step()
        self._settle("when", checked_when(self.name, self.when))
        self._settle("default_given", self.default is not None)
        self._settle("default", self._checked_default() if self.default_given else self.middle())

    def _settle(self, attribute: str, value: object) -> None:
        object.__setattr__(self, attribute, value)

    @abstractmethod
    def _number(self, what: str) -> Any: ...

    def _check_step(self) -> None:
        if not self.step > 0:
            raise SpaceError(f"`step > 0` must hold for {self.name!r}, but got step={self.step!r}.")
        n_steps = (exact(self.high) - exact(self.low)) / exact(self.step)
        if n_steps.denominator != 1:
            reached = exact(self.low) + exact(self.step) * math.floor(n_steps)
            further = reached + exact(self.step)
            raise SpaceError(
                f"`high` of {self.name!r} must be `low` plus a whole number of steps, but got "
                f"low={self.low!r}, high={self.high!r}, step={self.step!r}.",
                f"The steps reach {float(reached):.12g} or {float(further):.12g}.",
            )

    def _checked_default(self) -> Any:
        value, problem = self.check(self.default)
        if problem:
            raise SpaceError(f"The default must be a value of the parameter: {problem}")
        return value

    # ---- the lattice

    @cached_property
    def n_values(self) -> int | None:
        """How many values there are; None when continuous."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return int((exact(self.high) - exact(self.low)) / exact(self.step)) + 1

    @abstractmethod
    def at(self, index: int) -> Any:
        """Return value number `index` (>= 0) of a countable parameter, ascending from low."""

    @abstractmethod
    def index_of(self, value: float) -> int:
        """Return the index of the value nearest to `value`, for a countable parameter."""

    def _bounded(self, index: int) -> int:
        return min(max(index, 0), (self.n_values or 1) - 1)

    def _indices_around(self, value: float) -> range:
        """Indices that surely hold the nearest values below, at and above `value`; may leave the bounds."""
        middle = self.index_of(value)
        return range(middle - 1, middle + 2)

    def above(self, value: float) -> Any:
        """Return the smallest value of this parameter > `value`; beyond high where there is none."""
        if value < self.low:
            return self.low
        if self.step is None:
            return math.nextafter(value, math.inf)
        if value >= self.high:
            return math.inf
        return next(found for k in self._indices_around(value) if (found := self.at(k)) > value)

    def below(self, value: float) -> Any:
        """Return the largest value of this parameter < `value`; beneath low where there is none."""
        if value > self.high:
            return self.high
        if self.step is None:
            return math.nextafter(value, -math.inf)
        if value <= self.low:
            return -math.inf
        return next(found for k in reversed(self._indices_around(value)) if (found := self.at(k)) < value)

    # ---- one value

    def clip(self, value: float) -> Any:
        """Return the nearest value of this parameter."""
        bounded = min(max(value, self.low), self.high)
        return float(bounded) if self.n_values is None else self.at(self.index_of(bounded))

    def nearest(self, value: object) -> Any:
        """Return the nearest value of this parameter; its default for what is no number."""
        number = plain(value)
        return self.clip(number) if is_number(number) and number == number else self.default

    def check(self, value: object) -> tuple[Any, str]:
        """Return the value in this parameter's own type and "", or None and a sentence on what is wrong."""
        number = plain(value)
        if not is_number(number):
            return None, f"{self.name!r} must be {self._what}, but got {brief(value)} ({type_name(number)})."
        if not self.low <= number <= self.high:
            return None, f"{self.name!r} must be {self._what}, but got {brief(number)}."
        if self.step is None:
            return float(number) + 0.0, ""
        nearest = self.clip(number)
        if abs(number - nearest) <= self._slack:
            return nearest, ""
        return (
            None,
            f"{self.name!r} must be {self._what}, but got {brief(number)}; {nearest!r} is the nearest.",
        )

    @cached_property
    def _slack(self) -> float:
        return _NEAR * float(self.step)

    @property
    @abstractmethod
    def _what(self) -> str: ...

    # ---- drawing and encoding

    def middle(self) -> Any:
        """Return the middle of the scale, without digits that nobody would write."""
        value = self._scaled(0.5, self.low, self.high)
        return value if self.n_values is not None else self.clip(float(f"{value:.12g}"))

    def shortened(self, value: float) -> float:
        """Return a continuous value to nine digits: of its range, or of itself on a log scale.

        One that this would lead out of the bounds is returned as it is.
        """
        if self.n_values is not None:
            return value
        short = float(f"{value:.{_DIGITS}g}") if self.log else round(value, self.places) + 0.0
        return short if self.low <= short <= self.high else value

    @cached_property
    def places(self) -> int:
        """How many decimals a drawn value has on a linear scale; negative for a huge range."""
        return _DIGITS - 1 - math.floor(math.log10(self.high - self.low)) if self.high > self.low else 0

    def from_unit(self, u: float, low: Any = None, high: Any = None) -> Any:
        """Map u in [0, 1) to a value, uniform in u (in log where log); see `shortened` for its digits.

        Args:
            u: the position.
            low: a value of this parameter to start from, included; its own bound when not given.
            high: one to end at, included; its own bound when not given.
        """
        low = self.low if low is None else low
        high = self.high if high is None else high
        value = self._scaled(u, low, high)
        if self.step is not None:
            return value
        short = self.shortened(value)
        return short if low <= short <= high else value

    def to_unit(self, value: float) -> float:
        """Return a position that `from_unit` maps to a value; 0.5 for a constant."""
        if self.low == self.high:
            return 0.5
        if self.log:
            start, end = self.log_range(self.low, self.high)
            return (math.log(value) - start) / (end - start) if start < end else 0.5
        if self.n_values is not None:
            return (self.index_of(value) + 0.5) / self.n_values
        return float((value - self.low) / (self.high - self.low))

    def _scaled(self, u: float, low: Any, high: Any) -> Any:
        if self.log:
            start, end = self.log_range(low, high)
            value = min(max(math.exp(start + u * (end - start)), low), high)
            return value if self.step is None else self.clip(value)
        if self.step is None:
            return min(max(low + u * (high - low), low), high)
        first = self.index_of(low)
        n_between = self.index_of(high) - first + 1
        return self.at(first + min(int(u * n_between), n_between - 1))

    def log_range(self, low: float, high: float) -> tuple[float, float]:
        """The logarithms between which a value from `low` to `high` is drawn, to be clipped from there.

        Half a step further on either side, which gives the end points of a lattice their fair share.
        """
        half = (self.step or 0) / 2
        return math.log(max(low - half, low / 2)), math.log(high + half)

    @property
    def n_dims(self) -> int:
        """Columns of the encoding."""
        return 1

    def encode(self, values: Sequence[Any]) -> "np.ndarray":
        """Return an (n, 1) array of positions in [0, 1] on the scale; 0 throughout for a constant."""
        import numpy as np

        column = np.asarray(values, dtype=float)
        low, high = float(self.low), float(self.high)
        if self.log:
            column = np.log(np.clip(column, low, high))  # the least whole number of all may round to 0
            low, high = math.log(low), math.log(high)
        if low == high:  # bounds so close that they have one logarithm
            return np.zeros((len(values), 1))
        return np.clip((column - low) / (high - low), 0.0, 1.0)[:, None]


@dataclass(frozen=True)
class FloatParam(NumericParam):
    """A real number in [low, high], both included.

    Args:
        name: what the pipeline calls it.
        low, high: bounds, within 1e100 either way.
        log: search on a log scale (low > 0).
        step: only low, low + step, ..., high.
        default: the middle of the scale when not given.
        when: `{parent: [values]}`: exists only where the parents hold these values.

    Raises:
        SpaceError: bounds, step or default contradict each other.
    """

    kind: ClassVar[str] = "float"

    def _number(self, what: str) -> float:
        value = plain(getattr(self, what))
        if not is_number(value) or not abs(value) <= _MAX_FLOAT:
            raise SpaceError(
                f"`{what}` of {self.name!r} must be a finite number (within 1e100), but got {brief(value)}.",
                "Write the number without quotes." if isinstance(value, str) else "",
            )
        return float(value) + 0.0

    def _check_step(self) -> None:
        super()._check_step()
        if self.low + self.step / 1e7 == self.low or self.high - self.step / 1e7 == self.high:
            raise SpaceError(
                f"The steps of {self.name!r} must be told apart as floats, but got low={self.low!r}, "
                f"high={self.high!r}, step={self.step!r}.",
                "Use a larger step, or none.",
            )

    @cached_property
    def _places(self) -> int | None:
        return decimals(self.low, self.step)

    def at(self, index: int) -> float:
        """Return value number `index`, without rounding dust: 0.3 and never 0.30000000000000004."""
        if self.step is None:
            return float(self.low)
        value = self.low + index * self.step
        return float(value if self._places is None else round(value, self._places)) + 0.0

    def index_of(self, value: float) -> int:
        """Return the index of the value nearest to `value`."""
        if self.step is None:
            return 0
        return self._bounded(math.floor((value - self.low) / self.step + 0.5))

    @property
    def _what(self) -> str:
        stepped = "" if self.step is None else f" in steps of {self.step!r}"
        return f"a number in [{self.low!r}, {self.high!r}]{stepped}"


@dataclass(frozen=True)
class IntParam(NumericParam):
    """A whole number of at most 64 bits in [low, high], both included. `step` is 1 when not given.

    Args and errors as for FloatParam.
    """

    kind: ClassVar[str] = "int"

    def __post_init__(self) -> None:
        if self.step is None:
            self._settle("step", 1)
        super().__post_init__()

    def _number(self, what: str) -> int:
        value = plain(getattr(self, what))
        if not is_number(value) or not abs(value) <= _MAX_INT or value != int(value):
            raise SpaceError(
                f"`{what}` of {self.name!r} must be a whole number below 2**63, but got {brief(value)}."
            )
        return int(value)

    def at(self, index: int) -> int:
        """Return value number `index`."""
        return int(self.low + index * self.step)

    def index_of(self, value: float) -> int:
        """Return the index of the value nearest to `value`."""
        # In whole numbers: floats lose count beyond 2**53.
        whole = math.floor(value)
        halves = 2 * (whole - self.low) + (1 if value - whole >= 0.5 else 0)
        index = (halves + self.step) // (2 * self.step)
        return self._bounded(index)

    @property
    def _what(self) -> str:
        stepped = "" if self.step == 1 else f" in steps of {self.step}"
        return f"a whole number in [{self.low}, {self.high}]{stepped}"
