"""A table ready to train on: features, target, groups and times as arrays, with the fingerprint of it all."""

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from retrain.data.columns import Columns
from retrain.metrics import BINARY, METRICS, MULTICLASS, REGRESSION, Metric
from tuner.errors import DataError, did_you_mean

__all__ = [
    "Table",
    "check_columns",
    "known_rows",
    "make_table",
    "row_names",
    "warn_of_row_names",
    "words_of_row_names",
]

_log = logging.getLogger(__name__)

_ANOTHER = "Mend the data, or name another column as `target` under [pipeline]."
_FILL = "Fill it in, take these rows out of the file, or name another column under [splits]."

_FEWEST_ROWS = 20
"""With fewer rows, values that never repeat say nothing."""
_MOSTLY = 0.9
_LIKE_ID = re.compile(r"(?i:id|key|uuid|guid|index|row)|.*[_\-. ](?i:id|uuid|guid)|.*[a-z](ID|Id)")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of n rows and p features. Only numpy arrays are large, so that workers share one copy.

    Attributes:
        features: (n, p) float64; NaN for missing numbers, codes for categories (`Columns`).
        y: (n,) class codes 0..k-1 as int64, or values as float64.
        columns: what the features are.
        task: "binary", "multiclass" or "regression".
        classes: the target's values by code, in ascending order; the second of two is the positive one.
        groups: (n,) int64 codes, or None.
        times: (n,) int64 ranks, equal for rows of the same time, or None.
        fingerprint: hash of all of the above.
        labels: {column: (n,) its values as text} of the columns by whose values scores are told apart.
        row_names: the features that seem to name the rows.
    """

    features: np.ndarray
    y: np.ndarray
    columns: Columns
    task: str
    classes: tuple[int | str | bool, ...] = ()
    groups: np.ndarray | None = None
    times: np.ndarray | None = None
    fingerprint: str = ""
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    row_names: tuple[str, ...] = ()

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for a regression."""
        return len(self.classes)


def make_table(
    frame: pd.DataFrame,
    target: str,
    metric: Metric,
    *,
    drop: Sequence[str] = (),
    group: str | None = None,
    time: str | None = None,
    by: Sequence[str] = (),
) -> Table:
    """Check a raw table and turn it into arrays. Rows without a target are left out, with a warning.

    Args:
        frame: the raw table.
        target: the column to predict.
        metric: says whether the target is a class or a number.
        drop: columns that are no features. The group and time columns are none either.
        group: column whose rows of one value stay together.
        time: column by which rows are ordered: numbers or ISO dates.
        by: columns by whose values scores are told apart; features, or dropped ones.

    Raises:
        DataError: names the column and what is wrong with it.
    """
    check_columns(list(map(str, frame.columns)), target, drop, group, time, by)
    n_rows = len(frame)
    frame = known_rows(frame, target)
    if len(frame) < n_rows:
        _log.warning("%d of %d rows have no %r and are left out.", n_rows - len(frame), n_rows, target)
    if frame.empty:
        raise DataError(f"The target {target!r} must have values, but every row lacks one.", _ANOTHER)
    task, classes, y = _targets(frame[target], metric)
    inputs = frame.drop(columns=list({target, *drop, *({group, time} - {None})}))
    if inputs.shape[1] == 0:
        raise DataError(
            f"The data must have a column besides the target {target!r} to learn from.",
            "Take a column out of `drop`, or add one to the file.",
        )
    columns = Columns.of(inputs)
    table = Table(
        columns.encode(inputs),
        y,
        columns,
        task,
        classes,
        groups=None if group is None else _groups(frame[group]),
        times=None if time is None else _times(frame[time]),
        row_names=tuple(row_names(inputs, columns)),
    )
    return replace(table, fingerprint=_fingerprint(table), labels={name: _labels(frame[name]) for name in by})


def check_columns(
    names: Sequence[str],
    target: str,
    drop: Sequence[str] = (),
    group: str | None = None,
    time: str | None = None,
    by: Sequence[str] = (),
    text: str | None = None,
    spans: Sequence[str] = (),
    about: Sequence[str] = (),
) -> None:
    """Check that the columns that a configuration names are among `names`.

    Raises:
        DataError: one is not, or the target is none; says which key names it, and what is closest.
    """
    wanted = [
        ("target", target),
        ("text", text),
        *(("spans", s) for s in spans),
        *(("about", a) for a in about),
        ("splits.group", group),
        ("splits.time", time),
        *(("drop", d) for d in drop),
        *(("by of [[gate]]", b) for b in by),
    ]
    for key, name in wanted:
        if name is not None and name not in names:
            shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise DataError(
                f"The data have no column {name!r}, as {key} names it.{did_you_mean(name, names)}",
                f"Columns: {shown}",
            )
    if target in drop or target in (group, time):
        raise DataError(
            f"The target {target!r} must not be dropped, nor be the group or time column.",
            "Take it out of pipeline.drop, splits.group and splits.time.",
        )


def known_rows(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """The rows that have a target, which are those of the table."""
    column = frame[target]
    known = column.notna()
    if types.is_string_dtype(column.dtype):
        known &= column.astype("str").str.strip() != ""
    return frame if known.all() else frame[known]


def warn_of_row_names(table: Table) -> None:
    """Tell of features that seem to name the rows."""
    words = words_of_row_names(table)
    if words is not None:
        _log.warning("%s: %s", *words)


def words_of_row_names(table: Table) -> tuple[str, str] | None:
    """Which features seem to name the rows, and what to do; None where there are none.

    Models learn them by heart, and nothing from them.
    """
    if not table.row_names:
        return None
    names = ", ".join(map(repr, table.row_names))
    are, them = (
        (f"columns {names} seem", "them") if len(table.row_names) > 1 else (f"column {names} seems", "it")
    )
    return (
        f"The {are} to name the rows, which helps no model",
        f"leave {them} out with drop = [{names}] under [pipeline].",
    )


def row_names(inputs: pd.DataFrame, columns: Columns) -> list[str]:
    """The features that seem to name the rows, such as a number or a code of their own."""
    if len(inputs) < _FEWEST_ROWS:
        return []
    found = [n for n, values in columns.categories.items() if len(values) >= _MOSTLY * len(inputs)]
    return found + [name for name in columns.numbers if _numbers_rows(inputs[name])]


def _numbers_rows(column: "pd.Series[Any]") -> bool:
    """Whether a column holds integers that never repeat and are in order, or are named like an id."""
    if not types.is_integer_dtype(column.dtype) or not column.is_unique:
        return False
    ordered = column.is_monotonic_increasing or column.is_monotonic_decreasing
    return ordered or _LIKE_ID.fullmatch(str(column.name)) is not None


# ---- the target


def _targets(column: "pd.Series[Any]", metric: Metric) -> tuple[str, tuple[Any, ...], np.ndarray]:
    if types.is_datetime64_any_dtype(column.dtype) or types.is_timedelta64_dtype(column.dtype):
        raise DataError(
            f"The target {str(column.name)!r} must be a number or a class, but it holds dates.", _ANOTHER
        )
    if metric.tasks == (REGRESSION,):
        return REGRESSION, (), _values(column, metric)
    classes, y = _class_codes(column, metric)
    task = BINARY if len(classes) == 2 else MULTICLASS
    if task not in metric.tasks:
        able = [m.name for m in METRICS.values() if task in m.tasks and m.name.startswith(metric.name)]
        able += [m.name for m in METRICS.values() if task in m.tasks and m.name not in able]
        raise DataError(
            f"The metric {metric.name!r} needs two classes, but the target {str(column.name)!r} "
            f"has {len(classes)}.",
            f"Metrics for several classes: {', '.join(able[:8])}, ...",
        )
    return task, classes, y


def _values(column: "pd.Series[Any]", metric: Metric) -> np.ndarray:
    name = str(column.name)
    numeric = types.is_numeric_dtype(column.dtype) and not types.is_bool_dtype(column.dtype)
    if not numeric or types.is_complex_dtype(column.dtype):
        raise DataError(
            f"The target {name!r} must hold numbers for the metric {metric.name!r}, "
            f"but holds {column.iloc[0]!r}.",
            "Choose a metric of classification, such as accuracy, if it is a class.",
        )
    y = column.to_numpy(dtype=float)
    if not np.isfinite(y).all():
        raise DataError(
            f"The target {name!r} must hold finite numbers, but some are infinite.",
            "Write an unknown value as an empty cell: such rows are left out.",
        )
    if len(np.unique(y)) < 2:
        raise DataError(f"The target {name!r} must vary, but every row has {y[0]:g}.", _ANOTHER)
    return y


def _class_codes(column: "pd.Series[Any]", metric: Metric) -> tuple[tuple[Any, ...], np.ndarray]:
    name = str(column.name)
    if types.is_float_dtype(column.dtype):
        if not (column % 1 == 0).all():
            raise DataError(
                f"The target {name!r} must hold classes for the metric {metric.name!r}, but holds fractions "
                f"such as {column[column % 1 != 0].iloc[0]:g}.",
                "Choose a metric of regression, such as rmse or r2.",
            )
        column = column.astype("int64")
    elif not (types.is_integer_dtype(column.dtype) or types.is_bool_dtype(column.dtype)):
        column = column.astype("str").str.strip()
    values, codes = np.unique(column.to_numpy(), return_inverse=True)
    classes = tuple(value.item() if isinstance(value, np.generic) else value for value in values)
    if len(classes) < 2:
        raise DataError(
            f"The target {name!r} must have at least two classes, but every row is {classes[0]!r}.",
            _ANOTHER,
        )
    if len(classes) > max(2, len(column) / 2):
        raise DataError(
            f"The target {name!r} must hold classes for the metric {metric.name!r}, but has {len(classes)} "
            f"different values in {len(column)} rows.",
            "Choose a metric of regression, such as rmse or r2, if it is a number.",
        )
    return classes, codes.astype(np.int64)


# ---- groups, times, fingerprint


def _groups(column: "pd.Series[Any]") -> np.ndarray:
    if column.isna().any():
        raise DataError(
            f"The group {str(column.name)!r} must be known in every row, but is missing in some.", _FILL
        )
    return pd.factorize(column)[0].astype(np.int64)


def _labels(column: "pd.Series[Any]") -> np.ndarray:
    return column.astype("str").where(column.notna(), "(missing)").to_numpy(dtype=np.str_)


def _times(column: "pd.Series[Any]") -> np.ndarray:
    name = str(column.name)
    if column.isna().any():
        raise DataError(f"The time {name!r} must be known in every row, but is missing in some.", _FILL)
    if not (types.is_numeric_dtype(column.dtype) or types.is_datetime64_any_dtype(column.dtype)):
        try:
            column = pd.to_datetime(column, format="ISO8601", utc=True)
        except (ValueError, TypeError):
            raise DataError(
                f"The time {name!r} must be numbers or ISO dates such as 2026-01-31, "
                f"but holds {column.iloc[0]!r}.",
                "Write it so in the file, or name another column as `time` under [splits].",
            ) from None
    return np.unique(column.to_numpy(), return_inverse=True)[1].astype(np.int64)


def _fingerprint(table: Table) -> str:
    digest = hashlib.sha256()
    about = [table.columns.to_dict(), table.task, list(table.classes), list(table.features.shape)]
    digest.update(json.dumps(about, sort_keys=True).encode())
    for name in ("features", "y", "groups", "times"):
        array = getattr(table, name)
        digest.update(name.encode() if array is not None else b"-")
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return f"sha256:{digest.hexdigest()[:32]}"
