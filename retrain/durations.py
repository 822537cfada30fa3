"""Durations as people type them."""

import math
import re

from tuner.errors import UsageError

__all__ = ["parse_duration"]

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FORM = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([smhd]?)", re.ASCII)


def parse_duration(text: str, name: str = "a duration") -> float:
    """Return the seconds that `90`, `90s`, `10m`, `1.5h` or `1d` stand for.

    Raises:
        UsageError: it is nothing of the kind; names `name`.
    """
    found = _FORM.fullmatch(text.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2]] if found else math.inf
    if not math.isfinite(seconds):
        raise UsageError(
            f"{name} must be a number of seconds, or one with a unit, but got {text!r}.",
            "Write it such as 90, 90s, 10m or 1h.",
        )
    return seconds
