"""Seeded worlds in which the truth is known: rows with noise, folds dealt anew, learning that is restless."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Run:
    """A repeat, as the statistics take it."""

    seed: int
    value: float
    folds: tuple[float, ...] = ()


def run(seed: int, *folds: float) -> Run:
    return Run(seed, sum(folds) / len(folds), folds)


def value_of(seed: int, value: float) -> Run:
    return Run(seed, value)


@dataclass
class World:
    """Configurations scored on the same rows.

    A score of a fold is the mean over its rows of (truth of the configuration + noise of the row, which all
    share + noise of configuration and row), plus what learning adds: per configuration and fold, and per
    configuration and seed.
    """

    rng: np.random.Generator
    truth: np.ndarray
    n_rows: int = 200
    n_folds: int = 5
    own: float = 1.0
    fold_noise: float = 0.0
    seed_noise: float = 0.0

    def __post_init__(self) -> None:
        n = len(self.truth)
        own = self.own * self.rng.normal(size=(n, self.n_rows))
        self.rows = self.truth[:, None] + self.rng.normal(size=self.n_rows) + own

    def scores(self) -> np.ndarray:
        """(configurations, folds) of one repeat."""
        dealt = self.rng.permutation(self.n_rows).reshape(self.n_folds, -1)
        shape = (len(self.truth), self.n_folds)
        restless = self.fold_noise * self.rng.normal(size=shape)
        shared = self.seed_noise * self.rng.normal(size=(shape[0], 1))
        return np.asarray(self.rows[:, dealt].mean(axis=2) + restless + shared)

    def repeats(self, n: int) -> list[list[Run]]:
        """For each configuration, its repeats of seeds 0 to n - 1."""
        drawn = [self.scores() for _ in range(n)]
        return [
            [run(seed, *map(float, scores[each])) for seed, scores in enumerate(drawn)]
            for each in range(len(self.truth))
        ]
