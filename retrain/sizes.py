"""Amounts of memory as people type them, and as they read them."""

import math
import re

from retrain.tables import number
from tuner.errors import UsageError

__all__ = ["LEAST_BYTES", "parse_size", "size_text"]

LEAST_BYTES = 1_000_000
"""Less is no memory to run anything in: somebody forgot the unit."""

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_FORM = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", re.ASCII)


def parse_size(text: str, name: str = "a size") -> int:
    """Return the bytes that `500MB`, `2GB`, `1.5g` or `2GiB` stand for; 1 GB is 10^9, 1 GiB 2^30 bytes.

    Raises:
        UsageError: it is nothing of the kind, or less than `LEAST_BYTES`; names `name`.
    """
    found = _FORM.fullmatch(text.strip().lower())
    size = float(found[1]) * _UNITS.get(found[2], math.nan) if found else math.nan
    if not LEAST_BYTES <= size < math.inf:
        raise UsageError(
            f"{name} must be an amount of memory of 1 MB or more, but got {text!r}.",
            "Write it such as 500MB, 2GB or 2GiB.",
        )
    return int(size)


def size_text(size_bytes: int) -> str:
    """Return "512 MB", "2.14 GB"."""
    if size_bytes < 999_500_000:
        return f"{size_bytes / 1e6:.0f} MB"
    return f"{number(size_bytes / 1e9, 3)} GB"
