"""What the features of a table are, and how they become numbers.

A column is a number or a category. Categories become integer codes: a matter of storage only, which looks at
no target. What a model learns from them (one-hot columns, rare ones put together) it learns inside each fold.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from tuner.errors import DataError
from tuner.experiment import Value

__all__ = ["Columns", "looks_like_dates"]

MISSING, UNSEEN = -1, -2
"""Codes of a category that is missing, and of one that the table did not have."""

_DATE = re.compile(r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([T ].*)?")
_BY_COLUMN = ("categories", "codes")
_DATES = ("datetime", "datetime64", "date", "time", "timedelta", "timedelta64", "period", "interval")
_NUMBERS = ("integer", "floating", "decimal", "boolean", "mixed-integer-float")


@dataclass(frozen=True, slots=True)
class Columns:
    """The features, numbers before categories.

    Attributes:
        numbers: names of the numeric columns.
        categories: for each categorical column, its values in the order of their codes.
        codes: for a column that lists only some of its values, their codes; else these are 0, 1, 2, ...
    """

    numbers: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    codes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in the order of the matrix."""
        return (*self.numbers, *self.categories)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Columns":
        """Look at every column of a table of features.

        Raises:
            DataError: a column holds dates, or something that is neither number nor text.
        """
        numbers: list[str] = []
        categories: dict[str, tuple[str, ...]] = {}
        for name in frame.columns:
            if _is_number(frame[name]):
                numbers.append(name)
            else:
                values = _texts(frame[name]).dropna().unique()
                categories[name] = tuple(sorted(map(str, values)))
        return cls(tuple(numbers), categories)

    def encode(self, frame: pd.DataFrame) -> np.ndarray:
        """Turn rows into a matrix (n, p) of float64: NaN for a missing number, codes for categories.

        Raises:
            DataError: a column is missing, or holds what is no number where numbers are expected.
        """
        absent = [name for name in self.names if name not in frame.columns]
        if absent:
            raise DataError(
                f"The rows must have the columns {', '.join(map(repr, absent))}, but lack them.",
                "Give rows with the columns that the model was trained on.",
            )
        features = np.empty((len(frame), len(self.names)))
        for i, name in enumerate(self.numbers):
            features[:, i] = _to_numbers(frame[name])
        for i, (name, values) in enumerate(self.categories.items(), len(self.numbers)):
            features[:, i] = _codes(frame[name], values, self.codes.get(name))
        return features

    def decode(self, features: np.ndarray) -> list[dict[str, Value]]:
        """Rows (n, p) of a table as plain values, None for missing; `encode` makes the same matrix of it."""
        rows: list[dict[str, Value]] = [{} for _ in features]
        for i, name in enumerate(self.names):
            values = self.categories.get(name)
            for row, cell in zip(rows, features[:, i].tolist(), strict=True):
                if values is None:
                    row[name] = None if math.isnan(cell) else cell
                else:
                    row[name] = None if cell == MISSING else values[int(cell)]
        return rows

    def frame(self, rows: Sequence[Mapping[str, Value]]) -> pd.DataFrame:
        """The table of what `decode` returned."""
        columns = {name: [row.get(name) for row in rows] for name in self.names}
        kinds = {name: "object" if name in self.categories else "float64" for name in self.names}
        return pd.DataFrame({name: pd.Series(columns[name], dtype=kinds[name]) for name in self.names})

    def keeping(self, codes: Mapping[str, Sequence[int]]) -> "Columns":
        """The same, but of the columns named list only the values of these codes; others are as if unseen."""
        kept = {name: tuple(self.categories[name][code] for code in codes[name]) for name in codes}
        return Columns(
            self.numbers, {**self.categories, **kept}, {name: tuple(codes[name]) for name in codes}
        )

    def to_dict(self) -> dict[str, Any]:
        """As a JSON document."""
        document = {
            "numbers": list(self.numbers),
            "categories": {k: list(v) for k, v in self.categories.items()},
        }
        return document | ({"codes": {k: list(v) for k, v in self.codes.items()}} if self.codes else {})

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Columns":
        """Read what `to_dict` made."""
        categories, codes = ({k: tuple(v) for k, v in document.get(key, {}).items()} for key in _BY_COLUMN)
        return cls(tuple(document["numbers"]), categories, codes)


def _is_number(column: "pd.Series[Any]") -> bool:
    """True for numbers and booleans, False for text.

    Raises:
        DataError: it holds neither.
    """
    if types.is_bool_dtype(column.dtype) or types.is_numeric_dtype(column.dtype):
        if types.is_complex_dtype(column.dtype):
            raise _refused(column, "complex numbers")
        return True
    kind = types.infer_dtype(column, skipna=True)
    if isinstance(column.dtype, pd.CategoricalDtype):
        kind = types.infer_dtype(column.cat.categories, skipna=True)
        if kind not in _DATES:
            return False
    if kind in _DATES:
        raise _refused(column, "dates or times")
    if kind in ("empty", *_NUMBERS):
        return True
    if kind != "string":
        raise _refused(column, f"values of kind {kind}")
    return _is_number_as_text(column)


def _is_number_as_text(column: "pd.Series[Any]") -> bool:
    """Whether text holds numbers only, as where an empty cell was written as a blank."""
    texts = _texts(column).dropna()
    if looks_like_dates(texts.head(50)):
        raise _refused(column, "dates or times")
    try:
        pd.to_numeric(texts)
    except (ValueError, TypeError):
        return False
    return True


def looks_like_dates(texts: "pd.Series[Any]") -> bool:
    """Whether all of these values, at least one, are dates such as 2026-11-21 or 21.11.2026, as text."""
    return len(texts) > 0 and bool(texts.map(lambda text: _DATE.fullmatch(str(text)) is not None).all())


def _refused(column: "pd.Series[Any]", what: str) -> DataError:
    return DataError(
        f"The column {str(column.name)!r} holds {what}, which no model here can take.",
        f"Leave it out (drop = [{str(column.name)!r}] in [pipeline]), turn it into numbers, "
        "or name a date as splits.time.",
    )


def _texts(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """The column as text without blanks around it; what is blank is missing."""
    texts = column.astype("str").str.strip().where(column.notna())
    return texts.where(texts != "")


def _to_numbers(column: "pd.Series[Any]") -> np.ndarray:
    values: Sequence[Any] | pd.Series[Any] = column
    if not (types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype)):
        values = _texts(column) if types.infer_dtype(column, skipna=True) == "string" else column
    try:
        numbers = pd.to_numeric(pd.Series(values)).to_numpy(dtype=float, na_value=np.nan)
    except (ValueError, TypeError):
        raise DataError(
            f"The column {str(column.name)!r} must hold numbers, but got other values.",
            "It held numbers when the model was trained: mend the rows, or retrain.",
        ) from None
    if np.isinf(numbers).any():
        raise DataError(
            f"The column {str(column.name)!r} must hold finite numbers, "
            f"but is infinite in row {int(np.isinf(numbers).argmax())}.",
            "Write an unknown value as an empty cell.",
        )
    return numbers


def _codes(column: "pd.Series[Any]", values: Sequence[str], codes: Sequence[int] | None = None) -> np.ndarray:
    texts = _texts(column)
    found = pd.Index(list(values), dtype=texts.dtype).get_indexer(pd.Index(texts))
    by_position = np.asarray([*(range(len(values)) if codes is None else codes), MISSING], dtype=float)
    coded = by_position[found]  # what is not found has position -1: the last
    coded[(found < 0) & texts.notna().to_numpy()] = UNSEEN
    return coded
