"""A table of texts: one column to learn from, one to predict, and what must be known of the rows besides."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from retrain.data.columns import Columns
from retrain.data.leakage import Leak
from retrain.data.positions import positions
from retrain.data.table import Table, make_table
from retrain.metrics import Metric
from retrain.places import mark, unmark
from retrain.splits import Split
from tuner.errors import DataError

__all__ = ["copied_texts", "make_texts"]

_LONG = 8
"""Shorter texts, in words, recur without being copies; and so do a few of the longer ones."""
_FEWEST, _LEAST_SHARE = 5, 0.05


def make_texts(
    frame: pd.DataFrame,
    text: str,
    target: str,
    metric: Metric,
    *,
    about: tuple[str, str] | None = None,
    group: str | None = None,
    time: str | None = None,
    by: Sequence[str] = (),
) -> Table:
    """Check a raw table of texts and turn it into arrays: the features are (n,) texts, as objects.

    Args:
        frame: the raw table.
        text: the column that holds the texts.
        target: the column to predict. Rows without one are left out, with a warning.
        metric: says whether the target is a class or a number.
        about: the columns of the first character of the place that is asked about, from 0, and of the one
            after the last; it is marked in the texts (see `retrain.places`).
        group: column whose rows of one value stay together: the document.
        time: column by which rows are ordered.
        by: columns by whose values scores are told apart.

    Raises:
        DataError: names the column and what is wrong with it.
    """
    from retrain.data.table import check_columns, known_rows

    names = list(map(str, frame.columns))
    check_columns(names, target, (), group, time, by, text, about=about or ())
    if text in (group, time):
        raise DataError(
            f"The texts {text!r} must not be the group or time column, too.",
            "Name another column under [splits].",
        )
    others = [name for name in names if name not in (text, target, group, time)]
    # The numbers of the rows stand in for features, which `make_table` wants one of.
    plain = frame.drop(columns=[text, *others]).assign(**{by_name: frame[by_name] for by_name in by})
    plain[text] = np.linspace(0.0, 0.5, len(frame))
    table = make_table(plain, target, metric, drop=[*by], group=group, time=time, by=by)
    rows = known_rows(frame, target)
    texts = _texts(rows[text])
    if about is not None:
        for row, (start, end) in enumerate(zip(*positions(rows, texts, about), strict=True)):
            texts[row] = mark(texts[row], int(start), int(end))
    table = replace(table, features=texts, columns=Columns((), {}))
    return replace(table, fingerprint=_fingerprint(table, text))


def _texts(column: "pd.Series[Any]") -> np.ndarray:
    name = str(column.name)
    if types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype):
        raise DataError(
            f"The texts {name!r} must be text, but hold numbers such as {column.iloc[0]}.",
            "Name another column as `text` under [pipeline].",
        )
    empty = column.isna() | (column.astype("str").str.strip() == "")
    if empty.any():
        first = int(np.flatnonzero(empty.to_numpy())[0]) + 1
        raise DataError(
            f"The texts {name!r} must be known in every row, but {int(empty.sum())} are empty, the first in "
            f"row {first}.",
            "Fill them in, or take these rows out of the file.",
        )
    return column.astype("str").to_numpy(dtype=object, copy=True)


def _fingerprint(table: Table, text: str) -> str:
    digest = hashlib.sha256()
    digest.update(json.dumps([text, table.task, list(table.classes)]).encode())
    for each in table.features:
        encoded = each.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    for array in (table.y, table.groups, table.times):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return f"sha256:{digest.hexdigest()[:32]}"


def copied_texts(table: Table, text: str, splits: Sequence[Split], group: str | None) -> list[Leak]:
    """Say where texts of some length that are scored stand word for word among those learned from.

    Args:
        table: of `make_texts`.
        text: name of its column.
        splits: of the holdout, then of the folds: rows learned from, rows scored.
        group: the column whose rows stay together, if there is one.
    """
    texts = [unmark(each)[0] for each in table.features]
    keys = np.array([hash(" ".join(each.split())) for each in texts])
    is_long = np.array([len(each.split()) >= _LONG for each in texts])
    for place, part in (("held-out rows", splits[:1]), ("rows scored in the folds", splits[1:])):
        n_scored = sum(len(scored) for _, scored in part)
        known = [scored[is_long[scored] & np.isin(keys[scored], keys[learned])] for learned, scored in part]
        n = sum(map(len, known))
        if n < max(_FEWEST, _LEAST_SHARE * n_scored):
            continue
        row = int(next(rows for rows in known if len(rows))[0])
        instead = "another column" if group is not None else "the column that says which document they are of"
        return [
            Leak(
                (text,),
                f"the texts of {n} of {n_scored} {place} are word for word those of rows learned from, "
                f"such as {_shown(texts[row])}.",
                f"Name {instead} as `group` under [splits], or take copies out of the file; "
                f'or trusted = ["{text}"] under [pipeline] if new texts will be such copies, too.',
            )
        ]
    return []


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
