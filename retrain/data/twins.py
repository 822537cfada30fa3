"""Rows that occur twice: copies that a split has put on both sides, so that what is scored was learned from.

Where features take few values, equal rows are no copies: two customers may just be alike. A row is taken for
a copy only where nothing else in the table comes near it. The columns are dealt into two halves, a few times
over: a natural twin has relatives that agree with it on one half and differ on the other; a copy has none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retrain.splits import Split

__all__ = ["Twins", "find_twins", "row_keys"]

_N_DEALS = 3
_FEWEST, _LEAST_SHARE = 5, 0.01
"""A handful of copies moves no score by more than its noise."""


@dataclass(frozen=True, slots=True)
class Twins:
    """Rows that are scored while another with the same features is learned from.

    Attributes:
        n, n_scored: how many, of how many that are scored.
        in_holdout: whether these are of the holdout, or of the folds where that has few.
        example: numbers of two such rows: scored, learned from.
    """

    n: int
    n_scored: int
    in_holdout: bool
    example: tuple[int, int]


def find_twins(
    features: np.ndarray, y: np.ndarray, splits: Sequence[Split], seed: int = 0
) -> tuple[Twins | None, Twins | None]:
    """Find copies across the splits: those with the same target, and those with another one.

    Args:
        features: (n, p) float64, NaN for missing.
        y: (n,) targets.
        splits: of the holdout, then of the folds: rows learned from, rows scored.
        seed: of the deals.

    Returns:
        (with the same target, with another one); None where there are too few to matter.
    """
    keys = row_keys(features)
    copied = _copies(features, keys, seed)
    if not copied.any():
        return None, None
    whole = keys + _mixed(_bits(y.astype(float)), 0)  # wraps around: a sum of hashes is a hash of the set
    same, other = [], []
    for learned, scored in splits:
        known = copied[scored] & np.isin(keys[scored], keys[learned[copied[learned]]])
        alike = known & np.isin(whole[scored], whole[learned])
        same.append(scored[alike])
        other.append(scored[known & ~alike])
    return _summary(same, splits, whole), _summary(other, splits, keys)


def row_keys(features: np.ndarray) -> np.ndarray:
    """Hash each row of (n, p) float64 to (n,) uint64: equal for equal rows, NaN and -0 included."""
    keys = np.zeros(len(features), dtype=np.uint64)
    for column in range(features.shape[1]):
        keys += _mixed(_bits(features[:, column]), column + 1)
    return keys


def _summary(found: Sequence[np.ndarray], splits: Sequence[Split], keys: np.ndarray) -> Twins | None:
    for part in (slice(0, 1), slice(1, None)):  # the holdout, the folds
        n, n_scored = sum(map(len, found[part])), sum(len(scored) for _, scored in splits[part])
        if n < max(_FEWEST, _LEAST_SHARE * n_scored):
            continue
        rows, learned = next(
            (rows, learned) for rows, (learned, _) in zip(found[part], splits[part], strict=True) if len(rows)
        )
        twin = learned[np.flatnonzero(keys[learned] == keys[rows[0]])[0]]
        return Twins(n, n_scored, part.start == 0, (int(rows[0]), int(twin)))
    return None


def _copies(features: np.ndarray, keys: np.ndarray, seed: int) -> np.ndarray:
    """(n,) True for rows that occur several times and have no relatives."""
    _, first, group, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(counts > 1)
    is_copied = np.zeros(len(counts), dtype=bool)
    if not len(repeated):
        return is_copied[group]
    if features.shape[1] == 1:  # no halves to deal: only fractions do not recur by chance
        is_copied[repeated] = features[first[repeated], 0] % 1 != 0
    else:
        is_copied[repeated] = _without_relatives(_halves(features[first], seed), repeated)
    return is_copied[group]


def _without_relatives(halves: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which of these distinct rows no other distinct row agrees with on one half, in every deal.

    Args:
        halves: (2 * deals, d) keys of the d distinct rows.
        rows: positions among the distinct rows.
    """
    alone = np.ones(len(rows), dtype=bool)
    for deal in range(0, len(halves), 2):
        either = np.zeros(len(rows), dtype=bool)
        for half in halves[deal : deal + 2]:
            wanted, position = np.unique(half[rows], return_inverse=True)
            place = np.minimum(np.searchsorted(wanted, half), len(wanted) - 1)
            shared_by = np.bincount(place[wanted[place] == half], minlength=len(wanted))
            either |= shared_by[position] == 1
        alone &= either
    return alone


def _halves(features: np.ndarray, seed: int) -> np.ndarray:
    """Keys (2 * deals, n) of both halves of the columns in each deal."""
    n, p = features.shape
    rng = np.random.default_rng(seed)
    in_first = np.array([rng.permutation(p) < (p + 1) // 2 for _ in range(_N_DEALS)])
    halves = np.zeros((2 * _N_DEALS, n), dtype=np.uint64)
    for column in range(p):
        mixed = _mixed(_bits(features[:, column]), column + 1)
        for deal in range(_N_DEALS):
            halves[2 * deal + (not in_first[deal, column])] += mixed
    return halves


def _bits(values: np.ndarray) -> np.ndarray:
    """Floats as integers, equal for equal values: one NaN, and no negative zero."""
    clean = values + 0.0
    clean[np.isnan(values)] = np.nan
    bits: np.ndarray = clean.view(np.uint64)
    return bits


def _mixed(bits: np.ndarray, salt: int) -> np.ndarray:
    """Hash each: a multiplication between two shifts, by an odd number that the salt chooses."""
    mixed: np.ndarray = bits ^ (bits >> np.uint64(32))
    mixed *= np.uint64((2 * salt + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xC4CEB9FE1A85EC53)
    return mixed
