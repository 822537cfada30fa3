"""What the readers of other tools share: kinship by name, and the multiples of a step."""

import math
from sys import float_info

from tuner.errors import SpaceError
from tuner.space.values import brief, exact, is_number, plain

__all__ = ["below_excluded", "is_one_of", "multiples"]


def is_one_of(value: object, package: str, *names: str) -> bool:
    """Whether a class of `package` that has one of these names is the class of the value, or above it."""
    return any(
        cls.__name__ in names and cls.__module__.split(".")[0] == package for cls in type(value).__mro__
    )


def multiples(name: str, low: float, high: float, step: float) -> tuple[float, float]:
    """Return the first and the last multiple of `step` in [low, high].

    Raises:
        SpaceError: there is none, or the three are no such numbers.
    """
    low, high, step = plain(low), plain(high), plain(step)
    for what, number in (("low", low), ("high", high), ("step", step)):
        if not is_number(number) or not abs(number) <= float_info.max:
            raise SpaceError(f"`{what}` of {name!r} must be a finite number, but got {brief(number)}.")
    if not step > 0:
        raise SpaceError(f"`step > 0` must hold for {name!r}, but got step={step!r}.")
    first, last = math.ceil(exact(low) / exact(step)), math.floor(exact(high) / exact(step))
    if first > last:
        raise SpaceError(
            f"A multiple of the step must lie between the bounds of {name!r}, but got low={low!r}, "
            f"high={high!r}, step={step!r}.",
            "Widen the bounds or take a smaller step.",
        )
    return float(first * exact(step)), float(last * exact(step))


def below_excluded(name: str, low: int, high: int) -> int:
    """Return the last whole number below a bound that is not itself part of the range.

    Raises:
        SpaceError: nothing is left, or the bound is no whole number.
    """
    low, high = plain(low), plain(high)
    if not is_number(high) or high != high // 1:
        raise SpaceError(f"The upper bound of {name!r} must be a whole number, but got {brief(high)}.")
    if is_number(low) and not low < high:
        raise SpaceError(
            f"`low < high` must hold for {name!r}, whose upper bound is left out (randint), but got "
            f"low={low!r}, high={high!r}.",
            "Raise the upper bound by one, or declare an `int`, which includes it.",
        )
    return int(high) - 1
