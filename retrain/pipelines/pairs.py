"""Pairs of items that one user has rated differently, and the share of them that scores rank rightly."""

from dataclasses import dataclass

import numpy as np

from tuner.errors import DataError

__all__ = ["Pairs"]

MAX_PAIRS = 50_000_000
"""Each takes twelve bytes while it is kept."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs within users of n rated rows.

    Attributes:
        better, worse: (p,) positions of the row with the higher and with the lower rating.
        owner: (p,) which user's it is: codes from 0 without gaps, of those who have a pair.
        n_users: how many these are.
    """

    better: np.ndarray
    worse: np.ndarray
    owner: np.ndarray
    n_users: int

    @classmethod
    def of(cls, users: np.ndarray, ratings: np.ndarray) -> "Pairs":
        """Find them.

        Args:
            users: (n,) codes.
            ratings: (n,) finite numbers.

        Raises:
            DataError: there are more than MAX_PAIRS.
        """
        order = np.argsort(users, kind="stable")
        better, worse, owner = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
        n_users = n_pairs = 0
        for rows in np.split(order, np.flatnonzero(np.diff(users[order])) + 1):
            above, below = np.nonzero(ratings[rows][:, None] > ratings[rows])
            if not len(above):
                continue
            n_pairs += len(above)
            if n_pairs > MAX_PAIRS:
                raise DataError(
                    f"There must be at most {MAX_PAIRS:,} pairs of ratings to rank at a time, but there are"
                    " more.",
                    "Use more folds or a smaller holdout, or leave out ratings of those who rate most.",
                )
            better.append(rows[above].astype(np.int32))
            worse.append(rows[below].astype(np.int32))
            owner.append(np.full(len(above), n_users, np.int32))
            n_users += 1
        return cls(np.concatenate(better), np.concatenate(worse), np.concatenate(owner), n_users)

    def accuracies(self, scores: np.ndarray) -> np.ndarray:
        """For each user, the share of pairs whose better row has the higher of the (n,) scores; ties half."""
        shares: np.ndarray = self._right(scores) / self._counts
        return shares

    def metrics(self, scores: np.ndarray, without: np.ndarray | None = None) -> dict[str, float]:
        """The metrics of `retrain.metrics.RANKING_METRICS`: over users, who count alike, and over pairs.

        Args:
            scores: (n,) finite.
            without: (n_users,) True for users to leave out.
        """
        kept = np.ones(self.n_users, bool) if without is None else ~without
        right, counts = self._right(scores)[kept], self._counts[kept]
        return {
            "pairwise_accuracy": float(np.mean(right / counts)),
            "pooled_pairwise_accuracy": float(right.sum() / counts.sum()),
        }

    def deal_blocks(self, n_blocks: int, seed: int) -> np.ndarray:
        """Deal the users into at most `n_blocks` blocks of about equal size: (n_users,) codes."""
        n = min(n_blocks, self.n_users)
        blocks: np.ndarray = np.random.default_rng(seed).permutation(self.n_users) * n // self.n_users
        return blocks

    def _right(self, scores: np.ndarray) -> np.ndarray:
        higher, lower = scores[self.better], scores[self.worse]
        right: np.ndarray = np.bincount(self.owner, (higher > lower) + 0.5 * (higher == lower), self.n_users)
        return right

    @property
    def _counts(self) -> np.ndarray:
        return np.bincount(self.owner, minlength=self.n_users)
