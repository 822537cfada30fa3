"""Where the acquisition function is greatest: a search over valid configurations only, in rounds."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tuner.experiment import Params
from tuner.generators.bayesian.climbing import climbed
from tuner.generators.bayesian.rows import Rows
from tuner.generators.bayesian.surrogate import Array
from tuner.space import SearchSpace

__all__ = ["THOROUGH", "Score", "best_first", "best_of_listed"]

Score = Callable[[Array], Array]
"""Takes encoded configurations, (m, d), and gives each a number, (m,); most is best."""

_REACHES = (1.0, 0.5, 0.25, 0.1)
_N_DRAWS, _N_VARIATIONS, _N_REFINED, _N_LEADERS = 400, 200, 100, 8
THOROUGH = 1.5
_DIGITS = 9

_CLIMB = 0.1
"""How far the climb may go beside free parameters, in shares of what the members are spread over."""


def best_first(
    made: Rows, parents: Sequence[Params], score: Score, rng: np.random.Generator, effort: float = 1.0
) -> Iterator[tuple[Params, float]]:
    """Yield valid configurations with their scores, the most promising of those looked at first.

    The first are drawn from the whole space and around `parents` (best first). Each further round looks
    around the leaders, ever closer. From the best of all, the score is climbed along its sums.

    `effort` multiplies how many are looked at: half as many again find more where weights move together,
    and where there are several objectives.
    """
    n_draws, n_variations, n_refined = (round(n * effort) for n in (_N_DRAWS, _N_VARIATIONS, _N_REFINED))
    rows = np.vstack([made.draws(n_draws, rng), made.variations(made.rows(parents), n_variations, 1.0, rng)])
    scores = score(made.encode(rows))
    leaders = _order(scores)[:_N_LEADERS]
    for reach in _REACHES:
        near = made.variations(rows[leaders], n_refined, reach, rng)
        rows, scores = np.vstack([rows, near]), np.concatenate([scores, score(made.encode(near))])
        # Only what has just come can overtake them.
        among = np.concatenate([leaders, np.arange(len(rows) - len(near), len(rows))])
        leaders = among[_order(scores[among])[:_N_LEADERS]]
    best = rows[leaders[0]]
    if len(sums := made.sums(best)):
        share = np.inf if sums.any(axis=0).all() else _CLIMB
        top = climbed(best, sums, share * made.spreads, lambda some: score(made.encode(some)))[None, :]
        rows, scores = np.vstack([rows, top]), np.concatenate([scores, score(made.encode(top))])
    for index in _order(scores):
        yield made.config(rows[index]), float(scores[index])


def best_of_listed(
    space: SearchSpace, configs: Sequence[Params], score: Score
) -> Iterator[tuple[Params, float]]:
    """Yield all of these configurations with their scores, the most promising first."""
    scores = score(space.encode(configs))
    for index in _order(scores):
        yield configs[index], float(scores[index])


def _order(scores: Array) -> "np.ndarray":
    """Greatest first; rounded, so that the last bits of the arithmetic decide nothing."""
    return np.argsort(-scores.round(_DIGITS), kind="stable")
