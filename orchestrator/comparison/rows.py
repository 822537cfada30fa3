"""Which rows are learned from and which are tested on, site by site."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Dealt", "deal"]


@dataclass(frozen=True, slots=True)
class Dealt:
    """What became of n rows. Arrays alone, so that workers share one copy.

    Attributes:
        site: (n,) number of the site.
        held: (n,) whether nothing ever learns from the row where its site is trained on.
        order: (n,) in [0, 1): a training size is the rows below it, so that each is part of the larger ones.
    """

    site: np.ndarray
    held: np.ndarray
    order: np.ndarray

    def training(self, sites: list[int], size: float) -> np.ndarray:
        """The rows of these sites to learn from, ascending."""
        return np.flatnonzero(~self.held & (self.order < size) & np.isin(self.site, sites))

    def held_out(self, sites: list[int]) -> np.ndarray:
        """The rows of these sites that nothing learns from, ascending."""
        return np.flatnonzero(self.held & np.isin(self.site, sites))

    def whole(self, site: int) -> np.ndarray:
        """All rows of a site, ascending: for models that were trained on others."""
        return np.flatnonzero(self.site == site)


def deal(
    site: np.ndarray, y: np.ndarray | None, groups: np.ndarray | None, holdout: float, seed: int
) -> Dealt:
    """Hold out about `holdout` of each class of each site, and put the rest in an order.

    A class of a site that has few rows has its share on average: one row of it is held out with probability
    `holdout`. Rows of one group stay together; then classes are not looked at.

    Args:
        site: (n,) numbers from 0.
        y: (n,) class codes; None for a regression.
        groups: (n,) codes, or None.
        holdout: share of the rows, in (0, 1).
        seed: all that decides.
    """
    rng = np.random.default_rng([seed, len(site)])
    strata = site if y is None or groups is not None else site * (int(y.max()) + 1) + y
    held = _keys(strata, groups, rng) < holdout
    order = _keys(strata * 2 + held, groups, rng)
    return Dealt(site, held, order)


def _keys(strata: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """A number in [0, 1) for each row, evenly spread within each stratum; of one group the same."""
    if groups is not None:
        found: np.ndarray = rng.random(int(groups.max()) + 1)[groups]
        return found
    keys = np.empty(len(strata))
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        keys[rows] = (rng.permutation(len(rows)) + rng.random()) / len(rows)
    return keys
