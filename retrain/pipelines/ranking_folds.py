"""Which ratings are learned from and which are to be ranked: by held-out users, or held-out ratings of users.

With held-out users, some of their ratings are known, since a recommender knows something of whom it serves: a
share drawn at random, or the earliest where there is a time. The holdout is never among what is learned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from retrain.data.ratings import Ratings
from retrain.pipelines.pairs import Pairs
from tuner.errors import DataError

__all__ = ["LoadedRatings", "RankingFold", "make_ranking_folds", "split_ratings"]

_HOLDOUT = 0x686F6C64


@dataclass(frozen=True, slots=True)
class LoadedRatings:
    """Ratings and their holdout, as row numbers.

    Attributes:
        train: to learn from.
        known: ratings of held-out users that are known when the others are ranked.
        asked: to be ranked.
    """

    ratings: Ratings
    train: np.ndarray
    known: np.ndarray
    asked: np.ndarray


@dataclass(frozen=True, slots=True)
class RankingFold:
    """One fold.

    Attributes:
        learned: the ratings to learn from.
        asked: what is to be scored, without its ratings.
        pairs: of the rows of `asked`.
        n_learned: users that are learned from.
    """

    learned: pd.DataFrame
    asked: pd.DataFrame
    pairs: Pairs
    n_learned: int


def split_ratings(ratings: Ratings, held_out: str, known: float, share: float, seed: int) -> LoadedRatings:
    """Split off the holdout.

    Args:
        ratings: all of them.
        held_out: "users", or "ratings" of every user.
        known: share of a held-out user's ratings that is known, in [0, 1).
        share: of the users, or of each user's ratings.
        seed: all that decides who is in it.

    Raises:
        DataError: too few users, or nothing left to rank.
    """
    rng = np.random.default_rng([seed, _HOLDOUT])
    rows = np.arange(len(ratings.y))
    if held_out == "users":
        n_held = max(1, round(share * ratings.n_users))
        held = np.zeros(ratings.n_users, bool)
        held[rng.permutation(ratings.n_users)[:n_held]] = True
        mine = held[ratings.users]
        is_known = mine & _first(ratings, rows, known, rng)
        loaded = LoadedRatings(ratings, rows[~mine], rows[is_known], rows[mine & ~is_known])
    else:
        kept = _first(ratings, rows, 1 - share, rng, more=True)  # nobody is left without any
        loaded = LoadedRatings(ratings, rows[kept], rows[:0], rows[~kept])
    _check(Pairs.of(ratings.users[loaded.asked], ratings.y[loaded.asked]), "the holdout")
    return loaded


def make_ranking_folds(
    loaded: LoadedRatings, held_out: str, known: float, folds: int, repeats: int, seed: int
) -> list[RankingFold]:
    """The folds of every repeat over the ratings to train on; arguments as of `split_ratings`.

    Raises:
        DataError: too few users for so many folds, or a fold with nothing to rank.
    """
    ratings, train = loaded.ratings, loaded.train
    users = np.unique(ratings.users[train])
    if len(users) < folds:
        raise DataError(
            f"There must be at least {folds} users to train on, one for each fold, but there are"
            f" {len(users)}.",
            "Use fewer folds ([splits] folds), or more data.",
        )
    made = []
    for child in np.random.SeedSequence(seed).spawn(repeats):
        rng = np.random.default_rng(child)
        if held_out == "users":
            fold_of = np.empty(ratings.n_users, int)
            fold_of[users] = rng.permutation(len(users)) % folds
            mine = fold_of[ratings.users[train]]
        else:
            mine = rng.integers(folds, size=len(train))
        is_known = _first(ratings, train, known, rng) if held_out == "users" else np.zeros(len(train), bool)
        made += [_fold(ratings, train, mine == i, is_known) for i in range(folds)]
    for i, fold in enumerate(made):
        _check(fold.pairs, f"fold {i}")
    return made


def _fold(ratings: Ratings, train: np.ndarray, mine: np.ndarray, is_known: np.ndarray) -> RankingFold:
    learned, asked = train[~mine | is_known], train[mine & ~is_known]
    return RankingFold(
        ratings.frame.iloc[learned].reset_index(drop=True),
        ratings.asked(asked).reset_index(drop=True),
        Pairs.of(ratings.users[asked], ratings.y[asked]),
        len(np.unique(ratings.users[learned])),
    )


def _first(
    ratings: Ratings, rows: np.ndarray, share: float, rng: np.random.Generator, *, more: bool = False
) -> np.ndarray:
    """Which of the rows are among the first share of their user's: by time, else at random.

    What is left of a row is none of them, unless there may be `more`.
    """
    users = ratings.users[rows]
    chance = rng.permutation(len(rows))
    keys: Sequence[np.ndarray] = (chance, users)
    if ratings.times is not None:
        keys = (chance, ratings.times[rows], users)
    order = np.lexsort(keys)
    counts = np.bincount(users)
    place = np.empty(len(rows), int)
    place[order] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    n_first = share * counts[users]
    return np.asarray(place < (np.ceil(n_first - 1e-9) if more else np.floor(n_first + 1e-9)))


def _check(pairs: Pairs, where: str) -> None:
    if not pairs.n_users:
        raise DataError(
            f"There must be users with two ratings to rank that differ, but in {where} there is none.",
            "Use more data, fewer folds, or a smaller share `known` under [pipeline].",
        )
