"""The three kinds of parameter: FloatParam, IntParam, CategoricalParam. Frozen, checked when built.

Each knows its own values only: what they are, how to check, clip, draw and encode one. What parameters have to
do with one another (conditions, constraints) belongs to the SearchSpace.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from tuner.errors import SpaceError, did_you_mean
from tuner.experiment import Value
from tuner.space.values import decimals, exact, is_number, plain, show, typed

__all__ = ["UNSET", "CategoricalParam", "FloatParam", "IntParam", "NumericParam", "Param", "When"]

When = Mapping[str, Any]
"""`{parent: [values]}`: active when every parent is active and holds one of its values. One value needs no list."""

_NAME = re.compile(r"[^\W\d][\w.\-:/]*")
_MAX_INT = 2**63 - 1
_ON_LATTICE = 1e-6
"""How far, in steps, a given value may lie beside the lattice and still be meant to be on it."""


class _Unset:
    """The default that was not given; None cannot say so, since it may be a choice."""

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET = _Unset()


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise SpaceError(
            f"A parameter's name must start with a letter and hold only letters, digits, _ . - : /, but got {name!r}."
        )


def _checked_when(name: str, when: When | None) -> dict[str, tuple[Value, ...]] | None:
    """Bring a condition into one form: a tuple of values for each parent."""
    if when is None:
        return None
    if not isinstance(when, Mapping):
        raise SpaceError(
            f"`when` of {name!r} must be a table such as {{parent = [values]}}, but got {when!r}."
        )
    checked = {}
    for parent, values in when.items():
        listed = values if isinstance(values, list | tuple | set | frozenset) else (values,)
        if not listed:
            raise SpaceError(
                f"`when` of {name!r} lists no value of {parent!r}: {name!r} would never be active.",
                f"Name at least one value of {parent!r}.",
            )
        checked[parent] = tuple(plain(value) for value in listed)
    return checked or None


@dataclass(frozen=True)
class NumericParam:
    """What FloatParam and IntParam share. Both ends of [low, high] are included.

    With a step the values are the lattice low, low + step, ..., high; `n_values` counts them (None: continuous).
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
        _check_name(self.name)
        for bound in ("low", "high"):
            object.__setattr__(self, bound, self._number(bound))
        if not self.low <= self.high:
            raise SpaceError(
                f"`low <= high` must hold for {self.name!r}, but got low={self.low!r}, high={self.high!r}."
            )
        if not isinstance(self.log, bool):
            raise SpaceError(f"`log` of {self.name!r} must be true or false, but got {self.log!r}.")
        if self.log and not self.low > 0:
            raise SpaceError(
                f"`low > 0` must hold for {self.name!r} on a log scale, but got low={self.low!r}.",
                "Raise low above zero or leave log out.",
            )
        if self.step is not None:
            object.__setattr__(self, "step", self._number("step"))
            self._check_step()
        object.__setattr__(self, "when", _checked_when(self.name, self.when))
        object.__setattr__(self, "default_given", self.default is not None)
        if self.default is None:
            object.__setattr__(self, "default", self.from_unit(0.5))
            return
        value, problem = self.check(self.default)
        if problem:
            raise SpaceError(f"The default is not a value of the parameter: {problem}")
        object.__setattr__(self, "default", value)

    def _number(self, what: str) -> Any:
        raise NotImplementedError

    def _check_step(self) -> None:
        if not self.step > 0:
            raise SpaceError(f"`step > 0` must hold for {self.name!r}, but got step={self.step!r}.")
        n_steps = (exact(self.high) - exact(self.low)) / exact(self.step)
        if n_steps.denominator != 1:
            reached = self.low + self.step * math.floor(n_steps)
            raise SpaceError(
                f"`high` of {self.name!r} must be `low` plus a whole number of steps, but got low={self.low!r}, "
                f"high={self.high!r}, step={self.step!r}.",
                f"The last step below it ends at {reached:.12g}, the first above it at {reached + self.step:.12g}.",
            )

    @cached_property
    def n_values(self) -> int | None:
        """How many values there are; None when continuous."""
        if self.step is None:
            return 1 if self.low == self.high else None
        return int((exact(self.high) - exact(self.low)) / exact(self.step)) + 1

    @cached_property
    def _places(self) -> int | None:
        return None if self.step is None else decimals(self.low, self.step)

    @cached_property
    def _log_ends(self) -> tuple[float, float]:
        return self._log_range(self.low, self.high)

    def _log_range(self, low: float, high: float) -> tuple[float, float]:
        # Half a step on either side gives the end points of a lattice their fair share.
        half = (self.step or 0) / 2
        return math.log(max(low - half, low / 2)), math.log(high + half)

    def at(self, index: int) -> Any:
        """Return the lattice's value number `index`, counted from 0; without rounding dust (0.3, never 0.30000000000000004)."""
        raise NotImplementedError

    def position(self, value: float) -> float:
        """Where a value lies in steps from low; whole for a value of the lattice."""
        return 0.0 if self.step is None else (value - self.low) / self.step

    def index_of(self, value: float) -> int:
        """Index of the lattice's value nearest to `value`."""
        last = (self.n_values or 1) - 1
        return min(max(math.floor(self.position(value) + 0.5), 0), last)

    def clip(self, value: float) -> Any:
        """The nearest value of this parameter."""
        if self.n_values is not None:
            bounded = min(max(value, self.low), self.high)
            return self.at(self.index_of(bounded))
        return float(min(max(value, self.low), self.high))

    def nearest(self, value: object) -> Any:
        """The nearest value of this parameter; its default for what is no number."""
        value = plain(value)
        if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
            return self.default
        return self.clip(value)

    def check(self, value: object) -> tuple[Any, str]:
        """Return the value in this parameter's own type and "", or (None, a sentence saying what is wrong)."""
        value = plain(value)
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None, f"{self.name!r} must be {self._what}, but got {value!r} ({_type_name(value)})."
        if not self.low <= value <= self.high:
            return None, f"{self.name!r} must be in [{self.low!r}, {self.high!r}], but got {value!r}."
        if self.step is None:
            return float(value), ""
        return self._check_lattice(value)

    @property
    def _what(self) -> str:
        return "a number"

    def _check_lattice(self, value: float) -> tuple[Any, str]:
        nearest = self.clip(value)
        if abs(self.position(value) - self.index_of(value)) > _ON_LATTICE:
            return None, (
                f"{self.name!r} must be {self.low!r} plus a whole number of steps of {self.step!r}, "
                f"but got {value!r}. The nearest is {nearest!r}."
            )
        return nearest, ""

    def from_unit(self, u: float, low: float | None = None, high: float | None = None) -> Any:
        """Map u in [0, 1) to a value, uniform in u (in log where log) over the values from `low` to `high`.

        `low` and `high`, where given, must be values of this parameter.
        """
        lo = self.low if low is None else low
        hi = self.high if high is None else high
        if self.log:
            a, b = self._log_ends if low is None and high is None else self._log_range(lo, hi)
            value = min(max(math.exp(a + u * (b - a)), lo), hi)
            return self.clip(value) if self.step is not None else value
        if self.step is None:
            return min(max(lo + u * (hi - lo), lo), hi)
        first = self.index_of(lo)
        count = self.index_of(hi) - first + 1
        return self.at(first + min(int(u * count), count - 1))

    def above(self, value: float) -> Any:
        """The smallest value of this parameter greater than `value`; may lie beyond high where there is none."""
        if self.step is None:
            return max(self.low, math.nextafter(value, math.inf))
        index = max(math.floor(self.position(value) + _ON_LATTICE) + 1, 0)
        return self.at(index)

    def below(self, value: float) -> Any:
        """The largest value of this parameter smaller than `value`; may lie beneath low where there is none."""
        if self.step is None:
            return min(self.high, math.nextafter(value, -math.inf))
        index = min(math.ceil(self.position(value) - _ON_LATTICE) - 1, (self.n_values or 1) - 1)
        return self.at(index)

    @property
    def n_dims(self) -> int:
        """Columns of the encoding."""
        return 1

    def encode(self, values: Sequence[Any]) -> np.ndarray:
        """Return an (n, 1) array of positions in [0, 1]; (0.0 throughout for a constant)."""
        column = np.asarray(values, dtype=float)
        low, high = float(self.low), float(self.high)
        if low == high:
            return np.zeros((len(values), 1))
        if self.log:
            column, low, high = np.log(column), math.log(low), math.log(high)
        return np.clip((column - low) / (high - low), 0.0, 1.0)[:, None]


def _type_name(value: object) -> str:
    return "null" if value is None else type(value).__name__


@dataclass(frozen=True)
class FloatParam(NumericParam):
    """A real number in [low, high], both included.

    Args:
        name: what the pipeline calls it.
        low, high: finite bounds.
        log: search on a log scale (low > 0).
        step: only low, low + step, ..., high.
        default: the middle (the log-middle where log) when not given.
        when: `{parent: [values]}`: exists only when the parents hold these values.

    Raises:
        SpaceError: bounds, step or default contradict each other.
    """

    kind: ClassVar[str] = "float"

    def _number(self, what: str) -> float:
        value = plain(getattr(self, what))
        if not is_number(value) or not abs(value) <= 1e300:
            raise SpaceError(f"`{what}` of {self.name!r} must be a finite number, but got {value!r}.")
        return float(value) + 0.0

    def at(self, index: int) -> float:
        if self.step is None:
            return float(self.low)
        value = self.low + index * self.step
        return float(value if self._places is None else round(value, self._places)) + 0.0


@dataclass(frozen=True)
class IntParam(NumericParam):
    """A whole number in [low, high], both included; `step` is 1 when not given. Arguments as for FloatParam."""

    kind: ClassVar[str] = "int"

    def __post_init__(self) -> None:
        if self.step is None:
            object.__setattr__(self, "step", 1)
        super().__post_init__()

    def _number(self, what: str) -> int:
        value = plain(getattr(self, what))
        if not is_number(value) or not abs(value) <= _MAX_INT or value != int(value):
            raise SpaceError(
                f"`{what}` of {self.name!r} must be a whole number below 2**63, but got {value!r}."
            )
        return int(value)

    def at(self, index: int) -> int:
        return int(self.low + index * self.step)

    def position(self, value: float) -> float:
        # Whole numbers beyond 2**53 stay exact this way.
        distance = value - self.low
        whole, rest = divmod(distance, self.step)
        return whole if rest == 0 else distance / self.step

    @property
    def _what(self) -> str:
        return "a whole number"


@dataclass(frozen=True)
class CategoricalParam:
    """One of `choices`: strings, numbers, booleans or None, told apart by type (1, 1.0, True and "1" differ).

    Args:
        name: what the pipeline calls it.
        choices: at least one, all different.
        default: the first choice when not given. None means None where it is a choice.
        when: as for FloatParam.

    Raises:
        SpaceError: the choices are empty, repeated or not plain values, or the default is none of them.
    """

    name: str
    choices: Sequence[Value]
    _: KW_ONLY
    default: Any = UNSET
    when: When | None = field(default=None, hash=False)
    default_given: bool = field(init=False, repr=False, compare=False)

    kind: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        _check_name(self.name)
        if isinstance(self.choices, str | Mapping) or not isinstance(self.choices, Sequence | np.ndarray):
            raise SpaceError(
                f"`choices` of {self.name!r} must be a list of values, but got {self.choices!r}."
            )
        choices = tuple(_checked_choice(self.name, choice) for choice in self.choices)
        object.__setattr__(self, "choices", choices)
        if not choices:
            raise SpaceError(f"`choices` of {self.name!r} must hold at least one value, but it is empty.")
        if len(self.index_by_key) != len(choices):
            raise SpaceError(f"`choices` of {self.name!r} must all differ, but got {show(choices)}.")
        object.__setattr__(self, "when", _checked_when(self.name, self.when))
        default = plain(self.default)
        given = not isinstance(default, _Unset) and (default is not None or typed(None) in self.index_by_key)
        object.__setattr__(self, "default_given", given)
        value, problem = self.check(default) if given else (choices[0], "")
        if problem:
            raise SpaceError(f"The default is not a value of the parameter: {problem}")
        object.__setattr__(self, "default", value)

    @cached_property
    def index_by_key(self) -> dict[tuple[type, Value], int]:
        """Index of each choice, by its `typed` key."""
        return {typed(choice): index for index, choice in enumerate(self.choices)}

    @property
    def n_values(self) -> int:
        """How many choices there are."""
        return len(self.choices)

    def nearest(self, value: object) -> Value:
        """The choice itself; the default for anything else."""
        found, problem = self.check(value)
        return self.default if problem else found

    def check(self, value: object) -> tuple[Value, str]:
        """Return the choice and "", or (None, a sentence saying what is wrong)."""
        value = plain(value)
        try:
            index = self.index_by_key.get((value.__class__, value))  # type: ignore[arg-type]
        except TypeError:  # a list or a table is not even hashable
            index = None
        if index is not None:
            return self.choices[index], ""
        hint = self._hint(value)
        return None, (
            f"{self.name!r} must be one of {show(self.choices)}, but got {value!r} ({_type_name(value)}).{hint}"
        )

    def _hint(self, value: object) -> str:
        alike = [choice for choice in self.choices if str(choice) == str(value) or same_number(choice, value)]
        if alike:
            return f" Did you mean {alike[0]!r} ({_type_name(alike[0])})?"
        return did_you_mean(str(value), [c for c in self.choices if isinstance(c, str)])

    def from_unit(self, u: float) -> Value:
        """Map u in [0, 1) to a choice, each with the same chance."""
        return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]

    @property
    def n_dims(self) -> int:
        """Columns of the encoding: one for each choice."""
        return len(self.choices)

    def encode(self, values: Sequence[Value]) -> np.ndarray:
        """Return an (n, n_choices) one-hot array."""
        codes = np.zeros((len(values), len(self.choices)))
        index = self.index_by_key
        codes[np.arange(len(values)), [index[(v.__class__, v)] for v in values]] = 1.0
        return codes


def same_number(one: object, other: object) -> bool:
    """True for numbers of equal size, whatever their type."""
    return is_number(one) and is_number(other) and one == other


def _checked_choice(name: str, choice: object) -> Value:
    choice = plain(choice)
    if isinstance(choice, float) and not math.isfinite(choice):
        raise SpaceError(f"`choices` of {name!r} must be finite, but got {choice!r}.")
    if isinstance(choice, bool) or choice is None:
        return choice
    if isinstance(choice, str | int | float):
        for kind in (str, int, float):
            if isinstance(choice, kind):
                return kind(choice)
    raise SpaceError(
        f"`choices` of {name!r} must be strings, numbers, booleans or None, but got {choice!r}.",
        "Name the choice with a string and let the pipeline translate it.",
    )


Param = FloatParam | IntParam | CategoricalParam
