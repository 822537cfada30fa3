"""The Bayesian generator: a space-filling start, then whatever the surrogate hopes most of."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, isfinite, sqrt
from typing import Any, ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from tuner.experiment import Direction, Params, loss_of
from tuner.generators.bayesian.acquisition import incumbents, log_expected_improvement
from tuner.generators.bayesian.gaussian_process import GaussianProcess
from tuner.generators.bayesian.noise import SMOOTH, UNKNOWN, USUAL, NoisePrior
from tuner.generators.bayesian.rows import Rows
from tuner.generators.bayesian.search import THOROUGH, best_first, best_of_listed
from tuner.generators.bayesian.surrogate import Array, Surrogate
from tuner.generators.bayesian.targets import Targets, noises_of, scaled
from tuner.generators.bayesian.transfer import Transfer
from tuner.generators.history import LearningGenerator
from tuner.generators.random import draw_unseen
from tuner.given import listed
from tuner.goals import NO_GOALS, Goals
from tuner.memory import Earlier, carried
from tuner.space import SearchSpace, config_key

__all__ = ["BayesianGenerator"]

_N_INITIAL = 5
_N_SUCCESSES = 2
_N_UNPROVEN, _N_EARLY_WITHIN = 3, 20
_N_REMOTE = 16
_N_PARENTS = 6
_N_ROUND = 5
_APART, _FAR = 0.02, 1e9
_N_INCUMBENTS = 100
_N_LISTED = 500
_A_STUDY = 'Such as [Earlier(space, "minimize", observations, name="march")].'


@dataclass(frozen=True)
class _Belief:
    """What is believed at one time: finished configurations, best first, their targets and surrogate.

    `rows` are the first of them as the surrogate takes them; `prior` has the parts in which earlier studies
    stand behind the surrogate, by name.
    """

    finished: list[Params]
    rows: Array
    targets: Targets
    surrogate: Surrogate
    n_successes: int
    prior: Mapping[str, float]


class BayesianGenerator(LearningGenerator[_Belief]):
    """Learns from every finished experiment; pending ones are believed to come out as predicted.

    Failed experiments count as bad ones, so that a crashing region is left. Where conditions divide the space
    into branches, every fifth suggestion looks into another branch than the best one's. Suggestions are made
    one at a time, each knowing those before it, so that a batch is spread out. The first five of a study fill
    the space, up to three of them being the best of earlier studies where there are any; two more of these
    follow while one of the three leads.

    Args:
        earlier: studies of this space, or of one that overlaps, for a warm start.

    Raises:
        UsageError: `earlier` is no such list, or a study has nothing in common with the space.
    """

    method: ClassVar[str] = "bayesian"
    takes_goals: ClassVar[bool] = False  # which is what `GoalsGenerator` is for

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        direction: Direction | str = Direction.MINIMIZE,
        baseline: Params | None = None,
        n_asked: int = 0,
        goals: Goals = NO_GOALS,
        earlier: Sequence[Earlier] = (),
    ) -> None:
        super().__init__(
            space, seed=seed, direction=direction, baseline=baseline, n_asked=n_asked, goals=goals
        )
        studies = listed("`earlier` must be a list of Earlier studies", Earlier, earlier, _A_STUDY)
        self._carried = [carried(each, space) for each in studies]

    def _next(self) -> tuple[Params, Mapping[str, Any]] | None:
        return self._best_of_earlier() or self._own_next()

    def _best_of_earlier(self) -> tuple[Params, Mapping[str, Any]] | None:
        """The first of the best of earlier studies that is not known yet; after three, while one leads.

        That is soon, or the surrogate knows better.
        """
        early = self._transfer.early if self._carried else ()
        keys = [config_key(params) for params, _ in early]
        for i, (key, one) in enumerate(zip(keys, early, strict=True)):
            if key not in self.history:
                soon = len(self.history) < _N_EARLY_WITHIN
                return one if i < _N_UNPROVEN or (soon and self._lead(set(keys[:i]))) else None
        return None

    def _lead(self, keys: Collection[str]) -> bool:
        """Whether the best of these is better than all others that succeeded, two at least."""
        results = self.history.results(self.direction)
        losses = {config_key(each.params): each.loss for each in results if each.loss is not None}
        own = [loss for key, loss in losses.items() if key in keys]
        others = [loss for key, loss in losses.items() if key not in keys]
        return bool(own) and len(others) >= _N_SUCCESSES and min(own) < min(others)

    def _own_next(self) -> tuple[Params, Mapping[str, Any]] | None:
        rng = self.rng()
        belief = self.learned() if len(self.history) >= _N_INITIAL else None
        found = self._most_promising(belief, rng) if belief else self._most_remote(rng)
        if found is None and (unseen := draw_unseen(self.space, self.history, rng)) is not None:
            return unseen, {"design": "random"}
        return found

    def _learn(self) -> _Belief | None:
        """Fit the surrogate; None with too few successes to tell good from bad."""
        results = self.history.results(self.direction)
        finished, losses = [each.params for each in results], [each.loss for each in results]
        n_successes = sum(loss is not None for loss in losses)
        if n_successes < _N_SUCCESSES:
            return None
        targets = scaled(losses, smooth=self._noise is SMOOTH)
        rows = self.encode(finished)
        learned = (rows, targets.y, self._owners, noises_of(results))
        surrogate, prior = (
            self._transfer.fit(*learned)
            if self._carried
            else (GaussianProcess.fit(*learned, self._noise), {})
        )
        order = np.argsort(targets.y, kind="stable")
        best_first = [finished[i] for i in order]
        return _Belief(best_first, rows[order[:_N_INCUMBENTS]], targets, surrogate, n_successes, prior)

    def _most_remote(self, rng: np.random.Generator) -> tuple[Params, Mapping[str, Any]] | None:
        """The draw that is furthest from everything known (Mitchell 1991, best-candidate sampling)."""
        samples = (self.space.sample(rng) for _ in range(_N_REMOTE))
        drawn = [params for params in samples if config_key(params) not in self.history]
        if not drawn:
            return None
        known = self.space.encode(self.history.known())
        here = self.space.encode(drawn)
        nearest = [float(((known - x) ** 2).sum(axis=1).min(initial=np.inf)) for x in here]
        return drawn[int(np.argmax(nearest))], {"design": "initial"}

    def _most_promising(
        self, belief: _Belief, rng: np.random.Generator
    ) -> tuple[Params, Mapping[str, Any]] | None:
        known_soon = self.space.encode(self.history.pending())
        pending = known_soon * self._weights
        surrogate = belief.surrogate.condition(pending)
        bests = incumbents(surrogate, np.vstack([belief.rows, pending]))

        branch = self._branch_to_leave(belief.finished[:1])

        def score(x: Array) -> Array:
            promise = log_expected_improvement(surrogate, bests, x * self._weights)
            # Two that run at once and hardly differ teach hardly more than one.
            passed = np.zeros(len(x), dtype=bool)
            if len(known_soon):
                passed |= cdist(x, known_soon, "chebyshev").min(axis=1) < _APART
            if branch is not None:
                passed |= (x[:, self._deciding] == branch).all(axis=1)
            return np.where(passed, promise - _FAR, promise)

        effort = THOROUGH if self._rows.only_sums else 1.0
        found = (
            best_first(self._rows, belief.finished[:_N_PARENTS], score, rng, effort)
            if self._listed is None
            else best_of_listed(self.space, self._listed, score)
        )
        for params, _ in found:
            if config_key(params) not in self.history:
                (promise,) = log_expected_improvement(surrogate, bests, self.encode([params]))
                reason = self._reason(params, belief.targets, surrogate, bests, float(promise))
                return params, {**reason, "prior": belief.prior} if belief.prior else reason
        return None

    def _branch_to_leave(self, best: Sequence[Params]) -> Array | None:
        """The branch of the best, which every fifth suggestion leaves; None for the other four.

        Few results decide between branches, of which each has parameters of its own: without that, one that
        began badly would never be looked at again.
        """
        if not len(self._deciding) or self.n_asked % _N_ROUND != _N_ROUND - 1:
            return None
        return np.asarray(self.space.encode(best)[0, self._deciding])

    def _reason(
        self, params: Params, targets: Targets, surrogate: Surrogate, bests: Sequence[float], promise: float
    ) -> Mapping[str, Any]:
        """Predicted value, its deviation and the expected improvement, in the metric's own unit.

        And the aim: to exploit, where it is expected to be better than the incumbent; else to explore.
        """
        (mean,), (deviation,) = surrogate.predict(self.encode([params]))
        numbers = {
            "mean": loss_of(targets.center + targets.scale * float(mean), self.direction),
            "std": targets.scale * float(deviation),
            "expected_improvement": targets.scale * exp(promise),
        }
        aim = "exploit" if mean < np.mean(bests) else "explore"
        finite = {name: number for name, number in numbers.items() if isfinite(number)}
        return {"design": "model", "aim": aim, **finite}

    def overview(self) -> Surrogate | None:
        """A model of the loss over the whole space, where the search's own is of what lies near the best.

        That one takes all that is bad for equally bad, and a search that found a good region has measured
        little else: seen by it, differences of no account there are all that there is. None with too few
        successes, or where all came to the same.
        """
        results = self.history.results(self.direction)
        losses = [each.loss for each in results]
        if sum(loss is not None for loss in losses) < _N_SUCCESSES:
            return None
        rows, y = self.encode([each.params for each in results]), scaled(losses, smooth=True).y
        if not y.any():
            return None
        noise = UNKNOWN if self._noise is USUAL else self._noise
        return GaussianProcess.fit_widely(rows, y, self._owners, noises_of(results), noise)

    @cached_property
    def _transfer(self) -> Transfer:
        return Transfer(self._carried, self.encode, self._weights)

    def encode(self, configs: Sequence[Params]) -> Array:
        """Rows as the surrogate takes them, (n, n_dims)."""
        return self.space.encode(configs) * self._weights

    def encode_rows(self, rows: Array) -> Array:
        """The same of rows that `Rows` made."""
        return self._rows.encode(rows) * self._weights

    @cached_property
    def _deciding(self) -> list[int]:
        """Columns of the parameters that decide which others are active."""
        names = {name for condition in self.space.conditions.values() for name, _ in condition.parents}
        every = range(self.space.n_dims)
        return [column for name in sorted(names) for column in every[self.space.columns[name]]]

    @cached_property
    def _rows(self) -> Rows:
        return Rows(self.space, self.seed)

    @cached_property
    def _owners(self) -> list[int]:
        """Which parameter each column of the encoding belongs to."""
        return [i for i, param in enumerate(self.space.params.values()) for _ in range(param.n_dims)]

    @cached_property
    def _noise(self) -> NoisePrior:
        """Weights and nothing else mix what they weigh: the loss bends with them and seldom steps."""
        return SMOOTH if self._rows.only_sums else USUAL

    @cached_property
    def _weights(self) -> Array:
        """Of each column: two categories are as far apart as the two ends of a number's range.

        What a sum leaves of that range counts as the whole: of twenty weights that add up to 1, each is
        rarely above a fifth.
        """
        counts = [param.n_dims for param in self.space.params.values()]
        categories = np.array([1.0 if n == 1 else sqrt(0.5) for n in counts for _ in range(n)])
        return np.asarray(categories / self._rows.spreads[self._owners])

    @cached_property
    def _listed(self) -> list[Params] | None:
        """Every configuration of a space small enough to look at all of them."""
        size = self.space.size()
        return list(self.space.enumerate()) if size is not None and size <= _N_LISTED else None
