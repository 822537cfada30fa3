"""Plain values: what a hyperparameter may hold, and how two of them are told apart."""

import math
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from types import NoneType
from typing import Any

import numpy as np

from tuner.experiment import Value

__all__ = ["decimals", "exact", "is_number", "plain", "same", "show", "typed"]

_SCALARS = (float, int, str, bool, NoneType)
_MAX_DENOMINATOR = 10**9


def plain(value: Any) -> Any:
    """Return numpy scalars as the Python value they hold; anything else as it is."""
    if type(value) in _SCALARS:
        return value
    return value.item() if isinstance(value, np.generic) else value


def is_number(value: object) -> bool:
    """True for an int or float; a bool is never a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def typed(value: Value) -> tuple[type, Value]:
    """Return a key under which 1, 1.0, True and "1" all differ."""
    return (value.__class__, value)


def same(one: Value, other: Value) -> bool:
    """True when both are of one type and equal."""
    return one.__class__ is other.__class__ and one == other


def show(values: Iterable[Value]) -> str:
    """Join values for a message: 'a', 'b', 3."""
    return ", ".join(repr(value) for value in values)


def exact(value: float) -> Fraction:
    """Return the number that was meant by a float: 0.1 is 1/10 and 0.3333333333333333 is 1/3.

    Sums over lattices are decided on these, since 0.1 + 0.2 == 0.3 must hold there.
    """
    written = Fraction(Decimal(repr(value)))
    simple = written.limit_denominator(_MAX_DENOMINATOR)
    return simple if abs(simple - written) <= abs(written) * Fraction(1, 10**15) else written


def decimals(*values: float) -> int | None:
    """Number of decimal places that write all values exactly, or None when that takes more than 15."""
    places = 0
    for value in values:
        if not math.isfinite(value):
            return None
        exponent = Decimal(repr(value)).normalize().as_tuple().exponent
        places = max(places, -int(exponent))
    return places if places <= 15 else None
