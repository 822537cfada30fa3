"""Plain values: what a hyperparameter may hold, how two are told apart, and how one is shown."""

import sys
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from types import NoneType
from typing import Any

from tuner.experiment import Value

__all__ = ["brief", "decimals", "exact", "is_array", "is_number", "plain", "show", "type_name", "typed"]

_SCALARS = (float, int, str, bool, NoneType)
_MAX_SHOWN = 80
_MAX_DENOMINATOR = 1_000


def plain(value: Any) -> Any:
    """Return numpy scalars as the Python value they hold; anything else as it is."""
    if type(value) in _SCALARS:
        return value
    numpy = sys.modules.get("numpy")  # where it was never imported, nothing is of its types
    return value.item() if numpy is not None and isinstance(value, numpy.generic) else value


def is_array(value: object) -> bool:
    """Whether the value is an array of numpy's."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def is_number(value: object) -> bool:
    """True for an int or float; a bool is never a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def typed(value: Value) -> tuple[type, Value]:
    """Return a key under which 1, 1.0, True and "1" all differ."""
    return (value.__class__, value)


def brief(value: object) -> str:
    """Return the value as it is written in Python, cut short where a message would drown in it."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a whole number of thousands of digits"
    except Exception:  # noqa: BLE001 - whatever an object of the user's raises
        return f"an unreadable {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 20]}... ({len(text):,} characters)"


def show(values: Iterable[object]) -> str:
    """Join values for a message: 'a', 'b', 3."""
    return ", ".join(map(brief, values))


def type_name(value: object) -> str:
    """What a user of JSON or TOML calls the type of a value."""
    return "null" if value is None else type(value).__name__


def exact(value: float) -> Fraction:
    """Return the number that was meant by a float: 0.1 is 1/10 and 0.3333333333333333 is 1/3.

    Lattices are compared and added up in these, since 0.1 + 0.2 == 0.3 must hold there.
    """
    if isinstance(value, int):
        return Fraction(value)
    written = Fraction(Decimal(repr(value)))
    simple = written.limit_denominator(_MAX_DENOMINATOR)
    return simple if abs(simple - written) <= abs(written) * Fraction(1, 10**15) else written


def decimals(*values: float) -> int | None:
    """Number of decimal places that write all values exactly, or None when that takes more than 15."""
    exponents = (Decimal(repr(value)).normalize().as_tuple().exponent for value in values)
    places = max(0, *(-int(exponent) for exponent in exponents))
    return places if places <= 15 else None
