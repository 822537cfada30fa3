"""Bayesian search for several goals: what to expect of hypervolume, times the chance that limits are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite
from sys import float_info
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp

from tuner.experiment import Params, loss_of
from tuner.generators.bayesian.feasibility import log_feasibility, scaled_excess
from tuner.generators.bayesian.gaussian_process import GaussianProcess
from tuner.generators.bayesian.generator import BayesianGenerator
from tuner.generators.bayesian.pareto import cells_beyond
from tuner.generators.bayesian.search import THOROUGH, Score, best_first, best_of_listed
from tuner.generators.bayesian.surrogate import Array, Surrogate
from tuner.generators.bayesian.targets import noises_of
from tuner.generators.random import draw_unseen
from tuner.goals import Goals, front
from tuner.space import config_key

__all__ = ["GoalsGenerator"]

_N_INITIAL = 10
_N_SUCCESSES = 2
_N_PARENTS = 10
_N_KNOWN = 100
_N_MEMBERS = 4
_N_AT_END = 5
_LEAST_ROOM = 1e-3
_ROUNDING = 1e-14


@dataclass(frozen=True)
class _Loss:
    """What is believed of one loss; the loss itself is center + scale * what the surrogate predicts.

    `room`: how much less of it there may be, in units of the surrogate.
    """

    surrogate: Surrogate
    center: float
    scale: float
    room: float


@dataclass(frozen=True)
class _Belief:
    """What is believed at one time.

    Attributes:
        parents: what to vary, best first: the front, or where no limit is kept yet, what is nearest to it.
        feasible: rows that were measured to keep all limits, the best; (n, n_dims).
        losses: of the study's metric and of each further objective.
        excesses: a surrogate of each bound with the threshold up to which it is kept.
    """

    parents: list[Params]
    feasible: Array
    losses: list[_Loss]
    excesses: list[tuple[Surrogate, float]]

    def score(self, pending: Array) -> Score:
        """The acquisition function: log E[gain of hypervolume] + log P(feasible); most is best.

        Of each member of the surrogates, since they are equally likely. Without anything feasible there is no
        front to move, and the chance to be feasible is all. The front is that of the means, so that a lucky
        measurement is not taken at its word; what is pending is believed to come out at its means.
        """
        losses = [each.surrogate.condition(pending).members for each in self.losses]
        excesses = [(model.condition(pending).members, limit) for model, limit in self.excesses]
        likely = [(model.predict(pending)[0] <= limit) for model, limit in self.excesses if len(pending)]
        known = np.vstack([self.feasible, pending[np.all(likely, axis=0)] if likely else pending])
        n = min(_N_MEMBERS, max(map(len, [*losses, *(members for members, _ in excesses)])))
        members = [
            _Member(
                [each[i % len(each)] for each in losses],
                [(each[i % len(each)], limit) for each, limit in excesses],
                known,
                np.array([each.room for each in self.losses]),
            )
            for i in range(n)
        ]

        def score(x: Array) -> Array:
            return np.asarray(logsumexp([member.score(x) for member in members], axis=0) - np.log(n))

        return score

    def log_chance(self, x: Array) -> Array:
        """Log of the chance that each row keeps every limit."""
        chances = [log_feasibility(limit, *model.predict(x)) for model, limit in self.excesses]
        return np.asarray(sum(chances, np.zeros(len(x))))


class _Member:
    """One likely model of everything, and what is left to gain where it is true."""

    def __init__(
        self,
        losses: Sequence[Surrogate],
        excesses: Sequence[tuple[Surrogate, float]],
        known: Array,
        room: Array,
    ) -> None:
        self._losses, self._excesses = losses, excesses
        self._cells = cells_beyond(_predicted(losses, known)[0], room) if len(known) else None

    def score(self, x: Array) -> Array:
        logs = [log_feasibility(limit, *model.predict(x)) for model, limit in self._excesses]
        if self._cells is not None:
            logs.append(self._cells.log_expected_gain(*_predicted(self._losses, x)))
        return np.asarray(sum(logs, np.zeros(len(x))))


class GoalsGenerator(BayesianGenerator):
    """For a study with further objectives, limits on metrics, or both.

    One surrogate for each objective and for each bound of a limit. A failure, and a result that lacks one of
    the metrics, counts as bad in every objective and says nothing of the limits.
    """

    takes_goals: ClassVar[bool] = True

    def _own_next(self) -> tuple[Params, Mapping[str, Any]] | None:
        belief = self.learned() if len(self.history) >= _N_INITIAL else None
        found = self._most_promising(belief, self.rng()) if belief else None
        if found is None and (unseen := draw_unseen(self.space, self.history, self.rng())) is not None:
            return unseen, {"design": "random" if belief else "initial"}
        return found

    def _learn(self) -> Any:
        results = self.history.results(self.direction)
        judged = [
            _judged(self.goals, result.loss, metrics)
            for result, metrics in zip(results, self.history.metrics(), strict=True)
        ]
        known = [i for i, each in enumerate(judged) if each is not None]
        if len(known) < _N_SUCCESSES:
            return None
        losses = np.array([each[0] for each in judged if each is not None])
        excesses = np.array([each[1] for each in judged if each is not None]).reshape(len(known), -1)
        finished, noises = [each.params for each in results], noises_of(results)
        rows = self.encode(finished)
        scaled = [scaled_excess(each.tolist()) for each in excesses.T]
        beyond = np.array([each.y - each.threshold for each in scaled]).reshape(-1, len(known))
        kept = np.flatnonzero((excesses <= 0).all(axis=1))
        best = kept[_layers(losses[kept])] if len(kept) else np.argsort(beyond.max(axis=0), kind="stable")
        parents = best[front(losses[best].tolist())] if len(kept) and losses.shape[1] > 1 else best
        targets = [_targets(each, losses[parents, j], known, len(rows)) for j, each in enumerate(losses.T)]
        return _Belief(
            [finished[known[i]] for i in parents],
            rows[known][best] if len(kept) else rows[:0],
            [
                _Loss(self._fitted(rows, y, noises), center, scale, _room(y[known]))
                for y, center, scale in targets
            ],
            [(self._fitted(rows[known], each.y, noises[known]), each.threshold) for each in scaled],
        )

    def _fitted(self, rows: Array, y: Array, noises: Array) -> Surrogate:
        return GaussianProcess.fit(rows, y, self._owners, noises)

    def _most_promising(
        self, belief: Any, rng: np.random.Generator
    ) -> tuple[Params, Mapping[str, Any]] | None:
        plain = belief.score(self.encode(self.history.pending()))

        def score(x: Array) -> Array:
            return np.asarray(plain(x * self._weights))

        parents = belief.parents
        if len(belief.losses) > 1:  # no end of the front is better than another
            parents = [parents[i] for i in rng.permutation(len(parents))]
        found = (
            best_first(self._rows, parents[:_N_PARENTS], score, rng, THOROUGH)
            if self._listed is None
            else best_of_listed(self.space, self._listed, score)
        )
        for params, _ in found:
            if config_key(params) not in self.history:
                return params, self._why(params, belief)
        return None

    def _why(self, params: Params, belief: _Belief) -> Mapping[str, Any]:
        """What each objective is predicted to be, with its deviation, and the chance that limits are kept."""
        x = self.encode([params])
        numbers = {}
        aims = [
            ("", self.direction),
            *((f" of {each.metric}", each.direction) for each in self.goals.objectives),
        ]
        for (name, direction), loss in zip(aims, belief.losses, strict=True):
            (mean,), (deviation,) = loss.surrogate.predict(x)
            numbers[f"mean{name}"] = loss_of(loss.center + loss.scale * float(mean), direction)
            numbers[f"std{name}"] = loss.scale * float(deviation)
        if self.goals.limits:
            numbers["feasible"] = exp(float(belief.log_chance(x)[0]))
        return {"design": "model", **{name: number for name, number in numbers.items() if isfinite(number)}}


def _judged(
    goals: Goals, loss: float | None, metrics: Mapping[str, float]
) -> tuple[list[float], list[float]] | None:
    """The losses of all objectives and the excesses over all bounds; None where not all were measured."""
    others, excesses = goals.losses(metrics), goals.excesses(metrics)
    if loss is None or others is None or excesses is None:
        return None
    return [loss, *others], list(excesses.values())


def _layers(losses: Array) -> "np.ndarray":
    """Some of the best of (n, m) losses: the front, then the front of the rest, and so on."""
    if losses.shape[1] == 1:
        return np.asarray(np.argsort(losses[:, 0], kind="stable")[:_N_KNOWN])
    rest, found = np.arange(len(losses)), np.empty(0, dtype=int)
    while len(rest) and len(found) < _N_KNOWN:
        layer = front(losses[rest].tolist())
        found, rest = np.concatenate([found, rest[layer]]), np.delete(rest, layer)
    return np.asarray(found)


def _targets(losses: Array, best: Array, known: list[int], n: int) -> tuple[Array, float, float]:
    """One loss of `known` among `n` as (y, center, scale): y of mean 0 and deviation 1, or 0 throughout.

    A loss far beyond both the front, whose losses are `best`, and the median counts as the limit: how bad a
    bad one is says nothing about the front. What is not known counts as the worst that remains.
    """
    eighths, low, high = losses / 8, best.min() / 8, best.max() / 8  # so that no sum or difference overflows
    high = max(high, float(np.median(eighths)))
    drawn_in = np.minimum(eighths, high + (high - low))
    told = np.full(n, drawn_in.max())
    told[known] = drawn_in
    center = float((told / n).sum())
    offsets = told - center
    reach = float(np.abs(offsets).max())
    if reach <= max(_ROUNDING * float(np.abs(told).max()), float_info.min):
        return np.zeros(n), 8 * center, 1.0
    deviation = float((offsets / reach).std())
    return offsets / reach / deviation, 8 * center, 8 * reach * deviation


def _room(y: Array) -> float:
    """How far below its best a loss may still go: as far as the fifth best lies above it.

    After the rule of Robson and Whitlock (1964) for where a range ends: many at one best are at its end.
    """
    some = np.sort(y)[:_N_AT_END]
    return max(float(some[-1] - some[0]), _LEAST_ROOM)


def _predicted(losses: Sequence[Surrogate], x: Array) -> tuple[Array, Array]:
    """Means and deviations of every loss, (q, m) each."""
    means, deviations = zip(*(each.predict(x) for each in losses), strict=True)
    return np.column_stack(means), np.column_stack(deviations)
