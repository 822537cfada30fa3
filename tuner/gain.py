"""What ten more experiments may bring to the best value, and how sure that is."""

import math

import numpy as np

from tuner.generators.bayesian import BayesianGenerator
from tuner.insight import Gain

__all__ = ["expected_gain"]

_N_MORE, _N_DRAWS = 10, 32
_LOW, _HIGH = 0.1, 0.9
_MOST_ON_AVERAGE = 0.5


def expected_gain(generator: BayesianGenerator, rng: np.random.Generator) -> Gain | None:
    """By how much the next ten suggestions are better than the best value so far, as the surrogate has it.

    The best value is the least that was measured, which is a lucky one as a rule: a new one has to be better
    than that, and may come to nothing. What was stopped early has no value to compare with, and is left out.
    What the model takes for noise may be luck that comes again, or a difference too fine for it: the upper
    end counts on it, the mean and the lower end do not. A loss has a floor, of which a model of few results
    knows nothing: nobody hopes for a gain beyond the distance from the mean of the values to the best, nor
    on average for more than half of it. `benchmarks/insight.py` measures what came of it.

    The ten are chosen as one batch: ten that are chosen one by one may gain more.

    Args:
        generator: told what is finished. It is asked, so that what it suggested counts as pending.
        rng: of the draws.

    Returns:
        None where too little is known (nothing, or nothing that differs, came to its end), nothing is left to
        suggest, or the gain is beyond the largest float.
    """
    belief = generator.learned()
    if belief is None:
        return None
    results = generator.history.results(generator.direction)
    whole = np.array([each.loss is not None and not each.partial for each in results])
    values = belief.targets.y[whole]
    suggested = [each.params for each in generator.ask(_N_MORE)] if len(set(values.tolist())) > 1 else []
    if not suggested:
        return None
    best, most = float(values.min()), float(values.mean() - values.min())
    rows, surrogate = generator.encode(suggested), belief.surrogate
    draws = np.array([surrogate.drawn(rows, rng) for _ in range(_N_DRAWS)])
    noise = np.sqrt(surrogate.noises)[:, None] * rng.standard_normal(draws.shape)
    gains, lucky = (np.clip(best - each.min(axis=2), 0.0, most) for each in (draws, draws + noise))
    mean = float(np.minimum(gains, _MOST_ON_AVERAGE * most).mean())
    low, high = float(np.quantile(gains, _LOW)), max(mean, float(np.quantile(lucky, _HIGH)))
    mean, low, high = (each * belief.targets.scale for each in (mean, min(low, mean), high))
    return Gain(len(suggested), mean, low, high) if math.isfinite(high) else None
