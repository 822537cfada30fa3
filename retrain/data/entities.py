"""Columns by which a random split leaks: what rows belong to (a patient, a customer), and when they were."""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from retrain.data.columns import looks_like_dates
from retrain.data.table import Table
from retrain.splits import Split

__all__ = ["Entity", "Period", "find_entities", "find_period"]

_OWNER = (
    "patient|subject|participant|person|individual|user|customer|client|member|visitor|student|pupil|employee"
    "|household|family|mother|animal|donor|respondent|session|account|device|sensor|machine|vehicle"
)
_SUFFIX = r"(?:s)?(?:[_\-. ]?(?:id|ids|no|nr|num|number|key|code|uuid|guid|hash|ref))?"
_OWNER_NAME = re.compile(rf"(?:.*[_\-. ])?(?:{_OWNER}){_SUFFIX}", re.IGNORECASE)
_ID_NAME = re.compile(r"(?i:.*[_\-. ])?(?i:id|uuid|guid|key)|.*[a-z](?:ID|Id)")
_BIRTH = re.compile(r"birth|born|\bdob\b|_dob|dob_", re.IGNORECASE)
_TIME_NAME = re.compile(r"time|date|stamp|epoch|\bts\b|_ts$|_at$", re.IGNORECASE)

_FEWEST_VALUES = 5
_FEWEST_OF_AN_ID, _LARGEST_OF_AN_ID = 20, 50
"""What is only called an id, and has few values or many rows of each, is a category such as a shop."""
_LEAST_SHARED = 0.05
_LEAST_ALIKE, _SURE = 0.1, 6.0
_N_LOOKED_AT = 2_000
_SECONDS = (631_152_000, 2_145_916_800)
"""1990 to 2037 in Unix time."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A column that says whose a row is.

    Attributes:
        column: its name.
        n_values: how many there are.
        shared: share of the held-out rows whose value is also among the rows learned from.
        alike: the column in which rows of one value are most alike: a feature, or the target.
        between: share of its variance that lies between the values.
    """

    column: str
    n_values: int
    shared: float
    alike: str
    between: float


@dataclass(frozen=True, slots=True)
class Period:
    """A column of times.

    Attributes:
        column: its name.
        first, last: for people.
        later: share of the rows learned from that are later than the middle one of those held out.
    """

    column: str
    first: str
    last: str
    later: float


def find_entities(
    frame: pd.DataFrame,
    table: Table,
    sides: Split,
    target: str,
    skip: Iterable[str],
) -> list[Entity]:
    """Find the columns, features or not, by whose values rows of both sides belong together.

    Args:
        frame: the raw rows of the table.
        table: the same as arrays.
        sides: rows learned from, and rows held out.
        target: the column to predict.
        skip: columns not to look at.
    """
    train, holdout = sides
    found = []
    for name in frame.columns.difference([target, *skip], sort=False):
        codes = _owner_codes(frame[name])
        if codes is None:
            continue
        shared = float(np.isin(codes[holdout], codes[train]).mean())
        if shared < _LEAST_SHARED:
            continue
        alike, between = _most_alike(codes[train], table, train, target, name)
        if between >= _LEAST_ALIKE:
            found.append(Entity(name, int(codes.max()) + 1, shared, alike, between))
    return found


def find_period(frame: pd.DataFrame, sides: Split, target: str, skip: Iterable[str]) -> Period | None:
    """Find the first column of times, births not among them."""
    for name in frame.columns.difference([target, *skip], sort=False):
        if _BIRTH.search(name) or not _is_time(frame[name]):
            continue
        learned, held = (_times(frame[name].iloc[_some(rows)]).dropna() for rows in sides)
        if learned.empty or held.empty:
            continue
        both = pd.concat([learned, held])
        if both.nunique() < 3:
            continue
        first, last = (f"{moment:%Y-%m-%d}" for moment in (both.min(), both.max()))
        later = float((learned > held.sort_values().iloc[len(held) // 2]).mean())
        return Period(name, first, last, later)
    return None


# ---- whose


def _owner_codes(column: "pd.Series[Any]") -> np.ndarray | None:
    """(n,) codes 0, 1, ... of a column whose name and values are those of an owner; else None."""
    name = str(column.name)
    is_owner = _OWNER_NAME.fullmatch(name) is not None
    if not (is_owner or _ID_NAME.fullmatch(name)) or types.is_bool_dtype(column.dtype):
        return None
    if types.is_float_dtype(column.dtype) and not (column.dropna() % 1 == 0).all():
        return None
    raw, values = pd.factorize(column)
    n, n_values = len(column), len(values)
    if (raw < 0).mean() > 0.5 or n_values >= n or n_values < _FEWEST_VALUES:
        return None
    if not is_owner and (n_values < _FEWEST_OF_AN_ID or n > _LARGEST_OF_AN_ID * n_values):
        return None
    n_missing = int((raw < 0).sum())
    codes = raw.astype(np.int64)
    codes[raw < 0] = np.arange(n_values, n_values + n_missing)  # nobody knows whose: each its own
    return codes


def _most_alike(
    codes: np.ndarray, table: Table, rows: np.ndarray, target: str, own: str
) -> tuple[str, float]:
    """The column in which rows of one code are most alike for sure, and how much; ("", 0.0) where none is."""
    best = ("", 0.0)
    names = [*table.columns.names, target]
    for i, name in enumerate(names):
        if name == own or len(table.columns.categories.get(name, ())) > 0.5 * len(table.y):
            continue  # what nearly names the rows is alike in its codes only
        values = table.y[rows] if i == len(names) - 1 else table.features[rows, i]
        between = _between(codes, values.astype(float))
        if between > best[1]:
            best = (name, between)
    return best


def _between(codes: np.ndarray, values: np.ndarray) -> float:
    """Share of the variance that lies between groups; 0 where that may be chance.

    It is the intraclass correlation of a one-way analysis of variance, as in Fisher 1925, Statistical Methods
    for Research Workers, sections 38 and 40.
    """
    known = ~np.isnan(values)
    _, codes = np.unique(codes[known], return_inverse=True)
    values = values[known]
    n, k = len(values), int(codes.max(initial=-1)) + 1
    if not 1 < k < n:
        return 0.0
    counts = np.bincount(codes)
    means = np.bincount(codes, weights=values) / counts
    between = float((counts * (means - values.mean()) ** 2).sum()) / (k - 1)
    within = float(((values - means[codes]) ** 2).sum()) / (n - k)
    if between + within <= 0:
        return 0.0
    if within == 0:
        return 1.0
    ratio = between / within
    if (ratio - 1) / np.sqrt(2 / (k - 1) + 2 / (n - k)) < _SURE:
        return 0.0
    size = (n - float((counts.astype(float) ** 2).sum()) / n) / (k - 1)
    return max(0.0, (between - within) / (between + (size - 1) * within))


# ---- when


def _is_time(column: "pd.Series[Any]") -> bool:
    if types.is_datetime64_any_dtype(column.dtype):
        return True
    if types.is_bool_dtype(column.dtype):
        return False
    head = column.dropna().head(_N_LOOKED_AT)
    if head.empty:
        return False
    if types.is_numeric_dtype(column.dtype):
        if types.is_complex_dtype(column.dtype) or _TIME_NAME.search(str(column.name)) is None:
            return False
        return bool((head % 1 == 0).all() and (_is_day(head) or _per_second(head)))
    return types.infer_dtype(head) in ("date", "datetime", "datetime64") or looks_like_dates(head)


def _is_day(numbers: "pd.Series[Any]") -> bool:
    """Whether all are like 20261121."""
    day, month, year = numbers % 100, numbers // 100 % 100, numbers // 10_000
    return bool((day.between(1, 31) & month.between(1, 12) & year.between(1900, 2100)).all())


def _per_second(numbers: "pd.Series[Any]") -> int:
    """How many a second has, where all are Unix times of our days; 0 where they are not."""
    scales = (1, 10**3, 10**6, 10**9)
    return next((each for each in scales if (numbers // each).between(*_SECONDS).all()), 0)


def _times(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """As timestamps; what is none is missing."""
    if types.is_numeric_dtype(column.dtype):
        known = column.dropna().astype("int64")
        head = known.head(_N_LOOKED_AT)
        if _is_day(head):
            return pd.to_datetime(known.astype(str), format="%Y%m%d", errors="coerce", utc=True)
        per_second = _per_second(head) or 1
        return pd.to_datetime(known // per_second, unit="s", errors="coerce", utc=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pandas says which of day and month it took for which
        return pd.to_datetime(column, format="mixed", errors="coerce", utc=True)


def _some(rows: np.ndarray) -> np.ndarray:
    """Some of the rows, evenly spread."""
    return rows[:: max(1, len(rows) // _N_LOOKED_AT)]
