"""Columns of positions in texts: the first character of a span, and the one after the last."""

from typing import TYPE_CHECKING

import numpy as np
from pandas.api import types

from tuner.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["positions"]

_FAR = 2**53  # beyond it floats skip whole numbers; no text is so long
_MEND = "Count characters from 0, the end being the one after the last; leave both empty where it is unknown."


def positions(
    rows: "pd.DataFrame", texts: np.ndarray, bounds: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    """Read the starts and ends (n,) of one span in each of (n,) texts, -1 where it is unknown.

    Args:
        rows: of the raw table.
        texts: of the same rows.
        bounds: the columns of the first character, from 0, and of the one after the last; empty or -1 where
            the span is unknown.

    Raises:
        DataError: they hold no positions, one is outside its text, or none is known; says which.
    """
    starts, ends = (_whole_numbers(rows[name]) for name in bounds)
    _check_inside(texts, starts, ends, bounds)
    return starts, ends


def _whole_numbers(column: "pd.Series[float]") -> np.ndarray:
    """(n,) whole numbers, -1 where unknown."""
    if not types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
        raise DataError(f"The column {str(column.name)!r} must hold positions, but holds no numbers.", _MEND)
    values = column.fillna(-1).to_numpy(dtype=float)
    if not (np.isfinite(values) & (np.abs(values) < _FAR) & (values == np.trunc(values))).all():
        raise DataError(f"The column {str(column.name)!r} must hold whole numbers.", _MEND)
    return values.astype(np.int64)


def _check_inside(texts: np.ndarray, starts: np.ndarray, ends: np.ndarray, bounds: tuple[str, str]) -> None:
    lengths = np.array([len(text) for text in texts])
    unknown = (starts == -1) & (ends == -1)
    wrong = np.flatnonzero(~unknown & ((starts < 0) | (ends < starts) | (ends > lengths)))
    if len(wrong):
        row = wrong[0]
        raise DataError(
            f"Each span must lie within its text (0 <= {bounds[0]} <= {bounds[1]} <= length), but "
            f"{len(wrong)} do not: row {row + 1} has {starts[row]} to {ends[row]} in a text of {lengths[row]}"
            " characters.",
            _MEND,
        )
    if unknown.all():
        raise DataError(
            f"The columns {bounds[0]!r} and {bounds[1]!r} must hold spans, but none is known.", _MEND
        )
