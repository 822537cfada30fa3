"""Features that give the target away: each of them alone predicts it, on rows it has not seen.

A feature is cut into bins (categories stay as they are, missing is a bin of its own); what the bins say of
one half of the rows is tried on the other. So a value that never recurs says nothing, and any shape counts.
"""

from dataclasses import dataclass

import numpy as np

from retrain.data.table import Table
from retrain.data.twins import row_keys
from retrain.metrics import BINARY, REGRESSION

__all__ = ["Predictor", "find_predictors"]

MAX_ROWS = 30_000
"""Rows looked at: these figures need no more."""
_FEWEST_ROWS, _FEWEST_OF_CLASS = 50, 10
_N_BINS = 64
_AUC, _KAPPA, _R2, _RANKS = 0.99, 0.97, 0.98, 0.995
"""From here on a single feature is suspected. On tables known to be sound the best ones reach 0.975 in AUC
(breast_cancer), 0.94 in kappa (iris) and 0.3 in R2 (diabetes)."""
_LEAST_COVERED = 0.5
_BY_CHANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Predictor:
    """One feature: its `column`, and in `figure` how well it alone predicts the target, in words."""

    column: str
    figure: str


def find_predictors(table: Table, train: np.ndarray, target: str, seed: int = 0) -> list[Predictor]:
    """Find the features that alone predict the target, in the order of the columns.

    Args:
        table: the table; only the rows of `train` are looked at.
        train: rows to train on.
        target: its name, for words.
        seed: of the halves.
    """
    rng = np.random.default_rng(seed)
    rows = train if len(train) <= MAX_ROWS else rng.choice(train, MAX_ROWS, replace=False)
    rows = rows[np.unique(row_keys(table.features[rows]), return_index=True)[1]]  # copies would vouch for it
    first = rng.permutation(len(rows)) < len(rows) // 2
    y = table.y[rows]
    if len(rows) < _FEWEST_ROWS:
        return []
    if table.task == BINARY and min(np.bincount(y[part], minlength=2).min() for part in (first, ~first)) < (
        _FEWEST_OF_CLASS
    ):
        return []
    found = []
    for i, name in enumerate(table.columns.names):
        column = table.features[rows, i]
        is_number = name not in table.columns.categories
        missing = np.isnan(column) if is_number else column < 0
        figure = _strength(_bins(column, missing, is_number), y, first, table)
        if not figure and table.task == REGRESSION and is_number:
            figure = _same_order(column, y, missing)
        if not figure and table.task == BINARY:
            figure = _told_by_gaps(missing, y, target, table)
        if figure:
            found.append(Predictor(name, figure))
    return found


def _bins(column: np.ndarray, missing: np.ndarray, is_number: bool) -> np.ndarray:
    """(n,) bins 0, 1, ...; missing values have one of their own."""
    known = column[~missing]
    bins = np.zeros(len(column), dtype=np.int64)
    if is_number and len(known):
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _N_BINS + 1)[1:-1]))
        values = np.unique(known[:: max(1, len(known) // 2000)])
        edges = values if len(values) <= _N_BINS else edges
        bins[~missing] = 1 + np.searchsorted(edges, known, side="left")
    elif len(known):
        bins[~missing] = 1 + known.astype(np.int64)
    return bins


def _strength(bins: np.ndarray, y: np.ndarray, first: np.ndarray, table: Table) -> str:
    """How well bins predict the other half, in words; "" where not suspiciously well."""
    judge = {BINARY: _auc, REGRESSION: _r2}.get(table.task, _kappa)
    worst = min(
        judge(bins[a], y[a], bins[b], y[b], int(bins.max()) + 1, table.n_classes)
        for a, b in ((first, ~first), (~first, first))
    )
    least, name = {BINARY: (_AUC, "ROC AUC"), REGRESSION: (_R2, "R2")}.get(table.task, (_KAPPA, "kappa"))
    return f"{name} {worst:.3f}" if worst >= least else ""


def _counts(bins: np.ndarray, y: np.ndarray, n_bins: int, n_classes: int) -> np.ndarray:
    return np.bincount(bins * n_classes + y, minlength=n_bins * n_classes).reshape(n_bins, n_classes)


def _auc(
    bins: np.ndarray, y: np.ndarray, new_bins: np.ndarray, new_y: np.ndarray, n_bins: int, n_classes: int
) -> float:
    """The area under the ROC curve of the bins' shares of positives, on the other half."""
    learned, scored = (_counts(*pair, n_bins, n_classes) for pair in ((bins, y), (new_bins, new_y)))
    prior = y.mean()
    share = (learned[:, 1] + prior) / (learned.sum(axis=1) + 1)
    order = np.unique(share, return_inverse=True)[1]
    negatives, positives = (np.bincount(order, weights=scored[:, k]) for k in (0, 1))
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / (positives.sum() * negatives.sum()))


def _kappa(
    bins: np.ndarray, y: np.ndarray, new_bins: np.ndarray, new_y: np.ndarray, n_bins: int, n_classes: int
) -> float:
    """Accuracy of the bins' commonest class on the other half: 0 as good as the commonest of all, 1 right."""
    commonest = np.bincount(y, minlength=n_classes).argmax()
    learned = _counts(bins, y, n_bins, n_classes)
    said = np.where(learned.sum(axis=1) > 0, learned.argmax(axis=1), commonest)
    plain = float((new_y == commonest).mean())
    return (float((said[new_bins] == new_y).mean()) - plain) / (1 - plain) if plain < 1 else 0.0


def _r2(
    bins: np.ndarray, y: np.ndarray, new_bins: np.ndarray, new_y: np.ndarray, n_bins: int, _: int
) -> float:
    """Share of the variance of the other half that the bins' means explain."""
    mean = y.mean()
    n = np.bincount(bins, minlength=n_bins)
    said = np.where(n > 0, np.bincount(bins, weights=y, minlength=n_bins) / np.maximum(n, 1), mean)
    total = ((new_y - mean) ** 2).sum()
    return float(1 - ((new_y - said[new_bins]) ** 2).sum() / total) if total > 0 else 0.0


def _same_order(column: np.ndarray, y: np.ndarray, missing: np.ndarray) -> str:
    """Spearman's correlation of a number with the target, where bins are too coarse for long tails."""
    if missing.mean() > 0.5:
        return ""
    ranks = [_ranks(values[~missing]) for values in (column, y)]
    if min(np.ptp(each) for each in ranks) == 0:
        return ""
    correlation = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    return f"rank correlation {correlation:.4f}" if abs(correlation) >= _RANKS else ""


def _ranks(values: np.ndarray) -> np.ndarray:
    """Mean ranks (n,) of values, ties included."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: np.ndarray = np.cumsum(counts) - (counts - 1) / 2
    return middle[place]


def _told_by_gaps(missing: np.ndarray, y: np.ndarray, target: str, table: Table) -> str:
    """Whether all rows where a value is missing, or all where it is known, have one target; in words."""
    for is_in, state in ((missing, "missing"), (~missing, "known")):
        n = int(is_in.sum())
        for code in (0, 1):
            share = float((y == code).mean())
            pure = n > 0 and bool((y[is_in] == code).all())
            covered = n / max(1, int((y == code).sum()))
            if pure and covered >= _LEAST_COVERED and n * np.log(share) < np.log(_BY_CHANCE):
                return f"where it is {state}, {target!r} is always {table.classes[code]!r} ({n} rows)"
    return ""
