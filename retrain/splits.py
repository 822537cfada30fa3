"""Which rows are learned from, and which are scored: a holdout first, then the folds of a cross-validation.

Both follow the same rule. Classes keep their shares where each is frequent enough; rows of one group stay
together; with times, what is scored is always later than what was learned from. Everything is a function of
the data and a seed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tuner.errors import DataError

__all__ = [
    "Rows",
    "Split",
    "make_folds",
    "split_holdout",
    "standard_error",
    "why_not_stratified",
]

Split = tuple[np.ndarray, np.ndarray]
"""Row numbers to learn from, and row numbers to score; both ascending."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a split looks at, for n rows.

    Attributes:
        y: (n,) class codes, or values.
        n_classes: 0 for a regression.
        groups: (n,) codes, or None.
        times: (n,) ranks, or None. Never together with groups.
    """

    y: np.ndarray
    n_classes: int = 0
    groups: np.ndarray | None = None
    times: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "Rows":
        """The same of some of the rows."""
        groups = None if self.groups is None else self.groups[rows]
        times = None if self.times is None else self.times[rows]
        return Rows(self.y[rows], self.n_classes, groups, times)

    def __len__(self) -> int:
        return len(self.y)


def split_holdout(rows: Rows, share: float, seed: int) -> Split:
    """Split off about `share` of the rows as the holdout: (rows to train on, rows of the holdout).

    Raises:
        DataError: too few rows, groups or distinct times to do so.
    """
    from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

    _need(len(rows), 4, "rows")
    indices = np.arange(len(rows))
    if rows.times is not None:
        cut = _cuts(rows.times, [1 - share])[0]
        return indices[rows.times < cut], indices[rows.times >= cut]
    if rows.groups is not None:
        # One fold of 1/share, or of as many groups as there are. A share over one half is turned round.
        wanted = round(1 / min(share, 1 - share))
        kept, held = _group_folds(rows, max(2, min(wanted, len(np.unique(rows.groups)))), seed)[0]
        return (kept, held) if share <= 0.5 else (held, kept)
    n_held = min(max(1, round(share * len(rows))), len(rows) - 1)
    counts = np.bincount(rows.y, minlength=rows.n_classes) if rows.n_classes else np.zeros(0)
    enough = rows.n_classes and counts.min() >= 2 and min(n_held, len(rows) - n_held) >= rows.n_classes
    splitter = (StratifiedShuffleSplit if enough else ShuffleSplit)(1, test_size=n_held, random_state=seed)
    train, held = next(splitter.split(indices, rows.y))
    return np.sort(train), np.sort(held)


def make_folds(rows: Rows, folds: int, repeats: int, seed: int) -> list[Split]:
    """The folds of every repeat, in order: `folds * repeats` of them.

    Raises:
        DataError: too few rows, groups or distinct times for so many folds.
    """
    if rows.times is not None:
        return _forward_chain(rows.times, folds)
    seeds = [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(repeats)]
    if rows.groups is not None:
        return [split for repeat in seeds for split in _group_folds(rows, folds, repeat)]
    return [split for repeat in seeds for split in _plain_folds(rows, folds, repeat)]


def why_not_stratified(rows: Rows, folds: int) -> str:
    """Why classes will not keep their shares in every fold: a sentence, or "" where they will."""
    if not rows.n_classes or rows.times is not None or rows.groups is not None:
        return ""
    rarest = int(np.bincount(rows.y, minlength=rows.n_classes).min())
    if rarest >= folds:
        return ""
    return (
        f"The rarest class has {rarest} rows to train on, fewer than the {folds} folds: "
        "the folds are drawn without regard to classes."
    )


def standard_error(values: Sequence[float], n_train: float, n_scored: float) -> float | None:
    """The standard error of the mean of `values`, one per fold; None for a single one.

    Folds share training rows, so their scores are not independent and s / sqrt(J) is far too small. This is
    the corrected resampled variance (1/J + n_scored/n_train) s^2 of Nadeau and Bengio 2003, Inference for the
    Generalization Error, Machine Learning 52, with J folds and mean sizes n_train and n_scored.
    """
    n = len(values)
    if n < 2:
        return None
    return math.sqrt((1 / n + n_scored / n_train) * float(np.var(values, ddof=1)))


# ---- the three kinds of folds


def _plain_folds(rows: Rows, folds: int, seed: int) -> list[Split]:
    from sklearn.model_selection import KFold, StratifiedKFold

    _need(len(rows), folds, "rows to train on")
    stratified = rows.n_classes and not why_not_stratified(rows, folds)
    splitter = (StratifiedKFold if stratified else KFold)(folds, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(rows)), rows.y))


def _group_folds(rows: Rows, folds: int, seed: int) -> list[Split]:
    """Whole groups; for classes, groups are dealt out so that each fold has about the shares of the whole."""
    import warnings

    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    assert rows.groups is not None
    _need(len(np.unique(rows.groups)), folds, "groups")
    smallest_class = np.bincount(rows.y).min() if rows.n_classes else 0
    stratified = rows.n_classes and np.bincount(rows.y).max() >= folds
    splitter = (StratifiedGroupKFold if stratified else GroupKFold)(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        if smallest_class < folds:  # scikit-learn warns that a class cannot be in every fold
            warnings.simplefilter("ignore", UserWarning)
        splits = list(splitter.split(np.zeros(len(rows)), rows.y, rows.groups))
    if any(len(part) == 0 for split in splits for part in split):
        raise DataError(
            f"The groups are too unequal for {folds} folds: one of them would be empty.",
            "Use fewer folds ([splits] folds), or a larger holdout.",
        )
    return splits


def _forward_chain(times: np.ndarray, folds: int) -> list[Split]:
    """Blocks of about equal size in order of time: fold i learns from blocks 0..i and scores block i+1."""
    cuts = [*_cuts(times, [(i + 1) / (folds + 1) for i in range(folds)]), times.max() + 1]
    indices = np.arange(len(times))
    return [
        (indices[times < start], indices[(times >= start) & (times < end)]) for start, end in pairwise(cuts)
    ]


def _cuts(times: np.ndarray, shares: Sequence[float]) -> list[int]:
    """Rising times before which about these shares of the rows lie; rows of one time are never parted."""
    distinct, counts = np.unique(times, return_counts=True)
    _need(len(distinct), len(shares) + 1, "distinct times")
    before = np.concatenate([[0], np.cumsum(counts)[:-1]]) / len(times)
    cuts: list[int] = []
    first = 1
    for i, share in enumerate(shares):
        last = len(distinct) - (len(shares) - i)  # each later cut needs a time of its own
        nearest = first + int(np.abs(before[first : last + 1] - share).argmin())
        cuts.append(int(distinct[nearest]))
        first = nearest + 1
    return cuts


def _need(n: int, needed: int, what: str) -> None:
    if n < needed:
        raise DataError(
            f"The splits need at least {needed} {what}, but there are {n}.",
            "Use more data, or fewer folds ([splits] folds).",
        )
