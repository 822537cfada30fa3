# ruff: noqa: D102 - the contract in `surrogate` holds the docstrings
"""Warm starts: what earlier studies say of where to begin, and what they lead one to expect elsewhere."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Self

import numpy as np

from tuner.experiment import Params
from tuner.generators.bayesian.factors import factored, solved
from tuner.generators.bayesian.gaussian_process import GaussianProcess
from tuner.generators.bayesian.noise import USUAL
from tuner.generators.bayesian.posterior import STRETCH, Posterior, correlation, level
from tuner.generators.bayesian.surrogate import Array, Surrogate
from tuner.generators.bayesian.targets import noises_of, scaled
from tuner.memory import Carried
from tuner.space import config_key

__all__ = ["Informed", "Transfer", "shares"]

Encode = Callable[[Sequence[Params]], Array]

_N_EARLY = 5
_N_BEST = 5
_LEAST_GAIN = 0.05
_N_LEAST = 4
_N_ERRORS = 2.0
_N_PRESUMED = 4.0
_PRESUMED_SLOPE = 0.6
_N_FADED = 200
_LEAST_SCALE = 0.3
_N_KEPT = 3


class Transfer:
    """What earlier studies contribute to a search: configurations to try early, and expectations.

    Args:
        studies: the earlier studies, in the terms of the present space.
        encode: gives the rows that the surrogate learns from, (n, n_dims).
        weights: (n_dims,), by which `encode` stretches each column of the unit cube.
    """

    def __init__(self, studies: Sequence[Carried], encode: Encode, weights: Array) -> None:
        self._studies = [study for study in studies if study.n_known]
        targets = [scaled([result.loss for result in study.results]).y for study in self._studies]
        self._means = [_Mean(study, y, weights) for study, y in zip(self._studies, targets, strict=True)]
        self._measured = [
            {
                config_key(config): float(loss)
                for config, loss in zip(study.configs, y, strict=True)
                if config is not None
            }
            for study, y in zip(self._studies, targets, strict=True)
        ]
        self._kept: list[tuple[Array, Array]] = []
        self.early: Sequence[tuple[Params, Mapping[str, Any]]] = self._chosen(encode)

    def fit(
        self, x: Array, y: Array, owners: Sequence[int], noises: Array
    ) -> tuple[Surrogate, dict[str, float]]:
        """Let a model learn what the earlier studies do not foresee of `y`, (n,), at `x`, (n, n_dims).

        Returns:
            The surrogate, and the parts in which the studies stand behind it, by name.
        """
        expected = self._expected(x)
        parts = shares(expected, y)
        if not parts.any():
            return GaussianProcess.fit(x, y, owners, noises), {}
        rest = y - parts @ expected
        center, scale = float(rest.mean()), max(float(rest.std()), _LEAST_SCALE)

        def prior(x: Array) -> Array:
            return np.asarray(center + parts @ self._expected(x))

        named = {
            study.name: round(float(part), 3)
            for study, part in zip(self._studies, parts, strict=True)
            if part > 0
        }
        return Informed(GaussianProcess.fit(x, (rest - center) / scale, owners, noises), prior, scale), named

    def _expected(self, x: Array) -> Array:
        """The mean of each study at `x`, (m, n_dims): (k, m). All members of a surrogate ask for one `x`."""
        for known, means in self._kept:
            if known is x:
                return means
        means = np.array([mean(x) for mean in self._means]).reshape(-1, len(x))  # there may be none
        self._kept = [(x, means), *self._kept[: _N_KEPT - 1]]
        return means

    def _chosen(self, encode: Encode) -> list[tuple[Params, Mapping[str, Any]]]:
        """A few good configurations that complement each other, each with the reason to try it.

        One after the other is taken that lowers the least loss the most, summed over the studies: the first
        is good everywhere, the next where those before it are not. A loss is what a study measured, or else
        what it expects.
        """
        found = {key: one for study in reversed(self._studies) for key, one in _best(study).items()}
        if not found:  # all of them failed, or lie outside of the present space
            return []
        keys = sorted(found)
        candidates = [found[key] for key in keys]
        expected = self._expected(encode([params for params, _ in candidates]))
        losses = np.array(
            [
                [measured.get(key, mean) for key, mean in zip(keys, means, strict=True)]
                for measured, means in zip(self._measured, expected, strict=True)
            ]
        )
        losses -= losses.min(axis=1, keepdims=True)
        chosen: list[int] = []
        least = np.full(len(losses), np.inf)
        while len(chosen) < _N_EARLY:
            sums = np.minimum(least[:, None], losses).sum(axis=0)
            if chosen and sums.min() > least.sum() - _LEAST_GAIN:
                break
            # Rounded, so that the last bits of the arithmetic decide nothing.
            chosen.append(int(np.argmin(sums.round(6))))
            least = np.minimum(least, losses[:, chosen[-1]])
        return [candidates[j] for j in chosen]


class Informed(Surrogate):
    """A surrogate of what is left of the loss once an expectation is taken off it.

    Args:
        rest: the model of what is left, in units of `scale`.
        prior: the expectation at each row of an (m, n_dims) array: (m,).
        scale: > 0.
    """

    def __init__(self, rest: Surrogate, prior: Callable[[Array], Array], scale: float) -> None:
        self._rest, self._prior, self._scale = rest, prior, scale

    @property
    def members(self) -> Sequence[Surrogate]:
        return [Informed(member, self._prior, self._scale) for member in self._rest.members]

    @property
    def noises(self) -> Array:
        return self._scale**2 * self._rest.noises

    def means_each(self, x: Array) -> Array:
        return np.asarray(self._prior(x) + self._scale * self._rest.means_each(x))

    def predict_each(self, x: Array) -> tuple[Array, Array]:
        means, deviations = self._rest.predict_each(x)
        return self._prior(x) + self._scale * means, self._scale * deviations

    def condition(self, x: Array) -> Self:
        return type(self)(self._rest.condition(x), self._prior, self._scale)

    def drawn(self, x: Array, rng: np.random.Generator) -> Array:
        return self._prior(x) + self._scale * self._rest.drawn(x, rng)

    def predict(self, x: Array) -> tuple[Array, Array]:
        mean, deviation = self._rest.predict(x)
        return self._prior(x) + self._scale * mean, self._scale * deviation


def shares(expected: Array, y: Array) -> Array:
    """In which parts (>= 0) to add up the studies' means to foresee `y`: (k,).

    A study counts by the square of how well its order of the configurations agrees with theirs (Kendall's
    tau), as far as that is beyond chance: by more than two of the standard errors that tau has between
    strangers (Kendall 1938). So a study of something else is not believed, however many there are of them.
    Of how much they say together, a regression tells, which starts from a presumed slope that counts as four
    observations. All of it fades until 200 are finished, when the study's own results say more.

    Args:
        expected: (k, n), the mean of each of k studies at the n finished configurations.
        y: (n,), what came out there.
    """
    n = len(y)
    if n < _N_LEAST or n >= _N_FADED:
        return np.zeros(len(expected))
    chance = math.sqrt(2 * (2 * n + 5) / (9 * n * (n - 1)))
    agreement = np.maximum(_concordance(expected, y) - _N_ERRORS * chance, 0.0)
    if not agreement.any():
        return np.zeros(len(expected))
    parts = agreement**2 / (agreement**2).sum()
    together = parts @ expected
    together = together - together.mean()
    slope = (together @ (y - y.mean()) + _N_PRESUMED * _PRESUMED_SLOPE) / (together @ together + _N_PRESUMED)
    return np.asarray((1 - n / _N_FADED) * max(float(slope), 0.0) * parts)


def _concordance(expected: Array, y: Array) -> Array:
    """Kendall's tau-b of each row with `y`; 0 where either has one value only."""
    first, second = np.triu_indices(len(y), 1)
    signs = np.sign(y[first] - y[second])
    others = np.sign(expected[:, first] - expected[:, second])
    reach = np.sqrt((others**2).sum(axis=1) * (signs**2).sum())
    return np.asarray((others @ signs) / np.maximum(reach, 1.0))


def _best(study: Carried) -> dict[str, tuple[Params, Mapping[str, Any]]]:
    """The configurations of the least losses, by key, each with the reason to try it.

    What was stopped early was not among the best, and is none of them where few ran to their end.
    """
    order = sorted(
        (
            (result.loss, config_key(config), config, name)
            for result, config, name in zip(study.results, study.configs, study.ids, strict=True)
            if result.loss is not None and not result.partial and config is not None
        ),
        key=lambda one: (one[0], one[1]),
    )
    reason = {"design": "earlier", "study": study.name}
    return {
        key: (config, {**reason, "id": name} if name else reason) for _, key, config, name in order[:_N_BEST]
    }


class _Mean:
    """The mean of a Gaussian process of the study, over rows that the surrogate learns from: (m,)."""

    def __init__(self, study: Carried, y: Array, weights: Array) -> None:
        self._columns = list(study.columns)
        x = study.x * weights[self._columns]
        # The owners of the columns left, counted from 0 again.
        owners = np.unique(study.owners, return_inverse=True)[1]
        noises = noises_of(study.results)
        found = _fitted(x.tobytes(), y.tobytes(), noises.tobytes(), tuple(owners.tolist()))
        self._scales, self._level, self._pull = found
        self._known = x * self._scales
        self._squares = (self._known**2).sum(axis=1)

    def __call__(self, rows: Array) -> Array:
        rows = rows[:, self._columns] * self._scales
        distances = self._squares[:, None] + (rows**2).sum(axis=1)[None, :] - 2 * self._known @ rows.T
        return np.asarray(self._level + self._pull @ correlation(STRETCH * np.maximum(distances, 0.0)))


@lru_cache(maxsize=64)
def _fitted(x: bytes, y: bytes, noises: bytes, owners: tuple[int, ...]) -> tuple[Array, float, Array]:
    """Inverse length scales, (d,), mean, and the pull of each observation, (n,), at their mode.

    Kept, since every round of a study learns from the same earlier ones.
    """
    targets, multiples = np.frombuffer(y), np.frombuffer(noises)
    rows = np.frombuffer(x).reshape(len(targets), -1)
    theta = Posterior(rows, targets, owners, multiples).mode()
    scales = np.exp(-theta[:-1])[list(owners)]
    known = rows * scales
    squares = ((known[:, None, :] - known[None, :, :]) ** 2).sum(axis=2)
    covariance = correlation(STRETCH * squares) + np.diag(math.exp(theta[-1]) * multiples + USUAL.jitter)
    found = level(factored(covariance), targets)
    pull = solved(found.factor, found.whitened, transposed=True)
    return scales, found.mean, pull
