"""What a table is like, in a few numbers: by them the memory finds studies on similar data."""

import numpy as np

from retrain.data.table import Table

__all__ = ["meta_features"]


def meta_features(table: Table, rows: np.ndarray) -> dict[str, float]:
    """Describe the rows to train on, as `tuner.patterns.Traits` takes it: counts are called `n_...`.

    Args:
        table: the table; what has no columns (texts) is described by its rows and classes alone.
        rows: (m,) row numbers.

    Returns:
        `n_rows`; with columns `n_columns`, `share_categories` of them, and `share_missing` of their values;
        with classes `n_classes` and `share_largest_class`.
    """
    found = {"n_rows": float(len(rows))}
    names = table.columns.names
    if names:
        found["n_columns"] = float(len(names))
        found["share_categories"] = len(table.columns.categories) / len(names)
        found["share_missing"] = _share_missing(table, rows)
    if table.n_classes:
        counts = np.bincount(table.y[rows], minlength=table.n_classes)
        found["n_classes"] = float(table.n_classes)
        found["share_largest_class"] = float(counts.max() / counts.sum())
    return found


def _share_missing(table: Table, rows: np.ndarray) -> float:
    """A number that is missing is NaN, a category has a negative code."""
    values = table.features[rows]
    n_numbers = len(table.columns.numbers)
    n_missing = np.isnan(values[:, :n_numbers]).sum() + (values[:, n_numbers:] < 0).sum()
    return float(n_missing / values.size)
