"""Ratings of items by users, and the items: two tables, read and checked together."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tuner.errors import DataError, did_you_mean

__all__ = ["Ratings", "make_ratings"]

_MEND = "Mend the file, or name another column under [pipeline]."


@dataclass(frozen=True, slots=True)
class Ratings:
    """n ratings.

    Attributes:
        frame: the table of ratings: the columns `user`, `item`, `target` and whatever else it has.
        items: the table of items, a row for each, by its column `item`.
        user, item, target: the names of the columns.
        users: (n,) codes of the users, from 0 without gaps.
        y: (n,) the ratings, finite.
        times: (n,) when each was given, or None where that does not count.
        fingerprint: hash of both tables.
    """

    frame: pd.DataFrame
    items: pd.DataFrame
    user: str
    item: str
    target: str
    users: np.ndarray
    y: np.ndarray
    times: np.ndarray | None
    fingerprint: str

    @property
    def n_users(self) -> int:
        """How many users have rated."""
        return int(self.users.max()) + 1

    def asked(self, rows: np.ndarray) -> pd.DataFrame:
        """Some of the rows, without the ratings themselves."""
        return self.frame.iloc[rows].drop(columns=self.target)


def make_ratings(
    frame: pd.DataFrame, items: pd.DataFrame, *, user: str, item: str, target: str, time: str | None = None
) -> Ratings:
    """Check two raw tables.

    Args:
        frame: of ratings.
        items: of items.
        user: the column of `frame` that says whose rating it is.
        item: the column of both that says of which item.
        target: the column of `frame` that holds the rating.
        time: the column of `frame` by which a user's ratings are ordered.

    Raises:
        DataError: a column is not there or has gaps, ratings are no numbers, a user rated an item twice, an
            item occurs twice or not at all; says which.
    """
    wanted = [("user", user), ("item", item), ("target", target)]
    _check_columns(frame, [*wanted, *([("splits.time", time)] if time is not None else [])], "ratings")
    _check_columns(items, [("item", item)], "items")
    y = _numbers(frame[target])
    _check_once(frame, [user, item], "A user must rate an item once")
    _check_once(items, [item], "An item must have one row in the table of items")
    unknown = frame.loc[~frame[item].isin(items[item]), item]
    if len(unknown):
        raise DataError(
            f"Every item that is rated must be in the table of items, but {unknown.nunique()} are not, such"
            f" as {item} = {unknown.tolist()[0]!r}.",
            "Add them, or take their ratings out.",
        )
    return Ratings(
        frame.reset_index(drop=True),
        items.reset_index(drop=True),
        user,
        item,
        target,
        pd.factorize(frame[user])[0].astype(np.int64),
        y,
        None if time is None else _times(frame[time]),
        _fingerprint([frame, items], [user, item, target, str(time)]),
    )


def _check_columns(frame: pd.DataFrame, wanted: Iterable[tuple[str, str]], what: str) -> None:
    for key, name in wanted:
        if name not in frame.columns:
            raise DataError(
                f"The {what} have no column {name!r}, as `{key}` names it."
                + did_you_mean(name, map(str, frame.columns)),
                f"They have: {', '.join(map(str, frame.columns))}.",
            )
        n_missing = int(frame[name].isna().sum())
        if n_missing:
            raise DataError(
                f"The column {name!r} of the {what} must have no gaps, but {n_missing} rows have none.", _MEND
            )


def _numbers(column: "pd.Series[Any]") -> np.ndarray:
    try:
        y = column.to_numpy(dtype=float)
    except (TypeError, ValueError):
        y = np.array([np.nan])
    if not np.isfinite(y).all() or column.dtype == bool:
        raise DataError(f"Ratings must be finite numbers, but those in {str(column.name)!r} are not.", _MEND)
    if len(np.unique(y)) < 2:
        raise DataError(f"Ratings must differ, but all are {y[0]:g}.", "There is nothing to rank by.")
    return y


def _times(column: "pd.Series[Any]") -> np.ndarray:
    return np.unique(column.to_numpy(), return_inverse=True)[1].astype(np.int64)


def _check_once(frame: pd.DataFrame, columns: list[str], rule: str) -> None:
    twice = frame.duplicated(columns)
    if twice.any():
        which = ", ".join(f"{name} = {frame.loc[twice, name].tolist()[0]!r}" for name in columns)
        raise DataError(
            f"{rule}, but {int(twice.sum())} rows repeat another, such as {which}.", "Keep one of each."
        )


def _fingerprint(frames: Iterable[pd.DataFrame], names: list[str]) -> str:
    digest = hashlib.sha256("\0".join(names).encode())
    for frame in frames:
        digest.update("\0".join(map(str, frame.columns)).encode())
        digest.update(np.ascontiguousarray(pd.util.hash_pandas_object(frame, index=False)).data)
    return f"sha256:{digest.hexdigest()[:32]}"
